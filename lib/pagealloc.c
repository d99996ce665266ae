// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The page allocator: spans of heap pages in huge units that have memory.
 *
 * Two indexes on one map. Used units are in bins (bins.c): a span goes where the
 * shortest run that will do is, into the fullest unit that has it, so that
 * nearly empty units can become empty. (This order is that of the huge page filler of TCMalloc:
 * Hunter et al., "Beyond malloc efficiency to fleet efficiency", OSDI 2021.)
 * Whole free units are in runs, in the order of their addresses: the lowest that
 * will do, together with the free pages at its borders.
 *
 * A span of up to a quarter of a unit (HPH_WITHIN_PAGES) stays within one. Larger
 * ones lie where they fit.
 *
 * P1 A unit is in a bin if and only if it is USED and has a free page; in a
 *    run of its state if FREE, EMPTY, BROKEN or PURGEABLE; in no index otherwise.
 * P2 Between two heads, and behind the last one up to a free page, lies one
 *    span. What a unit has in use before its first head belongs to a span that
 *    begins in an earlier unit, as far back as the unit says.
 * P3 used_pages + fenced_pages + away_pages + free pages = memory_units * HPH_UNIT_PAGES.
 * P4 live[] of a head is 0 if no program has the span, else hph_live_code() of it; what is behind
 *    the head of a large one within its unit are its pages, live or not; of anything else it is 0.
 * P5 A page that is in use and away, or a half of it, is a slab's; a page, not a half, counts as
 *    away; of remnants, which are away, a half is there. A USED unit is in the list of thin
 *    ones if some of it is away, of patchy ones if none is, but its owner was told that some is.
 * P6 A lazy unit is USED, all of it by one span, of which the first unit is lazy, too.
 */
#include "pagealloc.h"

#include "os.h"

void hph_pages_init(struct hph_pages *pages, const struct hph_unitmap *map, unsigned int zone)
{
	pages->map = map;
	pages->zone = zone;
	pages->free = (struct hph_runs){ .map = map, .zone = zone, .state = HPH_UNIT_FREE };
	pages->empty = (struct hph_runs){ .map = map, .zone = zone, .state = HPH_UNIT_EMPTY };
	pages->broken = (struct hph_runs){ .map = map, .zone = zone, .state = HPH_UNIT_BROKEN };
	pages->purgeable = (struct hph_runs){
		.map = map, .zone = zone, .state = HPH_UNIT_PURGEABLE,
	};
}

static struct hph_unit *get(const struct hph_pages *pages, uintptr_t number)
{
	return hph_unitmap_get(pages->map, number);
}

/* Marks pages of a span; returns whether all were zero. */
static bool use(struct hph_unit *unit, unsigned int first, unsigned int nr)
{
	const bool zero = hph_map_all(unit->zero, first, nr);

	hph_map_set(unit->used, first, nr);
	hph_map_clear(unit->zero, first, nr);
	unit->nr_used = (uint16_t)(unit->nr_used + nr);
	unit->nr_spans++;
	return zero;
}

static void unuse(struct hph_unit *unit, unsigned int first, unsigned int nr)
{
	hph_map_clear(unit->used, first, nr);
	unit->nr_used = (uint16_t)(unit->nr_used - nr);
	unit->nr_spans--;
}

/* A live span begins at a page. */
static void begin(struct hph_unit *unit, unsigned int page, size_t nr)
{
	const unsigned int code = hph_live_code(page, nr);

	hph_map_set(unit->head, page, 1);
	if (code == HPH_LIVE_BEYOND)
		unit->span_pages = nr;
	hph_unit_set_live(unit, page, code);
	if (code == HPH_LIVE_LARGE) {
		hph_unit_set_live(unit, page + 1, HPH_LIVE_SIZE | (nr & ~HPH_LIVE_SIZE));
		hph_unit_set_live(unit, page + 2, HPH_LIVE_SIZE | (unsigned int)(nr >> 7));
	}
}

