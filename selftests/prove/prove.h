/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PROVE_H
#define PROVE_H

/*
 * The words in which the proofs here are written. A proof is a C program whose
 * inputs are nondet_*(): not tried with some values, but shown for all of them, by
 * CBMC, which turns program and properties into one formula. The library's own
 * source is part of the program (#include "arena.c"); nothing of it is copied.
 *
 * given(c)       what the callers promise, or the system; the proof is for that
 * always(c, s)   the property s: no input makes c false. What comes after it is
 *                looked at for inputs that make it true
 * possible(c, s) that some input makes c true: what is said about a case that
 *                never comes up is worth nothing. It is a property that must
 *                fail, and selftests/prove/run demands that it does.
 *
 * CBMC is told the base page: BASE_PAGE is 4, 16 or 64 KiB. Pointers have 32 or
 * 64 bits. In each run it also looks for:
 *   --unwinding-assertions       loops that go on longer than was looked at
 *   --bounds-check --pointer-check --undefined-shift-check --conversion-check
 *                                arrays left, bad pointers, shifts by too much,
 *                                casts that lose a value
 *   --signed-overflow-check, --unsigned-overflow-check
 *                                the second where a proof's head says so, which is
 *                                all but two: unsigned arithmetic may wrap in C,
 *                                but no address or size may here
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define given(condition)		__CPROVER_assume(condition)
#define always(condition, sentence)							\
	do {										\
		__CPROVER_assert(condition, sentence);					\
		__CPROVER_assume(condition);						\
	} while (0)
#define possible(condition, sentence)	__CPROVER_assert(!(condition), "possible: " sentence)

/* Functions without a body: they return anything. */
uintptr_t nondet_uintptr(void);
size_t nondet_size(void);
uint64_t nondet_u64(void);
unsigned int nondet_uint(void);
int nondet_int(void);
bool nondet_bool(void);

/* Integers as in arithmetic lessons: whatever is done to addresses here fits. */
typedef unsigned __CPROVER_bitvector[96] wide;

#define BASE_SHIFT	(BASE_PAGE == 4096 ? 12 : BASE_PAGE == 16384 ? 14 : 16)
#define HUGE		((wide)HPHEAP_HUGE_SIZE)
#define ADDRESSES	((wide)UINTPTR_MAX + 1)	/* all there are */

/* Is @x in [@first, @first + @bytes)? Also when that ends at the top of all addresses. */
static inline bool in(uintptr_t x, uintptr_t first, size_t bytes)
{
	return x >= first && x - first < bytes;
}

/* The same of a range whose end is an address: cheaper to reason about. */
static inline bool between(uintptr_t x, uintptr_t first, uintptr_t end)
{
	return x >= first && x < end;
}

/* @unit is a power of two: cheaper to reason about than a division. */
static inline bool multiple(uintptr_t x, uintptr_t unit)
{
	return (x & (unit - 1)) == 0;
}

/* Any multiple; made with a shift, the zeroes are no variables of the formula. */
static inline uintptr_t any_multiple(unsigned int shift)
{
	const uintptr_t any = nondet_uintptr();

	given(any <= UINTPTR_MAX >> shift);
	return any << shift;
}

#endif /* PROVE_H */
