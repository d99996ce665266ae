// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spans: what a program asks for, checked, in heap pages.
 */
#include <errno.h>
#include <string.h>

#include "cache.h"
#include "memcheck.h"
#include "os.h"

/* Each some 50 microseconds. */
#define MOST_NAPS	1000

#define SPAN_FLAGS	(HPHEAP_SPAN_ZERO | HPHEAP_SPAN_BASE_ALIGNED | HPHEAP_SPAN_LAZY)

static int check_want(const struct hpheap *heap, size_t bytes, size_t align, unsigned int flags,
		      struct hph_want *want)
{
	size_t unit = HPHEAP_PAGE_SIZE;

	if (!heap || !bytes || (align && !hph_is_power_of_two(align)) || flags & ~SPAN_FLAGS)
		return -EINVAL;
	if (bytes > PTRDIFF_MAX || align > PTRDIFF_MAX)
		return -ENOMEM;
	/* Where the heap page is the smaller one, only whole base pages are nobody else's. */
	if ((flags & HPHEAP_SPAN_BASE_ALIGNED || heap->efence) && heap->base_page > unit)
		unit = heap->base_page;
	if (align < unit)
		align = unit;
	want->pages = hph_round_up(bytes, unit) / HPHEAP_PAGE_SIZE;
	want->align = align / HPHEAP_PAGE_SIZE;
	want->lazy = flags & HPHEAP_SPAN_LAZY && want->pages > HPH_UNIT_PAGES && !heap->efence;
	return 0;
}

static uintptr_t alloc_in_zone(struct hph_zone *zone, const struct hph_want *want, bool *zero)
{
	uintptr_t addr;

	hph_lock(&zone->lock);
	addr = hph_pages_alloc(&zone->pages, want, zero);
	hph_unlock(&zone->lock);
	return addr;
}

/* The last resort: what other nodes have, and what threads hold in their caches. */
static uintptr_t alloc_anywhere(struct hpheap *heap, const struct hph_want *want, bool *zero)
{
	uintptr_t addr = 0;
	unsigned int i;

	hph_caches_drain(heap);
	for (i = 0; i < heap->nr_zones && !addr; i++)
		addr = alloc_in_zone(&heap->zones[i], want, zero);
	return addr;
}

/* Where the thread's cache has none: each way there is, once. */
static uintptr_t alloc_once(struct hpheap *heap, const struct hph_want *want, bool *zero)
{
	struct hph_zone *zone;
	uintptr_t addr;

	addr = want->pages <= HPH_SMALL_PAGES ? hph_cache_refill(heap, want, zero) :
						hph_cache_refill_large(heap, want, zero);
	if (addr)
		return addr;
	zone = hph_zone_here(heap);
	addr = alloc_in_zone(zone, want, zero);
	if (!addr && hph_cache_flush(heap))
		addr = alloc_in_zone(zone, want, zero);
	if (!addr)
		addr = hph_grow_span(heap, zone, want, zero);
	if (!addr)
		addr = alloc_anywhere(heap, want, zero);
	return addr;
}

/*
 * And again, as long as other threads have units in their hands, or had meanwhile, which may be
 * what is lacking.
 */
static uintptr_t alloc(struct hpheap *heap, const struct hph_want *want, bool *zero)
{
	size_t busy, committed;
	unsigned int naps;
	uintptr_t addr;

	for (naps = 0; naps < MOST_NAPS; naps++) {
		if (atomic_load_explicit(&heap->exhausted, memory_order_relaxed))
			return 0;
		committed = atomic_load(&heap->committed_units);
		busy = atomic_load(&heap->busy_units);
		addr = alloc_once(heap, want, zero);
		if (addr || (!busy && !atomic_load(&heap->busy_units) &&
			     atomic_load(&heap->committed_units) == committed))
			return addr;
		hph_os_nap();
	}
	return 0;
}

