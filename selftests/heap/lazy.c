// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lazy spans: what of a large object is not touched costs nothing, what was whole stays with
 * the heap, and realloc() moves memory instead of copying it.
 */
#include "kselftest_harness.h"
#include "opened.h"
#include "regions.h"

#include <pthread.h>

#define LARGE	(32 * UNIT)

static struct walk walk;

FIXTURE(lazy) {
	struct hpheap *heap;
};

FIXTURE_VARIANT(lazy) {
	enum hpheap_backend backend;
};

FIXTURE_VARIANT_ADD(lazy, thp) {
	.backend = HPHEAP_BACKEND_THP,
};

FIXTURE_VARIANT_ADD(lazy, small) {
	.backend = HPHEAP_BACKEND_SMALL,
};

FIXTURE_SETUP(lazy)
{
	self->heap = heap_on(variant->backend);
	ASSERT_NE(NULL, self->heap);
}

FIXTURE_TEARDOWN(lazy)
{
	EXPECT_SOUND(self->heap);
	hpheap_destroy(self->heap);
}

static long page_faults(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		abort();
	return usage.ru_minflt + usage.ru_majflt;
}

TEST_F(lazy, what_is_not_touched_is_not_there)
{
	char *object = hpheap_malloc_in(self->heap, LARGE + 5 * PAGE);

	ASSERT_NE(NULL, object);
	EXPECT_EQ(0, resident_bytes(object, LARGE));
	EXPECT_EQ(LARGE, stats_of(self->heap).lazy_bytes);
	EXPECT_EQ(LARGE + 5 * PAGE, stats_of(self->heap).used_bytes);
	object[0] = 1;
	object[LARGE / 2] = 1;
	EXPECT_LE(2 * base_page(), resident_bytes(object, LARGE));
	EXPECT_GE(2 * UNIT, resident_bytes(object, LARGE));
	EXPECT_EQ(NULL, take_walk(self->heap, &walk));
	hpheap_free_in(self->heap, object);
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	/* But for the unit that it shared, and those that huge pages had made whole. */
	EXPECT_GE(3 * UNIT, stats_of(self->heap).committed_bytes);
}

/* Where memory comes for many units, one after the other, their addresses are opened at once. */
TEST_F(lazy, units_are_opened_ahead_of_their_memory)
{
	size_t i, open, resident;
	char *spans[24];

	for (i = 0; i < 24; i++) {
		spans[i] = hpheap_span_alloc(self->heap, UNIT, UNIT, 0);
		ASSERT_NE(NULL, spans[i]);
		EXPECT_EQ(UNIT, resident_bytes(spans[i], UNIT));
		EXPECT_EQ(NULL, not_all(spans[i], UNIT, 0));
	}
	open = open_units(self->heap, &resident);
	EXPECT_EQ(0, resident);
	/* Where huge pages are larger than units that is not for those that shall be huge. */
	if (variant->backend == HPHEAP_BACKEND_SMALL)
		EXPECT_LT(0, open);
	for (i = 0; i < 24; i++)
		hpheap_span_free(self->heap, spans[i]);
	EXPECT_EQ(24 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, open_units(self->heap, NULL));

	/* As many as it had are opened with the first that comes again, if they lie in a row. */
	spans[0] = hpheap_span_alloc(self->heap, UNIT, UNIT, 0);
	ASSERT_NE(NULL, spans[0]);
	if (variant->backend == HPHEAP_BACKEND_SMALL)
		EXPECT_LT(4, open_units(self->heap, NULL));
	hpheap_span_free(self->heap, spans[0]);
	EXPECT_EQ(UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, open_units(self->heap, NULL));
}

/* Eight units of a heap, and more of it open than those. */
static bool has_grown(struct hpheap *heap)
{
	size_t i;

	for (i = 0; i < 8; i++)
		if (!hpheap_span_alloc(heap, UNIT, UNIT, 0))
			return false;
	return true;
}

