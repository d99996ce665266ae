// SPDX-License-Identifier: GPL-2.0-only
/*
 * Searches in page maps: hph_map_longest() and hph_map_find() of unit.c, which go
 * through a map's free runs one after the other with hph_map_next(). maps.c shows
 * what that returns; here it is replaced by the same for a map that is written as
 * its free runs: any map with at most RUNS of them, of any lengths, anywhere.
 *
 * No wrap is meant: unsigned overflow is an error.
 */
#include "prove.h"
#include "unit.c"

#define RUNS	3u
#define PAGES	HPH_UNIT_PAGES

/* In order, with used pages between them; those that are not there are empty. */
static struct { unsigned int first, end; } runs[RUNS];

/* P1 and P2 of maps.c: the one number for which both hold. */
unsigned int any_next(const hph_pagemap map, unsigned int page, bool set)
{
	unsigned int i;

	(void)map;
	always(page <= PAGES, "P9 no page is asked for that is not of the unit");
	for (i = 0; i < RUNS; i++) {
		if (page >= runs[i].end)
			continue;
		if (set)
			return page >= runs[i].first ? runs[i].end : page;
		return page >= runs[i].first ? page : runs[i].first;
	}
	return set ? page : PAGES;
}

static bool is_free(unsigned int first, unsigned int pages)
{
	unsigned int i;

	for (i = 0; i < RUNS; i++)
		if (first >= runs[i].first && first + pages <= runs[i].end)
			return true;
	return false;
}

static void longest_holds(unsigned int longest, unsigned int first, unsigned int pages)
{
	bool exists = !longest;
	unsigned int i;

	for (i = 0; i < RUNS; i++)
		exists |= longest == runs[i].end - runs[i].first;
	always(exists, "P10 there is a free run as long as the longest");
	always(!is_free(first, pages) || pages <= longest, "P11 there is no longer one");
	possible(longest == PAGES, "all pages are free");
	possible(!longest, "no page is free");
}

static void find_holds(unsigned int place, unsigned int pages, unsigned int align,
		       unsigned int from, unsigned int other)
{
	if (place != PAGES)
		always(place >= from && (place & (align - 1)) == 0 && is_free(place, pages),
		       "P12 the place found is free, aligned, and not before the given page");
	always(other < from || other >= place || (other & (align - 1)) != 0 ||
	       !is_free(other, pages), "P13 no place before the one found would do");
	possible(place == PAGES, "there is no place");
	possible(place > 64 && place != PAGES && align > 4, "a place in the middle");
	possible(place == runs[RUNS - 1].first && place != PAGES, "a place in the last run");
}

int main(void)
{
	const unsigned int first = nondet_uint(), pages = nondet_uint(), other = nondet_uint();
	const unsigned int shift = nondet_uint();
	const hph_pagemap unused = { 0 };
	unsigned int i, place;

	for (i = 0; i < RUNS; i++) {
		runs[i].first = nondet_uint();
		runs[i].end = nondet_uint();
		given(runs[i].first <= runs[i].end && runs[i].end <= PAGES);
		/* an empty one is behind all others */
		given(runs[i].first < runs[i].end || runs[i].first == PAGES);
		given(!i || runs[i].first == PAGES || runs[i].first > runs[i - 1].end);
	}
	given(pages >= 1 && pages <= PAGES && first <= PAGES && other < PAGES && shift <= 8);
	longest_holds(hph_map_longest(unused), first, pages);
	place = hph_map_find(unused, pages, 1u << shift, first);
	find_holds(place, pages, 1u << shift, first, other);
	return 0;
}
