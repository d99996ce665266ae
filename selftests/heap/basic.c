// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the calls of hpheap.h promise, on the embedded default.
 */
#include "kselftest_harness.h"
#include "regions.h"

FIXTURE(basic) {
	struct hpheap *heap;
};

FIXTURE_SETUP(basic)
{
	self->heap = heap_on(HPHEAP_BACKEND_THP);
	ASSERT_NE(NULL, self->heap);
}

FIXTURE_TEARDOWN(basic)
{
	hpheap_destroy(self->heap);
}

TEST_F(basic, a_new_heap_holds_nothing)
{
	const struct hpheap_stats stats = stats_of(self->heap);

	EXPECT_EQ(0, stats.address_bytes);
	EXPECT_EQ(0, stats.committed_bytes);
	EXPECT_EQ(0, stats.spans);
	EXPECT_EQ(HPHEAP_BACKEND_THP, stats.backend);
	EXPECT_EQ(base_page(), stats.base_page_bytes);
}

TEST_F(basic, units_are_huge_or_the_stats_say_why_not)
{
	const size_t bytes = 4 * UNIT;
	char *span = hpheap_span_alloc(self->heap, bytes, UNIT, 0);
	const struct hpheap_stats stats = stats_of(self->heap);

	ASSERT_NE(NULL, span);
	memset(span, 1, bytes);
	if (thp_works()) {
		EXPECT_NE(NULL, strstr(stats.backend_reason, "asked for"));
		EXPECT_EQ(NULL, strstr(stats.backend_reason, ";"));
		EXPECT_LE(thp_is_a_unit() ? bytes : 0, smaps_bytes(span, bytes, "AnonHugePages:"));
	} else {
		EXPECT_NE(NULL, strstr(stats.backend_reason, "; "));
		EXPECT_EQ(0, smaps_bytes(span, bytes, "AnonHugePages:"));
	}
}

TEST_F(basic, free_huge_bytes_are_huge_pages_of_the_system)
{
	size_t units, there;
	char *span;

	ASSERT_EQ(0, hpheap_reserve(self->heap, 9 * UNIT, HPHEAP_NODE_ANY));
	span = hpheap_span_alloc(self->heap, UNIT, UNIT, 0);
	ASSERT_NE(NULL, span);
	for (units = 8; units; units -= 2) {
		EXPECT_STREQ("", wrong_of_free_units(self->heap, units));
		/* And nothing but these and the span. */
		there = (units + 1) * UNIT;
		EXPECT_EQ(there, smaps_bytes(span, 9 * UNIT, "Rss:"));
		if (thp_is_a_unit())
			EXPECT_EQ(there, smaps_bytes(span, 9 * UNIT, "AnonHugePages:"));
		EXPECT_EQ(2 * UNIT, hpheap_scavenge(self->heap, 2 * UNIT));
	}
}

TEST_F(basic, the_small_backend_takes_no_huge_pages)
{
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_SMALL);
	char *span;

	ASSERT_NE(NULL, heap);
	span = hpheap_span_alloc(heap, 4 * UNIT, UNIT, 0);
	ASSERT_NE(NULL, span);
	memset(span, 1, 4 * UNIT);
	EXPECT_EQ(0, smaps_bytes(span, 4 * UNIT, "AnonHugePages:"));
	EXPECT_EQ(HPHEAP_BACKEND_SMALL, stats_of(heap).backend);
	hpheap_destroy(heap);
}

TEST_F(basic, memory_is_there_before_it_is_touched)
{
	static const size_t sizes[] = { 1, PAGE, 5 * PAGE, UNIT, 3 * UNIT + 1 };
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *span = hpheap_span_alloc(self->heap, sizes[i], UNIT, 0);
		const size_t bytes = hpheap_span_size(self->heap, span) & ~(base_page() - 1);

		ASSERT_NE(NULL, span);
		EXPECT_EQ(bytes, resident_bytes(span, bytes));
	}
}

