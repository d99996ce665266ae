// SPDX-License-Identifier: GPL-2.0-only
/*
 * The largest block to be had: reserve_some() of arena.c over a system that
 * refuses as often as it likes, or has any free place. What is shown here of it
 * is what arena_grow.c takes it for. reserve() and reserve_tight() are replaced by
 * what reserve.c shows of them. Given is what new_block() asks for: as much as is needed, or a
 * usual block, which is the more.
 *
 * No wrap is meant: unsigned overflow is an error.
 */
#include "prove.h"
#include "arena.c"
#include "owner.h"

static void retries_hold(enum owner was, size_t bytes, size_t wanted, int error, uintptr_t first,
			 uintptr_t end)
{
	always(error <= 0, "C7 an error is negative");
	if (error) {
		always(owner == was, "C8 a failure leaves everything with whom it was");
		return;
	}
	always(first && multiple(first, HPHEAP_HUGE_SIZE) && multiple(end, HPHEAP_HUGE_SIZE),
	       "C9 a block is huge-aligned");
	always(usable(first, end - first) && first < end && end - first >= bytes &&
	       end - first <= wanted,
	       "C10 it has what is needed, and not more than what is wanted");
	if (in(byte, first, end - first))
		always(was == SYSTEM && owner == ARENA,
		       "C11 all of it was free and is the arena's");
	else
		always(owner == was, "C12 all around it is with whom it was");
	possible(end - first == bytes && bytes < wanted / 64, "just what is needed is to be had");
	possible(end - first < wanted && end - first > bytes, "something in between is to be had");
}

/* usual_block() */
static void usual_holds(size_t usual)
{
	always(multiple(usual, HPHEAP_HUGE_SIZE) && usual >= HPHEAP_HUGE_SIZE &&
	       usual <= (size_t)1 << 30,
	       "C13 a usual block is whole units, at least one, at most 1 GiB");
	possible(usual == (size_t)1 << (sizeof(usual) == 8 ? 30 : 26), "large blocks are usual");
}

int main(void)
{
	const size_t bytes = any_multiple(HPH_HUGE_SHIFT), wanted = any_multiple(HPH_HUGE_SHIFT);
	uintptr_t first, end;
	enum owner was;
	int error;

	usual_holds(usual_block(nondet_size()));
	given(bytes);
	given(wanted == bytes || (wanted > bytes && wanted <= (size_t)1 << 30));
	arena.growth.end = nondet_uintptr();
	byte = any_multiple(BASE_SHIFT);
	owner = was = nondet_bool() ? SYSTEM : nondet_bool() ? ARENA : USER;
	error = reserve_some(&arena, bytes, wanted, 0, &first, &end);
	retries_hold(was, bytes, wanted, error, first, end);
	return 0;
}
