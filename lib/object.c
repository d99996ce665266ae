// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Objects where the thread's cache does not serve: its rack is empty or full, or there is no cache.
 *
 * A rack is filled from the bin of its class and node, half of what it may hold at once,
 * and half of a full one goes back: first to and from the bin's depot (depot.c), so that objects
 * which one thread allocates and another frees go round without any slab being looked at.
 *
 * A free object has a tag in its second word, made of its address and a secret of the heap.
 * Who frees finds it there if the object is free already; who allocates finds it gone if
 * somebody wrote to what he had freed. What is free is known apart from that (slab.c), so
 * that what was overwritten is never followed. (glibc's tcache has a key in the same place since
 * 2.29, without the second check.)
 *
 * The object that a thread freed last is in no rack yet. Where a program frees one and takes one,
 * it need not wait: into which rack an object goes is known only when its slab has been looked
 * up, and a processor that has not got the address of one count yet lets the next one wait, or
 * begins again. What goes into a rack is the one before, of which all is known long since. (It is
 * half the time of a load that frees at random.)
 *
 * O1 an object in a rack, a depot or a slab has its tag, if it was ever handed out or is in a
 *    rack; in a depot or slab one that was not may be without.
 * O2 a rack is changed by whoever may change its cache (C1); count <= most <= hph_class.most, and
 *    object_bytes is the sum over all racks of most times the size.
 * O3 last is one object more, of the class that last_entry says, like one in a rack.
 */
#include "object.h"

#include <errno.h>
#include <string.h>

#include "os.h"

/*
 * Half of what a rack may hold comes at once: no less than processors fetch together (two lines of
 * 64 bytes), so that two threads with an object each do not write to the same.
 */
#define FIRST_GRANT	4u
#define FIRST_BYTES	256u

/* One miss of so many takes from others, and looks at so many of them. */
#define BEG_OFTEN	8u
#define BEG_TRIES	8u

_Static_assert(HPH_SMALL_PAGES - 1 <= HPH_SLAB_BACK, "the way back has room in slab_page,");
_Static_assert((HPH_CLASSES + 1) << HPH_SLAB_CLASS <= UINT16_MAX, "and a class has");

unsigned int hph_object_class(const struct hph_unit *unit, uintptr_t addr)
{
	const unsigned int entry = hph_slab_page(unit, addr);
	const unsigned int class = hph_entry_class(entry);
	const uintptr_t offset = hph_slab_offset(entry, addr);

	return class < HPH_CLASSES && !(offset % hph_classes[class].size) &&
	       offset < hph_classes[class].bytes ? class : HPH_CLASSES;
}

/* Does not come back. */
void hph_object_broken(uintptr_t secret, uintptr_t addr)
{
	const uintptr_t word = *hph_object_word(addr);

	if (word == (addr ^ secret))
		hph_os_die("free(%#jx): this is free already", (uintmax_t)addr);
	hph_os_die("malloc(): %#jx was written to after it was freed: it has %#jx at 8",
		   (uintmax_t)addr, (uintmax_t)word);
}

static bool make_bins(struct hpheap *heap)
{
	unsigned int i, class;

	for (i = 0; i < heap->nr_zones; i++) {
		struct hph_bin *bins = hph_meta_alloc(&heap->meta, HPH_CLASSES * sizeof(*bins));

		if (!bins)
			return false;
		for (class = 0; class < HPH_CLASSES; class++)
			bins[class] = (struct hph_bin){
				.lock = &heap->zones[i].bin_locks[class % HPH_BIN_LOCKS],
				.pages = &heap->zones[i].pages,
			};
		heap->zones[i].bins = bins;
	}
	return true;
}

/* Before the first object. False: no memory. */
static bool have_bins(struct hpheap *heap)
{
	bool have = atomic_load_explicit(&heap->has_objects, memory_order_acquire);

	if (have)
		return true;
	pthread_mutex_lock(&heap->grow);
	have = atomic_load(&heap->has_objects) || make_bins(heap);
	atomic_store(&heap->has_objects, have);
	pthread_mutex_unlock(&heap->grow);
	return have;
}

