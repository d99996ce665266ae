// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The page maps of a huge unit: 256 bits, four words, on every system.
 */
#include "unit.h"

/* The bits of word @word that lie in [@first, @end) */
static uint64_t mask(unsigned int word, unsigned int first, unsigned int end)
{
	const unsigned int base = word * 64;
	uint64_t bits = UINT64_MAX;

	if (end <= base || first >= base + 64)
		return 0;
	if (first > base)
		bits <<= first - base;
	if (end < base + 64)
		bits &= UINT64_MAX >> (base + 64 - end);
	return bits;
}

/* The first page from @page on whose bit is @set. */
unsigned int hph_map_next(const hph_pagemap map, unsigned int page, bool set)
{
	unsigned int word;

	for (word = page / 64; word < HPH_UNIT_WORDS; word++) {
		uint64_t bits = (set ? map[word] : ~map[word]) & mask(word, page, HPH_UNIT_PAGES);

		if (bits)
			return word * 64 + (unsigned int)__builtin_ctzll(bits);
	}
	return HPH_UNIT_PAGES;
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

/* The lowest free place for @pages; @align, in pages, is a power of two. */
unsigned int hph_map_find(const hph_pagemap used, unsigned int pages, unsigned int align)
{
	unsigned int first, end = 0;

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

void hph_map_set(hph_pagemap map, unsigned int first, unsigned int pages)
{
	unsigned int word;

	for (word = 0; word < HPH_UNIT_WORDS; word++)
		map[word] |= mask(word, first, first + pages);
}

void hph_map_clear(hph_pagemap map, unsigned int first, unsigned int pages)
{
	unsigned int word;

	for (word = 0; word < HPH_UNIT_WORDS; word++)
		map[word] &= ~mask(word, first, first + pages);
}
