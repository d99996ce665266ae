// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sparse huge units give their free base pages back, whole ones only, and are
 * huge again when they fill or empty.
 */
#include "kselftest_harness.h"
#include "heap.h"

#include <sched.h>
#include <sys/resource.h>

#include "cache.h"

#define SPANS	256	/* pages of a unit */

FIXTURE(sparse) {
	struct hpheap *heap;
	char *unit;
	char *spans[SPANS];
};
FIXTURE_VARIANT(sparse) {
	enum hpheap_backend backend;
};
FIXTURE_VARIANT_ADD(sparse, thp) { .backend = HPHEAP_BACKEND_THP };
FIXTURE_VARIANT_ADD(sparse, small) { .backend = HPHEAP_BACKEND_SMALL };

/* A unit full of spans of one heap page each, all of them written. */
FIXTURE_SETUP(sparse)
{
	size_t i, k;

	self->heap = heap_on(variant->backend);
	ASSERT_NE(NULL, self->heap);
	for (i = 0; i < SPANS; i++) {
		char *span = hpheap_span_alloc(self->heap, PAGE, 0, 0);

		ASSERT_NE(NULL, span);
		memset(span, 1, PAGE);
		self->unit = (char *)((uintptr_t)span & ~(UNIT - 1));
		k = (size_t)(span - self->unit) / PAGE;
		self->spans[k] = span;
	}
	for (i = 0; i < SPANS; i++)
		ASSERT_NE(NULL, self->spans[i]);
}

FIXTURE_TEARDOWN(sparse)
{
	hpheap_destroy(self->heap);
}

static void free_all_but(FIXTURE_DATA(sparse) *self, size_t step)
{
	size_t i;

	for (i = 0; i < SPANS; i++) {
		if (i % step) {
			hpheap_span_free(self->heap, self->spans[i]);
			self->spans[i] = NULL;
		}
	}
}

static size_t pages_per_base_page(void)
{
	return base_page() > PAGE ? base_page() / PAGE : 1;
}

static bool kept_are_intact(FIXTURE_DATA(sparse) *self)
{
	size_t i;

	for (i = 0; i < SPANS; i++)
		if (self->spans[i] && not_all(self->spans[i], PAGE, 1))
			return false;
	return true;
}

