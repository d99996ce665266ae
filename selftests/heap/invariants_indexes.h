/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The indexes of a zone, compared with what they are indexes of. Part of
 * invariants.h, which has counted it.
 */
#ifndef SELFTESTS_INVARIANTS_INDEXES_H
#define SELFTESTS_INVARIANTS_INDEXES_H

#include "invariants_maps.h"

static inline const char *check_bin(const struct hph_pages *pages, unsigned int length,
				    unsigned int density, size_t most, size_t *count)
{
	const struct hph_unit *unit = pages->bins[length][density], *previous = NULL;

	REQUIRE(!unit == !(pages->densities[length] >> density & 1),
		"zone %u: densities[%u] is %#x, bin %u has %s", pages->zone, length,
		pages->densities[length], density, unit ? "units" : "none");
	for (; unit; previous = unit, unit = unit->link[0]) {
		REQUIRE(unit->link[1] == previous, "unit %#jx: the way back in bin %u/%u is wrong",
			(uintmax_t)unit->number, length, density);
		REQUIRE(hph_unit_tag(unit) == hph_tag(pages->zone, HPH_UNIT_USED) &&
			unit->longest == length && unit->density == density,
			"unit %#jx: tag %#x, longest %u, density %u in bin %u/%u of zone %u (P1)",
			(uintmax_t)unit->number, hph_unit_tag(unit), unit->longest, unit->density,
			length, density, pages->zone);
		REQUIRE(++*count <= most, "zone %u: bin %u/%u has no end", pages->zone, length,
			density);
	}
	return NULL;
}

static inline const char *check_bins(const struct hph_pages *pages, size_t expected)
{
	unsigned int length, density;
	size_t count = 0;
	const char *wrong;

	for (length = 0; length < HPH_UNIT_PAGES; length++) {
		REQUIRE(hph_map_test(pages->lengths, length) == (pages->densities[length] != 0),
			"zone %u: lengths and densities[%u] differ", pages->zone, length);
		for (density = 0; density < HPH_DENSITIES; density++) {
			wrong = check_bin(pages, length, density, expected, &count);
			if (wrong)
				return wrong;
		}
	}
	REQUIRE(count == expected, "zone %u: %zu units in bins, not %zu (P1)", pages->zone, count,
		expected);
	return NULL;
}

/* Free pages that a used neighbour of a free run has beside it. */
static inline unsigned int beside(const struct hph_runs *runs, uintptr_t number, bool before)
{
	const struct hph_unit *unit = hph_unitmap_find(runs->map, number);

	if (runs->state != HPH_UNIT_FREE || !unit ||
	    hph_unit_tag(unit) != hph_tag(runs->zone, HPH_UNIT_USED))
		return 0;
	return before ? unit->tail : unit->front;
}

/* One run: all its units, and that it does not adjoin another one. */
static inline const char *check_run(const struct hph_runs *runs, const struct hph_unit *run)
{
	const uint16_t tag = hph_tag(runs->zone, runs->state);
	const uintptr_t first = run->number, end = first + run->run;
	const struct hph_unit *unit;
	uintptr_t number;

	REQUIRE(run->run, "run %#jx: of no units", (uintmax_t)first);
	for (number = first; number < end; number++) {
		unit = hph_unitmap_find(runs->map, number);
		REQUIRE(unit && hph_unit_tag(unit) == tag,
			"run %#jx + %u: unit %zu is none of it (P1)",
			(uintmax_t)first, run->run, (size_t)(number - first));
	}
	REQUIRE(hph_unitmap_find(runs->map, end - 1)->run == run->run,
		"run %#jx + %u: its last unit says %u", (uintmax_t)first, run->run,
		hph_unitmap_find(runs->map, end - 1)->run);
	unit = hph_unitmap_find(runs->map, first - 1);
	REQUIRE(!unit || hph_unit_tag(unit) != tag, "run %#jx adjoins one before it",
		(uintmax_t)first);
	unit = hph_unitmap_find(runs->map, end);
	REQUIRE(!unit || hph_unit_tag(unit) != tag, "run %#jx + %u adjoins one behind it",
		(uintmax_t)first, run->run);
	REQUIRE(run->lead == beside(runs, first - 1, true) && run->trail == beside(runs, end,
										   false),
		"run %#jx + %u: lead and trail are %u and %u, not %u and %u", (uintmax_t)first,
		run->run, run->lead, run->trail, beside(runs, first - 1, true),
		beside(runs, end, false));
	return NULL;
}

/* A subtree, with numbers in [@low, @high]; adds up its units. */
static inline const char *check_tree(const struct hph_runs *runs, const struct hph_unit *node,
				     uintptr_t low, uintptr_t high, unsigned int depth,
				     size_t *units)
{
	size_t reach = (size_t)node->run * HPH_UNIT_PAGES + node->lead + node->trail;
	uint32_t longest = node->run;
	const char *wrong = check_run(runs, node);
	unsigned int side;

	if (wrong)
		return wrong;
	REQUIRE(depth < INVARIANT_DEPTH, "a tree of runs is too deep");
	REQUIRE(node->number >= low && node->number <= high, "run %#jx: is out of order",
		(uintmax_t)node->number);
	*units += node->run;
	for (side = 0; side < 2; side++) {
		const struct hph_unit *child = node->link[side];

		if (!child)
			continue;
		wrong = check_tree(runs, child, side ? node->number + 1 : low,
				   side ? high : node->number - 1, depth + 1, units);
		if (wrong)
			return wrong;
		reach = child->tree_reach > reach ? child->tree_reach : reach;
		longest = child->tree_run > longest ? child->tree_run : longest;
	}
	REQUIRE(node->tree_reach == reach && node->tree_run == longest,
		"run %#jx: of its subtree reach and run are said to be %zu and %u, are %zu and %u",
		(uintmax_t)node->number, node->tree_reach, node->tree_run, reach, longest);
	return NULL;
}