/* All that a request may be. */
static __attribute__((noinline))
void *alloc_checked(struct hpheap *heap, size_t bytes, size_t align, unsigned int flags)
{
	struct hph_want want;
	int error = check_want(heap, bytes, align, flags, &want);
	bool zero = false;
	uintptr_t addr = 0;

	if (error) {
		errno = -error;
		return NULL;
	}
	if (want.align == 1 && want.pages > HPH_SMALL_PAGES)
		addr = hph_cache_take_large(heap, want.pages, &zero);
	if (!addr)
		addr = alloc(heap, &want, &zero);
	if (!addr) {
		errno = ENOMEM;		/* whatever the system's reason was */
		return NULL;
	}
	if (addr & (hph_page_addr(want.align) - 1))
		hph_os_die("misrounded span %#jx: aligned to %#zx it should be", (uintmax_t)addr,
			   hph_page_addr(want.align));
	hph_memcheck_open((void *)addr, hph_page_addr(want.pages), flags & HPHEAP_SPAN_ZERO);
	if (flags & HPHEAP_SPAN_ZERO && !zero)
		memset((void *)addr, 0, hph_page_addr(want.pages));
	return (void *)addr;
}

/* What no stack of the thread's cache had. */
static __attribute__((noinline)) void *alloc_missed(struct hpheap *heap, size_t bytes, size_t pages)
{
	uintptr_t addr = 0;
	bool zero;

	if (bytes && pages > HPH_SMALL_PAGES)
		addr = hph_cache_take_large(heap, pages, &zero);
	return addr ? (void *)addr : alloc_checked(heap, bytes, 0, 0);
}

/*
 * Without wishes, and served by the thread's cache: the most frequent requests come
 * first; what is small alone, so that it needs no stack.
 */
void *hpheap_span_alloc(struct hpheap *heap, size_t bytes, size_t align, unsigned int flags)
{
	const size_t pages = (bytes - 1) / HPHEAP_PAGE_SIZE + 1;	/* of 0 bytes: many */
	uintptr_t addr;
	bool zero;

	if (align | flags || !heap)
		return alloc_checked(heap, bytes, align, flags);
	addr = hph_cache_take_small(heap, pages, &zero);
	return addr ? (void *)addr : alloc_missed(heap, bytes, pages);
}

/* The zone of an address, and under its lock the span that begins there. */
static struct hph_zone *lock_span(struct hpheap *heap, uintptr_t addr, struct hph_found *found)
{
	const struct hph_unit *unit = hph_unitmap_find(&heap->map, hph_unit_of(addr));
	struct hph_zone *zone;

	if (!unit)
		return NULL;
	for (;;) {
		zone = &heap->zones[hph_unit_zone(unit)];
		hph_lock(&zone->lock);
		if (zone == &heap->zones[hph_unit_zone(unit)])
			break;
		hph_unlock(&zone->lock);	/* Empty ones may go to another. */
	}
	if (hph_pages_find(&zone->pages, addr, found) && found->live &&
	    !(hph_unit_live(found->unit, found->page) & HPH_LIVE_SLAB))
		return zone;
	hph_unlock(&zone->lock);
	return NULL;
}

/* Of a span that begins there and lives, without the lock; 0: none does. */
static size_t live_pages(const struct hph_unit *unit, uintptr_t addr)
{
	return addr % HPHEAP_PAGE_SIZE ? 0 : hph_live_pages(unit, hph_page_in_unit(addr));
}

/* Does it go on in a unit that may be lost? Its last part would never be there again. */
static bool is_torn(const struct hpheap *heap, const struct hph_unit *unit, unsigned int page)
{
	return heap->lost && hph_unit_live(unit, page) == HPH_LIVE_BEYOND;
}

/* All that may be freed, which nothing at all may. */
static __attribute__((noinline)) void free_checked(struct hpheap *heap, uintptr_t addr)
{
	struct hph_unit *unit = hph_unitmap_find(&heap->map, hph_unit_of(addr));
	const size_t pages = unit ? live_pages(unit, addr) : 0;
	struct hph_found found;
	struct hph_zone *zone;
	bool holes;

	if (!addr)
		return;
	holes = pages >= HPH_UNIT_PAGES && unit->lazy && !hph_lazy_settle(heap, unit, pages);
	if (pages && !holes && pages <= HPH_CACHE_LARGE_PAGES &&
	    !is_torn(heap, unit, hph_page_in_unit(addr)) &&
	    hph_cache_give(heap, unit, pages, addr))
		return;
	zone = lock_span(heap, addr, &found);
	if (!zone || hph_found_addr(&found) != addr)
		hph_os_die("hpheap_span_free(%#jx): no live span begins there", (uintmax_t)addr);
	if (heap->efence) {
		hph_fence(heap, zone, &found);
		return;
	}
	hph_pages_free(&zone->pages, &found);
	hph_unlock(&zone->lock);
	if (holes)
		hph_empty_broken(heap, zone, SIZE_MAX);
}

