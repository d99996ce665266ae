// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Slabs: small spans that objects of one size class are cut from.
 *
 * Which objects are free is told by a bit for each, outside of the heap: whatever a program
 * writes where it should not, this is not what it hits. (Bonwick, "The slab allocator",
 * USENIX 1994, keeps it outside for large objects; phkmalloc of 1995 has bitmaps for all.)
 * Objects go out from the lowest address on, and from the fullest slab, so that the others
 * may become empty. One that does is a span again, but for one of each class.
 *
 * S1 nr_free is the number of bits in free[], and there is none before free[word].
 * S2 a slab with both is in partial[fill]; one without free objects in no list; one without
 *    objects is bin->empty, or on its way to be a span.
 * S3 slab_page of each of its pages says so while it is a slab, and live[] of its first.
 * S4 is about objects whose memory is away: hollow.c.
 */
#include "slab.h"

#include <inttypes.h>
#include <string.h>

#include "cache.h"
#include "memcheck.h"
#include "os.h"

static unsigned int fill_of(const struct hph_slab *slab)
{
	return slab->nr_free * HPH_FILLS / (hph_classes[slab->class].objects + 1u);
}

static void link_slab(struct hph_bin *bin, struct hph_slab *slab)
{
	struct hph_slab **head;

	slab->fill = (uint8_t)fill_of(slab);
	head = &bin->partial[slab->fill];
	slab->link[0] = NULL;
	slab->link[1] = *head;
	if (*head)
		(*head)->link[0] = slab;
	*head = slab;
}

static void unlink_slab(struct hph_bin *bin, struct hph_slab *slab)
{
	if (slab->link[0])
		slab->link[0]->link[1] = slab->link[1];
	else
		bin->partial[slab->fill] = slab->link[1];
	if (slab->link[1])
		slab->link[1]->link[0] = slab->link[0];
}

/* Files a slab, of which @before objects were free, by how many are now. Under the bin's lock. */
void hph_slab_refile(struct hph_bin *bin, struct hph_slab *slab, unsigned int before)
{
	if (before && slab->nr_free && fill_of(slab) == slab->fill)
		return;
	if (before)
		unlink_slab(bin, slab);
	if (slab->nr_free)
		link_slab(bin, slab);
}

/* The next object of a slab that has one. */
static uintptr_t take_one(struct hph_slab *slab)
{
	uintptr_t addr;
	uint32_t index;

	while (!slab->free[slab->word])
		slab->word++;
	index = slab->word * 64u + (uint32_t)__builtin_ctzll(slab->free[slab->word]);
	slab->free[slab->word] &= slab->free[slab->word] - 1;
	slab->nr_free--;
	addr = slab->base + (uintptr_t)index * hph_classes[slab->class].size;
	if (index < slab->fresh)
		return addr;
	slab->fresh = index + 1;
	return addr | HPH_FRESH;
}

/* Of the slabs with free objects the fullest; an empty one is the last. */
static struct hph_slab *best_slab(struct hph_bin *bin)
{
	struct hph_slab *slab = bin->empty;
	unsigned int i;

	for (i = 0; i < HPH_FILLS; i++)
		if (bin->partial[i])
			return bin->partial[i];
	bin->empty = NULL;
	if (slab)
		link_slab(bin, slab);
	return slab;
}

/**
 * hph_bin_take() - objects out of the slabs; under the bin's lock
 * @slots: for their addresses, with HPH_FRESH: the last one is the first to go out, and lowest
 *
 * Who writes one object after the other then goes upward through memory, and the processor
 * fetches the next one.
 * Return: how many there are, at most @wanted.
 */
