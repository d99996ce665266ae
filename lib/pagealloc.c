// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The page allocator: spans of heap pages in huge units that have memory.
 *
 * A span that fits a unit goes into a used unit, the one whose longest free run
 * is the shortest that will do: bins by that length, found by a bit search. If
 * none will do, the lowest free unit becomes a used one. A larger span begins
 * at a unit's first page and takes as many free units in a row as it needs;
 * what the last of them has left serves small spans.
 *
 * P1 A unit is in a bin if and only if it is USED and has a free page; in a
 *    run of its state if FREE or EMPTY; in no index otherwise.
 * P2 Between two heads, and behind the last one up to a free page, lies one
 *    span. Only a span of more than a unit goes on in the next unit, where it
 *    has no head.
 * P3 used_pages + free pages = memory_units * HPH_UNIT_PAGES.
 */
#include "pagealloc.h"

#include <errno.h>
#include <string.h>

#include "os.h"

/* Tries on units that may have an aligned place, before one is taken that must. */
#define ALIGNED_TRIES	16

enum { NEXT, PREVIOUS };

int hph_pages_init(struct hph_pages *pages, struct hph_meta *meta)
{
	pages->free = (struct hph_runs){ .map = &pages->map, .state = HPH_UNIT_FREE };
	pages->empty = (struct hph_runs){ .map = &pages->map, .state = HPH_UNIT_EMPTY };
	return hph_unitmap_init(&pages->map, meta);
}

static struct hph_unit *get(const struct hph_pages *pages, uintptr_t number)
{
	return hph_unitmap_get(&pages->map, number);
}

static void bin_add(struct hph_pages *pages, struct hph_unit *unit)
{
	struct hph_unit **bin = &pages->bins[unit->longest];

	if (!unit->longest)
		return;
	unit->link[NEXT] = *bin;
	unit->link[PREVIOUS] = NULL;
	if (*bin)
		(*bin)->link[PREVIOUS] = unit;
	*bin = unit;
	hph_map_set(pages->nonempty, unit->longest, 1);
}

static void bin_remove(struct hph_pages *pages, struct hph_unit *unit)
{
	struct hph_unit **bin = &pages->bins[unit->longest];

	if (!unit->longest)
		return;
	if (unit->link[NEXT])
		unit->link[NEXT]->link[PREVIOUS] = unit->link[PREVIOUS];
	if (unit->link[PREVIOUS])
		unit->link[PREVIOUS]->link[NEXT] = unit->link[NEXT];
	else
		*bin = unit->link[NEXT];
	if (!*bin)
		hph_map_clear(pages->nonempty, unit->longest, 1);
}

/* Marks pages of a unit that is in no index; returns whether all were zero. */
static bool use(struct hph_unit *unit, unsigned int first, unsigned int nr)
{
	const bool zero = hph_map_all(unit->zero, first, nr);

	hph_map_set(unit->used, first, nr);
	hph_map_clear(unit->zero, first, nr);
	unit->nr_used = (uint16_t)(unit->nr_used + nr);
	return zero;
}

static void unuse(struct hph_unit *unit, unsigned int first, unsigned int nr)
{
	hph_map_clear(unit->used, first, nr);
	unit->nr_used = (uint16_t)(unit->nr_used - nr);
}

/* Puts a unit with spans back where P1 wants it. */
static void file_used(struct hph_pages *pages, struct hph_unit *unit)
{
	unit->state = HPH_UNIT_USED;
	unit->longest = (uint16_t)hph_map_longest(unit->used);
	bin_add(pages, unit);
}

/*
 * A used unit and the place in it. An aligned span surely fits where the
 * longest run is a whole alignment longer than it; a few units where it may
 * fit are tried first, or else an aligned hole would never be filled again.
 */
