/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_UNITS_H
#define HPH_UNITS_H

/*
 * The two fixed units and the arithmetic on them. The base page is not fixed:
 * it is read at run time and passed down, so that one program can test all.
 *
 * Whole heap pages and huge units are counted by absolute number (address
 * shifted right): such a number never overflows where an address would.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hpheap.h"

#define HPH_PAGE_SHIFT	13
#define HPH_HUGE_SHIFT	21
#define HPH_UNIT_PAGES	256u	/* heap pages in a huge unit */
#define HPH_UNIT_WORDS	4u	/* 64-bit words of a map of them */

_Static_assert(HPHEAP_PAGE_SIZE == (size_t)1 << HPH_PAGE_SHIFT, "heap page");
_Static_assert(HPHEAP_HUGE_SIZE == (size_t)1 << HPH_HUGE_SHIFT, "huge unit");
_Static_assert(HPHEAP_HUGE_SIZE / HPHEAP_PAGE_SIZE == HPH_UNIT_PAGES, "pages of a unit");
_Static_assert(HPH_UNIT_WORDS * 64 == HPH_UNIT_PAGES, "words of a unit's map");

/* @align is a power of two; the caller has excluded overflow */
static inline uintptr_t hph_round_up(uintptr_t value, uintptr_t align)
{
	return (value + (align - 1)) & ~(align - 1);
}

static inline uintptr_t hph_round_down(uintptr_t value, uintptr_t align)
{
	return value & ~(align - 1);
}

static inline bool hph_is_power_of_two(uintptr_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static inline uintptr_t hph_page_of(uintptr_t addr)
{
	return addr >> HPH_PAGE_SHIFT;
}

static inline uintptr_t hph_page_addr(uintptr_t page)
{
	return page << HPH_PAGE_SHIFT;
}

static inline uintptr_t hph_unit_of(uintptr_t addr)
{
	return addr >> HPH_HUGE_SHIFT;
}

static inline uintptr_t hph_unit_addr(uintptr_t number)
{
	return number << HPH_HUGE_SHIFT;
}

static inline size_t hph_least(size_t a, size_t b)
{
	return a < b ? a : b;
}

#endif /* HPH_UNITS_H */
