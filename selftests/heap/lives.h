/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worlds in which a heap has to live, and how it does there.
 */
#ifndef SELFTESTS_LIVES_H
#define SELFTESTS_LIVES_H

#include "shrink.h"

#define GIB	((uint64_t)1 << 30)

/* A life that fits into memory, with a backend that now and then fails. */
#define BUSY_LIFE	{ .most_units = 4, .phase = 700, .failures = true, .threads = true }

/* Room enough, blocks from anywhere, at every base page. */
#define FAKE(name_, base_page_, policy_)						\
static const struct world_options name_ = {						\
	.name = #name_, .base_page = base_page_, .high = 3 * GIB, .policy = policy_,	\
	.block_bytes = 16 * MIB, .fickle = true, .style = BUSY_LIFE,			\
	.operations = 25000, .check_every = 1, .most_live = 60,				\
}
FAKE(fake_4k, 4 * KIB, FAKE_ANYWHERE);
FAKE(fake_16k, 16 * KIB, FAKE_DOWNWARD);
FAKE(fake_64k, 64 * KIB, FAKE_UPWARD);

/* 32 bits, and the addresses in pieces: growth goes where there is a place left. */
#define PIECES(name_, base_page_)							\
static const struct world_options name_ = {						\
	.name = #name_, .base_page = base_page_, .high = 4 * GIB - UNIT,		\
	.fragment = 24 * MIB, .block_bytes = 32 * MIB,					\
	.style = { .most_units = 9, .phase = 20000, .threads = true, .failures = true }, \
	.operations = 100000, .check_every = 500, .most_live = 4000,			\
}
PIECES(pieces_4k, 4 * KIB);
PIECES(pieces_16k, 16 * KIB);
PIECES(pieces_64k, 64 * KIB);

static const struct world_options limited = {
	.name = "limited", .base_page = 4 * KIB, .high = 3 * GIB, .block_bytes = 8 * MIB,
	.limit_units = 12, .style = BUSY_LIFE, .operations = 25000, .check_every = 1,
	.most_live = 200,
};

static const struct world_options two_backends = {
	.name = "two_backends", .base_page = 16 * KIB, .high = 3 * GIB, .block_bytes = 16 * MIB,
	.fickle = true, .fallback = true, .style = BUSY_LIFE, .operations = 25000,
	.check_every = 1, .most_live = 60,
};

static const struct world_options two_nodes = {
	.name = "two_nodes", .base_page = 4 * KIB, .high = 3 * GIB, .block_bytes = 16 * MIB,
	.nodes = 2, .fickle = true,
	.style = {
		.most_units = 4, .phase = 700, .failures = true, .threads = true, .nodes = true,
	},
	.operations = 25000, .check_every = 1, .most_live = 60,
};

/* What was freed is never used again: such a heap gets large, and ends. */
static const struct world_options fenced = {
	.name = "fenced", .base_page = 16 * KIB, .high = 3 * GIB, .block_bytes = 16 * MIB,
	.fickle = true, .efence = true,
	.style = { .most_units = 2, .phase = 700, .failures = true, .threads = true },
	.operations = 8000, .check_every = 20, .most_live = 60,
};

/* Terabytes of addresses. */
#if UINTPTR_MAX > UINT32_MAX
#define VAST(name_, base_page_, policy_)						\
static const struct world_options name_ = {						\
	.name = #name_, .base_page = base_page_, .high = 5120 * GIB, .policy = policy_,	\
	.style = { .most_units = 24, .phase = 60000, .threads = true, .failures = true }, \
	.operations = 250000, .check_every = 10000, .most_live = NAIVE_MOST,		\
}
VAST(vast_4k, 4 * KIB, FAKE_ANYWHERE);
VAST(vast_64k, 64 * KIB, FAKE_DOWNWARD);
#endif

/*
 * Memory that is there, and keeps what is written into it. A heap that never uses an
 * address twice has no more of 32 bits after some ten thousand operations.
 */
#define REAL(name_, backend_, efence_)							\
static const struct world_options name_ = {						\
	.name = #name_, .backend = backend_, .efence = efence_,			\
	.style = { .most_units = 3, .phase = 1000, .zero = true, .threads = true },	\
	.operations = efence_ ? 6000 : 20000, .check_every = 20, .most_live = 60,	\
}
REAL(thp, HPHEAP_BACKEND_THP, false);
REAL(small_pages, HPHEAP_BACKEND_SMALL, false);
REAL(fenced_thp, HPHEAP_BACKEND_THP, true);

#endif /* SELFTESTS_LIVES_H */