TEST_F(sparse, units_give_back_whole_free_base_pages)
{
	const size_t step = 4 * pages_per_base_page();
	const size_t kept = SPANS / step, away = UNIT - kept * pages_per_base_page() * PAGE;

	free_all_but(self, step);
	EXPECT_EQ(UNIT, resident_bytes(self->unit, UNIT));
	EXPECT_EQ(away, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(UNIT - away, resident_bytes(self->unit, UNIT));
	EXPECT_EQ(away, stats_of(self->heap).away_bytes);
	EXPECT_EQ(0, stats_of(self->heap).free_huge_bytes);
	EXPECT_TRUE(kept_are_intact(self));
	EXPECT_EQ(0, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_SOUND(self->heap);
}

/* That they lack pages was right for so many spans as there were then. */
TEST_F(sparse, units_are_whole_again_when_the_load_is_back)
{
	struct hph_zone *zone = hph_zone_here(self->heap);
	char *small, *large;

	free_all_but(self, 4 * pages_per_base_page());
	EXPECT_FALSE(hph_thicken_back(self->heap, zone, false));
	ASSERT_NE(0, hpheap_scavenge(self->heap, SIZE_MAX));
	ASSERT_NE(0, stats_of(self->heap).away_bytes);
	EXPECT_FALSE(hph_thicken_back(self->heap, zone, false));
	EXPECT_TRUE(hph_thicken_back(self->heap, zone, true));
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	ASSERT_NE(0, hpheap_scavenge(self->heap, SIZE_MAX));
	large = hpheap_span_alloc(self->heap, UNIT, UNIT, 0);
	ASSERT_NE(NULL, large);
	EXPECT_TRUE(hph_thicken_back(self->heap, zone, false));
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	EXPECT_EQ(UNIT, resident_bytes(self->unit, UNIT));
	EXPECT_SOUND(self->heap);
	EXPECT_TRUE(kept_are_intact(self));
	EXPECT_FALSE(hph_thicken_back(self->heap, zone, false));
	/* What came back is zero, and known to be. */
	small = hpheap_span_alloc(self->heap, PAGE, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, small);
	EXPECT_TRUE(is_zero(small, PAGE));
	EXPECT_SOUND(self->heap);
}

/* The load rises slowly, and something is thinned on the way: what went before comes back. */
TEST_F(sparse, units_do_not_wait_for_what_was_thinned_under_more_load)
{
	const size_t step = 4 * pages_per_base_page();
	struct hph_zone *zone = hph_zone_here(self->heap);
	char *spans[SPANS], *large;
	size_t i;

	for (i = 0; i < SPANS; i++)
		spans[i] = hpheap_span_alloc(self->heap, PAGE, 0, 0);
	free_all_but(self, step);
	ASSERT_NE(0, hpheap_scavenge(self->heap, SIZE_MAX));
	large = hpheap_span_alloc(self->heap, 4 * UNIT, UNIT, 0);
	ASSERT_NE(NULL, large);
	for (i = 0; i < SPANS; i++)
		if (i % step)
			hpheap_span_free(self->heap, spans[i]);
	ASSERT_NE(0, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_TRUE(hph_thicken_back(self->heap, zone, false));
	EXPECT_TRUE(hph_thicken_back(self->heap, zone, false));
	EXPECT_FALSE(hph_thicken_back(self->heap, zone, false));
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);

	/* What is thinned once all of that is back is for the load of now. */
	ASSERT_NE(0, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_FALSE(hph_thicken_back(self->heap, zone, false));
	EXPECT_SOUND(self->heap);
}

/* The load may be back without being a quarter more: as if they had never lacked any. */
TEST_F(sparse, units_are_whole_again_when_the_heap_is_well_in_use)
{
	struct hph_zone *zone = hph_zone_here(self->heap);
	struct hpheap_policy policy = { .size = sizeof(policy) }, strict;

	ASSERT_EQ(0, hpheap_get_policy(&policy));
	strict = policy;
	strict.loose_percent = 20;	/* more is free with what is away, and less without it */
	ASSERT_NE(NULL, hpheap_span_alloc(self->heap, 4 * UNIT, UNIT, 0));
	free_all_but(self, 4 * pages_per_base_page());
	EXPECT_FALSE(hph_is_loose(self->heap, zone, &policy));

	/* Who asked for it has it as long as the load is as it was, whatever was found before. */
	ASSERT_NE(0, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_FALSE(hph_thicken_back(self->heap, zone, false));
	EXPECT_FALSE(hph_is_loose(self->heap, zone, &policy));
	EXPECT_FALSE(hph_thicken_back(self->heap, zone, false));

	/* It rises a little: they stay away if much would be free with them, or it was far more. */
	ASSERT_NE(NULL, hpheap_span_alloc(self->heap, 150 * PAGE, 0, 0));
	hph_is_loose(self->heap, zone, &strict);
	EXPECT_FALSE(hph_thicken_back(self->heap, zone, false));
	zone->high = 2 * zone->pages.used_pages;
	hph_is_loose(self->heap, zone, &policy);
	EXPECT_FALSE(hph_thicken_back(self->heap, zone, false));
	zone->high = 0;
	EXPECT_FALSE(hph_is_loose(self->heap, zone, &policy));
	EXPECT_TRUE(hph_thicken_back(self->heap, zone, false));
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	EXPECT_SOUND(self->heap);
}

/* Services lock what they have, so that nothing of it is swapped. */
TEST_F(sparse, units_give_back_pages_that_are_locked)
{
	const size_t step = 4 * pages_per_base_page();
	const size_t kept = SPANS / step, away = UNIT - kept * pages_per_base_page() * PAGE;

	if (mlockall(MCL_CURRENT))
		SKIP(return, "this user may not lock memory");
	free_all_but(self, step);
	EXPECT_EQ(away, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(UNIT - away, resident_bytes(self->unit, UNIT));
	EXPECT_TRUE(kept_are_intact(self));
	munlockall();
}

/* One span in each base page, and it is not the base page's only one. */
TEST_F(sparse, a_base_page_is_never_half_given_back)
{
	const size_t group = pages_per_base_page();

	if (group == 1)
		return;		/* no base page holds two spans */
	free_all_but(self, group);
	EXPECT_EQ(0, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(UNIT, resident_bytes(self->unit, UNIT));
	EXPECT_TRUE(kept_are_intact(self));
}

TEST_F(sparse, dense_units_are_left_whole_unless_all_is_asked_for)
{
	const size_t step = 4 * pages_per_base_page();
	size_t i, free = 0;

	for (i = 0; i < SPANS; i++) {
		if (i % step < step - pages_per_base_page())	/* of four base pages one goes */
			continue;
		hpheap_span_free(self->heap, self->spans[i]);
		self->spans[i] = NULL;
		free += PAGE;
	}
	EXPECT_EQ(0, hpheap_scavenge(self->heap, free));
	EXPECT_EQ(UNIT, resident_bytes(self->unit, UNIT));
	EXPECT_EQ(free, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(UNIT - free, resident_bytes(self->unit, UNIT));
	EXPECT_TRUE(kept_are_intact(self));
}

TEST_F(sparse, what_comes_back_is_zero_and_faults_on_nobody)
{
	const uint64_t commits = stats_of(self->heap).commit_calls;
	struct rusage before, after;
	size_t i, zeroes = 0;
	char *span;

	free_all_but(self, 8 * pages_per_base_page());
	hpheap_scavenge(self->heap, SIZE_MAX);
	ASSERT_NE(0, stats_of(self->heap).away_bytes);
	/* More than what is left in base pages that were not given back. */
	span = hpheap_span_alloc(self->heap, 2 * pages_per_base_page() * PAGE, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	EXPECT_EQ(UNIT, resident_bytes(self->unit, UNIT));
	ASSERT_EQ(0, getrusage(RUSAGE_SELF, &before));
	for (i = 0; i < SPANS / 2; i++) {
		span = hpheap_span_alloc(self->heap, PAGE, 0, HPHEAP_SPAN_ZERO);
		ASSERT_NE(NULL, span);
		zeroes += is_zero(span, PAGE);
		*span = 1;
	}
	ASSERT_EQ(0, getrusage(RUSAGE_SELF, &after));
	EXPECT_EQ(SPANS / 2, zeroes);
	/* The system may have some for reasons of its own: moving pages, or to see who uses them. */
	EXPECT_GE(SPANS / 16, after.ru_minflt - before.ru_minflt);
	EXPECT_EQ(commits, stats_of(self->heap).commit_calls);
	EXPECT_TRUE(kept_are_intact(self));
	EXPECT_SOUND(self->heap);
}

TEST_F(sparse, a_unit_that_empties_is_whole_before_it_is_a_free_huge_one)
{
	size_t i;
	char *span;

	free_all_but(self, 8 * pages_per_base_page());
	hpheap_scavenge(self->heap, SIZE_MAX);
	for (i = 0; i < SPANS; i++)
		hpheap_span_free(self->heap, self->spans[i]);
	EXPECT_EQ(0, stats_of(self->heap).used_bytes);
	EXPECT_EQ(0, stats_of(self->heap).free_huge_bytes);
	EXPECT_SOUND(self->heap);
	span = hpheap_span_alloc(self->heap, UNIT, UNIT, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, UNIT));
	EXPECT_EQ(UNIT, resident_bytes(span, UNIT));
	hpheap_span_free(self->heap, span);
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
}

/* Has the mapping of an address a flag, as "hg"? */
static bool has_flag(const void *addr, const char *flag)
{
	unsigned long first, end;
	bool here = false, has = false;
	char line[512];
	FILE *file = fopen("/proc/self/smaps", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			here = (unsigned long)addr >= first && (unsigned long)addr < end;
		else if (here && !strncmp(line, "VmFlags:", 8))
			has = strstr(line, flag);
	}
	if (file)
		fclose(file);
	return has;
}

/* What the heap believes, beside what the system says and was told. */
TEST_F(sparse, huge_pages_are_lost_and_come_again)
{
	const uint64_t whole =
		variant->backend == HPHEAP_BACKEND_THP && thp_is_a_unit() ? UNIT : 0;
	/* It is asked for also where huge pages are larger than a unit. */
	const bool asked = variant->backend == HPHEAP_BACKEND_THP && thp_bytes();
	char *span;
	size_t i;

	EXPECT_EQ(whole, smaps_bytes(self->unit, UNIT, "AnonHugePages:"));
	EXPECT_EQ(asked, has_flag(self->unit, " hg"));
	free_all_but(self, 8 * pages_per_base_page());
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, smaps_bytes(self->unit, UNIT, "AnonHugePages:"));
	if (asked)
		EXPECT_TRUE(has_flag(self->unit, " nh"));
	span = hpheap_span_alloc(self->heap, 2 * pages_per_base_page() * PAGE, 0, 0);
	EXPECT_EQ(self->unit, (char *)((uintptr_t)span & ~(UNIT - 1)));
	EXPECT_EQ(whole, smaps_bytes(self->unit, UNIT, "AnonHugePages:"));
	EXPECT_EQ(asked, has_flag(self->unit, " hg"));
	EXPECT_TRUE(kept_are_intact(self));
	hpheap_span_free(self->heap, span);
	for (i = 0; i < SPANS; i++)
		hpheap_span_free(self->heap, self->spans[i]);
	hpheap_scavenge(self->heap, 1);	/* takes the caches' spans, if need be */
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
}

static size_t patchy_units(FIXTURE_DATA(sparse) *self)
{
	return hph_zone_here(self->heap)->pages.patchy_units;
}

/* What the scavenger fills for requests to come is huge some time later: it is not waited for. */
TEST_F(sparse, what_came_back_in_parts_is_made_huge)
{
	struct hph_zone *zone = hph_zone_here(self->heap);
	const uint64_t whole =
		variant->backend == HPHEAP_BACKEND_THP && thp_is_a_unit() ? UNIT : 0;
	size_t i;

	free_all_but(self, 8 * pages_per_base_page());
	EXPECT_FALSE(hph_make_huge(self->heap, zone));
	ASSERT_NE(0, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_TRUE(hph_thicken_back(self->heap, zone, true));
	EXPECT_EQ(1, patchy_units(self));
	EXPECT_EQ(UNIT, resident_bytes(self->unit, UNIT));
	EXPECT_EQ(0, smaps_bytes(self->unit, UNIT, "AnonHugePages:"));
	EXPECT_SOUND(self->heap);

	/* It is thin again, or without a span, before its turn comes. */
	ASSERT_NE(0, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, patchy_units(self));
	EXPECT_TRUE(hph_thicken_back(self->heap, zone, true));
	for (i = 0; i < SPANS; i++)
		hpheap_span_free(self->heap, self->spans[i]);
	hph_caches_drain(self->heap);
	EXPECT_EQ(0, patchy_units(self));
	EXPECT_FALSE(hph_make_huge(self->heap, zone));
	EXPECT_SOUND(self->heap);
	self->spans[0] = hpheap_span_alloc(self->heap, PAGE, 0, 0);
	ASSERT_NE(NULL, self->spans[0]);
	EXPECT_EQ(1, patchy_units(self));
	EXPECT_SOUND(self->heap);

	EXPECT_TRUE(hph_make_huge(self->heap, zone));
	EXPECT_EQ(0, patchy_units(self));
	EXPECT_EQ(whole, smaps_bytes(self->unit, UNIT, "AnonHugePages:"));
	EXPECT_FALSE(hph_make_huge(self->heap, zone));
	EXPECT_SOUND(self->heap);
}

static int widen(const struct hpheap_region *region, void *arg)
{
	uintptr_t *range = arg;

	range[0] = range[0] ? range[0] : region->address;
	range[1] = region->address + region->bytes;
	return 0;
}

/* Of all addresses of a heap. */
static uint64_t huge_bytes(struct hpheap *heap)
{
	uintptr_t range[2] = { 0 };

	hpheap_walk(heap, widen, range, NULL);
	return smaps_bytes((void *)range[0], range[1] - range[0], "AnonHugePages:");
}

/* What the statistics call huge, the system does: neither more nor less. */
TEST_F(sparse, what_counts_as_huge_is_huge)
{
	const bool huge = variant->backend == HPHEAP_BACKEND_THP && thp_is_a_unit();
	struct hpheap_stats stats;
	char *large;
	size_t i;

#define EXPECT_HUGE(used, free) do {							\
	stats = stats_of(self->heap);							\
	EXPECT_EQ((free) * UNIT, stats.free_huge_bytes);				\
	EXPECT_EQ(huge ? (used) * UNIT + stats.free_huge_bytes : 0,			\
		  huge_bytes(self->heap));						\
} while (0)
	EXPECT_HUGE(1, 0);
	ASSERT_EQ(0, hpheap_reserve(self->heap, 7 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_HUGE(1, 7);
	large = hpheap_span_alloc(self->heap, 3 * UNIT, 0, 0);
	ASSERT_NE(NULL, large);
	EXPECT_HUGE(4, 4);
	free_all_but(self, 8 * pages_per_base_page());
	hpheap_span_free(self->heap, large);
	EXPECT_HUGE(4, 4);	/* It is in the cache. */

	/* The unit is broken, and stays that when it has no span: free, but not huge. */
	EXPECT_LT(7 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_HUGE(0, 0);
	ASSERT_EQ(0, hpheap_reserve(self->heap, 2 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_HUGE(0, 2);
	for (i = 0; i < SPANS; i++)
		hpheap_span_free(self->heap, self->spans[i]);
	ASSERT_EQ(0, hpheap_reserve(self->heap, 2 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_HUGE(0, stats_of(self->heap).free_huge_bytes / UNIT);
	EXPECT_LE(2 * UNIT, stats.free_huge_bytes);
}

TEST_HARNESS_MAIN