TEST_F(basic, sizes_are_rounded_up_to_heap_pages)
{
	static const size_t sizes[][2] = {
		{ 1, PAGE }, { PAGE - 1, PAGE }, { PAGE, PAGE }, { PAGE + 1, 2 * PAGE },
		{ UNIT - 1, UNIT }, { UNIT, UNIT }, { UNIT + 1, UNIT + PAGE },
		{ 3 * UNIT + 5 * PAGE, 3 * UNIT + 5 * PAGE },
	};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *span = hpheap_span_alloc(self->heap, sizes[i][0], 0, 0);

		ASSERT_NE(NULL, span);
		EXPECT_EQ(sizes[i][1], hpheap_span_size(self->heap, span));
		EXPECT_EQ(0, (uintptr_t)span % PAGE);
	}
	EXPECT_SOUND(self->heap);
}

TEST_F(basic, every_alignment_is_kept)
{
	static const size_t sizes[] = { 1, 3 * PAGE, 100 * PAGE, UNIT, 2 * UNIT + PAGE };
	size_t align, i;

	for (align = 1; align <= 32 * MIB; align *= 2) {
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			char *span = hpheap_span_alloc(self->heap, sizes[i], align, 0);

			ASSERT_NE(NULL, span);
			EXPECT_EQ(0, (uintptr_t)span % align);
			*span = 1;
			span[sizes[i] - 1] = 1;
		}
	}
	EXPECT_SOUND(self->heap);
}

TEST_F(basic, base_aligned_spans_share_no_base_page)
{
	char *before = hpheap_span_alloc(self->heap, PAGE, 0, 0);
	char *span = hpheap_span_alloc(self->heap, 1, 0, HPHEAP_SPAN_BASE_ALIGNED);
	char *behind = hpheap_span_alloc(self->heap, PAGE, 0, 0);
	const size_t bytes = hpheap_span_size(self->heap, span);

	ASSERT_NE(NULL, before);
	ASSERT_NE(NULL, span);
	ASSERT_NE(NULL, behind);
	EXPECT_EQ(0, (uintptr_t)span % base_page());
	EXPECT_EQ(0, bytes % base_page());
	*before = *behind = 7;
	ASSERT_EQ(0, mprotect(span, bytes, PROT_NONE));
	EXPECT_EQ(7, *before);
	EXPECT_EQ(7, *behind);
	EXPECT_EQ(SIGSEGV, touch(span));
	ASSERT_EQ(0, mprotect(span, bytes, PROT_READ | PROT_WRITE));
	hpheap_span_free(self->heap, span);
}

TEST_F(basic, aligned_holes_are_filled_again)
{
	enum { COUNT = 64 };
	const size_t align = 64 * KIB;
	char *spans[COUNT];
	uint64_t committed;
	int i, round;

	for (i = 0; i < COUNT; i++) {
		spans[i] = hpheap_span_alloc(self->heap, align, align, 0);
		ASSERT_NE(NULL, spans[i]);
	}
	committed = stats_of(self->heap).committed_bytes;
	for (round = 0; round < 10; round++) {
		for (i = 0; i < COUNT; i += 2)
			hpheap_span_free(self->heap, spans[i]);
		for (i = 0; i < COUNT; i += 2) {
			spans[i] = hpheap_span_alloc(self->heap, align, align, 0);
			ASSERT_NE(NULL, spans[i]);
		}
	}
	EXPECT_EQ(committed, stats_of(self->heap).committed_bytes);
}

/* Dirty memory comes back through every way there is: reuse, release, a new unit. */
TEST_F(basic, zero_spans_are_zero)
{
	static const size_t sizes[] = { PAGE, 7 * PAGE, UNIT / 2, UNIT, 3 * UNIT + 9 * PAGE };
	size_t i, round;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			char *span = hpheap_span_alloc(self->heap, sizes[i], 0, HPHEAP_SPAN_ZERO);

			ASSERT_NE(NULL, span);
			EXPECT_TRUE(is_zero(span, sizes[i]));
			memset(span, 0xa5, sizes[i]);
			hpheap_span_free(self->heap, span);
			span = hpheap_span_alloc(self->heap, sizes[i], 0, 0);
			ASSERT_NE(NULL, span);
			memset(span, 0x5a, sizes[i]);
			hpheap_span_free(self->heap, span);
		}
		if (round % 2)
			hpheap_scavenge(self->heap, SIZE_MAX);
	}
}

