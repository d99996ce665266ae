// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory before it is asked for.
 *
 * While a heap grows, the scavenger's thread fills what was thinned, and then fetches some units.
 * Fetching and zeroing is then no request's to wait for, and a heap does not grow beside units
 * that have room.
 */
#include "fetch.h"

#include "scavenger.h"

/* So many looks without any growth: it has ended. */
#define AHEAD_LOOKS	100u

/*
 * Thin units are filled for requests to come: what lacks of the one that a request took from, one
 * more, and one more for so many in use.
 */
#define AHEAD_LEAST	2
#define AHEAD_SHARE	32

size_t hph_margin_units(const struct hph_pages *pages, const struct hpheap_policy *policy)
{
	const size_t share = pages->used_pages * policy->margin_percent / 100 / HPH_UNIT_PAGES;

	return share > policy->margin_units ? share : policy->margin_units;
}

/* So many free units a zone shall have. Under its lock. */
static size_t wanted_units(const struct hph_pages *pages, const struct hpheap_policy *policy)
{
	const size_t margin = hph_margin_units(pages, policy);

	if (pages->used_units < HPH_AHEAD_LEAST)
		return 0;
	return hph_least(margin, policy->ahead_units);
}

/* One unit more for a zone that grows: one that was thinned, else a new one. */
static bool fetch(struct hpheap *heap, struct hph_zone *zone, const struct hpheap_policy *policy,
		  bool early)
{
	bool lacks;

	if (hph_thicken_back(heap, zone, early))
		return true;
	hph_lock(&zone->lock);
	lacks = zone->pages.free_units < wanted_units(&zone->pages, policy);
	hph_unlock(&zone->lock);
	return lacks && !hph_grow_reserve(heap, zone, 1, zone->node);
}

/**
 * hph_fetch_ahead() - give a zone that grows some units before it asks
 * @most: of them, to be had in one go
 *
 * So that it is not a request that waits for the system: what would stay free anyway, and goes on
 * as long as that is used up. Where a request had to fill part of a thin unit, the next ones will
 * have to, too: some are filled for them, and all when the load is back.
 *
 * Return: how many there were; zone->ahead_looks is not 0 while the zone grows.
 */
unsigned int hph_fetch_ahead(struct hpheap *heap, struct hph_zone *zone,
			     const struct hpheap_policy *policy, unsigned int most)
{
	const bool filled = atomic_exchange(&zone->filled, false);
	unsigned int done = 0;
	size_t early;

	if (atomic_exchange(&zone->grew, false))
		zone->ahead_looks = AHEAD_LOOKS;
	if (!zone->ahead_looks || atomic_load(&heap->refused))
		return 0;
	zone->ahead_looks--;
	hph_lock(&zone->lock);
	early = filled ? AHEAD_LEAST + zone->pages.used_units / AHEAD_SHARE : 0;
	hph_unlock(&zone->lock);
	while (done < most && fetch(heap, zone, policy, done < early))
		done++;
	if (done)
		zone->ahead_looks = AHEAD_LOOKS;
	return done;
}
