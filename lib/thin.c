// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thin units: some of their free pages are away, given back to the system.
 *
 * A page away is not free: a span there would fault on its first touch, in the
 * program's thread. It becomes free again when it has been brought back. A thin unit
 * is no huge page, whatever it was; so all that goes, goes at once, and all of it
 * comes back at once, after which the unit can be huge: it is patchy until then.
 *
 * Only whole base pages can go: where they are larger than heap pages, a free run
 * is rounded inward to their borders. Pages of slabs on which no object lies can go like free
 * ones: they stay in use, and are hollow (hollow.c). Where base pages are half as large as heap
 * pages, so can halves of them.
 *
 * A thin unit without a span is broken: it does not count as a free huge unit,
 * and no run of free units goes on through it, before it has been emptied and
 * filled anew.
 *
 * The system is called without the zone's lock. Meanwhile the unit is thinning:
 * its away pages are nobody else's, and all else in it goes on as ever.
 */
#include <string.h>

#include "pagealloc.h"
#include "slab.h"

/* Thin units that are tried for a span before a whole one is filled. */
#define THIN_TRIES	64

/* Units of a bin that are looked at for a sparse one. */
#define SPARSE_TRIES	64

enum { NEXT, PREVIOUS };

static void list_add(struct hph_unit **list, struct hph_unit *unit)
{
	unit->broken[NEXT] = *list;
	unit->broken[PREVIOUS] = NULL;
	if (*list)
		(*list)->broken[PREVIOUS] = unit;
	*list = unit;
}

static void list_remove(struct hph_unit **list, struct hph_unit *unit)
{
	if (unit->broken[NEXT])
		unit->broken[NEXT]->broken[PREVIOUS] = unit->broken[PREVIOUS];
	if (unit->broken[PREVIOUS])
		unit->broken[PREVIOUS]->broken[NEXT] = unit->broken[NEXT];
	else
		*list = unit->broken[NEXT];
}

/* A unit becomes a used one, or is one that became patchy. */
void hph_pages_list_patchy(struct hph_pages *pages, struct hph_unit *unit)
{
	if (!hph_unit_is_patchy(unit))
		return;
	list_add(&pages->patchy, unit);
	pages->patchy_units++;
}

/* It is used no more, or about to become something else. */
void hph_pages_unlist_patchy(struct hph_pages *pages, struct hph_unit *unit)
{
	if (!hph_unit_is_patchy(unit))
		return;
	list_remove(&pages->patchy, unit);
	pages->patchy_units--;
}

/* One that can be made huge, patchy no more; NULL: there is none. */
struct hph_unit *hph_pages_take_patchy(struct hph_pages *pages)
{
	struct hph_unit *unit = pages->patchy;

	while (unit && unit->thinning)
		unit = unit->broken[NEXT];
	if (unit) {
		hph_pages_unlist_patchy(pages, unit);
		unit->split = false;
	}
	return unit;
}

/* The free and the @bare pages of whole base pages of @group heap pages; returns how many. */
static unsigned int whole_base_pages(const struct hph_unit *unit, unsigned int group,
				     const hph_pagemap bare, hph_pagemap away)
{
	unsigned int first, end = 0, nr = 0, word;
	hph_pagemap taken;

	for (word = 0; word < HPH_UNIT_WORDS; word++)
		taken[word] = (unit->used[word] & ~bare[word]) | unit->away[word];
	memset(away, 0, sizeof(hph_pagemap));
	for (;;) {
		first = hph_map_next(taken, end, false);
		end = hph_map_next(taken, first, true);
		if (first == HPH_UNIT_PAGES)
			return nr;
		first = (unsigned int)hph_round_up(first, group);
		if (first < hph_round_down(end, group)) {
			const unsigned int pages = (unsigned int)hph_round_down(end, group) - first;

			hph_map_set(away, first, pages);
			nr += pages;
		}
	}
}

/* Windows since the one of this number. */
static uint16_t since(const struct hph_pages *pages, uint16_t window)
{
	return (uint16_t)(hph_pages_window(pages) - window);
}