static inline const char *check_runs(const struct hph_runs *runs, size_t expected)
{
	size_t units = 0;
	const char *wrong = NULL;

	if (runs->root)
		wrong = check_tree(runs, runs->root, 0, UINTPTR_MAX, 0, &units);
	if (wrong)
		return wrong;
	REQUIRE(units == expected, "zone %u: %zu units of state %u in runs, not %zu (P1)",
		runs->zone, units, runs->state, expected);
	return NULL;
}

/* A list of used units that have pages away, or that are all there, in parts: P5 */
static inline const char *check_list(const struct hph_pages *pages, const struct hph_unit *first,
				     bool thin, size_t expected)
{
	const struct hph_unit *unit, *previous = NULL;
	size_t count = 0;

	for (unit = first; unit; previous = unit, unit = unit->broken[0]) {
		REQUIRE(unit->broken[1] == previous, "unit %#jx: the way back in its list is wrong",
			(uintmax_t)unit->number);
		REQUIRE(hph_unit_tag(unit) == hph_tag(pages->zone, HPH_UNIT_USED) &&
			hph_unit_is_thin(unit) == thin && hph_unit_is_patchy(unit) == !thin,
			"unit %#jx: tag %#x, %u pages away is among the %s of zone %u (P5)",
			(uintmax_t)unit->number, hph_unit_tag(unit), unit->nr_away,
			thin ? "thin" : "patchy", pages->zone);
		REQUIRE(++count <= expected, "zone %u: thin or patchy ones without end",
			pages->zone);
	}
	REQUIRE(count == expected, "zone %u: %zu units are %s, not %zu (P5)", pages->zone, count,
		thin ? "thin" : "patchy", expected);
	return NULL;
}

static inline const char *check_zone(const struct invariants *check, unsigned int number)
{
	const struct hph_zone *zone = &check->heap->zones[number];
	const struct hph_pages *pages = &zone->pages;
	const struct census *census = &check->zones[number];
	const char *wrong;

	REQUIRE(pages->zone == number, "zone %u: calls itself %u", number, pages->zone);
	REQUIRE(pages->used_pages == census->used_pages, "zone %u: used_pages is %zu, not %zu (P3)",
		number, pages->used_pages, census->used_pages);
	REQUIRE(pages->away_pages == census->away_pages &&
		pages->fenced_pages == census->fenced_pages,
		"zone %u: away_pages and fenced_pages are %zu and %zu, not %zu and %zu (P3)",
		number, pages->away_pages, pages->fenced_pages, census->away_pages,
		census->fenced_pages);
	REQUIRE(pages->used_units == census->used_units, "zone %u: used_units is %zu, not %zu",
		number, pages->used_units, census->used_units);
	REQUIRE(pages->free_units == census->free_units &&
		pages->memory_units == census->memory_units,
		"zone %u: free_units and memory_units are %zu and %zu, not %zu and %zu (P3)",
		number, pages->free_units, pages->memory_units, census->free_units,
		census->memory_units);
	REQUIRE(pages->purgeable_units == census->purgeable_units &&
		pages->purgeable_low <= pages->purgeable_units,
		"zone %u: purgeable_units is %zu, not %zu, and was %zu", number,
		pages->purgeable_units, census->purgeable_units, pages->purgeable_low);
	REQUIRE(pages->spans == census->spans, "zone %u: spans is %zu, not %zu", number,
		pages->spans, census->spans);
	REQUIRE(zone->device_units == census->device_units &&
		zone->fallback_units == census->fallback_units,
		"zone %u: device_units and fallback_units are %zu and %zu, not %zu and %zu", number,
		zone->device_units, zone->fallback_units, census->device_units,
		census->fallback_units);
	wrong = check_bins(pages, census->binned);
	if (!wrong)
		wrong = check_runs(&pages->free, census->free_units);
	if (!wrong)
		wrong = check_runs(&pages->empty, census->empty_units);
	if (!wrong)
		wrong = check_runs(&pages->broken, census->broken_units);
	if (!wrong)
		wrong = check_runs(&pages->purgeable, census->purgeable_units);
	if (!wrong)
		wrong = check_list(pages, pages->thin, true, census->thin);
	if (!wrong)
		wrong = check_list(pages, pages->patchy, false, census->patchy);
	REQUIRE(wrong || pages->patchy_units == census->patchy,
		"zone %u: patchy_units is %zu, not %zu", number, pages->patchy_units,
		census->patchy);
	return wrong;
}

#endif /* SELFTESTS_INVARIANTS_INDEXES_H */
