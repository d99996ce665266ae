// SPDX-License-Identifier: GPL-2.0-only
/*
 * A heap in an address space that is full but for some holes, of 32 bits: the
 * arena must grow below, above and between what it has.
 */
#include "kselftest_harness.h"
#include "heap.h"

#define HOLES	9

struct hole {
	char *begin;
	size_t bytes;
};

static struct hole holes[HOLES];
static size_t nr_holes;

/* Takes all addresses, the large pieces first; little ones stay for the C library. */
static bool fill(void)
{
	size_t bytes, piece = 0;
	char *p;

	for (bytes = 48 * MIB; bytes >= MIB; bytes /= 2) {
		for (;;) {
			p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				 -1, 0);
			if (p == MAP_FAILED)
				break;
			/* Of the largest, some become holes: none adjoins another one. */
			if (bytes == 48 * MIB && piece++ % 7 == 3 && nr_holes < HOLES)
				holes[nr_holes++] = (struct hole){ p, bytes };
		}
	}
	return nr_holes == HOLES;
}

static int by_address(const void *a, const void *b)
{
	const struct hole *left = a, *right = b;

	return left->begin < right->begin ? -1 : left->begin > right->begin;
}

/* Begins where no huge unit does, and has so many whole ones. */
static void open_hole(struct hole *hole, size_t units)
{
	uintptr_t begin = ((uintptr_t)hole->begin | (UNIT - 1)) + 1;

	begin -= base_page();
	munmap((void *)begin, base_page() + units * UNIT + base_page());
	*hole = (struct hole){ (char *)begin + base_page(), units * UNIT };
}

static bool in_hole(const struct hole *hole, const char *span)
{
	return span >= hole->begin && span + UNIT <= hole->begin + hole->bytes;
}

FIXTURE(fragments) {
	struct hpheap *heap;
	char *first;
};
FIXTURE_SETUP(fragments)
{
	self->heap = heap_on(HPHEAP_BACKEND_SMALL);
	ASSERT_NE(NULL, self->heap);
	self->first = hpheap_span_alloc(self->heap, UNIT, 0, 0);
	ASSERT_NE(NULL, self->first);
	ASSERT_TRUE(fill());
	qsort(holes, HOLES, sizeof(holes[0]), by_address);
	while (hpheap_span_alloc(self->heap, UNIT, 0, 0))
		;
	ASSERT_EQ(ENOMEM, errno);
}
FIXTURE_TEARDOWN(fragments)
{
	hpheap_destroy(self->heap);
}

TEST_F(fragments, growth_finds_the_holes_below_above_and_between)
{
	static const size_t order[HOLES] = { 4, 0, 8, 2, 6, 3, 1, 7, 5 };
	static const size_t units[HOLES] = { 1, 2, 5, 8, 9, 3, 12, 16, 20 };
	size_t i, taken;
	char *span;

	for (i = 0; i < HOLES; i++) {
		struct hole *hole = &holes[order[i]];
		const uint64_t used = stats_of(self->heap).used_bytes;

		open_hole(hole, units[i]);
		for (taken = 0; (span = hpheap_span_alloc(self->heap, UNIT, 0, 0)); taken++) {
			EXPECT_TRUE(in_hole(hole, span));
			memset(span, (int)i + 1, UNIT);
		}
		EXPECT_EQ(ENOMEM, errno);
		EXPECT_EQ(units[i], taken);
		EXPECT_EQ(used + taken * UNIT, stats_of(self->heap).used_bytes);
		EXPECT_SOUND(self->heap);
	}
	for (i = 0; i < HOLES; i++)
		EXPECT_EQ(NULL, not_all(holes[order[i]].begin, units[i] * UNIT, (unsigned char)(i + 1)));
}

TEST_F(fragments, a_large_span_goes_where_it_fits)
{
	char *span;

	open_hole(&holes[6], 4);
	open_hole(&holes[1], 9);
	open_hole(&holes[3], 6);
	span = hpheap_span_alloc(self->heap, 8 * UNIT, 0, 0);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(span >= holes[1].begin && span + 8 * UNIT <= holes[1].begin + holes[1].bytes);
	span = hpheap_span_alloc(self->heap, 5 * UNIT, 0, 0);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(span >= holes[3].begin && span + 5 * UNIT <= holes[3].begin + holes[3].bytes);
	EXPECT_EQ(NULL, hpheap_span_alloc(self->heap, 5 * UNIT, 0, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_NE(NULL, hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0));
	EXPECT_SOUND(self->heap);
}

/* What was stranded when growth went elsewhere, and what was freed, is used again. */
TEST_F(fragments, nothing_is_lost_on_the_way)
{
	char *spans[64];
	size_t round, taken, i, before = 0;

	open_hole(&holes[7], 7);
	open_hole(&holes[2], 13);
	open_hole(&holes[5], 3);
	for (round = 0; round < 4; round++) {
		for (taken = 0; taken < 64; taken++) {
			spans[taken] = hpheap_span_alloc(self->heap, UNIT, 0, 0);
			if (!spans[taken])
				break;
		}
		EXPECT_EQ(23, taken);
		EXPECT_TRUE(!round || taken == before);
		before = taken;
		for (i = 0; i < taken; i++)
			hpheap_span_free(self->heap, spans[i]);
		hpheap_scavenge(self->heap, round % 2 ? SIZE_MAX : 5 * UNIT);
	}
	EXPECT_SOUND(self->heap);
}

TEST_HARNESS_MAIN
