// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Is much of a heap free beside its spans, and in its slabs? Then its sparse units are broken
 * (sparse.c), which costs huge pages. A heap that is well in use has some sparse units at any time,
 * which the next requests fill. But nobody fills those of one that has shrunk. When the load is
 * back they are filled.
 */
#include "cache.h"
#include "policy.h"

/* A heap has shrunk when one part of so many is not in use any more, */
#define SHRUNK_BY	4

/* and what was in use is forgotten in such parts, one in a window: half of it in three minutes. */
#define HIGH_FORGOTTEN	256

/* The load is back when one part of so many is in use more than when units were thinned, */
#define BACK_SHARE	4

/*
 * or of so many, if the heap is well in use with them. Not without a rise: a program may have asked
 * for what was given back.
 */
#define BACK_SHARE_WELL_USED	16

/*
 * A heap is well in use when less than so much of what makes it loose would be free with nothing
 * away: there is some way to go from the one to the other.
 */
#define WELL_USED_PERCENT	75

/* Heap pages of a zone, base pages by halves and objects by the bytes included. */
struct use {
	size_t used;
	size_t free;	/* beside that in the units that are in use, */
	size_t away;	/* and what was given back of them */
};

/* @slack: free in slabs, whether it is there or away. Under the zone's lock. */
static struct use use_of(const struct hph_pages *pages, size_t slack)
{
	const size_t halves = pages->away_halves / HPH_HALVES;
	const size_t hollow = pages->hollow_pages + halves;
	struct use use = {
		.used = pages->used_pages - halves, .away = pages->away_pages + halves,
	};

	slack = slack > hollow ? slack - hollow : 0;
	use.used -= hph_least(slack, use.used);
	use.free = (pages->memory_units - pages->free_units) * HPH_UNIT_PAGES - use.used -
		   use.away - pages->fenced_pages;
	return use;
}

/* Is so much less in use than in the last minutes? */
static bool has_shrunk(struct hph_zone *zone, size_t used)
{
	if (zone->high_window != hph_pages_window(&zone->pages))
		zone->high -= zone->high / HIGH_FORGOTTEN;
	zone->high_window = hph_pages_window(&zone->pages);
	if (zone->high < used)
		zone->high = used;
	return used < zone->high - zone->high / SHRUNK_BY;
}

static bool is_more(size_t pages, size_t used, uint32_t percent)
{
	return (uint64_t)pages * 100 > (uint64_t)used * percent;
}

/**
 * hph_load_is_back() - is it past, the low demand that units of a zone were thinned at?
 *
 * What was in use then is the least there was, of the times when one of those that are thin was
 * thinned. The last time does not say it: one may have been thinned on the way back, while the
 * load rose slowly. Under the zone's lock.
 */
bool hph_load_is_back(const struct hph_zone *zone)
{
	const size_t before = zone->pages.thin_used;

	return zone->pages.used_pages >=
	       before + before / (zone->well_used ? BACK_SHARE_WELL_USED : BACK_SHARE);
}

/**
 * hph_is_loose() - shall sparse units of a zone be broken?
 *
 * That begins when much is free and ends when little is, or when the load is back. It is so the
 * sooner if so little would be free with all of them filled that none would be broken.
 */
bool hph_is_loose(const struct hpheap *heap, struct hph_zone *zone,
		  const struct hpheap_policy *policy)
{
	const size_t slack = hph_bins_slack(heap, zone);	/* as it was before the lock */
	const uint32_t well_used = policy->loose_percent * WELL_USED_PERCENT / 100;
	uint32_t percent = policy->loose_percent;
	struct use use;
	bool shrunk;

	hph_lock(&zone->lock);
	use = use_of(&zone->pages, slack);
	shrunk = has_shrunk(zone, use.used);
	zone->well_used = !shrunk && !is_more(use.free + use.away, use.used, well_used);
	if (shrunk || (zone->loose && !hph_load_is_back(zone)))
		percent = policy->tight_percent;
	zone->loose = is_more(use.free, use.used, percent);
	hph_unlock(&zone->lock);
	return zone->loose;
}