/* No span begins there any more. */
static void end(struct hph_unit *unit, unsigned int page, size_t nr)
{
	const unsigned int code = hph_live_code(page, nr);

	hph_map_clear(unit->head, page, 1);
	if (code == HPH_LIVE_BEYOND)
		unit->span_pages = 0;
	hph_unit_set_live(unit, page, 0);
	if (code == HPH_LIVE_LARGE) {
		hph_unit_set_live(unit, page + 1, 0);
		hph_unit_set_live(unit, page + 2, 0);
	}
}

/* A span of @nr heap pages from @page on, counted from address 0: they are free. */
static bool place(struct hph_pages *pages, uintptr_t page, size_t nr)
{
	const uintptr_t first = page / HPH_UNIT_PAGES;
	unsigned int at = (unsigned int)(page % HPH_UNIT_PAGES);
	struct hph_unit *unit = get(pages, first);
	uintptr_t number = first;
	bool zero = true;
	size_t left = nr;

	begin(unit, at, nr);
	for (;;) {
		const size_t room = HPH_UNIT_PAGES - at, here = left < room ? left : room;

		hph_pages_unfile(pages, unit);
		zero &= use(unit, at, (unsigned int)here);
		if (number != first)
			unit->back = (uint32_t)(number - first);
		hph_pages_file(pages, unit);
		left -= here;
		if (!left)
			break;
		at = 0;
		unit = get(pages, ++number);
	}
	pages->used_pages += nr;
	pages->spans++;
	return zero;
}

/* Is it of use to begin in a unit's tail? Whole units are as many anywhere. */
static bool packs(const struct hph_want *want)
{
	return want->pages > HPH_WITHIN_PAGES && want->pages % HPH_UNIT_PAGES &&
	       want->align <= HPH_UNIT_PAGES;
}

static void leave_free(struct hph_pages *pages, size_t units)
{
	pages->free_units -= units;
	if (pages->free_low > pages->free_units)
		pages->free_low = pages->free_units;
}

/* The heap page where a span goes that has no place in a used unit; 0: nowhere. */
static uintptr_t take_free(struct hph_pages *pages, const struct hph_want *want)
{
	const size_t needed = want->pages + want->align - 1, units = hph_want_nr_units(want);
	const struct hph_unit *run = NULL;
	uintptr_t page, first, last, behind;

	if (packs(want))
		run = hph_runs_find(&pages->free, needed);
	if (!run && hph_runs_take(&pages->free, units, hph_want_unit_align(want), &first)) {
		leave_free(pages, units);
		return first * HPH_UNIT_PAGES;
	}
	if (!run && want->pages > HPH_WITHIN_PAGES && want->align <= HPH_UNIT_PAGES)
		run = hph_runs_find(&pages->free, needed);
	if (!run)
		return 0;
	page = hph_round_up(run->number * HPH_UNIT_PAGES - run->lead, want->align);
	first = page / HPH_UNIT_PAGES;
	last = (page + want->pages - 1) / HPH_UNIT_PAGES;
	behind = run->number + run->run;
	if (first < run->number)
		first = run->number;
	if (last >= behind)
		last = behind - 1;
	if (first <= last) {
		hph_runs_cut(&pages->free, run, first, last - first + 1);
		leave_free(pages, last - first + 1);
	}
	return page;
}

/**
 * hph_pages_alloc() - a span out of the memory that is there
 * @zero: out: it is known to be zero
 *
 * Return: its address, or 0.
 */