TEST_F(lazy, what_is_open_and_not_used_is_closed)
{
	const uint64_t limit = 64 * MIB;
	size_t open;

	ASSERT_TRUE(has_grown(self->heap));
	open = open_units(self->heap, NULL);
	if (variant->backend == HPHEAP_BACKEND_SMALL)
		ASSERT_LT(0, open);
	/* Once it may have been opened a moment ago. */
	EXPECT_EQ(0, hpheap_scavenge(self->heap, 1));
	EXPECT_EQ(open, open_units(self->heap, NULL));
	EXPECT_EQ(0, hpheap_scavenge(self->heap, 1));
	EXPECT_EQ(0, open_units(self->heap, NULL));
	/* And it can be used as ever. */
	ASSERT_TRUE(has_grown(self->heap));
	EXPECT_EQ(0, hpheap_set_limit(self->heap, limit));
	EXPECT_EQ(0, open_units(self->heap, NULL));
	ASSERT_TRUE(has_grown(self->heap));
	EXPECT_EQ(0, open_units(self->heap, NULL));
	EXPECT_EQ(24 * UNIT, stats_of(self->heap).used_bytes);
}

/* So many ranges are not remembered, and none of them may stay open. */
TEST_F(lazy, what_is_open_in_many_places_is_closed)
{
	size_t i;

	ASSERT_TRUE(has_grown(self->heap));
	for (i = 0; i < 3 * HPH_AHEAD_RANGES; i++)
		ASSERT_NE(NULL, hpheap_span_alloc(self->heap, UNIT, 64 * UNIT, 0));
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, open_units(self->heap, NULL));
}

/* Else a unit that the scavenger has just fetched is given back, for one that has to be filled. */
TEST_F(lazy, what_has_come_meanwhile_is_used)
{
	const struct hph_want want = { .pages = 2 * HPH_UNIT_PAGES, .align = 1, .lazy = true };
	struct hph_zone *zone = hph_zone_here(self->heap);
	uintptr_t addr;
	bool zero;

	ASSERT_EQ(0, hpheap_reserve(self->heap, 2 * UNIT, HPHEAP_NODE_ANY));
	addr = hph_grow_span(self->heap, zone, &want, &zero);
	ASSERT_NE(0, addr);
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
	EXPECT_EQ(0, stats_of(self->heap).release_calls);
	EXPECT_EQ(2 * UNIT, stats_of(self->heap).committed_bytes);
	hpheap_span_free(self->heap, (void *)addr);
}

TEST_F(lazy, what_was_whole_is_kept_and_serves_at_once)
{
	char *object = hpheap_malloc_in(self->heap, LARGE);
	long before;

	ASSERT_NE(NULL, object);
	memset(object, 1, LARGE);
	EXPECT_EQ(LARGE, stats_of(self->heap).lazy_bytes);
	hpheap_free_in(self->heap, object);
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
	EXPECT_STREQ("", wrong_of_free_units(self->heap, LARGE / UNIT));
	object = hpheap_malloc_in(self->heap, LARGE);
	ASSERT_NE(NULL, object);
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
	before = page_faults();
	memset(object, 2, LARGE);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	/* A base page each would be thousands. */
	EXPECT_GE(before + 8, page_faults());
#else
	(void)before;
#endif
	hpheap_free_in(self->heap, object);
}

/* Every other unit, and of those between only their last byte. */
TEST_F(lazy, units_with_holes_go_and_the_others_stay)
{
	const bool holes = variant->backend == HPHEAP_BACKEND_SMALL || !thp_works();
	char *object = hpheap_malloc_in(self->heap, LARGE);
	size_t i;

	ASSERT_NE(NULL, object);
	for (i = 0; i < LARGE; i += 2 * UNIT) {
		memset(object + i, 1, UNIT);
		object[i + 2 * UNIT - 1] = 1;
	}
	hpheap_free_in(self->heap, object);
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	if (holes) {
		EXPECT_EQ(LARGE / 2, stats_of(self->heap).free_huge_bytes);
	} else {
		EXPECT_LE(LARGE / 2, stats_of(self->heap).free_huge_bytes);
	}
	EXPECT_EQ(stats_of(self->heap).free_huge_bytes, resident_bytes(object, LARGE));
	/* And what was left of it is memory like any other: a span of it is there at once. */
	object = hpheap_span_alloc(self->heap, UNIT, 0, 0);
	EXPECT_EQ(UNIT, resident_bytes(object, UNIT));
	hpheap_span_free(self->heap, object);
}

