// SPDX-License-Identifier: GPL-2.0-only
/*
 * A service with purgeable memory, and a hog beside it that needs more than there is:
 * the kernel takes the marked chunks and nothing else, and nobody is killed. For a
 * guest with little memory: the hog takes all of it.
 */
#include "kselftest_harness.h"
#define TEST_SCAVENGER
#define TEST_MAY_MOVE
#include "heap.h"
#include "../arena/system.h"

#define LIVE_UNITS	24u
#define IDLE_UNITS	56u

static bool is_purgeable(struct hpheap *heap)
{
	return stats_of(heap).purgeable_bytes >= (IDLE_UNITS - 2) * UNIT;
}

static bool comes_true(bool (*condition)(struct hpheap *), struct hpheap *heap)
{
	const double end = now() + 60;

	while (!condition(heap) && now() < end)
		usleep(50000);
	return condition(heap);
}

static int take_all(void *arg)
{
	const size_t bytes = *(size_t *)arg;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	size_t i;

	if (memory == MAP_FAILED)
		return 1;
	for (i = 0; i < bytes; i += base_page())
		memory[i] = (char)(i / base_page());
	for (i = 0; i < bytes; i += base_page())
		if (memory[i] != (char)(i / base_page()))
			return 2;
	return 0;
}

TEST(a_hog_gets_what_is_purgeable_and_nothing_else)
{
	struct hpheap_policy policy = { .size = sizeof(policy) };
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_DEVICE);
	char *live[LIVE_UNITS], *idle;
	long long kills, taken;
	size_t i, bytes;

	if (!heap)
		SKIP(return, "no device: %s", strerror(errno));
	ASSERT_EQ(0, hpheap_get_policy(&policy));
	policy.window_ms = 200;
	policy.purgeable_windows = 10000;
	policy.cpu_permille = 500;
	policy.pressure_ms = 0;
	ASSERT_EQ(0, hpheap_set_policy(&policy));
	for (i = 0; i < LIVE_UNITS; i++) {
		live[i] = hpheap_span_alloc(heap, UNIT, UNIT, 0);
		ASSERT_NE(NULL, live[i]);
		memset(live[i], (int)i + 1, UNIT);
	}
	idle = hpheap_span_alloc(heap, IDLE_UNITS * UNIT, UNIT, 0);
	ASSERT_NE(NULL, idle);
	memset(idle, 0xee, IDLE_UNITS * UNIT);
	ASSERT_EQ(0, stats_of(heap).fallback_bytes);
	hpheap_span_free(heap, idle);
	ASSERT_TRUE(comes_true(is_purgeable, heap));

	kills = value_of("/proc/vmstat", "oom_kill ");
	taken = counter("chunks_taken");
	/* What is marked is kernel memory: not "available" before it was taken. */
	bytes = (size_t)value_of("/proc/meminfo", "MemAvailable:") * KIB + IDLE_UNITS / 2 * UNIT;
	TH_LOG("the hog takes %zu MiB", bytes / MIB);
	EXPECT_EQ(0, in_child(take_all, &bytes));
	EXPECT_EQ(kills, value_of("/proc/vmstat", "oom_kill "));
	EXPECT_LT(taken, counter("chunks_taken"));

	for (i = 0; i < LIVE_UNITS; i++)
		EXPECT_EQ(NULL, not_all(live[i], UNIT, (unsigned char)(i + 1)));
	idle = hpheap_span_alloc(heap, IDLE_UNITS / 2 * UNIT, UNIT, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, idle);
	EXPECT_TRUE(is_zero(idle, IDLE_UNITS / 2 * UNIT));
	EXPECT_SOUND(heap);
	hpheap_destroy(heap);
}

TEST_HARNESS_MAIN