uintptr_t hph_pages_alloc(struct hph_pages *pages, const struct hph_want *want, bool *zero)
{
	const unsigned int nr = (unsigned int)want->pages, align = (unsigned int)want->align;
	struct hph_unit *unit = NULL;
	hph_pagemap taken;
	uintptr_t page;

	if (want->pages < HPH_UNIT_PAGES && want->align <= HPH_UNIT_PAGES)
		unit = hph_pages_best_aligned(pages, nr, align);
	if (unit) {
		hph_unit_taken(unit, taken);
		page = unit->number * HPH_UNIT_PAGES + hph_map_find(taken, nr, align, 0);
	} else {
		page = take_free(pages, want);
	}
	if (!page)
		return 0;
	*zero = place(pages, page, want->pages);
	return hph_page_addr(page);
}

/**
 * hph_pages_carve() - a span out of units that were just filled
 *
 * They are BUSY and the caller's, as many as hph_want_nr_units() says: who
 * filled them shall not find that somebody else was faster. Free pages before
 * them are used, too, but by a lazy span (P6); what then remains of the units is free.
 */
uintptr_t hph_pages_carve(struct hph_pages *pages, uintptr_t first, const struct hph_want *want,
			  bool *zero)
{
	const size_t units = hph_want_nr_units(want);
	const struct hph_unit *before = hph_unitmap_find(pages->map, first - 1);
	uintptr_t page = first * HPH_UNIT_PAGES, behind;

	if (packs(want) && !want->lazy && before &&
	    hph_unit_tag(before) == hph_tag(pages->zone, HPH_UNIT_USED))
		page = hph_round_up(page - before->tail, want->align);
	pages->memory_units += units;
	*zero = place(pages, page, want->pages);
	behind = (page + want->pages - 1) / HPH_UNIT_PAGES + 1;
	if (behind < first)
		behind = first;
	if (first + units > behind)
		hph_pages_join(pages, behind, first + units - behind);
	return hph_page_addr(page);
}

/* Takes spans of @nr pages for a cache out of one unit, the first of them from page @from on. */
static unsigned int take_for_cache(struct hph_pages *pages, struct hph_unit *unit, unsigned int nr,
				   unsigned int from, struct hph_cached *cached, unsigned int count)
{
	unsigned int page, fetched;
	hph_pagemap taken;

	hph_unit_taken(unit, taken);
	page = hph_map_find(taken, nr, 1, from);
	if (page == HPH_UNIT_PAGES && from)
		page = hph_map_find(taken, nr, 1, 0);
	hph_pages_unfile(pages, unit);
	for (fetched = 0; fetched < count && page < HPH_UNIT_PAGES; fetched++) {
		hph_map_set(unit->head, page, 1);
		cached[fetched] = (struct hph_cached){
			.addr = (hph_unit_addr(unit->number) + hph_page_addr(page)) |
				(use(unit, page, nr) ? HPH_CACHED_ZERO : 0),
			.live = &unit->live[page],
		};
		page = hph_map_find(taken, nr, 1, page + nr);
	}
	hph_pages_file(pages, unit);
	pages->used_pages += (size_t)fetched * nr;
	pages->spans += fetched;
	return fetched;
}

/**
 * hph_pages_refill() - spans for a thread's cache
 * @nr: pages of each, a small number
 * @from: where in a unit to look first
 *
 * In the order of hph_pages_alloc(), as many out of each unit as there are. A
 * free unit is begun only if there is nothing else.
 *
 * Return: how many, up to @count; 0: there is no memory.
 */
unsigned int hph_pages_refill(struct hph_pages *pages, unsigned int nr, unsigned int from,
			      struct hph_cached *cached, unsigned int count)
{
	unsigned int taken = 0;
	struct hph_unit *unit;
	uintptr_t first;

	while (taken < count) {
		unit = hph_pages_best(pages, nr);
		if (!unit) {
			if (taken || !hph_runs_take(&pages->free, 1, 1, &first))
				break;
			leave_free(pages, 1);
			unit = get(pages, first);
		}
		taken += take_for_cache(pages, unit, nr, from, cached + taken, count - taken);
	}
	return taken;
}

