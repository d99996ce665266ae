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
 * In units with slabs hardly a span may be free though hardly an object is left. They are
 * combed, one after the other and again when something in them has changed: would they be sparse
 * if the pages counted as free on which nothing lies (hollow.c)? Then those go, too.
 *
 * When a span needs room, or the load is back, a thin unit is filled before a new one, base page
 * by base page: by who needs it as far as that is needed, the rest by the scavenger. That has the
 * units made huge later, one by one: the system is told the opposite, and asked for a huge page at
 * once (MADV_COLLAPSE, Linux 6.1). While a unit collapses the program waits if it touches it, or
 * has a page fault anywhere. When the load is back it touches all of it: it waited a hundred times,
 * for a tenth of the time. But without a scavenger nobody comes later: then all of a unit comes
 * back at once, and collapses, which copies 2 MiB at most.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cache.h"
#include "policy.h"
#include "scavenger.h"

/* Units with slabs that are looked at closely in one go, and passed over under one lock. */
#define COMB_TRIES	64u
#define COMB_STEPS	64u

/* What comes back for a span, in heap pages: 128 KiB or a multiple, some 40 microseconds. */
#define BACK_PAGES	16u

static unsigned int group_of(const struct hpheap *heap)
{
	return heap->base_page > HPHEAP_PAGE_SIZE ?
	       (unsigned int)(heap->base_page / HPHEAP_PAGE_SIZE) : 1;
}

/* Are heap pages so large that a half can go? */
static bool has_halves(const struct hpheap *heap)
{
	return heap->base_page << 1 == HPHEAP_PAGE_SIZE;
}

/*
 * Calls the backend for each run of parts; @done are those for which it succeeded. Stops at the
 * first failure.
 */
static int for_each_run(const struct hph_unit *unit, const struct hph_parts *parts,
			struct hph_parts *done,
			int (*call)(struct hph_backend *backend, uintptr_t addr, size_t bytes))
{
	unsigned int first, end = 0;
	int error;

	memset(done, 0, sizeof(*done));
	for (;;) {
		first = hph_parts_next(parts, end, true);
		if (first == HPH_UNIT_HALVES)
			return 0;
		end = hph_parts_next(parts, first, false);
		error = call(unit->owner,
			     hph_unit_addr(unit->number) + ((uintptr_t)first << HPH_HALF_SHIFT),
			     (size_t)(end - first) << HPH_HALF_SHIFT);
		if (error)
			return error;
		hph_parts_add(done, parts, first, end);
	}
}

/* All that hands out memory of a zone. */
static void lock_all(struct hph_zone *zone)
{
	hph_bins_lock(zone);
	hph_lock(&zone->lock);
}

static void unlock_all(struct hph_zone *zone)
{
	hph_unlock(&zone->lock);
	hph_bins_unlock(zone);
}

/* Under all locks of its zone. */
static void finish(struct hpheap *heap, struct hph_zone *zone, struct hph_unit *unit,
		   const struct hph_parts *back, const hph_pagemap zero)
{
	hph_pages_thicken(&zone->pages, unit, back, zero);
	hph_slabs_return(heap, zone, unit, back);
	atomic_fetch_sub(&heap->busy_units, 1);
}

/*
 * Takes out of a unit that could be thinned just now what can go: free pages, and pages of its
 * slabs on which nothing lies. False: it is not sparse, even if both count as free.
 */
static bool take_out(struct hpheap *heap, struct hph_zone *zone, struct hph_unit *unit,
		     const struct hph_sparse *sparse, struct hph_parts *away)
{
	bool is_sparse = false;
	struct hph_parts bare;

	lock_all(zone);
	if (hph_pages_may_thin(&zone->pages, unit, sparse)) {
		hph_slabs_bare(unit, has_halves(heap), &bare);
		is_sparse = hph_pages_is_sparse(unit, sparse, &bare, away);
	}
	if (is_sparse) {
		hph_pages_thin(&zone->pages, unit, away);
		hph_slabs_withdraw(zone, unit, away);
		atomic_fetch_add(&heap->busy_units, 1);
	}
	unlock_all(zone);
	return is_sparse;
}

/* Takes a unit of a zone that can be thinned, the sparsest first; NULL: there is none. */
static struct hph_unit *take_sparse(struct hpheap *heap, struct hph_zone *zone,
				    const struct hph_sparse *sparse, struct hph_parts *away)
{
	struct hph_unit *unit;

	hph_lock(&zone->lock);
	unit = hph_pages_sparsest(&zone->pages, sparse);
	hph_unlock(&zone->lock);
	return unit && take_out(heap, zone, unit, sparse, away) ? unit : NULL;
}