/* Not since a window? In that very one it may have, afterwards. */
bool hph_pages_unchanged(const struct hph_pages *pages, const struct hph_unit *unit,
			 uint16_t window)
{
	const uint16_t changed = atomic_load_explicit(&unit->changed, memory_order_relaxed);

	return window != HPH_NEVER && since(pages, changed) > since(pages, window);
}

/* May a unit be thinned, if it is sparse: has it not changed for long enough, nor been thinned? */
bool hph_pages_may_thin(const struct hph_pages *pages, const struct hph_unit *unit,
			const struct hph_sparse *sparse)
{
	const uint16_t changed = atomic_load_explicit(&unit->changed, memory_order_relaxed);

	return hph_unit_tag(unit) == hph_tag(pages->zone, HPH_UNIT_USED) && unit->divisible &&
	       !unit->thinning && since(pages, changed) >= sparse->idle &&
	       (unit->thinned == HPH_NEVER || since(pages, unit->thinned) >= sparse->rested);
}

/*
 * Is little of a used unit in use, if @bare parts of slabs count as free, and can some of it go?
 * @away: out: all that can
 */
bool hph_pages_is_sparse(const struct hph_unit *unit, const struct hph_sparse *sparse,
			 const struct hph_parts *bare, struct hph_parts *away)
{
	unsigned int used = 0, halves = hph_parts_nr_halves(bare), word, h, nr;

	for (word = 0; word < HPH_UNIT_WORDS; word++)
		used += (unsigned int)__builtin_popcountll(unit->used[word] & ~unit->away[word] &
							   ~bare->pages[word]);
	for (word = 0; unit->nr_halves && word < HPH_UNIT_WORDS; word++)
		for (h = 0; h < HPH_HALVES; h++)
			halves += (unsigned int)__builtin_popcountll(unit->slabs->halves[h][word] &
								     ~bare->pages[word]);
	if (used * HPH_HALVES - halves > sparse->most_used * HPH_HALVES)
		return false;
	nr = whole_base_pages(unit, sparse->group, bare->pages, away->pages);
	memcpy(away->halves, bare->halves, sizeof(away->halves));
	return nr || hph_parts_nr_halves(away);
}

/**
 * hph_pages_sparsest() - a used unit that can be thinned
 *
 * The one with the longest free run, of the first units of each bin: those of the
 * others that come to be the first are found by the next call.
 */
struct hph_unit *hph_pages_sparsest(const struct hph_pages *pages, const struct hph_sparse *sparse)
{
	static const struct hph_parts none;
	unsigned int length = HPH_UNIT_PAGES, density, tries;
	struct hph_unit *unit;
	struct hph_parts away;

	while (length > sparse->group) {
		length = hph_map_last(pages->lengths, length - 1, true);
		if (length == HPH_UNIT_PAGES)
			return NULL;
		for (density = 0; density < HPH_DENSITIES; density++) {
			unit = pages->bins[length][density];
			for (tries = SPARSE_TRIES; unit && tries; tries--, unit = unit->link[NEXT])
				if (hph_pages_may_thin(pages, unit, sparse) &&
				    hph_pages_is_sparse(unit, sparse, &none, &away))
					return unit;
		}
	}
	return NULL;
}

/* Halves of a unit's pages are away, or not any more. */
static void set_halves(struct hph_pages *pages, struct hph_unit *unit,
		       const struct hph_parts *parts, bool away)
{
	unsigned int h, word;

	pages->away_halves -= unit->nr_halves;
	unit->nr_halves = 0;
	for (h = 0; unit->slabs && h < HPH_HALVES; h++) {
		uint64_t *halves = unit->slabs->halves[h];

		for (word = 0; word < HPH_UNIT_WORDS; word++) {
			halves[word] &= ~(away ? parts->pages[word] : parts->halves[h][word]);
			halves[word] |= away ? parts->halves[h][word] : 0;
		}
		unit->nr_halves = (uint16_t)(unit->nr_halves + hph_map_count(halves));
	}
	pages->away_halves += unit->nr_halves;
}

/**
 * hph_pages_thin() - take out of a used unit what can be given back of it
 * @away: that, by hph_pages_is_sparse(); of parts of slabs the caller withdraws the objects
 *
 * The unit is thinning until hph_pages_thicken().
 */