TEST_F(basic, bad_arguments_are_refused)
{
	struct hpheap_stats stats = { .size = 8 };
	char *span = hpheap_span_alloc(self->heap, 3 * PAGE, 0, 0);
	int on_stack;

#define EXPECT_NO_SPAN(error, heap, bytes, align, flags) do {				\
	errno = 0;									\
	EXPECT_EQ(NULL, hpheap_span_alloc(heap, bytes, align, flags));			\
	EXPECT_EQ(error, errno);							\
} while (0)
	EXPECT_NO_SPAN(EINVAL, self->heap, 0, 0, 0);
	EXPECT_NO_SPAN(EINVAL, self->heap, PAGE, 3, 0);
	EXPECT_NO_SPAN(EINVAL, self->heap, PAGE, PAGE + 1, 0);
	EXPECT_NO_SPAN(EINVAL, self->heap, PAGE, 0, 8);
	EXPECT_NO_SPAN(EINVAL, self->heap, PAGE, 0, ~0U);
	EXPECT_NO_SPAN(EINVAL, NULL, PAGE, 0, 0);
	EXPECT_NO_SPAN(ENOMEM, self->heap, SIZE_MAX, 0, 0);
	EXPECT_NO_SPAN(ENOMEM, self->heap, PAGE, SIZE_MAX / 2 + 1, 0);
	EXPECT_NO_SPAN(ENOMEM, self->heap, (size_t)PTRDIFF_MAX + 1, 0, 0);
	if (sizeof(void *) == 8) {
		/* With 32 bits there is so much. */
		EXPECT_NO_SPAN(ENOMEM, self->heap, PTRDIFF_MAX, 0, 0);
		EXPECT_NO_SPAN(ENOMEM, self->heap, PAGE, SIZE_MAX / 4 + 1, 0);
		EXPECT_NO_SPAN(ENOMEM, self->heap, SIZE_MAX / 4, SIZE_MAX / 4 + 1, 0);
	}

	errno = 0;
	EXPECT_EQ(0, hpheap_span_size(self->heap, span + PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, hpheap_span_size(self->heap, span + 1));
	EXPECT_EQ(0, hpheap_span_size(self->heap, span + 3 * PAGE));
	EXPECT_EQ(0, hpheap_span_size(self->heap, &on_stack));
	EXPECT_EQ(0, hpheap_span_size(self->heap, NULL));
	EXPECT_EQ(0, hpheap_span_size(NULL, span));
	EXPECT_EQ(0, hpheap_span_size(self->heap, (void *)UINTPTR_MAX));
	EXPECT_EQ(3 * PAGE, hpheap_span_size(self->heap, span));

	errno = 0;
	EXPECT_EQ(-1, hpheap_stats(self->heap, &stats));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, hpheap_stats(self->heap, NULL));
	EXPECT_EQ(-1, hpheap_stats(NULL, &stats));
	errno = 0;
	EXPECT_EQ(-1, hpheap_reserve(self->heap, UNIT, 1000000));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, hpheap_reserve(self->heap, UNIT, -2));
	EXPECT_EQ(-1, hpheap_reserve(NULL, UNIT, HPHEAP_NODE_ANY));
	EXPECT_EQ(0, hpheap_scavenge(NULL, UNIT));
	hpheap_span_free(self->heap, NULL);
	hpheap_destroy(NULL);
	EXPECT_SOUND(self->heap);
}

