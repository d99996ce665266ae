// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where spans lie, so that live ones fill few huge units, and what it costs to
 * know that.
 */
#include "kselftest_harness.h"
#include "fake_backend.h"

#define SPANS_OF_UNIT	8	/* of 32 pages */

static uintptr_t unit_of(const void *span)
{
	return hph_unit_of((uintptr_t)span);
}

/* A heap of addresses without memory, where only the place counts. */
FIXTURE(placement) {
	struct fake fake;
	struct hpheap *heap;
};

FIXTURE_SETUP(placement)
{
	const struct hpheap_options options = { .size = sizeof(options) };

	fake_init(&self->fake, 1 << 28, (uint64_t)3 << 30, 4 * KIB, FAKE_UPWARD, 1);
	ASSERT_EQ(0, hph_heap_create(&options, &self->fake.ports[0].backend, 4 * KIB, &self->heap));
	self->fake.heap = self->heap;
}

FIXTURE_TEARDOWN(placement)
{
	self->fake.heap = NULL;
	hpheap_destroy(self->heap);
	EXPECT_STREQ("", self->fake.wrong);
	EXPECT_EQ(0, fake_reserved_bytes(&self->fake));
	fake_free(&self->fake);
}

static void *pages(struct hpheap *heap, size_t nr)
{
	return hpheap_span_alloc(heap, nr * PAGE, 0, 0);
}

/* Frees it, and sees that it does not stay in a cache. */
static void give_back(struct hpheap *heap, void *span)
{
	hpheap_span_free(heap, span);
	hph_caches_drain(heap);
}

TEST_F(placement, prefers_the_shortest_hole_that_will_do)
{
	char *spans[8], *span;
	size_t i;

	for (i = 0; i < 8; i++)
		spans[i] = pages(self->heap, 64);
	ASSERT_EQ(unit_of(spans[0]), unit_of(spans[3]));
	ASSERT_EQ(unit_of(spans[4]), unit_of(spans[7]));
	give_back(self->heap, spans[1]);
	give_back(self->heap, spans[2]);
	give_back(self->heap, spans[6]);
	span = pages(self->heap, 40);
	EXPECT_EQ(spans[6], span);
	EXPECT_EQ(spans[1], pages(self->heap, 65));
	EXPECT_EQ(spans[6] + 40 * PAGE, pages(self->heap, 24));
}

TEST_F(placement, prefers_the_unit_with_most_spans_among_equal_holes)
{
	char *few[4], *many[5], *span;
	size_t i;

	for (i = 0; i < 4; i++)
		few[i] = pages(self->heap, 64);
	many[0] = pages(self->heap, 64);
	for (i = 1; i < 5; i++)
		many[i] = pages(self->heap, 48);
	ASSERT_EQ(unit_of(many[0]), unit_of(many[4]));
	ASSERT_NE(unit_of(few[0]), unit_of(many[0]));
	give_back(self->heap, many[0]);
	give_back(self->heap, few[0]);
	span = pages(self->heap, 64);
	EXPECT_EQ(many[0], span);
	EXPECT_EQ(few[0], pages(self->heap, 64));
}

TEST_F(placement, lets_a_nearly_empty_unit_become_empty)
{
	char *spans[12], *others[3];
	size_t i;

	for (i = 0; i < 12; i++)
		spans[i] = pages(self->heap, 64);
	ASSERT_EQ(unit_of(spans[8]), unit_of(spans[11]));
	for (i = 0; i < 11; i += i < 8 ? 4 : 1)
		give_back(self->heap, spans[i]);
	for (i = 0; i < 2; i++) {
		others[i] = pages(self->heap, 64);
		EXPECT_NE(unit_of(spans[11]), unit_of(others[i]));
	}
	EXPECT_EQ(0, stats_of(self->heap).free_huge_bytes);
	give_back(self->heap, spans[11]);
	EXPECT_EQ(UNIT, stats_of(self->heap).free_huge_bytes);
}

/* Each alone would leave a tenth of a huge unit, or nine tenths of one. */
/* A program that always frees one there and takes the next would keep it for ever. */
TEST_F(placement, leaves_a_nearly_empty_unit_to_who_frees_there)
{
	char *full[SPANS_OF_UNIT], *few, *span;
	size_t i;

	for (i = 0; i < SPANS_OF_UNIT; i++)
		full[i] = pages(self->heap, 32);
	few = pages(self->heap, 32);
	ASSERT_EQ(unit_of(full[0]), unit_of(full[SPANS_OF_UNIT - 1]));
	ASSERT_NE(unit_of(full[0]), unit_of(few));
	pages(self->heap, 32);	/* It is not the unit's last. */
	give_back(self->heap, full[3]);
	hpheap_span_free(self->heap, few);
	span = pages(self->heap, 32);
	EXPECT_EQ(full[3], span);

	/* Where units are about as full as the others, what was just freed is taken. */
	hpheap_span_free(self->heap, full[5]);
	EXPECT_EQ(full[5], pages(self->heap, 32));
}