unsigned int hph_bin_take(struct hph_bin *bin, uintptr_t *slots, unsigned int wanted)
{
	struct hph_slab *slab;
	unsigned int left = wanted;

	while (left && (slab = best_slab(bin))) {
		while (left && slab->nr_free)
			slots[--left] = take_one(slab);
		hph_slab_refile(bin, slab, 1);
		hph_pages_touch(bin->pages, slab->unit);
	}
	if (left)
		memmove(slots, slots + left, (wanted - left) * sizeof(slots[0]));
	bin->taken += wanted - left;
	return wanted - left;
}

static struct hph_slab *slab_of(const struct hpheap *heap, uintptr_t addr)
{
	const struct hph_unit *unit = hph_unitmap_get(&heap->map, hph_unit_of(addr));
	const unsigned int page = hph_page_in_unit(addr);
	const unsigned int entry = atomic_load_explicit(&unit->slab_page[page],
							memory_order_relaxed);

	return *hph_slab_at(unit, page - (entry & HPH_SLAB_BACK));
}

/* One that has become empty is kept if there is none yet, else it goes. */
static void put_empty(struct hph_bin *bin, struct hph_slab *slab, struct hph_slab **emptied)
{
	if (!bin->empty && !slab->nr_withdrawn) {
		bin->empty = slab;
		return;
	}
	bin->slabs--;
	slab->link[1] = *emptied;
	*emptied = slab;
}

static void put_one(struct hpheap *heap, struct hph_bin *bin, uintptr_t addr, bool touches,
		    struct hph_slab **emptied)
{
	struct hph_slab *slab = slab_of(heap, addr);
	const struct hph_class *class = &hph_classes[slab->class];
	const uint32_t index = (uint32_t)(addr - slab->base) / class->size;
	const uint64_t bit = UINT64_C(1) << index % 64;

	if (index >= class->objects)
		hph_os_die("free(%#jx): no object of %" PRIu32 " bytes begins there",
			   (uintmax_t)addr, class->size);
	if (slab->free[index / 64] & bit || hph_slab_is_withdrawn(slab, index))
		hph_os_die("free(%#jx): the object of %" PRIu32 " bytes is free already",
			   (uintmax_t)addr, class->size);
	slab->free[index / 64] |= bit;
	if (index / 64 < slab->word)
		slab->word = (uint16_t)(index / 64);
	if (touches)
		hph_pages_touch(bin->pages, slab->unit);
	if (slab->nr_free++)
		unlink_slab(bin, slab);
	if (slab->nr_free + slab->nr_withdrawn == class->objects)
		put_empty(bin, slab, emptied);
	else
		link_slab(bin, slab);
}

/**
 * hph_bin_put() - objects back into their slabs; under the bin's lock
 * @touches: somebody has freed them, just now or not long ago
 * @emptied: to this list go slabs for hph_slabs_free()
 */
void hph_bin_put(struct hpheap *heap, struct hph_bin *bin, const uintptr_t *slots,
		 unsigned int count, bool touches, struct hph_slab **emptied)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		put_one(heap, bin, slots[i] & ~HPH_FRESH, touches, emptied);
	bin->taken -= count;
}

/* What is in the depot goes home, and no slab is kept without objects. Under the lock. */
void hph_bin_settle(struct hpheap *heap, struct hph_bin *bin, struct hph_slab **emptied)
{
	hph_bin_put(heap, bin, bin->depot, bin->ready, false, emptied);
	bin->ready = 0;
	if (!bin->empty)
		return;
	bin->empty->link[1] = *emptied;
	*emptied = bin->empty;
	bin->empty = NULL;
	bin->slabs--;
}

/* Slabs in units that are lost (fork.c) have no memory here: what is free of them is forgotten. */
void hph_bin_lose(struct hph_bin *bin)
{
	struct hph_slab *slab, *next;
	unsigned int i;

	for (i = 0; i < HPH_FILLS; i++) {
		for (slab = bin->partial[i]; slab; slab = next) {
			next = slab->link[1];
			if (hph_unit_state(slab->unit) == HPH_UNIT_LOST)
				unlink_slab(bin, slab);
		}
	}
}

