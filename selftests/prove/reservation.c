// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a wish for huge units to a reservation and back: hph_growth_ask() and
 * hph_growth_round(), for every wish, every base page, and every answer of the
 * system: any address that is a multiple of the base page, up to the very top.
 *
 * No wrap is meant anywhere in these two: unsigned overflow is an error.
 */
#include "prove.h"
#include "arena.c"

/* What is asked for is all that alignment can cost on top of the wish, no more. */
static void ask_holds(size_t bytes, bool granted, size_t asked)
{
	const wide sum = (wide)bytes + HUGE - BASE_PAGE;

	always(granted == (sum < ADDRESSES),
	       "A1 asking is refused only if the sum is larger than any size");
	if (!granted)
		return;
	always(asked >= bytes, "A2 what is asked for is not less than the wish");
	always((wide)asked - bytes < HUGE, "A3 less than one unit is asked for in excess");
	possible(asked == SIZE_MAX, "the largest size of all is asked for");
}

/* @unit is the number of any unit: what holds for it holds for all. */
static void round_holds(uintptr_t base, size_t bytes, bool usable, uintptr_t first,
			uintptr_t end, wide unit)
{
	const wide behind = (wide)base + bytes;
	const bool range = base && bytes && behind <= ADDRESSES &&
			   behind - 1 < (wide)1 << HPH_ADDRESS_BITS;
	const bool whole = unit * HUGE >= base && (unit + 1) * HUGE <= behind &&
			   (unit + 1) * HUGE < ADDRESSES;

	if (!usable) {
		always(!range || !whole,
		       "R1 refused only if no range, or without a whole unit but the topmost");
		return;
	}
	always(range, "R2 address 0, a wrap, or an address the heap has no map for is refused");
	always((wide)first % HUGE == 0 && (wide)end % HUGE == 0, "R3 both ends are huge-aligned");
	always(first >= base && end <= behind, "R4 the result lies inside the reservation");
	always(first < end, "R5 the result has at least one unit and does not wrap");
	always(!whole || in(unit * HUGE, first, (wide)end - first),
	       "R6 no whole unit is left out but the topmost one of all addresses");
	possible(whole && unit == 1, "the lowest unit but one is in a reservation");
	possible(behind == (wide)1 << HPH_ADDRESS_BITS, "a reservation at the top is used");
}

/* Both together: what is asked for suffices. */
static void enough(size_t wish, uintptr_t base, size_t asked, bool usable, uintptr_t first,
		   uintptr_t end)
{
	const wide behind = (wide)base + asked;

	/* the system's part of the bargain */
	if (base == 0 || base % BASE_PAGE || behind > (wide)1 << HPH_ADDRESS_BITS)
		return;
	/* the topmost unit of all addresses cannot be used: its end is no address */
	if (behind == ADDRESSES)
		return;
	always(usable && end - first == wish,
	       "E1 wherever it is, a reservation has what was wished for, no unit more");
	possible(first - base == HPHEAP_HUGE_SIZE - BASE_PAGE,
		 "as much as can be is lost in front");
	possible(first == base && end != behind, "nothing is lost in front");
}

int main(void)
{
	const size_t wish = nondet_size();
	const uintptr_t base = nondet_uintptr();
	const size_t bytes = nondet_size();
	const wide unit = nondet_uintptr();
	uintptr_t first, end;
	size_t asked;
	bool usable;

	/* any wish, not only whole units: the function does not know */
	const bool granted = hph_growth_ask(wish, BASE_PAGE, &asked);

	ask_holds(wish, granted, asked);

	/* any range, even one that no system has */
	usable = hph_growth_round(base, bytes, &first, &end);
	round_holds(base, bytes, usable, first, end, unit);

	if (granted && wish && wish % HPHEAP_HUGE_SIZE == 0) {
		usable = hph_growth_round(base, asked, &first, &end);
		enough(wish, base, asked, usable, first, end);
	}
	return 0;
}
