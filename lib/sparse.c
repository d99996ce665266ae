// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sparse units give their free base pages back, and get them again.
 *
 * Where the memory is the device's, a chunk goes whole or not at all. Anonymous
 * memory can go base page by base page, at the price of the huge page: so only units
 * of which a good part is free are broken (the policy says how much), unless all memory
 * is asked for, those with the longest free run first, and each gives all it has at
 * once. The system is told not to make the unit huge behind our back, as it would by
 * filling what was given back.
 *
 * When a span needs room, or the load is back, a thin unit is filled before a new one:
 * the system is told the opposite, and asked to make it huge at once (MADV_COLLAPSE, Linux
 * 6.1), which copies 2 MiB at most. What is not there then is filled base page by base
 * page.
 */
#include <string.h>

#include "heap.h"
#include "policy.h"

static unsigned int group_of(const struct hpheap *heap)
{
	return heap->base_page > HPHEAP_PAGE_SIZE ?
	       (unsigned int)(heap->base_page / HPHEAP_PAGE_SIZE) : 1;
}

/*
 * Calls the backend for each run of pages in a map; @done are those for which
 * it succeeded. Stops at the first failure.
 */
static int for_each_run(const struct hph_unit *unit, const hph_pagemap map, hph_pagemap done,
			int (*call)(struct hph_backend *backend, uintptr_t addr, size_t bytes))
{
	unsigned int first, end = 0;
	int error;

	memset(done, 0, sizeof(hph_pagemap));
	for (;;) {
		first = hph_map_next(map, end, true);
		if (first == HPH_UNIT_PAGES)
			return 0;
		end = hph_map_next(map, first, false);
		error = call(unit->owner, hph_unit_addr(unit->number) + hph_page_addr(first),
			     hph_page_addr(end - first));
		if (error)
			return error;
		hph_map_set(done, first, end - first);
		if (end == HPH_UNIT_PAGES)
			return 0;
	}
}

/* Takes a unit of a zone that can be thinned, the sparsest first; NULL: there is none. */
static struct hph_unit *take_sparse(struct hpheap *heap, struct hph_zone *zone,
				    const struct hph_sparse *sparse, hph_pagemap away)
{
	struct hph_unit *unit;

	pthread_mutex_lock(&zone->lock);
	unit = hph_pages_sparsest(&zone->pages, sparse);
	if (unit) {
		hph_pages_thin(&zone->pages, unit, sparse->group, away);
		atomic_fetch_add(&heap->busy_units, 1);
	}
	pthread_mutex_unlock(&zone->lock);
	return unit;
}

static void finish(struct hpheap *heap, struct hph_zone *zone, struct hph_unit *unit,
		   const hph_pagemap back)
{
	hph_pages_thicken(&zone->pages, unit, back);
	atomic_fetch_sub(&heap->busy_units, 1);
}

/* Its pages are all there again. */
static void join(struct hph_unit *unit)
{
	unit->owner->ops->join(unit->owner, hph_unit_addr(unit->number));
	unit->split = false;
}

/* Are there no pages away but these? It is thinning: nobody else changes that. */
static bool all_back(const struct hph_unit *unit, const hph_pagemap back)
{
	return !memcmp(unit->away, back, sizeof(hph_pagemap));
}

/* Gives back the pages @away of a unit; what stays is free again, with what is in it. */
static size_t thin(struct hpheap *heap, struct hph_zone *zone, struct hph_unit *unit,
		   hph_pagemap away)
{
	const struct hph_backend_ops *ops = unit->owner->ops;
	unsigned int word, pages = 0;
	hph_pagemap done;

	unit->split = true;
	ops->split(unit->owner, hph_unit_addr(unit->number));
	for_each_run(unit, away, done, ops->thin);
	for (word = 0; word < HPH_UNIT_WORDS; word++) {
		pages += (unsigned int)__builtin_popcountll(done[word]);
		away[word] &= ~done[word];
	}
	if (!pages && all_back(unit, away))
		join(unit);
	pthread_mutex_lock(&zone->lock);
	finish(heap, zone, unit, away);
	for (word = 0; word < HPH_UNIT_WORDS; word++)
		unit->zero[word] &= ~away[word];
	pthread_mutex_unlock(&zone->lock);
	return hph_page_addr(pages);
}

/* What may be in use of a unit that is sparse. */
static unsigned int sparse_pages(const struct hpheap_policy *policy)
{
	return (unsigned int)HPH_UNIT_PAGES * policy->sparse_percent / 100;
}