TEST_F(placement, packs_spans_that_are_no_whole_units)
{
	static const size_t sizes[] = { 19 * (UNIT / 20), 21 * (UNIT / 20) };
	struct hpheap_stats stats;
	size_t i;

	for (i = 0; i < 200; i++)
		ASSERT_NE(NULL, hpheap_span_alloc(self->heap, sizes[i % 2], 0, 0));
	stats = stats_of(self->heap);
	EXPECT_GE(stats.used_bytes * 11 / 10, stats.committed_bytes);
}

TEST_F(placement, begins_a_large_span_where_another_one_ends)
{
	char *first = pages(self->heap, 384), *second = pages(self->heap, 400), *third;

	EXPECT_EQ(first + 384 * PAGE, second);
	third = pages(self->heap, 200);
	EXPECT_EQ(second + 400 * PAGE, third);
	give_back(self->heap, second);
	EXPECT_EQ(second, pages(self->heap, 400));
	give_back(self->heap, first);
	give_back(self->heap, second);
	give_back(self->heap, third);
	EXPECT_EQ(stats_of(self->heap).committed_bytes, stats_of(self->heap).free_huge_bytes);
}

TEST_F(placement, keeps_a_small_span_within_one_huge_unit)
{
	uint64_t state = 4;
	char *live[500] = { NULL };
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		char **slot = &live[random_next(&state) % 500];
		const size_t nr = random_next(&state) % HPH_WITHIN_PAGES + 1;

		hpheap_span_free(self->heap, *slot);
		*slot = pages(self->heap, random_next(&state) % 8 ? nr : nr + 300);
		if (hpheap_span_size(self->heap, *slot) <= UNIT / 2)
			ASSERT_EQ(unit_of(*slot), unit_of(*slot + nr * PAGE - 1));
	}
}

TEST_F(placement, is_found_from_every_page_of_a_span_of_every_size)
{
	static const size_t sizes[] = { 63, 64, 65, 127, 128, 129, 255, 256, 257, 384, 512, 513,
				       1000 };
	size_t nr, i, bytes;

	for (nr = 1; nr < 60 + sizeof(sizes) / sizeof(sizes[0]); nr++) {
		const size_t size = nr < 60 ? nr : sizes[nr - 60];
		char *span = pages(self->heap, size);

		ASSERT_NE(NULL, span);
		for (i = 0; i < size; i++) {
			ASSERT_EQ(span, hpheap_span_find(self->heap, span + i * PAGE, &bytes));
			ASSERT_EQ(size * PAGE, bytes);
			ASSERT_EQ(span, hpheap_span_find(self->heap, span + (i + 1) * PAGE - 1,
							 NULL));
		}
		if (nr % 3 == 0)
			hpheap_span_free(self->heap, span);
	}
	EXPECT_EQ(NULL, hpheap_span_find(self->heap, NULL, NULL));
	EXPECT_EQ(NULL, hpheap_span_find(self->heap, (void *)UINTPTR_MAX, NULL));
}

/* As many as there are units, for they begin and end within them. */
TEST_F(placement, packs_large_spans_into_free_units)
{
	size_t i;

	ASSERT_EQ(0, hpheap_reserve(self->heap, 9 * UNIT, HPHEAP_NODE_ANY));
	for (i = 0; i < 6; i++)
		ASSERT_NE(NULL, pages(self->heap, 384));
	EXPECT_EQ(9 * UNIT, stats_of(self->heap).committed_bytes);
}

/* Who asks for ever more does not leave all that was there behind. */
TEST_F(placement, lengthens_a_free_run_by_what_it_lacks)
{
	char *span, *wall;
	size_t nr;

	for (nr = 1; nr <= 20; nr++) {
		span = hpheap_span_alloc(self->heap, nr * UNIT, 0, 0);
		ASSERT_NE(NULL, span);
		ASSERT_EQ(nr * UNIT, stats_of(self->heap).committed_bytes);
		give_back(self->heap, span);
	}
	/* Behind it are first units whose memory has gone, then new ones. */
	ASSERT_EQ(17 * UNIT, hpheap_scavenge(self->heap, 17 * UNIT));
	EXPECT_EQ(span, hpheap_span_alloc(self->heap, 5 * UNIT, 0, 0));
	EXPECT_EQ(5 * UNIT, stats_of(self->heap).committed_bytes);
	give_back(self->heap, span);
	EXPECT_EQ(span, hpheap_span_alloc(self->heap, 40 * UNIT, 0, 0));
	EXPECT_EQ(40 * UNIT, stats_of(self->heap).committed_bytes);

	/* What is in use there stays where it is. */
	wall = hpheap_span_alloc(self->heap, UNIT, 0, 0);
	give_back(self->heap, span);
	EXPECT_LT(wall, (char *)hpheap_span_alloc(self->heap, 41 * UNIT, 0, 0));
	EXPECT_EQ(82 * UNIT, stats_of(self->heap).committed_bytes);
}

/* A limit counts only what is missing. */
TEST_F(placement, lengthens_a_free_run_up_to_a_limit)
{
	char *span;

	hpheap_set_limit(self->heap, 6 * UNIT);
	span = hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0);
	give_back(self->heap, span);
	EXPECT_EQ(span, hpheap_span_alloc(self->heap, 6 * UNIT, 0, 0));
	EXPECT_EQ(0, stats_of(self->heap).release_calls);
	give_back(self->heap, span);
	EXPECT_EQ(NULL, hpheap_span_alloc(self->heap, 7 * UNIT, 0, 0));
}

