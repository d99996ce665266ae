// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thread caches: spans without a lock.
 *
 * A span in a cache is in use as far as its zone knows; that no program holds it
 * is written in its head's live[] alone. So taking one is: off the stack, write
 * its size there; and giving one: see that its size stands there, write 0, onto
 * the stack. No atomic read-modify-write, no fence, nothing that another
 * thread's work would make slow. That path is in cache.h; here is what happens
 * when a stack is empty or full.
 *
 * And yet others must get at a cache: to count exactly, to have its spans back
 * when memory is short, to make it whole for a fork. They close it. The thread
 * sets inside, then looks at the guard; who closes sets CLOSED there, then looks at
 * inside. Each needs its store to be seen before its load; the thread's fence is
 * made by the other one, for it, with membarrier(2) (Linux 4.14), which has
 * every running thread of the process execute one. The idea is that of biased
 * locks (Kawachiya et al., "Lock reservation", OOPSLA 2002). Where membarrier() is
 * refused there are no caches.
 *
 * What a stack may hold is granted: little at first, twice as much each time it
 * was empty or full, up to half of what the cache may hold in all. Where
 * all of that is granted, the stack that has most gives half of it up. Large spans are
 * in large.c.
 *
 * What a full stack has too many goes to the depot, a cache of the zone itself, and who
 * finds a stack empty looks there first: where one thread allocates and another frees,
 * the spans go round without the page allocator. (Bonwick and Adams, "Magazines and
 * Vmem", USENIX 2001.) It has more room than a thread's, for what a thread frees all at once
 * another one wants all at once.
 *
 * A span goes back to the zone it is from, whichever thread frees it; a cache
 * holds spans of one zone only, that of the node its thread was last seen on. And it
 * goes back if its unit is far emptier than the others (bins.c): a span that is used
 * again and again where it happens to lie would keep that from becoming empty.
 *
 * C1 A cache is changed by its owner who was inside before it was closed, or by who
 *    holds the heap's grow lock and has closed it; a depot under its zone's lock, by
 *    who is inside a cache or has closed all of them.
 * C2 count <= most in each stack; granted is the sum of most times its pages,
 *    and at most hph_cache_most_pages().
 * C4 recent's address, live, unit and size belong together, and are its owner's to change: what
 *    is known of a unit stays where it is for good, so live[] and the unit's tag tell at
 *    any time what begins there, as they do for any other address.
 */
#include "cache.h"

#include <string.h>

#include "os.h"

#define STACK_SHARE	2	/* of what a cache may hold is one stack's, at most */

_Static_assert(HPH_CACHE_PAGES / STACK_SHARE >= HPH_SMALL_PAGES, "a stack holds one of each size");

/* Gives back to the zone all but @keep spans of a stack, the oldest first. Under its lock. */
static void give_back(struct hph_cache *cache, size_t pages, unsigned int keep)
{
	struct hph_stack *stack = &cache->stacks[pages];
	struct hph_cached *spans = cache->small[pages];
	unsigned int i, given;

	if (stack->count <= keep)
		return;
	given = stack->count - keep;
	hph_pages_free_cached(&cache->zone->pages, spans, given, (unsigned int)pages);
	for (i = 0; i < keep; i++)
		spans[i] = spans[given + i];
	stack->count = keep;
}

/* All goes back, and what was granted with it. Under the zone's lock. */
void hph_cache_empty(struct hpheap *heap, struct hph_cache *cache)
{
	const unsigned int recent = hph_cache_recent(cache);
	size_t pages;

	if (recent)
		hph_pages_free_cached(&cache->zone->pages, &cache->recent, 1, recent);
	hph_cache_set_recent(cache, 0);
	for (pages = 1; pages <= HPH_SMALL_PAGES; pages++) {
		give_back(cache, pages, 0);
		cache->granted -= cache->stacks[pages].most * pages;
		cache->stacks[pages].most = 0;
	}
	hph_cache_empty_large(heap, cache);
}

/* The same with its objects, taking the locks. */
void hph_cache_empty_locked(struct hpheap *heap, struct hph_cache *cache, bool idle)
{
	hph_racks_empty(heap, cache, idle);
	hph_lock(&cache->zone->lock);
	hph_cache_empty(heap, cache);
	hph_unlock(&cache->zone->lock);
}

/* The cache serves the node its thread is on. */
void hph_cache_move_here(struct hpheap *heap, struct hph_cache *cache)
{
	struct hph_zone *zone = hph_zone_here(heap);

	if (zone == cache->zone)
		return;
	hph_cache_empty_locked(heap, cache, false);
	hph_cache_serve(cache, zone);
}

/* So many of a size at most, where nothing else is granted. */
static unsigned int most_of(const struct hph_cache *cache, size_t pages)
{
	const size_t most = hph_cache_most_pages(cache) / STACK_SHARE / pages;

	return most < HPH_CACHE_SMALL ? (unsigned int)most : HPH_CACHE_SMALL;
}

/* The stack with most granted, but for @except, gives half of that up. */
static bool take_grant(struct hph_cache *cache, size_t except)
{
	struct hph_stack *stack;
	size_t pages, fattest = 0, most = 0;

	for (pages = 1; pages <= HPH_SMALL_PAGES; pages++) {
		if (pages != except && cache->stacks[pages].most * pages > most) {
			most = cache->stacks[pages].most * pages;
			fattest = pages;
		}
	}
	if (!most)
		return false;
	stack = &cache->stacks[fattest];
	give_back(cache, fattest, stack->most / 2);
	cache->granted -= (stack->most - stack->most / 2) * fattest;
	stack->most /= 2;
	return true;
}

/* Grants a stack twice what it has; false: not to be had. Under the zone's lock. */
static bool grant(struct hph_cache *cache, size_t pages)
{
	struct hph_stack *stack = &cache->stacks[pages];
	const unsigned int limit = most_of(cache, pages);
	const unsigned int wanted = stack->most ? 2 * stack->most : 1;
	const unsigned int more = (wanted < limit ? wanted : limit) - stack->most;

	while (cache->granted + more * pages > hph_cache_most_pages(cache))
		if (!take_grant(cache, pages))
			return false;
	stack->most += more;
	cache->granted += more * pages;
	return more != 0;
}

/* Brings to the top of its stack a span that is aligned, the newest; false: there is none. */
static bool dig(struct hph_cached *spans, unsigned int count, size_t align)
{
	unsigned int i = count;

	while (i-- > 0) {
		const struct hph_cached span = spans[i];

		if (hph_page_of(span.addr) & (align - 1))
			continue;
		spans[i] = spans[count - 1];
		spans[count - 1] = span;
		return true;
	}
	return false;
}

/* To its stack if that has room: there it is looked for. */
static void settle_recent(struct hph_cache *cache)
{
	struct hph_stack *stack = &cache->stacks[hph_cache_recent(cache)];

	if (!hph_cache_recent(cache) || stack->count == stack->most)
		return;
	cache->small[hph_cache_recent(cache)][stack->count++] = cache->recent;
	hph_cache_set_recent(cache, 0);
}

/* Spans of a size, from the top of one stack onto another that has room for so many. */
static void move(struct hph_cache *to, struct hph_cache *from, size_t pages, unsigned int count)
{
	struct hph_stack *source = &from->stacks[pages], *target = &to->stacks[pages];

	source->count -= count;
	memcpy(&to->small[pages][target->count], &from->small[pages][source->count],
	       count * sizeof(to->small[0][0]));
	target->count += count;
}

/* Makes room in a full stack: half goes to the depot, or home if that has no room for it. */
static void hand_on(struct hph_cache *cache, size_t pages)
{
	struct hph_cache *depot = cache->zone->depot;
	const struct hph_stack *there = &depot->stacks[pages];
	const unsigned int keep = cache->stacks[pages].most / 2;
	const unsigned int given = cache->stacks[pages].count - keep;

	while (there->most - there->count < given && there->most < most_of(depot, pages))
		if (!grant(depot, pages))
			break;
	if (there->most - there->count >= given)
		move(depot, cache, pages, given);
	else
		give_back(cache, pages, keep);
}

/* Fetches spans of a size of which there are none: half of what may be here, one at least. */
static void fetch(struct hph_cache *cache, size_t pages)
{
	struct hph_cache *depot = cache->zone->depot;
	struct hph_stack *stack = &cache->stacks[pages];
	/* Threads begin at different quarters of a unit: live[] of each is a cache line. */
	const unsigned int from = cache->number % 4 * (HPH_UNIT_PAGES / 4);
	unsigned int ready, wanted;

	hph_lock(&cache->zone->lock);
	grant(cache, pages);
	wanted = stack->most / 2 + 1;
	ready = depot->stacks[pages].count;
	if (ready)
		move(cache, depot, pages, ready < wanted ? ready : wanted);
	else
		stack->count = hph_pages_refill(&cache->zone->pages, (unsigned int)pages, from,
						cache->small[pages], wanted);
	hph_unlock(&cache->zone->lock);
}

/**
 * hph_cache_refill() - a small span by way of the thread's cache
 *
 * Return: its address; 0: its zone has none, or there is no cache.
 */
uintptr_t hph_cache_refill(struct hpheap *heap, const struct hph_want *want, bool *zero)
{
	struct hph_cache *cache = hph_cache_of(heap);
	struct hph_stack *stack;
	uintptr_t addr = 0;

	if (!cache)
		cache = hph_cache_join(heap);
	if (!cache || !hph_cache_enter(cache))
		return 0;
	stack = &cache->stacks[want->pages];
	hph_cache_move_here(heap, cache);
	settle_recent(cache);
	if (!stack->count && want->align == 1)
		fetch(cache, want->pages);
	if (want->align == 1 ? stack->count != 0 :
	    dig(cache->small[want->pages], stack->count, want->align))
		addr = hph_cached_out(&cache->small[want->pages][--stack->count], want->pages,
				      zero);
	hph_cache_exit(cache);
	return addr;
}

/* For @pages more, at the price of what is in the cache. Under the zone's lock. */
static bool make_room(struct hpheap *heap, struct hph_cache *cache, size_t pages)
{
	if (pages <= HPH_SMALL_PAGES) {
		const struct hph_stack *stack = &cache->stacks[pages];

		if (stack->count < stack->most)
			return true;
		grant(cache, pages);
		if (stack->count == stack->most)
			hand_on(cache, pages);
		return stack->count < stack->most;
	}
	return hph_cache_make_room_large(heap, cache, pages);
}

static bool push(struct hph_cache *cache, size_t pages, struct hph_unit *unit, uintptr_t addr)
{
	_Atomic uint8_t *live = &unit->live[hph_page_in_unit(addr)];

	return pages <= HPH_SMALL_PAGES ? hph_cache_push(cache, pages, unit, live, addr) :
					  hph_cache_push_large(cache, pages, live, addr);
}

static bool push_after_all(struct hpheap *heap, struct hph_cache *cache, size_t pages,
			   struct hph_unit *unit, uintptr_t addr)
{
	bool room;

	hph_lock(&cache->zone->lock);
	room = make_room(heap, cache, pages);
	hph_unlock(&cache->zone->lock);
	return room && push(cache, pages, unit, addr);
}

/**
 * hph_cache_give() - give a live span to the thread's cache, and make room for it there
 *
 * Return: false when it is none of the cache's zone, or there is no cache, or no room.
 */
bool hph_cache_give(struct hpheap *heap, struct hph_unit *unit, size_t pages, uintptr_t addr)
{
	struct hph_cache *cache = hph_cache_of(heap);
	bool given;

	if (!cache)
		cache = hph_cache_join(heap);
	if (!cache || !hph_cache_enter_from(cache, unit))
		return false;
	given = push(cache, pages, unit, addr) || push_after_all(heap, cache, pages, unit, addr);
	hph_cache_exit(cache);
	return given;
}

/**
 * hph_cache_flush() - give back to its zone what the thread's cache and the depot hold
 *
 * Return: whether there was anything.
 */
bool hph_cache_flush(struct hpheap *heap)
{
	struct hph_cache *cache = hph_cache_of(heap);
	bool any;

	if (!cache || !hph_cache_enter(cache))
		return false;
	hph_racks_empty(heap, cache, true);
	hph_bins_settle(heap, cache->zone);
	hph_lock(&cache->zone->lock);
	any = hph_cache_recent(cache) || cache->granted || cache->nr_large ||
	      cache->zone->depot->granted || cache->zone->depot->nr_large;
	hph_cache_empty(heap, cache);
	hph_cache_empty(heap, cache->zone->depot);
	hph_unlock(&cache->zone->lock);
	hph_cache_exit(cache);
	return any;
}
