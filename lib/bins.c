// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The bins: used units by their longest free run, and among equals by the
 * number of their spans.
 *
 * A unit in no bin has no free page, or is being changed: who changes a unit's
 * maps takes it out first and files it again afterwards.
 */
#include "pagealloc.h"

/* Tries on units that may have an aligned place, before one is taken that must. */
#define ALIGNED_TRIES	16

enum { NEXT, PREVIOUS };

static unsigned int density_of(const struct hph_unit *unit)
{
	const unsigned int log = 31 - (unsigned int)__builtin_clz(unit->nr_spans | 1U);

	return log < HPH_DENSITIES ? log : HPH_DENSITIES - 1;
}

static void bin_add(struct hph_pages *pages, struct hph_unit *unit)
{
	struct hph_unit **bin;

	if (!unit->longest)
		return;
	unit->density = (uint8_t)density_of(unit);
	bin = &pages->bins[unit->longest][unit->density];
	unit->link[NEXT] = *bin;
	unit->link[PREVIOUS] = NULL;
	if (*bin)
		(*bin)->link[PREVIOUS] = unit;
	*bin = unit;
	pages->densities[unit->longest] |= (uint8_t)(1U << unit->density);
	hph_map_set(pages->lengths, unit->longest, 1);
}

static void bin_remove(struct hph_pages *pages, struct hph_unit *unit)
{
	struct hph_unit **bin = &pages->bins[unit->longest][unit->density];

	if (!unit->longest)
		return;
	if (unit->link[NEXT])
		unit->link[NEXT]->link[PREVIOUS] = unit->link[PREVIOUS];
	if (unit->link[PREVIOUS]) {
		unit->link[PREVIOUS]->link[NEXT] = unit->link[NEXT];
		return;
	}
	*bin = unit->link[NEXT];
	if (*bin)
		return;
	pages->densities[unit->longest] &= (uint8_t)~(1U << unit->density);
	if (!pages->densities[unit->longest])
		hph_map_clear(pages->lengths, unit->longest, 1);
}

/* Out of its bin, to be changed; what is in no bin may be changed already. */
void hph_pages_unfile(struct hph_pages *pages, struct hph_unit *unit)
{
	if (hph_unit_state(unit) == HPH_UNIT_USED)
		bin_remove(pages, unit);
}

static unsigned int front_of(const hph_pagemap taken)
{
	return hph_map_next(taken, 0, true);
}

static unsigned int tail_of(const hph_pagemap taken)
{
	const unsigned int last = hph_map_last(taken, HPH_UNIT_PAGES - 1, true);

	return last == HPH_UNIT_PAGES ? HPH_UNIT_PAGES : HPH_UNIT_PAGES - 1 - last;
}

/*
 * Is a unit less than half as full as the average? Then what is freed there stays free.
 * Where the average unit is not even half full, whatever lies in a unit below it had
 * better go on to another: of so many half could be empty.
 */
static bool is_shunned(const struct hph_pages *pages, const struct hph_unit *unit)
{
	const size_t used = (size_t)unit->nr_used * pages->used_units;
	const bool sparse = pages->used_pages < pages->used_units * HPH_UNIT_PAGES / 2;

	return (sparse ? used : 2 * used) < pages->used_pages;
}

/* Puts a unit with spans into its bin, and tells the runs beside it. */
void hph_pages_file(struct hph_pages *pages, struct hph_unit *unit)
{
	const bool full = unit->nr_used == HPH_UNIT_PAGES;
	unsigned int front = 0, tail = 0;
	hph_pagemap taken;
	bool moved;

	if (!full) {
		hph_unit_taken(unit, taken);
		front = front_of(taken);
		tail = tail_of(taken);
	}
	moved = front != unit->front || tail != unit->tail;

	if (hph_unit_state(unit) != HPH_UNIT_USED) {
		pages->used_units++;
		hph_pages_list_patchy(pages, unit);
	}
	hph_unit_set_tag(unit, hph_tag(pages->zone, HPH_UNIT_USED) |
			       (is_shunned(pages, unit) ? HPH_TAG_SHUNNED : 0));
	hph_pages_touch(pages, unit);
	unit->longest = full ? 0 : (uint16_t)hph_map_longest(taken);
	unit->front = (uint16_t)front;
	unit->tail = (uint16_t)tail;
	bin_add(pages, unit);
	if (moved)
		hph_runs_adjoin(&pages->free, unit);
}

/* The fullest of those units whose longest free run is the shortest of @nr pages at least. */
struct hph_unit *hph_pages_best(const struct hph_pages *pages, unsigned int nr)
{
	const unsigned int length = hph_map_next(pages->lengths, nr, true);
	unsigned int density;

	if (length == HPH_UNIT_PAGES)
		return NULL;
	density = 31 - (unsigned int)__builtin_clz(pages->densities[length]);
	return pages->bins[length][density];
}

/* The same for an aligned span, among the first units of each bin. */
static struct hph_unit *try_aligned(const struct hph_pages *pages, unsigned int nr,
				    unsigned int align)
{
	unsigned int tries = ALIGNED_TRIES, length, densities, density;
	struct hph_unit *unit;
	hph_pagemap taken;

	for (length = hph_map_next(pages->lengths, nr, true); length < HPH_UNIT_PAGES;
	     length = length + 1 < HPH_UNIT_PAGES ?
		      hph_map_next(pages->lengths, length + 1, true) : HPH_UNIT_PAGES) {
		for (densities = pages->densities[length]; densities; densities ^= 1U << density) {
			density = 31 - (unsigned int)__builtin_clz(densities);
			unit = pages->bins[length][density];
			for (; unit; unit = unit->link[NEXT]) {
				hph_unit_taken(unit, taken);
				if (hph_map_find(taken, nr, align, 0) < HPH_UNIT_PAGES)
					return unit;
				if (!--tries)
					return NULL;
			}
		}
	}
	return NULL;
}

/*
 * A used unit that has a place. An aligned span surely fits where the longest run
 * is a whole alignment longer than it; a few units where it may fit are
 * tried first, or else an aligned hole would never be filled again.
 */
struct hph_unit *hph_pages_best_aligned(const struct hph_pages *pages, unsigned int nr,
					unsigned int align)
{
	struct hph_unit *unit;

	if (align == 1)
		return hph_pages_best(pages, nr);
	unit = try_aligned(pages, nr, align);
	if (!unit && nr + align <= HPH_UNIT_PAGES)
		unit = hph_pages_best(pages, nr + align - 1);
	return unit;
}

/* No span is left in a unit: it belongs to whoever has seen to that. */
void hph_pages_unuse_unit(struct hph_pages *pages, struct hph_unit *unit)
{
	unit->front = unit->tail = 0;
	pages->used_units--;
	hph_pages_unlist_patchy(pages, unit);
	hph_unit_set_tag(unit, hph_tag(pages->zone, HPH_UNIT_BUSY));
}
