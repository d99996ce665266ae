// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The page maps of a huge unit: 256 bits, four words, on every system; and what is made of them.
 */
#include "unit.h"

void hph_unit_forget(struct hph_unit *unit)
{
	hph_map_set(unit->away, 0, HPH_UNIT_PAGES);
	unit->nr_away = HPH_UNIT_PAGES;
	unit->lazy = false;
}

/* The last page up to @page whose bit is @set. */
unsigned int hph_map_last(const hph_pagemap map, unsigned int page, bool set)
{
	const uint64_t invert = set ? 0 : UINT64_MAX;
	unsigned int word = page / 64;
	uint64_t bits = (map[word] ^ invert) & UINT64_MAX >> (63 - page % 64);

	while (!bits) {
		if (word-- == 0)
			return HPH_UNIT_PAGES;
		bits = map[word] ^ invert;
	}
	return word * 64 + 63 - (unsigned int)__builtin_clzll(bits);
}

/* Calls for each free run would hide the loop: first and end of the next one. */
static bool next_free(const hph_pagemap used, unsigned int *first, unsigned int *end)
{
	*first = hph_map_next(used, *end, false);
	*end = hph_map_next(used, *first, true);
	return *first < HPH_UNIT_PAGES;
}

unsigned int hph_map_longest(const hph_pagemap used)
{
	unsigned int first, end = 0, longest = 0;

	while (next_free(used, &first, &end))
		if (end - first > longest)
			longest = end - first;
	return longest;
}

/* The lowest free place for @pages from @from on; @align, in pages, is a power of two. */
unsigned int hph_map_find(const hph_pagemap used, unsigned int pages, unsigned int align,
			  unsigned int from)
{
	unsigned int first, end = from;

	while (next_free(used, &first, &end)) {
		first = (first + align - 1) & ~(align - 1);
		if (first + pages <= end)
			return first;
	}
	return HPH_UNIT_PAGES;
}

bool hph_map_all(const hph_pagemap map, unsigned int first, unsigned int pages)
{
	return hph_map_next(map, first, false) >= first + pages;
}

/* The bits of a word from @first up to, not including, @end, which may lie beyond it. */
static uint64_t mask(unsigned int first, unsigned int end)
{
	const uint64_t bits = UINT64_MAX << first;

	return end < 64 ? bits & ~(UINT64_MAX << end) : bits;
}

void hph_map_set(hph_pagemap map, unsigned int first, unsigned int pages)
{
	const unsigned int end = first + pages;

	for (; first < end; first = (first / 64 + 1) * 64)
		map[first / 64] |= mask(first % 64, end - first / 64 * 64);
}

void hph_map_clear(hph_pagemap map, unsigned int first, unsigned int pages)
{
	const unsigned int end = first + pages;

	for (; first < end; first = (first / 64 + 1) * 64)
		map[first / 64] &= ~mask(first % 64, end - first / 64 * 64);
}

/* The bits that are in both. */
unsigned int hph_map_count_both(const hph_pagemap a, const hph_pagemap b, unsigned int first,
				unsigned int pages)
{
	const unsigned int end = first + pages;
	unsigned int count = 0;

	for (; first < end; first = (first / 64 + 1) * 64) {
		const uint64_t both = a[first / 64] & b[first / 64];

		count += (unsigned int)__builtin_popcountll(both & mask(first % 64,
									end - first / 64 * 64));
	}
	return count;
}

/* The first half from @half on that is in @parts, or is not: HPH_UNIT_HALVES if there is none. */
unsigned int hph_parts_next(const struct hph_parts *parts, unsigned int half, bool set)
{
	while (half < HPH_UNIT_HALVES && hph_parts_test(parts, half) != set)
		half++;
	return half;
}

/* Is anything of these pages in @parts? */
bool hph_parts_any(const struct hph_parts *parts, unsigned int page, unsigned int pages)
{
	return hph_map_next(parts->pages, page, true) < page + pages ||
	       hph_map_next(parts->halves[0], page, true) < page + pages ||
	       hph_map_next(parts->halves[1], page, true) < page + pages;
}

/* Adds the parts of @from in the halves from @first up to @end, which end none of them. */
void hph_parts_add(struct hph_parts *parts, const struct hph_parts *from, unsigned int first,
		   unsigned int end)
{
	unsigned int half, page;

	for (half = first; half < end; half++) {
		page = half / HPH_HALVES;
		if (hph_map_test(from->pages, page))
			hph_map_set(parts->pages, page, 1);
		else if (hph_map_test(from->halves[half % HPH_HALVES], page))
			hph_map_set(parts->halves[half % HPH_HALVES], page, 1);
	}
}

void hph_parts_remove(struct hph_parts *parts, const struct hph_parts *gone)
{
	unsigned int word;

	for (word = 0; word < HPH_UNIT_WORDS; word++) {
		parts->pages[word] &= ~gone->pages[word];
		parts->halves[0][word] &= ~gone->halves[0][word];
		parts->halves[1][word] &= ~gone->halves[1][word];
	}
}
