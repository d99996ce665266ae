// SPDX-License-Identifier: GPL-2.0-only
/*
 * One record in 64 survives, scattered: what was freed comes back nevertheless, and when as
 * many come again they are on huge pages. The workload is that of `make bench BENCH=survivors`.
 */
#include "kselftest_harness.h"
#define TEST_SCAVENGER
#include "heap.h"
#include "footprints.h"
#include "survivors.h"

#define BYTES		(64 * MIB)
#define LARGEST		(1 * MIB)

#define LEAST_BACK	0.85	/* of the bytes freed */
#define MOST_REFILLED	1.3	/* of live bytes */

FIXTURE(survivors) {
};

FIXTURE_VARIANT(survivors) {
	enum hpheap_backend backend;
};

FIXTURE_VARIANT_ADD(survivors, thp) { .backend = HPHEAP_BACKEND_THP };
/* The device's memory, where there is a device. */
FIXTURE_VARIANT_ADD(survivors, auto) { .backend = HPHEAP_BACKEND_AUTO };

FIXTURE_SETUP(survivors)
{
	measured = heap_on(variant->backend);
	ASSERT_NE(NULL, measured);
}

FIXTURE_TEARDOWN(survivors)
{
	hpheap_destroy(measured);
}

static struct survival survival;
static bool margin_only, divisible;

static bool is_settled(const struct footprint *footprint)
{
	margin_only = keeps_a_margin_only();
	divisible = is_divisible();
	survival.now[0] = *footprint;
	return margin_only && (!divisible || survival_back(&survival, 0) >= LEAST_BACK);
}

static bool refilled_huge;

static bool is_refilled(const struct footprint *footprint)
{
	(void)footprint;
	refilled_huge = is_huge();
	return refilled_huge;
}

TEST_F(survivors, do_not_keep_what_was_freed_around_them)
{
	const size_t smallest = base_page() / 16;
	const struct survivors survivors = {
		.bytes = BYTES, .smallest = smallest,
		.largest = 256 * smallest < LARGEST ? 256 * smallest : LARGEST,
		.seed = 1, .waits = 1, .seconds = { PATIENCE }, .enough = is_settled,
		.refilled_seconds = PATIENCE, .refilled = is_refilled,
	};
	struct allocator allocator;

	heap_objects_open(&allocator, measured);
	survive(&survivors, &allocator, &survival);
	TH_LOG("resident / live: %.2f before, %.2f with the survivors, %.2f refilled",
	       share(survival.top.resident, survival.top.live),
	       share(survival.now[0].resident, survival.now[0].live),
	       share(survival.refilled.resident, survival.refilled.live));
	TH_LOG("%.3f of the freed bytes came back, %.3f are on huge pages again",
	       survival_back(&survival, 0),
	       share(survival.refilled.huge, survival.refilled.resident));
	EXPECT_TRUE(margin_only);
	if (divisible)
		EXPECT_GE(survival_back(&survival, 0), LEAST_BACK);
	EXPECT_LE(share(survival.refilled.resident, survival.refilled.live), MOST_REFILLED);
	EXPECT_TRUE(refilled_huge);
	EXPECT_EQ(0, stats_of(measured).object_bytes);
	EXPECT_SOUND(measured);
	hpheap_scavenge(measured, SIZE_MAX);
	EXPECT_EQ(0, stats_of(measured).used_bytes);
}

TEST_HARNESS_MAIN