/* The next slab of a unit that begins at page *@next or behind; NULL: none does. */
struct hph_slab *hph_slab_next(const struct hph_unit *unit, unsigned int *next)
{
	struct hph_slab *slab;
	unsigned int page;

	for (page = *next; page < HPH_UNIT_PAGES; page++) {
		const unsigned int live = atomic_load_explicit(&unit->live[page],
							       memory_order_acquire);

		if ((live & (HPH_LIVE_SLAB | HPH_LIVE_SIZE)) != HPH_LIVE_SLAB)
			continue;
		slab = *hph_slab_at(unit, page);
		*next = page + hph_classes[slab->class].pages;
		return slab;
	}
	return NULL;
}

/* Those of a unit that is about to be lost count no more, nor do their objects. */
void hph_slabs_lose(const struct hpheap *heap, const struct hph_unit *unit)
{
	const struct hph_slab *slab;
	struct hph_bin *bin;
	unsigned int next = 0;

	while ((slab = hph_slab_next(unit, &next))) {
		bin = &heap->zones[hph_unit_zone(unit)].bins[slab->class];
		bin->slabs--;
		bin->taken -= hph_classes[slab->class].objects - slab->nr_free - slab->nr_withdrawn;
	}
}

/* The slab's span is free. Under the zone's lock. */
static void free_span(struct hph_zone *zone, const struct hph_slab *slab)
{
	struct hph_unit *unit = slab->unit;
	const unsigned int page = hph_page_in_unit(slab->base);
	const unsigned int pages = hph_classes[slab->class].pages;
	unsigned int i;

	for (i = 0; i < pages; i++)
		atomic_store_explicit(&unit->slab_page[page + i], 0, memory_order_relaxed);
	hph_pages_unhalve(&zone->pages, unit, page, pages);
	hph_pages_free(&zone->pages, &(struct hph_found){
		.unit = unit, .page = page, .pages = pages,
	});
}

/* The structures serve again. Under the bin's lock. */
static void keep_structures(struct hph_bin *bin, struct hph_slab *emptied)
{
	struct hph_slab *next;

	for (; emptied; emptied = next) {
		next = emptied->link[1];
		emptied->link[1] = bin->unused;
		bin->unused = emptied;
	}
}

/*
 * Where something of a slab is away, what is so of the unit may change: under all locks. It may
 * have come back by then, but nothing more goes. Under the bin's lock.
 */
static bool any_withdrawn(const struct hph_slab *emptied)
{
	while (emptied && !emptied->nr_withdrawn)
		emptied = emptied->link[1];
	return emptied;
}

/* Frees the spans of slabs of one bin, without its lock. */
void hph_slabs_free(struct hph_zone *zone, struct hph_bin *bin, struct hph_slab *emptied)
{
	const struct hph_slab *slab;
	bool withdrawn;

	if (!emptied)
		return;
	hph_lock(bin->lock);
	withdrawn = any_withdrawn(emptied);
	hph_unlock(bin->lock);
	if (withdrawn)
		hph_bins_lock(zone);
	hph_lock(&zone->lock);
	for (slab = emptied; slab; slab = slab->link[1])
		free_span(zone, slab);
	hph_unlock(&zone->lock);
	if (withdrawn)
		hph_bins_unlock(zone);
	hph_lock(bin->lock);
	keep_structures(bin, emptied);
	hph_unlock(bin->lock);
}

/* The same with both locks held. */
void hph_slabs_free_locked(struct hph_zone *zone, struct hph_bin *bin,
			   struct hph_slab *emptied)
{
	const struct hph_slab *slab;

	for (slab = emptied; slab; slab = slab->link[1])
		free_span(zone, slab);
	keep_structures(bin, emptied);
}