TEST(bad_options_are_refused)
{
	struct hpheap_options options;

#define EXPECT_NO_HEAP(...) do {							\
	options = (struct hpheap_options){ __VA_ARGS__ };				\
	errno = 0;									\
	EXPECT_EQ(NULL, hpheap_create(&options));					\
	EXPECT_EQ(EINVAL, errno);							\
} while (0)
	EXPECT_NO_HEAP(.size = 4);
	EXPECT_NO_HEAP(.size = sizeof(options) + 8);
	EXPECT_NO_HEAP(.backend = 4);
	EXPECT_NO_HEAP(.placement = 3);
	EXPECT_NO_HEAP(.flags = HPHEAP_EFENCE << 1);
	EXPECT_NO_HEAP(.placement = HPHEAP_PLACE_NODE, .node = 1000000);
}

TEST(a_missing_device_is_an_error_only_where_it_was_asked_for)
{
	struct hpheap_options options = {
		.backend = HPHEAP_BACKEND_DEVICE, .device = "/nonexistent/hpheap",
	};
	struct hpheap_stats stats;
	struct hpheap *heap;

	errno = 0;
	EXPECT_EQ(NULL, hpheap_create(&options));
	EXPECT_EQ(ENOENT, errno);
	options.device = "/dev/null";
	EXPECT_EQ(NULL, hpheap_create(&options));
	EXPECT_EQ(ENODEV, errno);

	options.backend = HPHEAP_BACKEND_AUTO;
	heap = hpheap_create(&options);
	ASSERT_NE(NULL, heap);
	stats = stats_of(heap);
	EXPECT_EQ(HPHEAP_BACKEND_THP, stats.backend);
	EXPECT_EQ(HPHEAP_BACKEND_AUTO, stats.backend_wanted);
	EXPECT_NE(NULL, strstr(stats.backend_reason, "/dev/null: this is no hpheap device"));
	hpheap_destroy(heap);
}

TEST_F(basic, reserve_makes_spans_without_growing)
{
	const size_t bytes = 8 * UNIT;
	struct hpheap_stats before, after;
	char *spans[8];
	int i;

	ASSERT_EQ(0, hpheap_reserve(self->heap, bytes - 1, HPHEAP_NODE_ANY));
	before = stats_of(self->heap);
	EXPECT_EQ(bytes, before.free_huge_bytes);
	EXPECT_EQ(8, before.commit_calls);
	for (i = 0; i < 8; i++) {
		spans[i] = hpheap_span_alloc(self->heap, UNIT, UNIT, 0);
		ASSERT_NE(NULL, spans[i]);
	}
	after = stats_of(self->heap);
	EXPECT_EQ(before.commit_calls, after.commit_calls);
	EXPECT_EQ(before.grow_calls, after.grow_calls);
	EXPECT_EQ(before.committed_bytes, after.committed_bytes);
	EXPECT_EQ(bytes, after.used_bytes);

	/* More than are free now, not in all. */
	ASSERT_EQ(0, hpheap_reserve(self->heap, UNIT, 0));
	EXPECT_EQ(UNIT, stats_of(self->heap).free_bytes);
	EXPECT_EQ(0, hpheap_reserve(self->heap, 0, HPHEAP_NODE_ANY));
	EXPECT_EQ(UNIT, stats_of(self->heap).free_bytes);
}