/* The oldest objects of a rack go. */
static void give_back(struct hpheap *heap, struct hph_cache *cache, unsigned int class,
		      unsigned int keep)
{
	struct hph_rack *rack = hph_cache_rack(cache, class);
	const unsigned int given = rack->count - keep;

	hph_depot_put(heap, cache->zone, class, rack->slots, given);
	memmove(rack->slots, rack->slots + given, keep * sizeof(rack->slots[0]));
	rack->count = keep;
}

/* Half of what the rack of a class may hold is free to be granted to others. */
static void take_grant(struct hpheap *heap, struct hph_cache *cache, unsigned int class)
{
	struct hph_rack *rack = hph_cache_rack(cache, class);

	cache->object_bytes -= (size_t)(rack->most - rack->most / 2) * hph_classes[class].size;
	rack->most /= 2;
	if (rack->count > rack->most)
		give_back(heap, cache, class, rack->most);
}

/*
 * Sees to it that the cache may be granted so many bytes more. When all are, those of other
 * classes go, in turn. Not each time: what is taken from a rack that is in use has to be fetched
 * again, and that is worth it only for one that misses more often than others.
 */
static bool have_grant(struct hpheap *heap, struct hph_cache *cache, unsigned int class,
		       size_t bytes)
{
	unsigned int i;

	if (cache->object_bytes + bytes <= HPH_CACHE_OBJECT_BYTES)
		return true;
	if (++cache->begged % BEG_OFTEN)
		return false;
	for (i = 0; i < BEG_TRIES && cache->object_bytes + bytes > HPH_CACHE_OBJECT_BYTES; i++) {
		cache->giver = (cache->giver + 1) % HPH_CLASSES;
		if (cache->giver != class)
			take_grant(heap, cache, cache->giver);
	}
	return cache->object_bytes + bytes <= HPH_CACHE_OBJECT_BYTES;
}

static uint32_t first_grant(unsigned int class)
{
	const uint32_t most = FIRST_BYTES / hph_classes[class].size;

	return most > FIRST_GRANT ? most : FIRST_GRANT;
}

/* Twice as much as before, up to what the class and the cache may have. */
static void grant(struct hpheap *heap, struct hph_cache *cache, unsigned int class)
{
	struct hph_rack *rack = hph_cache_rack(cache, class);
	const uint32_t limit = hph_classes[class].most;
	const uint32_t wanted = rack->most ? 2 * rack->most : first_grant(class);
	const uint32_t more = (wanted < limit ? wanted : limit) - rack->most;
	const size_t bytes = (size_t)more * hph_classes[class].size;

	if (!more || !have_grant(heap, cache, class, bytes))
		return;
	rack->most += more;
	cache->object_bytes += bytes;
}

/* By way of the cache; 0: its node's bin has none, or there is no cache. */
static uintptr_t alloc_cached(struct hpheap *heap, unsigned int class)
{
	struct hph_cache *cache = hph_cache_of(heap);
	struct hph_rack *rack;
	uintptr_t addr = 0;

	if (!cache)
		cache = hph_cache_join(heap);
	if (!cache || !hph_cache_enter(cache))
		return 0;
	rack = hph_cache_rack(cache, class);
	hph_cache_move_here(heap, cache);
	if (!rack->count) {
		grant(heap, cache, class);
		rack->count = hph_depot_take(heap, &cache->zone->bins[class], rack->slots,
				   rack->most > 1 ? rack->most / 2 : 1);
	}
	if (rack->count)
		addr = rack->slots[--rack->count];
	hph_cache_exit(cache);
	return addr;
}

/* One of a bin's, past all caches. */
static uintptr_t alloc_one(struct hpheap *heap, struct hph_bin *bin)
{
	uintptr_t addr;

	return hph_depot_take(heap, bin, &addr, 1) ? addr : 0;
}

/* What other nodes have, and what caches hold. */
static uintptr_t alloc_anywhere(struct hpheap *heap, unsigned int class)
{
	uintptr_t addr = 0;
	unsigned int i;

	hph_caches_drain(heap);
	for (i = 0; i < heap->nr_zones && !addr; i++)
		addr = alloc_one(heap, &heap->zones[i].bins[class]);
	return addr;
}