/* What a bin and a unit lack before they can have a slab. Under the heap's grow lock. */
static bool prepare(struct hpheap *heap, struct hph_bin *bin, struct hph_unit *unit,
		    const struct hph_class *class)
{
	const size_t depot = sizeof(bin->depot[0]) * 2 * class->most;

	if (!unit->slabs) {
		unit->slabs = hph_meta_alloc(&heap->meta, sizeof(*unit->slabs));
		if (unit->slabs) {
			unit->slabs->next = atomic_load(&heap->slabbed);
			atomic_store(&heap->slabbed, unit);
		}
	}
	if (!bin->depot)
		bin->depot = hph_meta_alloc(&heap->meta, depot);
	return unit->slabs && bin->depot;
}

/* A structure that was used before, or a new one. */
static struct hph_slab *new_structure(struct hpheap *heap, struct hph_bin *bin,
				      const struct hph_class *class, struct hph_unit *unit)
{
	const size_t words = (class->objects + 63u) / 64;
	struct hph_slab *slab = NULL;
	bool ready;

	pthread_mutex_lock(&heap->grow);
	ready = prepare(heap, bin, unit, class);
	hph_lock(bin->lock);
	if (ready && bin->unused) {
		slab = bin->unused;
		bin->unused = slab->link[1];
	}
	hph_unlock(bin->lock);
	if (ready && !slab)
		slab = hph_meta_alloc(&heap->meta, sizeof(*slab) + words * sizeof(slab->free[0]));
	pthread_mutex_unlock(&heap->grow);
	return slab;
}

/* All of its objects are free, and none was ever handed out. */
static void set_up(struct hph_slab *slab, struct hph_unit *unit, uintptr_t base,
		   unsigned int class)
{
	const unsigned int objects = hph_classes[class].objects;
	const unsigned int page = hph_page_in_unit(base);
	unsigned int i;

	*slab = (struct hph_slab){
		.unit = unit, .base = base, .nr_free = (uint16_t)objects, .class = (uint8_t)class,
	};
	for (i = 0; i < objects / 64; i++)
		slab->free[i] = UINT64_MAX;
	if (objects % 64)
		slab->free[i] = UINT64_MAX >> (64 - objects % 64);
	*hph_slab_at(unit, page) = slab;
	for (i = 0; i < hph_classes[class].pages; i++)
		atomic_store_explicit(&unit->slab_page[page + i],
				      (uint16_t)(hph_class_entry(class) | i),
				      memory_order_relaxed);
	/* Who finds it by that, in hph_slab_next(), finds all of it. */
	atomic_store_explicit(&unit->live[page],
			      (uint8_t)(HPH_LIVE_SLAB | hph_classes[class].pages),
			      memory_order_release);
}

/**
 * hph_slab_make() - one more slab of a class, from the node of the calling thread if that has
 *		     memory
 *
 * Without locks, and not inside a cache. Return: the bin that has it; NULL: no memory.
 */
struct hph_bin *hph_slab_make(struct hpheap *heap, unsigned int class)
{
	const size_t bytes = hph_page_addr(hph_classes[class].pages);
	void *span = hpheap_span_alloc(heap, bytes, 0, 0);
	struct hph_slab *slab, *surplus = NULL;
	struct hph_unit *unit;
	struct hph_bin *bin;

	if (!span)
		return NULL;
	unit = hph_unitmap_get(&heap->map, hph_unit_of((uintptr_t)span));
	bin = &heap->zones[hph_unit_zone(unit)].bins[class];
	slab = new_structure(heap, bin, &hph_classes[class], unit);
	if (!slab) {
		hpheap_span_free(heap, span);
		return NULL;
	}
	set_up(slab, unit, (uintptr_t)span, class);
	hph_memcheck_close(span, bytes);
	hph_lock(bin->lock);
	bin->slabs++;
	put_empty(bin, slab, &surplus);	/* Another thread may have had one, too. */
	hph_unlock(bin->lock);
	hph_slabs_free(&heap->zones[hph_unit_zone(unit)], bin, surplus);
	return bin;
}
