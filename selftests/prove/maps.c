// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page maps of a huge unit (unit.c), all 256 pages of them, for every map:
 * from one page to the next (STEPPING), and ranges of pages. What is said of each
 * page is said of one that may be any.
 *
 * No wrap is meant, and unsigned overflow is an error, but in STEPPING: there a
 * loop counts down and through 0 when it ends.
 */
#include "prove.h"
#include "unit.c"

#define PAGES	HPH_UNIT_PAGES

typedef unsigned __CPROVER_bitvector[257] bits;

static bits number(const hph_pagemap map)
{
	return (bits)map[3] << 192 | (bits)map[2] << 128 | (bits)map[1] << 64 | map[0];
}

static bits run(unsigned int first, unsigned int pages)
{
	return (((bits)1 << pages) - 1) << first;
}

/* From page on, and back from it: the first one that is so, and none before. */
static void next_holds(const hph_pagemap map, unsigned int page, bool set, unsigned int other)
{
	const unsigned int next = hph_map_next(map, page, set);

	always(next == PAGES || (next < PAGES && next >= page && hph_map_test(map, next) == set),
	       "P1 the next page found is not before, and is as wanted");
	always(other < page || other >= next || hph_map_test(map, other) != set,
	       "P2 no page before the one found is as wanted");
	possible(next == PAGES - 1 && page < 64, "the next one is the last of all");
	possible(next == PAGES && page < PAGES, "there is no next one");
}

static void last_holds(const hph_pagemap map, unsigned int page, bool set, unsigned int other)
{
	const unsigned int last = hph_map_last(map, page, set);

	always(last == PAGES || (last <= page && hph_map_test(map, last) == set),
	       "P3 the last page found is not behind, and is as wanted");
	always(other > page || (last != PAGES && other <= last) || hph_map_test(map, other) != set,
	       "P4 no page behind the one found is as wanted");
	possible(last == 0 && page == PAGES - 1, "the last one is the first of all");
}

static void set_holds(const hph_pagemap map, unsigned int first, unsigned int pages,
		      unsigned int other)
{
	const bool inside = other >= first && other < first + pages;
	hph_pagemap changed = { map[0], map[1], map[2], map[3] };

	if (hph_map_all(map, first, pages))
		always(!inside || hph_map_test(map, other),
		       "P5 all: each page of the range is set");
	else
		always((~number(map) & run(first, pages)) != 0, "P6 not all: some page is not set");
	hph_map_set(changed, first, pages);
	always(hph_map_test(changed, other) == (inside || hph_map_test(map, other)),
	       "P7 setting a range sets its pages and leaves the others");
	hph_map_clear(changed, first, pages);
	always(hph_map_test(changed, other) == (!inside && hph_map_test(map, other)),
	       "P8 clearing a range clears its pages and leaves the others");
	possible(pages == PAGES, "a range of all pages");
}

int main(void)
{
	const hph_pagemap map = { nondet_u64(), nondet_u64(), nondet_u64(), nondet_u64() };
	const unsigned int first = nondet_uint(), pages = nondet_uint(), other = nondet_uint();

	given(pages >= 1 && pages <= PAGES && first <= PAGES - pages && other < PAGES);
#ifdef STEPPING
	next_holds(map, first, nondet_bool(), other);
	next_holds(map, PAGES, nondet_bool(), other);
	last_holds(map, first, nondet_bool(), other);
#else
	set_holds(map, first, pages, other);
#endif
	return 0;
}
