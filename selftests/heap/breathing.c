// SPDX-License-Identifier: GPL-2.0-only
/*
 * A service that breathes: it idles with little memory, and when the load is back it is on
 * huge pages again. The workload is that of `make bench BENCH=breathing`.
 */
#include "kselftest_harness.h"
#define TEST_SCAVENGER
#include "heap.h"
#include "breathing.h"
#include "footprints.h"

#define PEAK		(64 * MIB)
#define LARGEST		(1 * MIB)	/* of the records */
#define ROUNDS		2
#define PATIENCE_BACK	30

/* Of live bytes. Who makes sparse units huge again has all of their memory. */
#define MOST_IDLE	2.1
#define MOST_FULL	1.8

FIXTURE(breathing) {
};

FIXTURE_VARIANT(breathing) {
	enum hpheap_backend backend;
};

FIXTURE_VARIANT_ADD(breathing, thp) { .backend = HPHEAP_BACKEND_THP };
/* The device's memory, where there is a device. */
FIXTURE_VARIANT_ADD(breathing, auto) { .backend = HPHEAP_BACKEND_AUTO };

FIXTURE_SETUP(breathing)
{
	measured = heap_on(variant->backend);
	ASSERT_NE(NULL, measured);
}

FIXTURE_TEARDOWN(breathing)
{
	hpheap_destroy(measured);
}

struct round {
	struct tide tide;
	bool margin_only;	/* when it idled */
	bool divisible;
};

static struct round rounds[ROUNDS];
static unsigned int round_number;

/*
 * Sparse units are broken again after five windows, not after sixty (footprints.h): on a slow
 * machine that would be while the load comes back.
 */
static void let_sparse_go(bool go)
{
	static struct hpheap_policy usual = { .size = sizeof(usual) };
	struct hpheap_policy policy;

	if (!usual.idle_windows && hpheap_get_policy(&usual))
		abort();
	policy = usual;
	if (!go)
		policy.idle_windows = 10000;
	if (hpheap_set_policy(&policy))
		abort();
}

static bool is_settled(const struct footprint *footprint)
{
	struct round *round = &rounds[round_number];
	bool settled;

	round->margin_only = keeps_a_margin_only();
	round->divisible = is_divisible();
	settled = round->margin_only && (!round->divisible ||
					 share(footprint->resident, footprint->live) <= MOST_IDLE);
	if (settled)
		let_sparse_go(false);
	return settled;
}

static bool huge_at_last;

static bool is_back(const struct footprint *footprint)
{
	(void)footprint;
	huge_at_last = is_huge();
	return huge_at_last;
}

static void told(const struct tide *tide, void *unused)
{
	(void)unused;
	rounds[round_number++].tide = *tide;
	let_sparse_go(true);
}

/*
 * Half as many octaves below the base page as above it: then a third of the bytes are in
 * records that share base pages, wherever it runs.
 */
static size_t smallest(void)
{
	size_t size = base_page(), above;

	for (above = base_page(); above < LARGEST; above *= 4)
		size /= 2;
	return size;
}

TEST_F(breathing, idles_with_little_and_comes_back_huge)
{
	const struct breathing breathing = {
		.peak = PEAK, .smallest = smallest(), .largest = LARGEST, .seed = 1,
		.rounds = ROUNDS, .turns = 1, .idle_seconds = PATIENCE,
		.back_seconds = PATIENCE_BACK, .idle = is_settled, .back = is_back,
	};
	static struct breath breath;
	struct allocator allocator;
	unsigned int i;

	heap_objects_open(&allocator, measured);
	breathe(&breathing, &allocator, told, NULL, &breath);
	ASSERT_EQ(ROUNDS, round_number);
	for (i = 0; i < ROUNDS; i++) {
		const struct tide *tide = &rounds[i].tide;

		TH_LOG("resident / live: %.2f at high tide, %.2f at low tide, %.2f idle, %.2f back",
		       share(tide->top.resident, tide->top.live),
		       share(tide->low.resident, tide->low.live),
		       share(tide->idle.resident, tide->idle.live),
		       share(tide->full.resident, tide->full.live));
		TH_LOG("%.3f of that on huge pages", share(tide->full.huge, tide->full.resident));
		EXPECT_TRUE(rounds[i].margin_only);
		if (rounds[i].divisible)
			EXPECT_LE(share(tide->idle.resident, tide->idle.live), MOST_IDLE);
		EXPECT_LE(share(tide->full.resident, tide->full.live), MOST_FULL);
	}
	EXPECT_TRUE(huge_at_last);
	EXPECT_EQ(0, stats_of(measured).object_bytes);
	EXPECT_SOUND(measured);
	hpheap_scavenge(measured, SIZE_MAX);
	EXPECT_EQ(0, stats_of(measured).used_bytes);
}

TEST_HARNESS_MAIN
