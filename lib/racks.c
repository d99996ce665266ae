// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * All racks of a cache, and all bins of a heap: for who drains, forks, or counts.
 */
#include "object.h"
#include "os.h"

/* While a cache is made. */
void hph_racks_init(struct hph_cache *cache)
{
	uintptr_t *slots = cache->objects;
	unsigned int i;

	for (i = 0; i < HPH_CLASSES; i++) {
		hph_cache_rack(cache, i)->inverse = hph_classes[i].inverse;
		hph_cache_rack(cache, i)->bytes = hph_classes[i].bytes;
		hph_cache_rack(cache, i)->slots = slots;
		slots += hph_classes[i].most;
	}
	if (slots > cache->objects + HPH_CACHE_OBJECTS)
		hph_os_die("a cache has no room for the objects of all classes");
}

/* Objects that were idle: no depot needs them. */
static void put_home(struct hpheap *heap, struct hph_zone *zone, unsigned int class,
		     const uintptr_t *slots, unsigned int count)
{
	struct hph_bin *bin = &zone->bins[class];
	struct hph_slab *emptied = NULL;

	hph_lock(bin->lock);
	hph_bin_put(heap, bin, slots, count, false, &emptied);
	hph_unlock(bin->lock);
	hph_slabs_free(zone, bin, emptied);
}

/*
 * All racks of a cache that may be changed: to the depots, or if it is @idle to the slabs. Not
 * under the lock of a zone or bin.
 */
void hph_racks_empty(struct hpheap *heap, struct hph_cache *cache, bool idle)
{
	void (*put)(struct hpheap *, struct hph_zone *, unsigned int, const uintptr_t *,
		    unsigned int) = idle ? put_home : hph_depot_put;
	unsigned int class;

	if (!atomic_load_explicit(&heap->has_objects, memory_order_acquire))
		return;
	class = hph_entry_class(cache->last_entry);
	if (cache->last_entry)
		put(heap, cache->zone, class, &cache->last, 1);
	cache->last_entry = 0;
	for (class = 0; class < HPH_CLASSES; class++) {
		struct hph_rack *rack = hph_cache_rack(cache, class);

		if (rack->count)
			put(heap, cache->zone, class, rack->slots, rack->count);
		rack->count = 0;
		rack->most = 0;
	}
	cache->object_bytes = 0;
}

/* The depots of a zone, and the slabs that are kept empty. */
void hph_bins_settle(struct hpheap *heap, struct hph_zone *zone)
{
	unsigned int class;

	if (!atomic_load_explicit(&heap->has_objects, memory_order_acquire))
		return;
	for (class = 0; class < HPH_CLASSES; class++) {
		struct hph_bin *bin = &zone->bins[class];
		struct hph_slab *emptied = NULL;

		hph_lock(bin->lock);
		if (bin->slabs)
			hph_bin_settle(heap, bin, &emptied);
		hph_unlock(bin->lock);
		hph_slabs_free(zone, bin, emptied);
	}
}

/* Frees what is idle in depots, and slabs that are kept empty. */
void hph_bins_settle_idle(struct hpheap *heap, struct hph_zone *zone)
{
	unsigned int class;

	if (!atomic_load_explicit(&heap->has_objects, memory_order_acquire))
		return;
	for (class = 0; class < HPH_CLASSES; class++) {
		struct hph_bin *bin = &zone->bins[class];
		struct hph_slab *emptied = NULL;
		uint64_t look;

		hph_lock(bin->lock);
		look = bin->taken * 31 + bin->slabs + (bin->ready ? bin->depot[bin->ready - 1] : 0);
		if (bin->slabs && look == bin->look)
			hph_bin_settle(heap, bin, &emptied);
		bin->look = look;
		hph_unlock(bin->lock);
		hph_slabs_free(zone, bin, emptied);
	}
}

/* All bins of a zone, before its own lock. */
void hph_bins_lock(struct hph_zone *zone)
{
	unsigned int n;

	for (n = 0; n < HPH_BIN_LOCKS; n++)
		hph_lock(&zone->bin_locks[n]);
}

