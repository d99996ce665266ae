/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lives that went wrong once, as shrink.h or the fuzzer wrote them.
 */
#ifndef SELFTESTS_REGRESSIONS_H
#define SELFTESTS_REGRESSIONS_H

#include "lives.h"

#define KEPT(options_, operations_) {							\
	.options = &options_, .operations = operations_,				\
	.count = sizeof(operations_) / sizeof(operations_[0]),				\
}

/* Every kind of operation, on a heap that has nothing. */
static const struct operation nothing_there[] = {
	{ .kind = FREE, .which = 3 },
	{ .kind = FREE_SOME, .amount = 2 },
	{ .kind = FIND, .which = 1, .amount = 9 },
	{ .kind = STRAY, .amount = 5 },
	{ .kind = SCAVENGE, .amount = ALL },
	{ .kind = DRAIN },
	{ .kind = LOOK },
	{ .kind = LEAVE, .which = 1 },
	{ .kind = MOVE, .which = 1 },
};

/* A unit that was to lose pages, and lost none, was never huge again. */
static const struct operation nothing_goes[] = {
	{ .kind = FAIL, .which = 5, .amount = 1 },
	{ .kind = ALLOC, .amount = 1 },
	{ .kind = SCAVENGE, .amount = 1 },
};

/* The walk counted a fenced span's pages in a unit that was done with. */
static const struct operation fenced_into_the_next[] = {
	{ .kind = ALLOC, .amount = 1 },
	{ .kind = ALLOC, .amount = 256 },
	{ .kind = FREE },
	{ .kind = FREE },
};
static const struct operation fenced_from_the_one_before[] = {
	{ .kind = ALLOC, .amount = 1 },
	{ .kind = ALLOC, .amount = 1 },
	{ .kind = ALLOC, .amount = 315 },
	{ .kind = FREE },
	{ .kind = ALLOC, .amount = 215 },
	{ .kind = FREE },
	{ .kind = FREE },
};

/* Free memory was given back to make room for as much free memory. */
static const struct operation reserved_at_the_limit[] = {
	{ .kind = ALLOC, .amount = 1 },
	{ .kind = FREE },
	{ .kind = ALLOC, .amount = 1024 },
	{ .kind = ALLOC, .amount = 779 },
	{ .kind = ALLOC, .amount = 428 },
	{ .kind = RESERVE, .amount = 2 },
};

/* Free memory is no place for more free memory, and there were no addresses. */
static const struct operation reserved_without_addresses[] = {
	{ .kind = ALLOC, .amount = 1 },
	{ .kind = RESERVE, .amount = 1 },
	{ .kind = RESERVE, .amount = 1 },
	{ .kind = FAIL, .flags = 5, .amount = 1, .which = 2294616 },
	{ .kind = RESERVE, .amount = 2 },
	{ .kind = RESERVE, .amount = 1 },
	{ .kind = RESERVE, .amount = 1 },
	{ .kind = RESERVE, .amount = 1 },
	{ .kind = RESERVE, .amount = 1 },
};

static const struct life regressions[] = {
	KEPT(fake_4k, nothing_there),
	KEPT(fake_16k, nothing_goes),
	KEPT(fenced, fenced_into_the_next),
	KEPT(fenced, fenced_from_the_one_before),
	KEPT(limited, reserved_at_the_limit),
	KEPT(fake_16k, reserved_without_addresses),
};

#endif /* SELFTESTS_REGRESSIONS_H */