/* Out of slabs; 0: there is no memory. */
static uintptr_t alloc_missed(struct hpheap *heap, unsigned int class)
{
	struct hph_bin *bin;
	uintptr_t addr;

	if (!have_bins(heap))
		return 0;
	bin = &hph_zone_here(heap)->bins[class];
	do {
		addr = alloc_cached(heap, class);
		if (!addr)
			addr = alloc_one(heap, bin);
	} while (!addr && (bin = hph_slab_make(heap, class)));
	return addr ? addr : alloc_anywhere(heap, class);
}

void *hph_object_alloc_missed(struct hpheap *heap, unsigned int class)
{
	const int before = errno;
	void *object;
	uintptr_t addr;

	if (heap->efence) {
		object = hpheap_span_alloc(heap, hph_classes[class].size, 0, 0);
	} else {
		addr = alloc_missed(heap, class);
		object = addr ? hph_object_out(heap->secret, addr) : NULL;
	}
	errno = object ? before : ENOMEM;
	return object;
}

/* The object that was freed last goes to its rack, at the price of others there, or home. */
static void settle_last(struct hpheap *heap, struct hph_cache *cache)
{
	const unsigned int class = hph_entry_class(cache->last_entry);
	struct hph_rack *rack;

	if (!cache->last_entry)
		return;
	rack = hph_cache_rack(cache, class);
	if (rack->count == rack->most)
		grant(heap, cache, class);
	if (rack->count && rack->count == rack->most)
		give_back(heap, cache, class, rack->most / 2);
	if (!hph_object_push_last(cache))
		hph_depot_put(heap, cache->zone, class, &cache->last, 1);
	cache->last_entry = 0;
}

/* Into the thread's cache; false: it is none for that. */
static bool free_cached(struct hpheap *heap, struct hph_unit *unit, unsigned int class,
			uintptr_t addr)
{
	struct hph_cache *cache = hph_cache_of(heap);

	if (!cache)
		cache = hph_cache_join(heap);
	if (!cache || !hph_cache_enter_for(cache, unit))
		return false;
	settle_last(heap, cache);
	cache->last_entry = hph_class_entry(class);
	cache->last = addr;
	hph_cache_exit(cache);
	return true;
}

/* In a heap of more than one part of its map (8 GiB) the way of most is tried once more. */
static bool free_elsewhere(struct hpheap *heap, uintptr_t addr)
{
	struct hph_cache *cache = hph_cache_of(heap);
	const uintptr_t number = hph_unit_of(addr);

	if (!cache || cache->leaf_number == number / HPH_LEAF_UNITS)
		return false;
	cache->leaf_number = number / HPH_LEAF_UNITS;
	cache->leaf_units = (uintptr_t)hph_unitmap_leaf(&heap->map, number) -
			    number / HPH_LEAF_UNITS * sizeof(struct hph_leaf);
	return hph_object_free(cache, addr);
}

/**
 * hph_object_free_missed() - free an object where the thread's cache could not
 * @addr: anything
 *
 * What is lost with its unit (fork.c) is not touched, and never used again.
 * Return: false: no object begins there.
 */
bool hph_object_free_missed(struct hpheap *heap, uintptr_t addr)
{
	struct hph_unit *unit = hph_unitmap_find(&heap->map, hph_unit_of(addr));
	unsigned int class;

	if (!unit || hph_unit_state(unit) == HPH_UNIT_NONE)
		return false;
	if (free_elsewhere(heap, addr))
		return true;
	class = hph_object_class(unit, addr);
	if (class == HPH_CLASSES)
		return false;
	if (hph_unit_state(unit) == HPH_UNIT_LOST)
		return true;
	hph_object_in(heap->secret, addr);
	if (!free_cached(heap, unit, class, addr))
		hph_depot_put(heap, &heap->zones[hph_unit_zone(unit)], class, &addr, 1);
	return true;
}
