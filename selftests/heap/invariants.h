/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that must hold inside of a heap while no thread is in it: each number that
 * the library keeps beside the page maps is computed again from the maps, and
 * each index is compared with what it is an index of. P1 to P5 and C2, C3 are those of
 * lib/pagealloc.c and lib/cache.c.
 *
 * invariants() returns NULL, or a sentence about what is wrong.
 */
#ifndef SELFTESTS_INVARIANTS_H
#define SELFTESTS_INVARIANTS_H

#include "invariants_indexes.h"

static inline int by_address(const void *a, const void *b)
{
	const uintptr_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

#define CACHED_MOST (64 * (HPH_DEPOT_PAGES + HPH_DEPOT_LARGE + 1))

/* Where all cached spans begin. */
struct cached_spans {
	uintptr_t addr[CACHED_MOST];
	size_t count;
};

static inline const char *check_cached(struct cached_spans *spans, const struct hph_cache *cache,
				       size_t pages, const struct hph_cached *cached)
{
	const uintptr_t addr = cached->addr & ~(uintptr_t)HPH_CACHED_ZERO;
	struct hph_found found;

	REQUIRE(hph_pages_find(&cache->zone->pages, addr, &found) &&
		found.page == hph_page_in_unit(addr), "cache %u: %#jx begins no span",
		cache->number, (uintmax_t)addr);
	REQUIRE(!found.live && found.pages == pages,
		"cache %u: the span %#jx of %zu pages has %zu, live[] %u", cache->number,
		(uintmax_t)addr, pages, found.pages, hph_unit_live(found.unit, found.page));
	REQUIRE(cached->live == &found.unit->live[found.page],
		"cache %u: %#jx knows another one's live[]", cache->number, (uintmax_t)addr);
	REQUIRE(hph_unit_tag(found.unit) == cache->guard, "cache %u: %#jx is of another zone",
		cache->number, (uintmax_t)addr);
	REQUIRE(spans->count < CACHED_MOST, "more spans in caches than there may be");
	spans->addr[spans->count++] = addr;
	return NULL;
}

/* C2 */
static inline const char *check_small(struct cached_spans *spans, const struct hph_cache *cache)
{
	size_t pages, granted = 0, i;
	const char *wrong;

	if (hph_cache_recent(cache)) {
		wrong = check_cached(spans, cache, hph_cache_recent(cache), &cache->recent);
		if (wrong)
			return wrong;
	}
	for (pages = 1; pages <= HPH_SMALL_PAGES; pages++) {
		const struct hph_stack *stack = &cache->stacks[pages];

		REQUIRE(stack->count <= stack->most && stack->most <= HPH_CACHE_SMALL,
			"cache %u: %u spans of %zu pages, granted are %u (C2)", cache->number,
			stack->count, pages, stack->most);
		granted += stack->most * pages;
		for (i = 0; i < stack->count; i++) {
			wrong = check_cached(spans, cache, pages, &cache->small[pages][i]);
			if (wrong)
				return wrong;
		}
	}
	REQUIRE(cache->granted == granted && granted <= hph_cache_most_pages(cache),
		"cache %u: granted are %zu pages, not %zu (C2)", cache->number, cache->granted,
		granted);
	return NULL;
}

/* C3 */
static inline const char *check_large(struct cached_spans *spans, const struct hph_cache *cache)
{
	const bool depot = hph_cache_is_depot(cache);
	size_t pages = 0, i;
	const char *wrong;

	REQUIRE(cache->nr_large <= (depot ? HPH_DEPOT_LARGE : HPH_CACHE_LARGE),
		"cache %u: %u large spans", cache->number, cache->nr_large);
	for (i = 0; i < cache->nr_large; i++) {
		wrong = check_cached(spans, cache, cache->large_size[i], &cache->large[i]);
		if (wrong)
			return wrong;
		pages += cache->large_size[i];
	}
	REQUIRE(cache->large_pages == pages &&
		(depot ? !cache->large_most :
			 pages <= cache->large_most && cache->large_most <= HPH_CACHE_LARGE_PAGES),
		"cache %u: %zu pages of large spans, not %zu, granted are %zu (C3)", cache->number,
		cache->large_pages, pages, cache->large_most);
	return NULL;
}

/* That each span that nobody holds is in one cache, once. */
static inline const char *check_caches(const struct invariants *check)
{
	static struct cached_spans spans;
	const struct hph_cache *cache;
	const char *wrong = NULL;
	size_t granted = 0, i;

	spans.count = 0;
	for (cache = check->heap->caches; cache && !wrong; cache = cache->next) {
		REQUIRE(!cache->door.inside, "cache %u: a thread is inside", cache->number);
		granted += cache->large_most;
		wrong = check_small(&spans, cache);
		if (!wrong)
			wrong = check_large(&spans, cache);
	}
	if (wrong)
		return wrong;
	REQUIRE(check->heap->large_granted == granted, "large_granted is %zu, not %zu (C3)",
		check->heap->large_granted, granted);
	REQUIRE(spans.count == check->idle, "%zu spans are nobody's, %zu are in caches",
		check->idle,
		spans.count);
	qsort(spans.addr, spans.count, sizeof(spans.addr[0]), by_address);
	for (i = 1; i < spans.count; i++)
		REQUIRE(spans.addr[i] != spans.addr[i - 1], "the span %#jx is in caches twice",
			(uintmax_t)spans.addr[i]);
	return NULL;
}

static inline const char *invariants(struct hpheap *heap)
{
	static struct invariants check;
	size_t memory = 0;
	const char *wrong;
	unsigned int i;

	memset(&check, 0, sizeof(check));
	check.heap = heap;
	wrong = check_units(&check);
	for (i = 0; !wrong && i < heap->nr_zones; i++) {
		wrong = check_zone(&check, i);
		memory += check.zones[i].memory_units;
	}
	if (!wrong)
		wrong = check_caches(&check);
	if (wrong)
		return wrong;
	REQUIRE(heap->busy_units == check.busy && !check.busy, "busy_units is %zu, %zu are BUSY",
		heap->busy_units, check.busy);
	REQUIRE(heap->held_units == memory, "held_units is %zu, %zu have memory", heap->held_units,
		memory);
	REQUIRE(heap->committed_units == memory, "committed_units is %zu, %zu have memory",
		heap->committed_units, memory);
	REQUIRE(heap->peak_units >= memory && heap->held_units <= heap->limit_units,
		"held_units %zu is above peak_units %zu or the limit %zu", heap->held_units,
		heap->peak_units, heap->limit_units);
	return NULL;
}

#endif /* SELFTESTS_INVARIANTS_H */