static size_t span_pages(const struct hph_unit *unit, unsigned int page)
{
	unsigned int next_head = HPH_UNIT_PAGES, next_free;

	if (page + 1 < HPH_UNIT_PAGES)
		next_head = hph_map_next(unit->head, page + 1, true);
	if (next_head == HPH_UNIT_PAGES && unit->span_pages)
		return unit->span_pages;
	next_free = hph_map_next(unit->used, page, false);
	return (next_head < next_free ? next_head : next_free) - page;
}

/**
 * hph_pages_find() - the span that an address lies in
 *
 * Return: false when there is none.
 */
bool hph_pages_find(const struct hph_pages *pages, uintptr_t addr, struct hph_found *found)
{
	struct hph_unit *unit = hph_unitmap_find(pages->map, hph_unit_of(addr));
	unsigned int page = hph_page_in_unit(addr);
	enum hph_unit_state state;

	if (!unit)
		return false;
	state = hph_unit_state(unit);
	if ((state != HPH_UNIT_USED && state != HPH_UNIT_LOST) || !hph_map_test(unit->used, page))
		return false;
	page = hph_map_last(unit->head, page, true);
	if (page == HPH_UNIT_PAGES) {
		unit = get(pages, unit->number - unit->back);
		page = hph_map_last(unit->head, HPH_UNIT_PAGES - 1, true);
	}
	found->unit = unit;
	found->page = page;
	found->pages = span_pages(unit, page);
	found->live = hph_unit_live(unit, page);
	return true;
}

/* Files a unit that has fewer pages in use; returns whether it has become a free one. */
static bool settle(struct hph_pages *pages, struct hph_unit *unit)
{
	if (unit->nr_used || unit->thinning) {
		hph_pages_file(pages, unit);
		return false;
	}
	hph_pages_unuse_unit(pages, unit);
	if (unit->lazy)
		hph_pages_break_lazy(pages, unit);
	else if (unit->nr_away)
		hph_pages_break(pages, unit);
	return !unit->nr_away;
}

/* Frees pages of one unit; returns whether it has become a free one, still in no run. */
static bool free_in_unit(struct hph_pages *pages, struct hph_unit *unit, unsigned int page,
			 unsigned int nr)
{
	const unsigned int hollow = hph_unit_hollow(unit, page, nr);

	if (hph_unit_state(unit) == HPH_UNIT_LOST) {
		unuse(unit, page, nr);
		if (!unit->nr_used && unit->gone)
			hph_unit_set_tag(unit, hph_tag(0, HPH_UNIT_NONE));
		else if (!unit->nr_used)
			hph_pages_add_empty(pages, unit->number, 1);
		return false;
	}
	hph_pages_unfile(pages, unit);
	unuse(unit, page, nr);
	pages->used_pages -= nr - hollow;
	pages->hollow_pages -= hollow;
	return settle(pages, unit);
}

/* Frees a span, live or not. */
void hph_pages_free(struct hph_pages *pages, const struct hph_found *found)
{
	struct hph_unit *unit = found->unit;
	unsigned int page = found->page;
	uintptr_t number = unit->number;
	size_t left = found->pages, freed = 0;

	end(unit, page, left);
	for (; left; number++) {
		const size_t room = HPH_UNIT_PAGES - page, here = left < room ? left : room;

		unit = get(pages, number);
		if (free_in_unit(pages, unit, page, (unsigned int)here)) {
			freed++;
		} else if (freed) {
			hph_pages_join(pages, number - freed, freed);
			freed = 0;
		}
		left -= here;
		page = 0;
	}
	if (freed)
		hph_pages_join(pages, number - freed, freed);
	pages->spans--;
}

/*
 * Units that have all their memory and no span join the free ones beside them: as many huge units
 * as came. No pages are left over between neighbours, because a run is made of whole units.
 */
void hph_pages_join(struct hph_pages *pages, uintptr_t first, size_t units)
{
	hph_runs_add(&pages->free, first, units);
	pages->free_units += units;
}