TEST_F(basic, scavenge_gives_memory_back_and_spans_keep_theirs)
{
	char *low = hpheap_span_alloc(self->heap, UNIT, UNIT, 0);
	char *high = hpheap_span_alloc(self->heap, 3 * UNIT, UNIT, 0);
	char *kept = hpheap_span_alloc(self->heap, PAGE, 0, 0);

	ASSERT_NE(NULL, low);
	ASSERT_NE(NULL, high);
	ASSERT_NE(NULL, kept);
	memset(high, 1, 3 * UNIT);
	*kept = 42;
	hpheap_span_free(self->heap, high);
	EXPECT_EQ(3 * UNIT, resident_bytes(high, 3 * UNIT));

	/* Whole units, rounded up, no more. */
	EXPECT_EQ(UNIT, hpheap_scavenge(self->heap, 1));
	EXPECT_EQ(2 * UNIT, resident_bytes(high, 3 * UNIT));
	EXPECT_EQ(0, resident_bytes(high + 2 * UNIT, UNIT));
	EXPECT_EQ(2 * UNIT, hpheap_scavenge(self->heap, 2 * UNIT));
	EXPECT_EQ(0, resident_bytes(high, 3 * UNIT));
	/* All but the base page of the one that is kept. */
	EXPECT_EQ(UNIT - (base_page() > PAGE ? base_page() : PAGE),
		  hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(3, stats_of(self->heap).release_calls);
	EXPECT_EQ(42, *kept);
	EXPECT_SOUND(self->heap);
}

TEST_F(basic, released_addresses_are_used_again)
{
	uint64_t address;
	int i;

	for (i = 0; i < 100; i++) {
		char *span = hpheap_span_alloc(self->heap, 2 * UNIT, 0, 0);

		ASSERT_NE(NULL, span);
		*span = 1;
		hpheap_span_free(self->heap, span);
		EXPECT_EQ(2 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
		if (!i)
			address = stats_of(self->heap).address_bytes;
		EXPECT_EQ(address, stats_of(self->heap).address_bytes);
	}
	EXPECT_EQ(200, stats_of(self->heap).commit_calls);
}

TEST_F(basic, stats_are_exact)
{
	char *one = hpheap_span_alloc(self->heap, PAGE, 0, 0);
	char *two = hpheap_span_alloc(self->heap, UNIT + 1, UNIT, 0);
	struct hpheap_stats stats = stats_of(self->heap);
	struct { struct hpheap_stats stats; char beyond[8]; } newer = {
		.stats.size = sizeof(newer), .beyond = "keep",
	};

	ASSERT_NE(NULL, one);
	ASSERT_NE(NULL, two);
	EXPECT_EQ(2, stats.spans);
	EXPECT_EQ(UNIT + 2 * PAGE, stats.used_bytes);
	EXPECT_EQ(3 * UNIT, stats.committed_bytes);
	EXPECT_EQ(2 * UNIT - 2 * PAGE, stats.free_bytes);
	EXPECT_EQ(0, stats.free_huge_bytes);
	EXPECT_EQ(3, stats.commit_calls);
	hpheap_span_free(self->heap, two);
	stats = stats_of(self->heap);
	EXPECT_EQ(1, stats.spans);
	EXPECT_EQ(PAGE, stats.used_bytes);
	EXPECT_EQ(UNIT + PAGE, stats.cached_bytes);
	EXPECT_EQ(3 * UNIT - PAGE, stats.free_bytes);
	EXPECT_EQ(0, stats.free_huge_bytes);
	EXPECT_EQ(3 * UNIT, stats.peak_committed_bytes);
	EXPECT_EQ(0, stats.device_bytes);
	EXPECT_EQ(0, stats.fallback_bytes);

	ASSERT_EQ(0, hpheap_stats(self->heap, &newer.stats));
	EXPECT_EQ(sizeof(struct hpheap_stats), newer.stats.size);
	EXPECT_STREQ("keep", newer.beyond);
}

TEST(the_limit_holds)
{
	const struct hpheap_options options = {
		.backend = HPHEAP_BACKEND_THP, .limit_bytes = 4 * UNIT + PAGE,
	};
	struct hpheap *heap = hpheap_create(&options);
	char *first, *second;

	ASSERT_NE(NULL, heap);
	first = hpheap_span_alloc(heap, 2 * UNIT, 0, 0);
	second = hpheap_span_alloc(heap, 2 * UNIT, 0, 0);
	ASSERT_NE(NULL, first);
	ASSERT_NE(NULL, second);
	errno = 0;
	EXPECT_EQ(NULL, hpheap_span_alloc(heap, PAGE, 0, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, hpheap_reserve(heap, 1, HPHEAP_NODE_ANY));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(4 * UNIT, stats_of(heap).committed_bytes);

	/* Free memory of the wrong shape goes back for what is asked. */
	hpheap_span_free(heap, first);
	first = hpheap_span_alloc(heap, PAGE, 0, 0);
	ASSERT_NE(NULL, first);
	hpheap_span_free(heap, second);
	second = hpheap_span_alloc(heap, 3 * UNIT, 0, 0);
	EXPECT_NE(NULL, second);
	EXPECT_GE(4 * UNIT, stats_of(heap).peak_committed_bytes);
	EXPECT_SOUND(heap);
	hpheap_destroy(heap);
}

TEST(destroy_gives_all_back)
{
	struct rusage usage;
	struct hpheap *heap;
	char *span = NULL;
	int i;

	for (i = 0; i < 20; i++) {
		heap = heap_on(HPHEAP_BACKEND_THP);
		ASSERT_NE(NULL, heap);
		span = hpheap_span_alloc(heap, 8 * UNIT, UNIT, 0);
		ASSERT_NE(NULL, span);
		memset(span, 1, UNIT);
		hpheap_destroy(heap);
	}
	EXPECT_NE(0, touch(span));
	ASSERT_EQ(0, getrusage(RUSAGE_SELF, &usage));
	EXPECT_GT(100 * (long)KIB, usage.ru_maxrss);
}

TEST(the_default_heap_is_one_and_stays)
{
	struct hpheap *heap = hpheap_default();
	char *span;

	ASSERT_NE(NULL, heap);
	EXPECT_EQ(heap, hpheap_default());
	span = hpheap_span_alloc(heap, PAGE, 0, 0);
	ASSERT_NE(NULL, span);
	hpheap_destroy(heap);
	*span = 1;
	EXPECT_EQ(PAGE, hpheap_span_size(heap, span));
	EXPECT_EQ(heap, hpheap_default());
}

TEST_F(basic, a_request_that_cannot_be_met_takes_nothing_away)
{
	const struct hpheap_options options = {
		.size = sizeof(options), .backend = HPHEAP_BACKEND_THP, .limit_bytes = 8 * UNIT,
	};
	const size_t most = sizeof(size_t) == 8 ? SIZE_MAX / 4 : SIZE_MAX - UNIT;
	struct hpheap *limited = hpheap_create(&options);
	struct hpheap_stats before;
	char *span;

	ASSERT_NE(NULL, limited);
	ASSERT_EQ(0, hpheap_reserve(self->heap, 4 * UNIT, HPHEAP_NODE_ANY));
	before = stats_of(self->heap);
	EXPECT_EQ(NULL, hpheap_span_alloc(self->heap, most, 0, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, hpheap_reserve(self->heap, most, HPHEAP_NODE_ANY));
	EXPECT_EQ(ENOMEM, errno);
	/* Few bytes, at a border that there is no room for; with 32 bits there is for every one. */
	if (sizeof(size_t) == 8) {
		EXPECT_EQ(NULL, hpheap_span_alloc(self->heap, PAGE, SIZE_MAX / 4 + 1, 0));
		EXPECT_EQ(ENOMEM, errno);
	}
	EXPECT_EQ(before.free_huge_bytes, stats_of(self->heap).free_huge_bytes);
	EXPECT_EQ(before.address_bytes, stats_of(self->heap).address_bytes);

	span = hpheap_span_alloc(limited, 6 * UNIT, 0, 0);
	ASSERT_NE(NULL, span);
	ASSERT_EQ(0, hpheap_reserve(limited, UNIT, HPHEAP_NODE_ANY));
	EXPECT_EQ(NULL, hpheap_span_alloc(limited, 3 * UNIT, 0, 0));
	EXPECT_EQ(UNIT, stats_of(limited).free_huge_bytes);
	hpheap_destroy(limited);
}

TEST_HARNESS_MAIN
