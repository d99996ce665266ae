// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arithmetic on the two units (units.h): for every value, every power of
 * two to round to, and every address. Where the caller has to exclude overflow,
 * that is given; everything else must not wrap. Base pages are powers of two
 * like any other; BASE_PAGE stands in the one property about giving memory back.
 */
#include "prove.h"
#include "units.h"

static void rounding_holds(uintptr_t value, uintptr_t align)
{
	const uintptr_t down = hph_round_down(value, align);

	always(down % align == 0 && down <= value && value - down < align,
	       "U1 rounded down: the largest multiple that is not above");
	if ((wide)value + align - 1 >= ADDRESSES)
		return;		/* for the caller of hph_round_up() to exclude */
	const uintptr_t up = hph_round_up(value, align);

	always(up % align == 0 && up >= value && up - value < align,
	       "U2 rounded up: the smallest multiple that is not below");
	always((up == down) == (value % align == 0), "U3 both are the same for a multiple only");
	possible(up == UINTPTR_MAX - (align - 1) && up != value,
		 "rounding up to the last multiple");
	possible(value == UINTPTR_MAX, "the highest value of all is rounded up");
}

/* Memory goes back in whole base pages, none of which anyone else has part of. */
static void inward_holds(uintptr_t first, uintptr_t end, uintptr_t byte)
{
	const uintptr_t from = hph_round_up(first, BASE_PAGE);
	const uintptr_t to = hph_round_down(end, BASE_PAGE);

	if (from < to && in(byte, from, to - from))
		always(first <= byte - byte % BASE_PAGE &&
		       (wide)byte - byte % BASE_PAGE + BASE_PAGE <= end,
		       "U4 inward: every byte that goes back is on a base page of the range");
	else
		always(!(first <= byte - byte % BASE_PAGE &&
			 (wide)byte - byte % BASE_PAGE + BASE_PAGE <= end),
		       "U5 inward: no base page of the range is left out");
	possible(from > to, "a range inside one base page");
}

static void numbers_hold(uintptr_t addr)
{
	const uintptr_t page = hph_page_of(addr), unit = hph_unit_of(addr);

	always(in(addr, hph_page_addr(page), HPHEAP_PAGE_SIZE), "U6 an address is in its page");
	always(in(addr, hph_unit_addr(unit), HUGE), "U7 an address is in its unit");
	always(page / HPH_UNIT_PAGES == unit, "U8 a page's unit is its address's unit");
	always((wide)page + 1 < ADDRESSES && (wide)unit + 1 < ADDRESSES,
	       "U9 a number has a next one, whatever the address");
	always(hph_page_addr(hph_page_of(addr)) == hph_round_down(addr, HPHEAP_PAGE_SIZE) &&
	       hph_unit_addr(hph_unit_of(addr)) == hph_round_down(addr, HPHEAP_HUGE_SIZE),
	       "U10 numbers and rounding say the same");
}

static void powers_hold(uintptr_t value, unsigned int bit)
{
	unsigned int i, ones = 0;

	for (i = 0; i < sizeof(value) * 8; i++)
		ones += value >> i & 1;
	always(hph_is_power_of_two(value) == (ones == 1), "U11 a power of two has one bit");
	always(hph_is_power_of_two((uintptr_t)1 << bit), "U12 each single bit is one");
}

int main(void)
{
	const unsigned int bit = nondet_uint();
	const uintptr_t first = nondet_uintptr(), end = nondet_uintptr();

	given(bit < sizeof(uintptr_t) * 8);
	rounding_holds(nondet_uintptr(), (uintptr_t)1 << bit);
	given(first <= end && (wide)first + BASE_PAGE - 1 < ADDRESSES);
	inward_holds(first, end, nondet_uintptr());
	numbers_hold(nondet_uintptr());
	powers_hold(nondet_uintptr(), bit);
	return 0;
}