void hph_pages_thin(struct hph_pages *pages, struct hph_unit *unit, const struct hph_parts *away)
{
	const unsigned int nr = hph_map_count(away->pages);
	const unsigned int hollow = hph_map_count_both(away->pages, unit->used, 0, HPH_UNIT_PAGES);
	unsigned int word;

	hph_pages_unfile(pages, unit);
	hph_pages_unlist_patchy(pages, unit);
	if (!pages->thin)
		pages->thin_used = SIZE_MAX;
	if (!hph_unit_is_thin(unit))
		list_add(&pages->thin, unit);
	for (word = 0; word < HPH_UNIT_WORDS; word++)
		unit->away[word] |= away->pages[word];
	unit->nr_away = (uint16_t)(unit->nr_away + nr);
	set_halves(pages, unit, away, true);
	pages->away_pages += nr;
	pages->hollow_pages += hollow;
	pages->used_pages -= hollow;
	pages->thin_used = hph_least(pages->thin_used, pages->used_pages);
	unit->thinning = true;
	unit->thinned = hph_pages_window(pages);
	hph_pages_file(pages, unit);
}

/* Pages of which one half is away and the other is there are away as a whole. */
static void add_halved(struct hph_pages *pages, struct hph_unit *unit, const hph_pagemap halved)
{
	const unsigned int nr = hph_map_count(halved);
	unsigned int word;

	for (word = 0; word < HPH_UNIT_WORDS; word++) {
		unit->away[word] |= halved[word];
		unit->slabs->remnants[word] |= halved[word];
	}
	unit->nr_away = (uint16_t)(unit->nr_away + nr);
	pages->away_pages += nr;
	pages->hollow_pages += nr;
	pages->used_pages -= nr;
}

/**
 * hph_pages_unhalve() - some pages are about to be free
 *
 * A page can be had if all of it is there. So what is halved of them is away as a whole, though
 * the other half has its memory until all of the unit is emptied, or comes back. Under the zone's
 * lock; if any is halved, under those of its bins as well.
 */
void hph_pages_unhalve(struct hph_pages *pages, struct hph_unit *unit, unsigned int page,
		       unsigned int nr)
{
	struct hph_parts parts = { .pages = { 0 } };
	unsigned int word;
	bool any = false;

	if (!unit->nr_halves)
		return;
	hph_map_set(parts.pages, page, nr);
	for (word = 0; word < HPH_UNIT_WORDS; word++) {
		parts.pages[word] &= unit->slabs->halves[0][word] | unit->slabs->halves[1][word];
		any |= parts.pages[word];
	}
	if (!any)
		return;		/* others may be reading */
	set_halves(pages, unit, &parts, true);
	add_halved(pages, unit, parts.pages);
}

/*
 * Pages in @back, and those that were halved when that was asked for and are away as a whole by
 * now: they are there, since the other half always was.
 */
static void whole_again(const struct hph_unit *unit, const struct hph_parts *back,
			hph_pagemap whole)
{
	unsigned int h, word;

	memcpy(whole, back->pages, sizeof(hph_pagemap));
	for (word = 0; word < HPH_UNIT_WORDS; word++)
		for (h = 0; h < HPH_HALVES; h++)
			whole[word] |= back->halves[h][word] & unit->away[word];
}

/* Pages are back. Returns those in @zero that really are: no part of them had stayed. */
static void clean(struct hph_unit *unit, const hph_pagemap back, const hph_pagemap zero,
		  hph_pagemap cleaned)
{
	uint64_t *remnants = unit->slabs ? unit->slabs->remnants : NULL;
	unsigned int word;

	for (word = 0; word < HPH_UNIT_WORDS; word++) {
		cleaned[word] = back[word] & zero[word];
		if (!remnants)
			continue;
		cleaned[word] &= ~remnants[word];
		remnants[word] &= ~back[word];
	}
}

/* It has no memory any more, so none is away. */
void hph_unit_emptied(struct hph_unit *unit)
{
	unit->nr_away = 0;
	memset(unit->away, 0, sizeof(unit->away));
	if (unit->slabs)
		memset(unit->slabs->remnants, 0, sizeof(unit->slabs->remnants));
}

