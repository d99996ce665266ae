// SPDX-License-Identifier: GPL-2.0-only
/*
 * One reservation, all of reserve() in arena.c, or of reserve_tight() (TIGHT),
 * over a system that does its worst: it refuses, or answers with any free place
 * that is aligned to the base page, up to the very top of all addresses. What is
 * shown here of them is what retry.c and arena_grow.c take them for.
 *
 * Who has which address is followed for one byte that stands for all of them:
 * it may be any. No wrap is meant, and unsigned overflow is an error, but in
 * TIGHT: a hint behind the topmost unit wraps to 0, which is none.
 */
#include "prove.h"
#include "arena.c"
#include "owner.h"

static void reserve_holds(enum owner was, size_t bytes, int error, uintptr_t first,
			  uintptr_t end)
{
	always(error <= 0, "C1 an error is negative");
	if (error) {
		always(owner == was, "C2 a failure leaves everything with whom it was");
		possible(answered, "the system's answer is of no use");
		return;
	}
	always(first && multiple(first, HPHEAP_HUGE_SIZE), "C3 a reservation is huge-aligned");
	always(usable(first, bytes) && end == first + bytes,
	       "C4 it is as long as was wished for, does not wrap, and the heap has a map for it");
	if (in(byte, first, bytes))
		always(was == SYSTEM && owner == ARENA, "C5 all of it was free and is the arena's");
	else
		always(owner == was, "C6 all around it is with whom it was");
	possible(answer == first, "nothing is lost in front");
#ifndef TIGHT
	possible(first - answer == HPHEAP_HUGE_SIZE - BASE_PAGE,
		 "as much as can be is lost in front");
#endif
}

int main(void)
{
	static const struct hph_backend_ops ops = {
		.reserve = reserve_anywhere,
		.unreserve = unreserve,
	};
	static struct hph_backend backend = { .ops = &ops };
	const size_t bytes = any_multiple(HPH_HUGE_SHIFT);
	uintptr_t first, end;
	enum owner was;
	int error;

	arena.backend = &backend;
	arena.base_page = BASE_PAGE;
	given(bytes);
	byte = any_multiple(BASE_SHIFT);
	owner = was = nondet_bool() ? SYSTEM : nondet_bool() ? ARENA : USER;
#ifdef TIGHT
	error = reserve_tight(&arena, bytes, &first);
	end = first + bytes;
#else
	error = reserve(&arena, bytes, nondet_uintptr(), &first, &end);
#endif
	reserve_holds(was, bytes, error, first, end);
	return 0;
}