static __attribute__((noinline))
void free_large(struct hpheap *heap, struct hph_unit *unit, struct hph_cache *cache, uintptr_t addr)
{
	const unsigned int page = hph_page_in_unit(addr);
	const size_t pages = hph_live_pages(unit, page);

	if (pages <= HPH_SMALL_PAGES || is_torn(heap, unit, page) ||
	    (pages >= HPH_UNIT_PAGES && unit->lazy) ||
	    !hph_cache_give_large(cache, unit, &unit->live[page], pages, addr))
		free_checked(heap, addr);
}

static __attribute__((noinline))
void free_cached(struct hpheap *heap, uintptr_t addr, struct hph_cache *cache)
{
	struct hph_unit *unit = hph_unitmap_find(&heap->map, hph_unit_of(addr));
	_Atomic uint8_t *live;
	unsigned int code;

	if (__builtin_expect(!unit || addr % HPHEAP_PAGE_SIZE, 0)) {
		free_checked(heap, addr);
		return;
	}
	live = &unit->live[hph_page_in_unit(addr)];
	code = atomic_load_explicit(live, memory_order_relaxed);
	if (code - 1 >= HPH_SMALL_PAGES)
		free_large(heap, unit, cache, addr);
	else if (!hph_cache_give_small(cache, unit, live, code, addr))
		free_checked(heap, addr);
}

/* What a thread's cache has room for comes first, and of that what it knows already. */
void hpheap_span_free(struct hpheap *heap, void *span)
{
	const uintptr_t addr = (uintptr_t)span;
	struct hph_cache *cache = hph_cache_of(heap);

	if (!cache)
		free_checked(heap, addr);
	else if (addr != cache->recent.addr || !hph_cache_give_again(cache))
		free_cached(heap, addr, cache);
}

void *hpheap_span_find(struct hpheap *heap, const void *address, size_t *bytes)
{
	struct hph_found found;
	struct hph_zone *zone = heap ? lock_span(heap, (uintptr_t)address, &found) : NULL;

	if (!zone) {
		errno = EINVAL;
		return NULL;
	}
	hph_unlock(&zone->lock);
	if (bytes)
		*bytes = hph_page_addr(found.pages);
	return (void *)hph_found_addr(&found);
}

size_t hpheap_span_size(struct hpheap *heap, const void *span)
{
	const uintptr_t addr = (uintptr_t)span;
	const struct hph_unit *unit = heap ? hph_unitmap_find(&heap->map, hph_unit_of(addr)) : NULL;
	const size_t pages = unit ? live_pages(unit, addr) : 0;

	if (!pages)
		errno = EINVAL;
	return hph_page_addr(pages);
}

int hpheap_reserve(struct hpheap *heap, size_t bytes, int node)
{
	struct hph_zone *zone;

	if (!heap || (node != HPHEAP_NODE_ANY &&
		      (node < 0 || !hph_numa_node_valid((uint32_t)node)))) {
		errno = EINVAL;
		return -1;
	}
	if (!bytes)
		return 0;
	zone = node == HPHEAP_NODE_ANY ? hph_zone_here(heap) : hph_zone_of(heap, node);
	if (hph_grow_reserve(heap, zone, (bytes - 1) / HPHEAP_HUGE_SIZE + 1,
			     node == HPHEAP_NODE_ANY ? zone->node : node)) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

size_t hpheap_scavenge(struct hpheap *heap, size_t bytes)
{
	size_t done = 0;

	if (!heap || !bytes)
		return 0;
	while (done < bytes &&
	       hph_shrink(heap, (bytes - done - 1) / HPHEAP_HUGE_SIZE + 1, &done))
		;
	if (done < bytes)
		done += hph_thin(heap, bytes - done, bytes == SIZE_MAX);
	atomic_store(&heap->refused, false);	/* without a scavenger this is its window */
	if (bytes == SIZE_MAX)
		hph_ahead_close(heap);
	else
		hph_ahead_close_old(heap);
	return done;
}