static struct hph_unit *find_used(const struct hph_pages *pages, const struct hph_want *want,
				  unsigned int *page)
{
	const unsigned int nr = (unsigned int)want->pages, align = (unsigned int)want->align;
	unsigned int tries = ALIGNED_TRIES, bin;
	struct hph_unit *unit;

	for (bin = hph_map_next(pages->nonempty, nr, true); tries && bin < HPH_UNIT_PAGES;
	     bin = hph_map_next(pages->nonempty, bin + 1, true)) {
		for (unit = pages->bins[bin]; tries && unit; unit = unit->link[NEXT], tries--) {
			*page = hph_map_find(unit->used, nr, align);
			if (*page < HPH_UNIT_PAGES)
				return unit;
		}
	}
	bin = nr + align - 1;
	bin = bin < HPH_UNIT_PAGES ? hph_map_next(pages->nonempty, bin, true) : HPH_UNIT_PAGES;
	if (bin == HPH_UNIT_PAGES)
		return NULL;
	unit = pages->bins[bin];
	*page = hph_map_find(unit->used, nr, align);
	return unit;
}

static uintptr_t alloc_in_unit(struct hph_pages *pages, const struct hph_want *want, bool *zero)
{
	unsigned int page;
	struct hph_unit *unit = find_used(pages, want, &page);
	uintptr_t first;

	if (unit) {
		bin_remove(pages, unit);
	} else {
		if (!hph_runs_take(&pages->free, 1, 1, &first))
			return 0;
		pages->free_units--;
		unit = get(pages, first);
		page = 0;
	}
	*zero = use(unit, page, (unsigned int)want->pages);
	hph_map_set(unit->head, page, 1);
	file_used(pages, unit);
	pages->used_pages += want->pages;
	pages->spans++;
	return hph_unit_addr(unit->number) + hph_page_addr(page);
}

/* A span from the first page of BUSY units on, which have memory. */
static uintptr_t place_in_units(struct hph_pages *pages, uintptr_t first, size_t nr, bool *zero)
{
	struct hph_unit *unit = get(pages, first);
	size_t left = nr;

	hph_map_set(unit->head, 0, 1);
	unit->span_pages = nr > HPH_UNIT_PAGES ? nr : 0;
	*zero = true;
	for (; left; first++) {
		const size_t here = left < HPH_UNIT_PAGES ? left : HPH_UNIT_PAGES;

		*zero &= use(get(pages, first), 0, (unsigned int)here);
		file_used(pages, get(pages, first));
		left -= here;
	}
	pages->used_pages += nr;
	pages->spans++;
	return hph_unit_addr(unit->number);
}

/**
 * hph_pages_alloc() - a span out of the memory that is there
 * @zero: out: it is known to be zero
 *
 * Return: its address, or 0.
 */
uintptr_t hph_pages_alloc(struct hph_pages *pages, const struct hph_want *want, bool *zero)
{
	const size_t units = hph_want_nr_units(want);
	uintptr_t first;

	if (!hph_want_units(want))
		return alloc_in_unit(pages, want, zero);
	if (!hph_runs_take(&pages->free, units, hph_want_unit_align(want), &first))
		return 0;
	pages->free_units -= units;
	return place_in_units(pages, first, want->pages, zero);
}

/**
 * hph_pages_carve() - a span at the first page of units that were just filled
 *
 * They are BUSY and the caller's, as many as hph_want_nr_units() says: who
 * filled them shall not find that somebody else was faster.
 */
uintptr_t hph_pages_carve(struct hph_pages *pages, uintptr_t first, const struct hph_want *want)
{
	bool zero;

	pages->memory_units += hph_want_nr_units(want);
	return place_in_units(pages, first, want->pages, &zero);
}

/* The unit that a span begins in, or NULL: no live span begins there. */
static struct hph_unit *find_span(const struct hph_pages *pages, uintptr_t addr,
				  unsigned int *page)
{
	struct hph_unit *unit = get(pages, hph_unit_of(addr));

	*page = (unsigned int)(hph_page_of(addr) % HPH_UNIT_PAGES);
	if (!unit || addr % HPHEAP_PAGE_SIZE ||
	    (unit->state != HPH_UNIT_USED && unit->state != HPH_UNIT_LOST) ||
	    !hph_map_test(unit->head, *page))
		return NULL;
	return unit;
}

