// SPDX-License-Identifier: GPL-2.0-only
/*
 * One step of growth from any state: hph_growth_judge(), hph_growth_take() and
 * hph_growth_note_used(). What holds before a step and after it holds after any
 * number of them; so this covers sequences of every length. (arena_grow.c has
 * the same functions at work, in sequences of a few blocks.)
 *
 * Given is what struct hph_growth promises, alloc <= end, and nothing else:
 * positions need not even be aligned. No wrap is meant: unsigned overflow is an
 * error.
 */
#include "prove.h"
#include "arena.c"

static void judge_holds(const struct hph_growth *was, uintptr_t first, uintptr_t end,
			enum hph_verdict verdict)
{
	const bool adjacent = was->end != 0 && first == was->end;
	const wide left = (wide)was->end - was->alloc;

	always((verdict == HPH_EXTEND) == adjacent,
	       "J1 extended if and only if the new block begins where the current one ends");
	always(verdict != HPH_SWITCH || left <= (wide)16 << 20,
	       "J2 a switch strands at most 16 MiB");
	always(verdict != HPH_GIVE_BACK || left > (wide)16 << 20,
	       "J3 a block goes back only if using it would strand more than 16 MiB");
	always(was->end != 0 || verdict == HPH_SWITCH, "J4 the very first block is taken");
	possible(verdict == HPH_SWITCH && left == (wide)16 << 20, "16 MiB are stranded");
	possible(verdict == HPH_SWITCH && end < was->alloc, "a switch to a block below");
	possible(verdict == HPH_SWITCH && end == was->alloc, "a switch to the block just below");
	possible(verdict == HPH_SWITCH && first > was->end, "a switch to a block above");
	possible(verdict == HPH_GIVE_BACK, "a block goes back");
	possible(verdict == HPH_EXTEND && left > (wide)16 << 20, "an extension with a lot left");
	possible(verdict == HPH_EXTEND && end == UINTPTR_MAX, "an extension to the top");
}

static void take_holds(const struct hph_growth *was, const struct hph_growth *is, size_t bytes,
		       bool taken, uintptr_t addr)
{
	const wide behind = (wide)was->alloc + bytes;

	always(taken == (behind <= was->end), "T1 taken if and only if it is there");
	always(is->end == was->end, "T2 the block's end stays where it is");
	always(is->alloc <= is->end, "T3 alloc <= end after every step");
	if (!taken) {
		always(is->alloc == was->alloc && is->used == was->used,
		       "T4 a refusal changes nothing");
		return;
	}
	always(addr == was->alloc && is->alloc == behind,
	       "T5 what is taken is what comes next, and is gone from the block");
	always(is->used == (behind > was->used ? behind : was->used),
	       "T6 used is the highest end of all that was handed out");
	possible(is->alloc == is->end, "a block is used up");
	possible(is->used > is->end, "used is above the current block");
}

int main(void)
{
	const struct hph_growth was = { nondet_uintptr(), nondet_uintptr(), nondet_uintptr() };
	const uintptr_t first = nondet_uintptr(), end = nondet_uintptr();
	const size_t bytes = nondet_size();
	struct hph_growth is = was;
	uintptr_t addr;
	bool taken;

	given(was.alloc <= was.end);
	given(first < end);	/* R5 of reservation.c */
	/* A new block has nothing of the current one. */
	given(end <= was.alloc || first >= was.end);
	judge_holds(&was, first, end, hph_growth_judge(&was, first, end));

	taken = hph_growth_take(&is, bytes, &addr);
	take_holds(&was, &is, bytes, taken, addr);

	is = was;
	hph_growth_note_used(&is, end);
	always(is.used >= was.used && is.used >= end && (is.used == was.used || is.used == end),
	       "N1 noting an end makes used the higher of the two");
	always(is.alloc == was.alloc && is.end == was.end, "N2 and changes nothing else");
	return 0;
}