/* Of the units with slabs the next one to be looked at, in some steps; *@next is NULL after all. */
static struct hph_unit *next_slabbed(const struct hph_zone *zone, const struct hph_sparse *sparse,
				     struct hph_unit **next)
{
	const struct hph_pages *pages = &zone->pages;
	struct hph_unit *unit;
	unsigned int steps;

	for (steps = COMB_STEPS; (unit = *next) && steps; steps--) {
		*next = unit->slabs->next;
		if (!hph_pages_may_thin(pages, unit, sparse) ||
		    (!sparse->all && hph_pages_unchanged(pages, unit, unit->slabs->combed)))
			continue;
		unit->slabs->combed = hph_pages_window(pages);
		return unit;
	}
	return NULL;
}

/*
 * Takes one of the units with slabs, in their order, that is sparse if the pages count as free on
 * which nothing lies. So many are looked at closely. NULL: none, or, if *@next is not, none yet.
 */
static struct hph_unit *take_combed(struct hpheap *heap, struct hph_zone *zone,
				    const struct hph_sparse *sparse, struct hph_unit **next,
				    unsigned int tries, struct hph_parts *away)
{
	struct hph_unit *unit;

	for (; *next && tries; tries--) {
		hph_lock(&zone->lock);
		unit = next_slabbed(zone, sparse, next);
		hph_unlock(&zone->lock);
		if (unit && take_out(heap, zone, unit, sparse, away))
			return unit;
	}
	return NULL;
}

/* It will be without some of its pages. */
static void split(struct hph_unit *unit)
{
	unit->split = true;
	unit->owner->ops->split(unit->owner, hph_unit_addr(unit->number));
}

/* Its pages are all there again, or will be. */
static void join(struct hph_unit *unit)
{
	unit->owner->ops->join(unit->owner, hph_unit_addr(unit->number));
	unit->split = false;
}

/* Gives back parts of a unit; what stays is free again, with what is in it. */
static size_t thin(struct hpheap *heap, struct hph_zone *zone, struct hph_unit *unit,
		   struct hph_parts *away)
{
	static const hph_pagemap none;
	const bool was_split = unit->split;
	struct hph_parts done;
	size_t bytes;

	split(unit);
	for_each_run(unit, away, &done, unit->owner->ops->thin);
	hph_parts_remove(away, &done);
	bytes = hph_page_addr(hph_map_count(done.pages)) +
		((size_t)hph_parts_nr_halves(&done) << HPH_HALF_SHIFT);
	if (!bytes && !was_split)
		join(unit);
	hph_slabs_tag(heap->secret, unit, away);
	lock_all(zone);
	finish(heap, zone, unit, away, none);
	unlock_all(zone);
	return bytes;
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
	struct hph_sparse sparse = {
		.most_used = HPH_UNIT_PAGES, .group = group_of(heap), .all = true,
	};
	struct hpheap_policy policy;
	struct hph_unit *unit, *next;
	size_t done = 0, now;
	struct hph_parts away;
	unsigned int i;

	hph_policy_read(&policy);
	if (!dense)
		sparse.most_used = sparse_pages(&policy);
	for (i = 0; i < heap->nr_zones; i++) {
		struct hph_zone *zone = &heap->zones[i];

		next = atomic_load(&heap->slabbed);
		now = 1;
		while (done < bytes && now && (unit = take_sparse(heap, zone, &sparse, &away)))
			done += now = thin(heap, zone, unit, &away);
		while (done < bytes && now &&
		       (unit = take_combed(heap, zone, &sparse, &next, UINT_MAX, &away)))
			done += now = thin(heap, zone, unit, &away);
	}
	return done;
}

/**
 * hph_thin_idle() - give back the free base pages of one sparse unit that is at rest
 * @policy: how sparse it must be, for how many windows of the scavenger's at rest, and
 *          since how many whole; none if @urgent
 *
 * Units with slabs are combed as far as zone->comb says.
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
	struct hph_unit *unit;
	struct hph_parts away;

	unit = take_sparse(heap, zone, &sparse, &away);
	if (!unit)
		unit = take_combed(heap, zone, &sparse, &zone->comb, COMB_TRIES, &away);
	return unit ? thin(heap, zone, unit, &away) : 0;
}

/* What comes back to a unit that is thinning: all of it, and of the pages what was not hollow. */
struct back {
	struct hph_parts all;
	hph_pagemap clean;
};