static size_t span_pages(const struct hph_unit *unit, unsigned int page)
{
	unsigned int next_head, next_free;

	if (page == 0 && unit->span_pages)
		return unit->span_pages;
	next_head = hph_map_next(unit->head, page + 1, true);
	next_free = hph_map_next(unit->used, page, false);
	return (next_head < next_free ? next_head : next_free) - page;
}

/* Bytes of the live span that begins at @addr, or 0: none does. */
size_t hph_pages_size(const struct hph_pages *pages, uintptr_t addr)
{
	unsigned int page;
	const struct hph_unit *unit = find_span(pages, addr, &page);

	return unit ? hph_page_addr(span_pages(unit, page)) : 0;
}

/* Frees pages of one unit; returns whether it has become a free one, still in no run. */
static bool free_in_unit(struct hph_pages *pages, struct hph_unit *unit, unsigned int page,
			 unsigned int nr)
{
	if (unit->state == HPH_UNIT_LOST) {
		unuse(unit, page, nr);
		if (!unit->nr_used)
			hph_pages_add_empty(pages, unit->number, 1);
		return false;
	}
	bin_remove(pages, unit);
	unuse(unit, page, nr);
	pages->used_pages -= nr;
	if (unit->nr_used) {
		file_used(pages, unit);
		return false;
	}
	unit->state = HPH_UNIT_BUSY;
	return true;
}

/**
 * hph_pages_free() - free the span that begins at @addr
 *
 * Return: its bytes, or 0: none does.
 */
size_t hph_pages_free(struct hph_pages *pages, uintptr_t addr)
{
	unsigned int page;
	struct hph_unit *unit = find_span(pages, addr, &page);
	uintptr_t number;
	size_t nr, left, freed = 0;

	if (!unit)
		return 0;
	nr = left = span_pages(unit, page);
	number = unit->number;
	hph_map_clear(unit->head, page, 1);
	if (page == 0)
		unit->span_pages = 0;
	for (; left; number++) {
		const size_t room = HPH_UNIT_PAGES - page, here = left < room ? left : room;

		unit = get(pages, number);
		if (free_in_unit(pages, unit, page, (unsigned int)here)) {
			freed++;
		} else if (freed) {
			hph_runs_add(&pages->free, number - freed, freed);
			pages->free_units += freed;
			freed = 0;
		}
		left -= here;
		page = 0;
	}
	if (freed) {
		hph_runs_add(&pages->free, number - freed, freed);
		pages->free_units += freed;
	}
	pages->spans--;
	return hph_page_addr(nr);
}

/* BUSY units that have just got memory. */
void hph_pages_add_free(struct hph_pages *pages, uintptr_t first, size_t units)
{
	hph_runs_add(&pages->free, first, units);
	pages->free_units += units;
	pages->memory_units += units;
}

/* BUSY units that have none. */
void hph_pages_add_empty(struct hph_pages *pages, uintptr_t first, size_t units)
{
	hph_runs_add(&pages->empty, first, units);
}

/* The highest free units, at most so many in a row; BUSY, to be emptied. */
size_t hph_pages_take_last_free(struct hph_pages *pages, size_t units, uintptr_t *first)
{
	units = hph_runs_take_last(&pages->free, units, first);
	pages->free_units -= units;
	pages->memory_units -= units;
	return units;
}

/* What a fork takes from the child: spans are known still, their memory is not there. */
void hph_pages_lose(struct hph_pages *pages, struct hph_unit *unit)
{
	bin_remove(pages, unit);
	unit->state = HPH_UNIT_LOST;
	pages->used_pages -= unit->nr_used;
	pages->memory_units--;
}