TEST_F(lazy, zeroed_memory_is_zero_without_being_touched)
{
	char *object = hpheap_calloc_in(self->heap, LARGE / 8, 8);

	ASSERT_NE(NULL, object);
	EXPECT_EQ(0, resident_bytes(object, LARGE));
	EXPECT_EQ(true, is_zero(object, LARGE));
	memset(object, 1, LARGE);
	hpheap_free_in(self->heap, object);
	object = hpheap_calloc_in(self->heap, LARGE / 8, 8);
	ASSERT_NE(NULL, object);
	EXPECT_EQ(true, is_zero(object, LARGE));
	hpheap_free_in(self->heap, object);
}

static void fill(char *object, size_t from, size_t bytes)
{
	size_t i;

	for (i = from; i < bytes; i += sizeof(size_t))
		memcpy(object + i, &i, sizeof(i));
}

static bool is_filled(const char *object, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i += sizeof(size_t))
		if (memcmp(object + i, &i, sizeof(i)))
			return false;
	return true;
}

/* A copy would need memory of its own: the numbers of faults tell. */
TEST_F(lazy, realloc_moves_memory)
{
	const size_t bytes = LARGE / 2 + 3 * PAGE;
	char *object = hpheap_malloc_in(self->heap, bytes), *other;
	long before;

	ASSERT_NE(NULL, object);
	fill(object, 0, bytes);
	before = page_faults();
	other = hpheap_realloc_in(self->heap, object, 2 * LARGE);
	ASSERT_NE(NULL, other);
	EXPECT_NE(object, other);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	EXPECT_GE(before + 64, page_faults());
#else
	(void)before;
#endif
	EXPECT_EQ(true, is_filled(other, bytes));
	EXPECT_GE(bytes + 2 * UNIT, resident_bytes(other, 2 * LARGE));
	EXPECT_SOUND(self->heap);
	/* An eighth more than was asked for is there already. */
	EXPECT_LE(2 * LARGE + LARGE / 4, hpheap_malloc_usable_size_in(self->heap, other));
	EXPECT_EQ(other, hpheap_realloc_in(self->heap, other, 2 * LARGE + LARGE / 4));
	object = hpheap_realloc_in(self->heap, other, 12 * UNIT + PAGE);
	ASSERT_NE(NULL, object);
	EXPECT_EQ(true, is_filled(object, 12 * UNIT + PAGE));
	EXPECT_EQ(NULL, take_walk(self->heap, &walk));
	hpheap_free_in(self->heap, object);
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
	EXPECT_EQ(0, stats_of(self->heap).used_bytes);
	/* All that was written was whole, and is kept. */
	EXPECT_EQ(12 * UNIT, resident_bytes(object, 12 * UNIT));
}

/* Parts of a buffer may be mappings of their own, by what a program says of them. */
TEST_F(lazy, realloc_of_what_the_kernel_does_not_move_copies)
{
	char *object = hpheap_malloc_in(self->heap, LARGE);

	ASSERT_NE(NULL, object);
	fill(object, 0, LARGE);
	ASSERT_EQ(0, madvise(object + 7 * UNIT + base_page(), base_page(), MADV_DONTDUMP));
	object = hpheap_realloc_in(self->heap, object, 2 * LARGE);
	ASSERT_NE(NULL, object);
	EXPECT_EQ(true, is_filled(object, LARGE));
	memset(object, 3, 2 * LARGE);
	EXPECT_EQ(NULL, take_walk(self->heap, &walk));
	hpheap_free_in(self->heap, object);
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
}

/* The system has one page of zeroes for all who only read. */
TEST_F(lazy, what_was_only_read_is_no_memory)
{
	char *object = hpheap_calloc_in(self->heap, 1, LARGE);
	long before;

	ASSERT_NE(NULL, object);
	EXPECT_EQ(true, is_zero(object, LARGE));
	hpheap_free_in(self->heap, object);
	object = hpheap_span_alloc(self->heap, LARGE, 0, 0);
	ASSERT_NE(NULL, object);
	before = page_faults();
	memset(object, 1, LARGE);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	EXPECT_GE(before + 8, page_faults());
#else
	(void)before;
#endif
	hpheap_span_free(self->heap, object);
}