/**
 * hph_pages_thicken() - the system is done with a thinning unit
 * @back: parts that are not away any more
 * @zero: of the pages the ones that had gone whole, or as halves after which they were free
 */
void hph_pages_thicken(struct hph_pages *pages, struct hph_unit *unit,
		       const struct hph_parts *back, const hph_pagemap zero)
{
	const bool listed = hph_unit_is_thin(unit);
	unsigned int word, nr = 0, hollow;
	hph_pagemap whole, cleaned;

	hph_pages_unfile(pages, unit);
	whole_again(unit, back, whole);
	clean(unit, whole, zero, cleaned);
	hollow = hph_map_count_both(whole, unit->used, 0, HPH_UNIT_PAGES);
	for (word = 0; word < HPH_UNIT_WORDS; word++) {
		unit->away[word] &= ~whole[word];
		unit->zero[word] |= cleaned[word] & ~unit->used[word];
		nr += (unsigned int)__builtin_popcountll(whole[word]);
	}
	unit->nr_away = (uint16_t)(unit->nr_away - nr);
	set_halves(pages, unit, back, false);
	pages->away_pages -= nr;
	pages->hollow_pages -= hollow;
	pages->used_pages += hollow;
	unit->thinning = false;
	if (listed && !hph_unit_is_thin(unit))
		list_remove(&pages->thin, unit);
	hph_pages_list_patchy(pages, unit);
	if (unit->nr_used) {
		hph_pages_file(pages, unit);
		return;
	}
	hph_pages_unuse_unit(pages, unit);
	if (unit->nr_away)
		hph_pages_break(pages, unit);
	else
		hph_pages_join(pages, unit->number, 1);
}

/*
 * A thin unit that has room for a span from *@page on if that comes back. NULL: none of those that
 * were tried.
 */
struct hph_unit *hph_pages_thin_fit(const struct hph_pages *pages, const struct hph_want *want,
				    unsigned int *page)
{
	unsigned int tries = THIN_TRIES;
	struct hph_unit *unit;

	if (want->pages >= HPH_UNIT_PAGES || want->align > HPH_UNIT_PAGES)
		return NULL;
	for (unit = pages->thin; unit && tries; unit = unit->broken[NEXT], tries--) {
		if (unit->thinning)
			continue;
		*page = hph_map_find(unit->used, (unsigned int)want->pages,
				     (unsigned int)want->align, 0);
		if (*page < HPH_UNIT_PAGES)
			return unit;
	}
	return NULL;
}

/* A thin unit that can come back, the one that was thinned last; NULL: there is none. */
struct hph_unit *hph_pages_thin_back(const struct hph_pages *pages)
{
	struct hph_unit *unit = pages->thin;

	while (unit && unit->thinning)
		unit = unit->broken[NEXT];
	return unit;
}

/* A thin unit has lost its last span. */
void hph_pages_break(struct hph_pages *pages, struct hph_unit *unit)
{
	list_remove(&pages->thin, unit);
	hph_runs_adjoin(&pages->free, unit);	/* its free pages are out of their reach */
	hph_runs_add(&pages->broken, unit->number, 1);
}

/* So has a lazy one. */
void hph_pages_break_lazy(struct hph_pages *pages, struct hph_unit *unit)
{
	hph_unit_forget(unit);
	pages->lazy_units--;
	pages->away_pages += unit->nr_away;
	hph_runs_adjoin(&pages->free, unit);
	hph_runs_add(&pages->broken, unit->number, 1);
}

/*
 * The highest broken units, at most so many in a row; BUSY, to be emptied whole. They
 * know still what is away, in case that fails.
 */
size_t hph_pages_take_last_broken(struct hph_pages *pages, size_t units, uintptr_t *first)
{
	uintptr_t number;

	units = hph_runs_take_last(&pages->broken, units, first);
	if (!units)
		return 0;
	for (number = *first; number < *first + units; number++)
		pages->away_pages -= hph_unitmap_get(pages->map, number)->nr_away;
	pages->memory_units -= units;
	return units;
}

/* It failed. */
void hph_pages_put_broken(struct hph_pages *pages, struct hph_unit *unit)
{
	hph_runs_add(&pages->broken, unit->number, 1);
	pages->away_pages += unit->nr_away;
	pages->memory_units++;
}