/**
 * hph_thin() - give back free base pages out of units with spans
 * @dense: out of all units, not only of sparse ones
 *
 * Return: the bytes given back, at least @bytes if there are as many.
 */
size_t hph_thin(struct hpheap *heap, size_t bytes, bool dense)
{
	struct hph_sparse sparse = { .most_used = HPH_UNIT_PAGES, .group = group_of(heap) };
	struct hpheap_policy policy;
	size_t done = 0, now;
	struct hph_unit *unit;
	hph_pagemap away;
	unsigned int i;

	hph_policy_read(&policy);
	if (!dense)
		sparse.most_used = sparse_pages(&policy);
	for (i = 0; i < heap->nr_zones; i++) {
		struct hph_zone *zone = &heap->zones[i];

		while (done < bytes && (unit = take_sparse(heap, zone, &sparse, away))) {
			now = thin(heap, zone, unit, away);
			if (!now)
				break;
			done += now;
		}
	}
	return done;
}

/**
 * hph_thin_idle() - give back the free base pages of one sparse unit that is at rest
 * @policy: how sparse it must be, for how many windows of the scavenger's at rest, and
 *          since how many whole; none if @urgent
 *
 * Return: the bytes given back.
 */
size_t hph_thin_idle(struct hpheap *heap, struct hph_zone *zone,
		     const struct hpheap_policy *policy, bool urgent)
{
	const struct hph_sparse sparse = {
		.most_used = sparse_pages(policy), .group = group_of(heap),
		.idle = urgent ? 0 : policy->idle_windows,
		.rested = urgent ? 0 : policy->whole_windows,
	};
	hph_pagemap away;
	struct hph_unit *unit = take_sparse(heap, zone, &sparse, away);

	return unit ? thin(heap, zone, unit, away) : 0;
}

/* Notes what comes back to a unit that was just made thinning. Under the lock. */
static void begin(struct hpheap *heap, const struct hph_unit *unit, hph_pagemap away)
{
	memcpy(away, unit->away, sizeof(hph_pagemap));
	atomic_fetch_add(&heap->busy_units, 1);
}

/*
 * All that is away comes back: at once, if the system makes the unit huge, else run by run.
 * Returns with the zone's lock.
 */
static int thicken(struct hpheap *heap, struct hph_zone *zone, struct hph_unit *unit,
		   const hph_pagemap away)
{
	const struct hph_backend_ops *ops = unit->owner->ops;
	hph_pagemap done;
	int error;

	join(unit);
	memcpy(done, away, sizeof(done));
	error = ops->collapse(unit->owner, hph_unit_addr(unit->number));
	if (error)
		error = for_each_run(unit, away, done, ops->thicken);
	if (error) {
		unit->split = true;
		ops->split(unit->owner, hph_unit_addr(unit->number));
	}
	pthread_mutex_lock(&zone->lock);
	finish(heap, zone, unit, done);
	return error;
}

/**
 * hph_thicken_back() - all of one thin unit, if the low demand that it was thinned at is past
 * @early: or if not
 *
 * Return: whether it came back.
 */
bool hph_thicken_back(struct hpheap *heap, struct hph_zone *zone, bool early)
{
	struct hph_unit *unit;
	hph_pagemap away;
	int error;

	pthread_mutex_lock(&zone->lock);
	unit = hph_pages_thin_back(&zone->pages, early);
	if (unit)
		begin(heap, unit, away);
	pthread_mutex_unlock(&zone->lock);
	if (!unit)
		return false;
	error = thicken(heap, zone, unit, away);
	pthread_mutex_unlock(&zone->lock);
	return !error;
}

/**
 * hph_thicken_span() - a span in a thin unit, all of which comes back
 *
 * Return: its address; 0: no thin unit has room, or the system has no memory.
 */
uintptr_t hph_thicken_span(struct hpheap *heap, struct hph_zone *zone,
			   const struct hph_want *want, bool *zero)
{
	struct hph_unit *unit;
	uintptr_t addr = 0;
	hph_pagemap away;

	pthread_mutex_lock(&zone->lock);
	unit = hph_pages_thin_fit(&zone->pages, want);
	if (unit)
		begin(heap, unit, away);
	pthread_mutex_unlock(&zone->lock);
	if (!unit)
		return 0;
	if (!thicken(heap, zone, unit, away))
		addr = hph_pages_alloc(&zone->pages, want, zero);
	pthread_mutex_unlock(&zone->lock);
	if (addr)
		atomic_store(&zone->filled, true);
	return addr;
}