/* It is no longer than the span, so a hole with room for any alignment it is not. */
TEST_F(placement, fills_an_aligned_hole_again)
{
	char *first = hpheap_span_alloc(self->heap, 128 * PAGE, 128 * PAGE, 0);
	char *second = hpheap_span_alloc(self->heap, 128 * PAGE, 128 * PAGE, 0);

	ASSERT_EQ(unit_of(first), unit_of(second));
	give_back(self->heap, first);
	EXPECT_EQ(first, hpheap_span_alloc(self->heap, 128 * PAGE, 128 * PAGE, 0));
}

/* The thread's cache would like to have more of them than there are. */
TEST_F(placement, begins_no_free_unit_for_a_cache_alone)
{
	size_t i;

	ASSERT_EQ(0, hpheap_reserve(self->heap, 2 * UNIT, HPHEAP_NODE_ANY));
	for (i = 0; i < HPH_UNIT_PAGES; i++)
		ASSERT_NE(NULL, pages(self->heap, 1));
	EXPECT_EQ(0, stats_of(self->heap).cached_bytes);
	EXPECT_EQ(UNIT, stats_of(self->heap).free_huge_bytes);
}

/* There is nothing at these addresses: who clears it dies. */
TEST_F(placement, knows_what_is_zero)
{
	char *span = hpheap_span_alloc(self->heap, UNIT, UNIT, HPHEAP_SPAN_ZERO), *last;
	size_t i;

	ASSERT_NE(NULL, span);
	for (i = 0; i < 40; i++)
		ASSERT_NE(NULL, hpheap_span_alloc(self->heap, PAGE, 0, HPHEAP_SPAN_ZERO));
	EXPECT_LT(0, stats_of(self->heap).cached_bytes);

	/* What was given back is zero when it is there again. */
	give_back(self->heap, span);
	for (i = 0; i < 255; i++)
		ASSERT_NE(NULL, pages(self->heap, 1));
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_LT(0, stats_of(self->heap).away_bytes);
	last = hpheap_span_alloc(self->heap, 60 * PAGE, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, last);
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
}

/* One unit is free, the one beside it has no memory, and there are no others. */
TEST_F(placement, gives_back_memory_where_addresses_are_short)
{
	char *span;

	self->fake.space.high = self->fake.space.low + 3 * UNIT;
	self->heap->arena.block_bytes = 2 * UNIT;
	ASSERT_EQ(0, hpheap_reserve(self->heap, 2 * UNIT, HPHEAP_NODE_ANY));
	ASSERT_EQ(UNIT, hpheap_scavenge(self->heap, UNIT));
	span = hpheap_span_alloc(self->heap, 2 * UNIT, 0, 0);
	EXPECT_NE(NULL, span);
	EXPECT_EQ(2 * UNIT, stats_of(self->heap).committed_bytes);
}

/* Blocks come from below, above and between; what was begun is used before. */
TEST_F(placement, follows_the_addresses_that_the_system_gives)
{
	static const uintptr_t bases[] = { 0x40000000, 0x20001000, 0x80000000, 0x30003000 };
	char *first, *below, *above, *between;

	memcpy(self->fake.script, bases, sizeof(bases));
	self->fake.scripted = 4;
	self->heap->arena.block_bytes = 4 * UNIT;
	first = hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0);
	below = hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0);
	above = hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0);
	between = hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0);
	EXPECT_EQ(0x40000000, (uintptr_t)first);
	EXPECT_EQ(0x20200000, (uintptr_t)below);
	EXPECT_EQ(0x80000000, (uintptr_t)above);
	EXPECT_EQ(0x30200000, (uintptr_t)between);
	EXPECT_EQ(4, stats_of(self->heap).arenas);
	EXPECT_EQ(4, stats_of(self->heap).grow_calls);
	give_back(self->heap, above);
	EXPECT_EQ(above, hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0));
}

/* By the page tables: the counters of a process are some pages behind for each CPU. */
static uint64_t resident(void)
{
	return smaps_bytes(NULL, SIZE_MAX, "Rss:");
}

/* What the fake backend needs for itself is there before. */
TEST_F(placement, is_known_in_less_than_one_percent)
{
	static const size_t heaps[] = { 64 * MIB, 1024 * MIB, 2048 * MIB };
	uintptr_t number;
	uint64_t state = 1, before;
	size_t i;

	for (number = hph_unit_of(1 << 28); number < hph_unit_of(3U << 30); number++)
		fake_unit(&self->fake, number)->port = 0;
	before = resident();
	for (i = 0; i < sizeof(heaps) / sizeof(heaps[0]); i++) {
		while (stats_of(self->heap).committed_bytes < heaps[i])
			ASSERT_NE(NULL, pages(self->heap, random_next(&state) % 200 + 1));
		EXPECT_GE(heaps[i] / 100, resident() - before);
	}
}

TEST_HARNESS_MAIN