TEST_F(lazy, realloc_to_less_does_not_fail)
{
	char *object;

	ASSERT_EQ(0, hpheap_set_limit(self->heap, LARGE));
	object = hpheap_malloc_in(self->heap, LARGE);
	ASSERT_NE(NULL, object);
	errno = 4711;
	EXPECT_EQ(object, hpheap_realloc_in(self->heap, object, LARGE / 4));
	EXPECT_EQ(4711, errno);
	hpheap_free_in(self->heap, object);
}

/* For want of room it gets as much as it was asked for, and says nothing of that. */
TEST_F(lazy, realloc_that_works_leaves_errno_alone)
{
	char *object;

	ASSERT_EQ(0, hpheap_set_limit(self->heap, LARGE + LARGE / 2));
	object = hpheap_malloc_in(self->heap, LARGE / 2);
	ASSERT_NE(NULL, object);
	errno = 4711;
	object = hpheap_realloc_in(self->heap, object, LARGE);
	EXPECT_NE(NULL, object);
	EXPECT_EQ(4711, errno);
	hpheap_free_in(self->heap, object);
}

/* Into memory that the heap had free, and whole: it is replaced. */
TEST_F(lazy, realloc_moves_memory_over_memory)
{
	char *free_one = hpheap_malloc_in(self->heap, LARGE), *object, *other;

	object = hpheap_malloc_in(self->heap, LARGE / 2);
	ASSERT_NE(NULL, free_one);
	ASSERT_NE(NULL, object);
	memset(free_one, 0xee, LARGE);
	fill(object, 0, LARGE / 4);
	hpheap_free_in(self->heap, free_one);
	other = hpheap_realloc_in(self->heap, object, LARGE / 4 * 3);
	ASSERT_NE(NULL, other);
	EXPECT_EQ(free_one, other);
	EXPECT_EQ(true, is_filled(other, LARGE / 4));
	EXPECT_EQ(true, is_zero(other + LARGE / 4, LARGE / 4));
	EXPECT_EQ(NULL, take_walk(self->heap, &walk));
	hpheap_free_in(self->heap, other);
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
}

TEST_F(lazy, an_object_grows_a_little_at_a_time)
{
	char *object = NULL;
	size_t bytes, before = 0;

	for (bytes = UNIT / 2; bytes < 2 * LARGE; bytes += UNIT / 2 + 8 * PAGE) {
		object = hpheap_realloc_in(self->heap, object, bytes);
		ASSERT_NE(NULL, object);
		fill(object, before, bytes);
		before = bytes & ~(sizeof(size_t) - 1);
	}
	EXPECT_EQ(true, is_filled(object, before));
	EXPECT_EQ(NULL, take_walk(self->heap, &walk));
	hpheap_free_in(self->heap, object);
}

struct inherited {
	struct hpheap *heap;
	char *object;
};

static int use_in_child(void *arg)
{
	struct inherited *it = arg;
	char *other;

	if (!is_filled(it->object, LARGE / 2) || !is_zero(it->object + LARGE / 2, LARGE / 2))
		return 1;
	other = hpheap_realloc_in(it->heap, it->object, 2 * LARGE);
	if (!other || !is_filled(other, LARGE / 2) || !is_zero(other + LARGE / 2, LARGE))
		return 2;
	memset(other, 7, 2 * LARGE);
	hpheap_free_in(it->heap, other);
	return stats_of(it->heap).lazy_bytes ? 3 : 0;
}

TEST_F(lazy, a_child_has_a_copy_of_what_was_touched)
{
	struct inherited it = { self->heap, hpheap_calloc_in(self->heap, 1, LARGE) };

	ASSERT_NE(NULL, it.object);
	fill(it.object, 0, LARGE / 2);
	EXPECT_EQ(0, in_child(use_in_child, &it));
	EXPECT_EQ(true, is_filled(it.object, LARGE / 2));
	EXPECT_EQ(LARGE, stats_of(self->heap).lazy_bytes);
	hpheap_free_in(self->heap, it.object);
}

TEST_F(lazy, a_limit_counts_what_may_be_touched)
{
	ASSERT_EQ(0, hpheap_set_limit(self->heap, LARGE));
	errno = 0;
	EXPECT_EQ(NULL, hpheap_malloc_in(self->heap, LARGE + 1));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
}