void hph_bins_unlock(struct hph_zone *zone)
{
	unsigned int n;

	for (n = 0; n < HPH_BIN_LOCKS; n++)
		hph_unlock(&zone->bin_locks[n]);
}

/* Heap pages' worth of slabs that nobody has, the hollow ones among them. */
size_t hph_bins_slack(const struct hpheap *heap, const struct hph_zone *zone)
{
	size_t bytes = 0;
	unsigned int class;

	if (!atomic_load_explicit(&heap->has_objects, memory_order_acquire))
		return 0;
	for (class = 0; class < HPH_CLASSES; class++) {
		const struct hph_bin *bin = &zone->bins[class];

		hph_lock(bin->lock);
		bytes += bin->slabs * hph_page_addr(hph_classes[class].pages) -
			 bin->taken * hph_classes[class].size;
		hph_unlock(bin->lock);
	}
	return bytes >> HPH_PAGE_SHIFT;
}

/* In a child, with all locks held: what a cache had goes back into the slabs. */
void hph_racks_after_fork(struct hpheap *heap, struct hph_cache *cache)
{
	const unsigned int last = hph_entry_class(cache->last_entry);
	unsigned int class;

	for (class = 0; heap->has_objects && class < HPH_CLASSES; class++) {
		struct hph_rack *rack = hph_cache_rack(cache, class);
		struct hph_bin *bin = &cache->zone->bins[class];
		struct hph_slab *emptied = NULL;

		hph_bin_put(heap, bin, rack->slots, rack->count, false, &emptied);
		hph_bin_put(heap, bin, &cache->last, class == last, false, &emptied);
		hph_slabs_free_locked(cache->zone, bin, emptied);
		rack->count = 0;
		rack->most = 0;
	}
	cache->object_bytes = 0;
	cache->last_entry = 0;
}

/* In a child, with all locks held: no depot has anything afterwards, and no slab is empty. */
void hph_bins_after_fork(struct hpheap *heap)
{
	unsigned int i, class;

	for (i = 0; heap->has_objects && i < heap->nr_zones; i++) {
		struct hph_zone *zone = &heap->zones[i];

		for (class = 0; class < HPH_CLASSES; class++) {
			struct hph_slab *emptied = NULL;

			hph_bin_settle(heap, &zone->bins[class], &emptied);
			hph_slabs_free_locked(zone, &zone->bins[class], emptied);
		}
	}
}

/* And when it is known what is lost: nothing more comes from there. */
void hph_bins_lose(struct hpheap *heap)
{
	unsigned int i, class;

	for (i = 0; heap->has_objects && i < heap->nr_zones; i++)
		for (class = 0; class < HPH_CLASSES; class++)
			hph_bin_lose(&heap->zones[i].bins[class]);
}

/* Under all locks, with the caches closed. */
void hph_objects_count(const struct hpheap *heap, uint64_t *slab_bytes, uint64_t *object_bytes)
{
	const struct hph_cache *cache;
	unsigned int i, class;

	*slab_bytes = *object_bytes = 0;
	for (i = 0; heap->has_objects && i < heap->nr_zones; i++) {
		*slab_bytes -= hph_page_addr(heap->zones[i].pages.hollow_pages) +
			       (heap->zones[i].pages.away_halves << HPH_HALF_SHIFT);
		for (class = 0; class < HPH_CLASSES; class++) {
			const struct hph_bin *bin = &heap->zones[i].bins[class];

			*slab_bytes += (uint64_t)bin->slabs *
				       hph_page_addr(hph_classes[class].pages);
			*object_bytes += (uint64_t)(bin->taken - bin->ready) *
					 hph_classes[class].size;
		}
	}
	for (cache = heap->caches; cache; cache = cache->next) {
		if (cache->last_entry)
			*object_bytes -= hph_classes[hph_entry_class(cache->last_entry)].size;
		for (class = 0; class < HPH_CLASSES; class++)
			*object_bytes -= (uint64_t)cache->racks[class + 1].count *
					 hph_classes[class].size;
	}
}