/* A thin unit is the calling thread's, to get its pages back; or NULL. Under the zone's lock. */
static struct hph_unit *begin(struct hpheap *heap, struct hph_unit *unit, struct back *back)
{
	unsigned int word;

	if (!unit)
		return NULL;
	memset(&back->all, 0, sizeof(back->all));
	memcpy(back->all.pages, unit->away, sizeof(back->all.pages));
	if (unit->nr_halves)
		memcpy(back->all.halves, unit->slabs->halves, sizeof(back->all.halves));
	for (word = 0; word < HPH_UNIT_WORDS; word++)
		back->clean[word] = unit->away[word] & ~unit->used[word];
	unit->thinning = true;
	atomic_fetch_add(&heap->busy_units, 1);
	return unit;
}

/* Of what comes back only what a span needs, and what lies beside that. */
static void confine(struct back *back, unsigned int first, unsigned int pages)
{
	const unsigned int end = hph_round_up(first + pages, BACK_PAGES);
	hph_pagemap near = { 0 };
	unsigned int word;

	first = hph_round_down(first, BACK_PAGES);
	hph_map_set(near, first, end - first);
	for (word = 0; word < HPH_UNIT_WORDS; word++) {
		back->all.pages[word] &= near[word];
		back->clean[word] &= near[word];
	}
	memset(back->all.halves, 0, sizeof(back->all.halves));
}

/* At once, whatever it has; or if the system refuses, later and of what it has by then. */
static int make_huge(struct hph_unit *unit)
{
	join(unit);
	return unit->owner->ops->collapse(unit->owner, hph_unit_addr(unit->number));
}

/*
 * All that is away comes back: at once, if @now and the system makes the unit huge, else run by
 * run. Returns with all locks of the zone.
 */
static int thicken(struct hpheap *heap, struct hph_zone *zone, struct hph_unit *unit,
		   const struct back *back, bool now)
{
	struct hph_parts done = back->all;
	int error = -EAGAIN;

	if (now)
		error = make_huge(unit);
	if (error)
		error = for_each_run(unit, &back->all, &done, unit->owner->ops->thicken);
	if (error && now)
		split(unit);
	hph_slabs_tag(heap->secret, unit, &done);
	lock_all(zone);
	finish(heap, zone, unit, &done, back->clean);
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
	struct hph_unit *unit = NULL;
	struct back back;
	int error;

	hph_lock(&zone->lock);
	if (early || hph_load_is_back(zone))
		unit = begin(heap, hph_pages_thin_back(&zone->pages), &back);
	hph_unlock(&zone->lock);
	if (!unit)
		return false;
	error = thicken(heap, zone, unit, &back, false);
	unlock_all(zone);
	return !error;
}

/**
 * hph_make_huge() - one of the units that hph_thicken_back() filled
 *
 * Where the system refuses it is left to khugepaged. Return: whether there was one.
 */
bool hph_make_huge(struct hpheap *heap, struct hph_zone *zone)
{
	struct hph_unit *unit;
	struct back back;

	hph_lock(&zone->lock);
	unit = begin(heap, hph_pages_take_patchy(&zone->pages), &back);
	hph_unlock(&zone->lock);
	if (!unit)
		return false;
	make_huge(unit);
	lock_all(zone);
	finish(heap, zone, unit, &back.all, back.clean);
	unlock_all(zone);
	return true;
}

/**
 * hph_thicken_span() - a span in a thin unit, as much of which comes back
 *
 * Return: its address; 0: no thin unit has room, or the system has no memory.
 */
uintptr_t hph_thicken_span(struct hpheap *heap, struct hph_zone *zone,
			   const struct hph_want *want, bool *zero)
{
	const bool alone = !hph_scavenger_runs();
	struct hph_unit *unit;
	uintptr_t addr = 0;
	unsigned int page;
	struct back back;

	hph_lock(&zone->lock);
	unit = begin(heap, hph_pages_thin_fit(&zone->pages, want, &page), &back);
	hph_unlock(&zone->lock);
	if (!unit)
		return 0;
	if (!alone)
		confine(&back, page, (unsigned int)want->pages);
	if (!thicken(heap, zone, unit, &back, alone))
		addr = hph_pages_alloc(&zone->pages, want, zero);
	unlock_all(zone);
	if (addr)
		atomic_store(&zone->filled, true);
	return addr;
}