/* The first touch would bring all of it. */
TEST_F(lazy, a_span_of_one_unit_is_there)
{
	char *span = hpheap_span_alloc(self->heap, UNIT, 0, HPHEAP_SPAN_LAZY);
	char *object = hpheap_malloc_in(self->heap, UNIT);

	ASSERT_NE(NULL, span);
	ASSERT_NE(NULL, object);
	EXPECT_EQ(UNIT, resident_bytes(span, UNIT));
	EXPECT_EQ(UNIT, resident_bytes(object, UNIT));
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
}

TEST_F(lazy, spans_are_lazy_only_when_that_is_asked_for)
{
	char *eager = hpheap_span_alloc(self->heap, LARGE, 0, 0);
	char *lazy = hpheap_span_alloc(self->heap, LARGE, 8 * UNIT, HPHEAP_SPAN_LAZY);
	char *small = hpheap_span_alloc(self->heap, PAGE, 0, HPHEAP_SPAN_LAZY);

	ASSERT_NE(NULL, eager);
	ASSERT_NE(NULL, lazy);
	ASSERT_NE(NULL, small);
	EXPECT_EQ(0, (uintptr_t)lazy % (8 * UNIT));
	EXPECT_EQ(LARGE, resident_bytes(eager, LARGE));
	EXPECT_EQ(0, resident_bytes(lazy, LARGE));
	EXPECT_EQ(2 * PAGE > base_page() ? PAGE / base_page() * base_page() : 0,
		  resident_bytes(small, PAGE / base_page() * base_page()));
	EXPECT_EQ(LARGE, stats_of(self->heap).lazy_bytes);
	hpheap_span_free(self->heap, eager);
	hpheap_span_free(self->heap, small);
	hpheap_span_free(self->heap, lazy);
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
}

/* Whole units and empty ones come to lie mixed; that must not make it grow for ever. */
TEST_F(lazy, a_heap_of_large_objects_stays_small)
{
	char *objects[4] = { NULL };
	unsigned int seed = 7, i;
	size_t bytes;

	for (i = 0; i < 300; i++) {
		char **object = &objects[rand_r(&seed) % 4];

		hpheap_free_in(self->heap, *object);
		bytes = UNIT + (size_t)rand_r(&seed) % (12 * UNIT);
		*object = hpheap_malloc_in(self->heap, bytes);
		ASSERT_NE(NULL, *object);
		memset(*object, 1, bytes / (1 + i % 3));
	}
	/* All of them together are 52 units at most. */
	EXPECT_GE(2 * 52 * UNIT, stats_of(self->heap).peak_committed_bytes);
	EXPECT_GE(12 * 52 * UNIT, stats_of(self->heap).address_bytes);
	EXPECT_EQ(NULL, take_walk(self->heap, &walk));
	for (i = 0; i < 4; i++)
		hpheap_free_in(self->heap, objects[i]);
}

/* Each allocates, touches part of it, and frees. */
static void *churn(void *arg)
{
	struct hpheap *heap = arg;
	unsigned int seed = (unsigned int)(uintptr_t)&seed >> 12, i;
	char *object;
	size_t bytes;

	for (i = 0; i < 20; i++) {
		bytes = UNIT + (size_t)rand_r(&seed) % (12 * UNIT);
		object = hpheap_malloc_in(heap, bytes);
		if (!object)
			return "malloc";
		memset(object, (int)i, bytes / (1 + i % 3));
		object = hpheap_realloc_in(heap, object, 2 * bytes);
		if (!object || not_all(object, bytes / (1 + i % 3) & ~(size_t)7, (unsigned char)i))
			return "realloc";
		hpheap_free_in(heap, object);
	}
	return NULL;
}

TEST_F(lazy, threads_meet)
{
	pthread_t threads[4];
	unsigned int i;
	void *wrong;

	use_all_cpus();
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, churn, self->heap));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &wrong));
		EXPECT_EQ(NULL, wrong) { TH_LOG("%s", (char *)wrong); }
	}
	EXPECT_EQ(0, stats_of(self->heap).lazy_bytes);
	EXPECT_EQ(0, stats_of(self->heap).used_bytes);
	/* Each has 13 units and 26 at a time. */
	EXPECT_GE(3 * 4 * 39 * UNIT, stats_of(self->heap).peak_committed_bytes);
}

TEST_HARNESS_MAIN