/* BUSY units that have just got memory. */
void hph_pages_add_free(struct hph_pages *pages, uintptr_t first, size_t units)
{
	hph_pages_join(pages, first, units);
	pages->memory_units += units;
}

/* Frees small spans of one size that were in a cache: a unit's together, if they lie so. */
void hph_pages_free_cached(struct hph_pages *pages, const struct hph_cached *cached,
			   unsigned int count, unsigned int nr)
{
	unsigned int i = 0, page;
	struct hph_unit *unit;

	while (i < count) {
		unit = get(pages, hph_unit_of(cached[i].addr));
		hph_pages_unfile(pages, unit);
		for (; i < count && hph_unit_of(cached[i].addr) == unit->number; i++) {
			page = hph_page_in_unit(cached[i].addr);
			end(unit, page, nr);
			unuse(unit, page, nr);
		}
		if (settle(pages, unit))
			hph_pages_join(pages, unit->number, 1);
	}
	pages->used_pages -= (size_t)count * nr;
	pages->spans -= count;
}

/* A live span of whole base pages is freed, and will never be used again. */
void hph_pages_fence(struct hph_pages *pages, const struct hph_found *found)
{
	unsigned int page = found->page;
	uintptr_t number = found->unit->number;
	size_t left = found->pages, here;

	hph_unit_set_live(found->unit, page, 0);
	for (; left; left -= here, number++, page = 0) {
		struct hph_unit *unit = get(pages, number);
		const size_t room = HPH_UNIT_PAGES - page;

		here = left < room ? left : room;
		unit->nr_fenced = (uint16_t)(unit->nr_fenced + here);
		if (hph_unit_state(unit) == HPH_UNIT_LOST)
			continue;
		pages->used_pages -= here;
		pages->fenced_pages += here;
	}
	pages->spans--;
}

/* All of a unit is fenced off: its memory goes, its addresses stay known. */
void hph_pages_retire(struct hph_pages *pages, struct hph_unit *unit)
{
	hph_pages_unfile(pages, unit);
	hph_pages_unuse_unit(pages, unit);
	hph_unit_set_tag(unit, hph_tag(pages->zone, HPH_UNIT_FENCED));
	pages->fenced_pages -= HPH_UNIT_PAGES;
	pages->memory_units--;
}

/* BUSY units that have none. */
void hph_pages_add_empty(struct hph_pages *pages, uintptr_t first, size_t units)
{
	hph_runs_add(&pages->empty, first, units);
}

/* A window of the scavenger's ends, and the next one begins. */
void hph_pages_turn(struct hph_pages *pages)
{
	pages->free_before = pages->free_low;
	pages->free_low = pages->free_units;
	if (++pages->window == HPH_NEVER)
		pages->window++;
}

/* Units that were free all the time, for a window and what there is of the next. */
size_t hph_pages_idle(const struct hph_pages *pages)
{
	return pages->free_low < pages->free_before ? pages->free_low : pages->free_before;
}

/* The highest free units, at most so many in a row; BUSY, to be emptied. */
size_t hph_pages_take_last_free(struct hph_pages *pages, size_t units, uintptr_t *first)
{
	units = hph_runs_take_last(&pages->free, units, first);
	leave_free(pages, units);
	pages->free_before -= units < pages->free_before ? units : pages->free_before;
	pages->memory_units -= units;
	return units;
}

/* What a fork takes from the child: spans are known still, their memory is the parent's. */
void hph_pages_lose(struct hph_pages *pages, struct hph_unit *unit)
{
	hph_pages_unfile(pages, unit);
	hph_pages_unuse_unit(pages, unit);
	hph_unit_set_tag(unit, hph_tag(pages->zone, HPH_UNIT_LOST));
	hph_runs_adjoin(&pages->free, unit);
	pages->used_pages -= unit->nr_used - unit->nr_fenced;
	pages->fenced_pages -= unit->nr_fenced;
	pages->memory_units--;
}
