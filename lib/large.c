// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Large spans in thread caches and depots: few, found by their size.
 *
 * A thread holds some if all together hold no more of them than an eighth of the heap, or
 * 32 MiB. They go on to the zone's depot only if it was another thread that missed one last: what
 * nobody fetches would be kept from becoming free huge units.
 *
 * C3 large_pages is the sum over the large ones, at most large_most; the heap's
 *    large_granted is the sum of large_most over its caches. A depot needs no grant: it is
 *    emptied before its zone gets more memory.
 *
 * C1 (cache.c) says who may call. All but the last function are under the zone's lock.
 */
#include "cache.h"

#define LARGE_SHARE	8			/* of the heap's memory */
#define LARGE_LEAST	((size_t)16 * HPH_UNIT_PAGES)	/* heap pages, for small heaps */

/* Gives back to the zone all but @keep spans, the oldest first. */
static void give_back_large(const struct hpheap *heap, struct hph_cache *cache, unsigned int keep)
{
	unsigned int i, given;

	if (cache->nr_large <= keep)
		return;
	given = cache->nr_large - keep;
	for (i = 0; i < given; i++) {
		hph_pages_free(&cache->zone->pages, &(struct hph_found){
			.unit = hph_unitmap_get(&heap->map, hph_unit_of(cache->large[i].addr)),
			.page = hph_page_in_unit(cache->large[i].addr),
			.pages = cache->large_size[i],
		});
		cache->large_pages -= cache->large_size[i];
	}
	for (i = 0; i < keep; i++) {
		cache->large[i] = cache->large[given + i];
		cache->large_size[i] = cache->large_size[given + i];
	}
	cache->nr_large = keep;
}

/* All goes back, and what was granted with it. */
void hph_cache_empty_large(struct hpheap *heap, struct hph_cache *cache)
{
	give_back_large(heap, cache, 0);
	atomic_fetch_sub(&heap->large_granted, cache->large_most);
	cache->large_most = 0;
}

static bool grant_large(struct hpheap *heap, struct hph_cache *cache, size_t pages)
{
	const size_t held = atomic_load(&heap->held_units) * HPH_UNIT_PAGES / LARGE_SHARE;
	const size_t limit = held > LARGE_LEAST ? held : LARGE_LEAST;
	const size_t more = cache->large_pages + pages - cache->large_most;
	size_t granted = atomic_load(&heap->large_granted);

	if (cache->large_pages + pages > HPH_CACHE_LARGE_PAGES)
		return false;
	do {
		if (granted > limit || more > limit - granted)
			return false;
	} while (!atomic_compare_exchange_weak(&heap->large_granted, &granted, granted + more));
	cache->large_most += more;
	return true;
}

/* A large span out of a cache. */
static struct hph_cached remove_large(struct hph_cache *cache, unsigned int which)
{
	const struct hph_cached span = cache->large[which];

	cache->large_pages -= cache->large_size[which];
	for (cache->nr_large--; which < cache->nr_large; which++) {
		cache->large[which] = cache->large[which + 1];
		cache->large_size[which] = cache->large_size[which + 1];
	}
	return span;
}

/* And into one that has room for it. */
static void add_large(struct hph_cache *cache, size_t pages, struct hph_cached span)
{
	cache->large[cache->nr_large] = span;
	cache->large_size[cache->nr_large++] = pages;
	cache->large_pages += pages;
}

/* Of a size, the one that came last; nr_large: there is none. */
static unsigned int find_large(const struct hph_cache *cache, size_t pages)
{
	unsigned int i = cache->nr_large;

	while (i-- > 0)
		if (cache->large_size[i] == pages)
			return i;
	return cache->nr_large;
}

/* The older half of a thread's large spans goes to the depot, and what was granted for it back. */
static void pass_on_large(struct hpheap *heap, struct hph_cache *cache, struct hph_cache *depot)
{
	const unsigned int keep = cache->nr_large / 2;

	while (cache->nr_large > keep) {
		const size_t pages = cache->large_size[0];

		add_large(depot, pages, remove_large(cache, 0));
		cache->large_most -= pages;
		atomic_fetch_sub(&heap->large_granted, pages);
	}
}

/*
 * Makes room for a large span: to the depot, if another thread had to do without one, and the
 * depot has room; else the oldest goes home.
 */
static void hand_on_large(struct hpheap *heap, struct hph_cache *cache)
{
	struct hph_cache *depot = cache->zone->depot;
	const bool wanted = cache->zone->missed && cache->zone->missed != cache;

	if (wanted && depot->nr_large + cache->nr_large - cache->nr_large / 2 <= HPH_DEPOT_LARGE)
		pass_on_large(heap, cache, depot);
	else
		give_back_large(heap, cache, cache->nr_large - 1);
}

/* May a cache have a large span more? */
static bool have_room(struct hpheap *heap, struct hph_cache *cache, size_t pages)
{
	return cache->nr_large < HPH_CACHE_LARGE &&
	       (cache->large_pages + pages <= cache->large_most || grant_large(heap, cache, pages));
}

/* For one more in a thread's cache, at the price of those in it. False: it is too large. */
bool hph_cache_make_room_large(struct hpheap *heap, struct hph_cache *cache, size_t pages)
{
	while (!have_room(heap, cache, pages)) {
		if (!cache->nr_large)
			return false;
		hand_on_large(heap, cache);
	}
	return true;
}

/* One out of the depot, and as many more for the cache as it may have; 0: there is none. */
static uintptr_t fetch_large(struct hpheap *heap, struct hph_cache *cache, size_t pages, bool *zero)
{
	struct hph_cache *depot = cache->zone->depot;
	unsigned int which = find_large(depot, pages);
	struct hph_cached span;

	if (which == depot->nr_large)
		return 0;
	span = remove_large(depot, which);
	for (which = find_large(depot, pages);
	     which < depot->nr_large && have_room(heap, cache, pages);
	     which = find_large(depot, pages))
		add_large(cache, pages, remove_large(depot, which));
	return hph_cached_out(&span, pages, zero);
}

/**
 * hph_cache_refill_large() - a large span that the thread's cache has not got
 *
 * By way of the cache if the zone's depot has some, else what the zone has.
 * Return: its address; 0: there is none, or no cache.
 */
uintptr_t hph_cache_refill_large(struct hpheap *heap, const struct hph_want *want, bool *zero)
{
	struct hph_cache *cache = hph_cache_of(heap);
	uintptr_t addr;

	if (want->align != 1 || want->pages > HPH_CACHE_LARGE_PAGES)
		return 0;
	if (!cache)
		cache = hph_cache_join(heap);
	if (!cache || !hph_cache_enter(cache))
		return 0;
	hph_cache_move_here(heap, cache);
	hph_lock(&cache->zone->lock);
	cache->zone->missed = cache;
	addr = fetch_large(heap, cache, want->pages, zero);
	if (!addr)
		addr = hph_pages_alloc(&cache->zone->pages, want, zero);
	hph_unlock(&cache->zone->lock);
	hph_cache_exit(cache);
	return addr;
}
