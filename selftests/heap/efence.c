// SPDX-License-Identifier: GPL-2.0-only
/*
 * efence mode: a use after free faults, at once and for ever.
 */
#include "kselftest_harness.h"
#include "heap.h"

#include <pthread.h>

static struct hpheap *efence_on(enum hpheap_backend backend)
{
	const struct hpheap_options options = {
		.size = sizeof(options), .backend = backend, .flags = HPHEAP_EFENCE,
	};

	return hpheap_create(&options);
}

FIXTURE(efence) {
	struct hpheap *heap;
};
FIXTURE_VARIANT(efence) {
	enum hpheap_backend backend;
};
FIXTURE_VARIANT_ADD(efence, thp) { .backend = HPHEAP_BACKEND_THP };
FIXTURE_VARIANT_ADD(efence, small) { .backend = HPHEAP_BACKEND_SMALL };
FIXTURE_VARIANT_ADD(efence, auto) { .backend = HPHEAP_BACKEND_AUTO };
FIXTURE_SETUP(efence)
{
	self->heap = efence_on(variant->backend);
	ASSERT_NE(NULL, self->heap);
}
FIXTURE_TEARDOWN(efence)
{
	hpheap_destroy(self->heap);
}

TEST_F(efence, a_use_after_free_faults_at_once_and_neighbours_live)
{
	static const size_t sizes[] = { 1, PAGE, 3 * PAGE, 40 * PAGE, 700 * KIB, 3 * UNIT + 1 };
	char *before, *span, *behind;
	size_t i, bytes;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		before = hpheap_span_alloc(self->heap, PAGE, 0, 0);
		span = hpheap_span_alloc(self->heap, sizes[i], 0, 0);
		behind = hpheap_span_alloc(self->heap, PAGE, 0, 0);
		ASSERT_TRUE(before && span && behind);
		bytes = hpheap_span_size(self->heap, span);
		EXPECT_LE(sizes[i], bytes);
		EXPECT_EQ(0, bytes % base_page());
		memset(span, 1, bytes);
		*before = *behind = 7;
		hpheap_span_free(self->heap, span);
		EXPECT_EQ(SIGSEGV, touch(span));
		EXPECT_EQ(SIGSEGV, touch(span + bytes / 2));
		EXPECT_EQ(SIGSEGV, touch(span + bytes - 1));
		EXPECT_EQ(7, *before);
		EXPECT_EQ(7, *behind);
		hpheap_span_free(self->heap, before);
		EXPECT_EQ(7, *behind);
		EXPECT_SOUND(self->heap);
	}
}

TEST_F(efence, addresses_are_never_used_again_and_memory_goes_back)
{
	enum { ROUNDS = 3000 };
	static char *seen[ROUNDS];
	const size_t bytes = 16 * PAGE;
	struct hpheap_stats stats;
	size_t i, k;

	for (i = 0; i < ROUNDS; i++) {
		seen[i] = hpheap_span_alloc(self->heap, bytes, 0, HPHEAP_SPAN_ZERO);
		ASSERT_NE(NULL, seen[i]);
		ASSERT_TRUE(is_zero(seen[i], bytes));
		memset(seen[i], 1, bytes);
		hpheap_span_free(self->heap, seen[i]);
	}
	for (i = 0; i < ROUNDS; i += 17)
		for (k = 0; k < ROUNDS; k++)
			ASSERT_TRUE(k == i || seen[k] + bytes <= seen[i] || seen[k] >= seen[i] + bytes);
	for (i = 0; i < ROUNDS; i += 101)
		ASSERT_EQ(SIGSEGV, touch(seen[i]));
	stats = stats_of(self->heap);
	EXPECT_EQ(0, stats.spans);
	EXPECT_EQ(0, stats.used_bytes);
	EXPECT_GE(2 * UNIT, stats.committed_bytes);
	EXPECT_LE(ROUNDS * bytes / UNIT, stats.release_calls);
	EXPECT_SOUND(self->heap);
	hpheap_scavenge(self->heap, SIZE_MAX);
	for (i = 0; i < ROUNDS; i += 103)
		ASSERT_EQ(SIGSEGV, touch(seen[i]));
}

static int free_twice(void *arg)
{
	FIXTURE_DATA(efence) *self = arg;
	char *span = hpheap_span_alloc(self->heap, PAGE, 0, 0);

	hpheap_span_free(self->heap, span);
	hpheap_span_free(self->heap, span);
	return 0;
}

TEST_F(efence, a_second_free_is_noticed)
{
	char text[1024];

	EXPECT_EQ(128 + SIGABRT, in_child_heard(free_twice, self, text, sizeof(text)));
	EXPECT_EQ(1, lines_in(text));
}

#define OUT_OF_TIME	3

/* Every other span stays: each hole is a mapping of its own, of which there are so many. */
static int run_out_of_mappings(void *arg)
{
	struct hpheap *heap = efence_on(HPHEAP_BACKEND_SMALL);
	const time_t start = time(NULL);
	unsigned int rounds;
	char *span, *kept;

	(void)arg;
	for (rounds = 0; rounds < 200000; rounds++) {
		kept = hpheap_span_alloc(heap, base_page(), 0, 0);
		span = hpheap_span_alloc(heap, base_page(), 0, 0);
		if (!kept || !span)
			return errno == ENOMEM && rounds > 10000 ? 0 : 1;
		*kept = 1;
		hpheap_span_free(heap, span);
		if (time(NULL) - start > TEST_TIMEOUT_DEFAULT * 5 / 6)
			return OUT_OF_TIME;
	}
	return 2;
}

TEST(running_out_of_mappings_is_a_clean_enomem)
{
	char text[32] = "";
	int status;
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");

	ASSERT_NE(NULL, file);
	ASSERT_NE(NULL, fgets(text, sizeof(text), file));
	fclose(file);
	if (atol(text) > 150000)
		SKIP(return, "this system allows more mappings than the test makes");
	if (base_page() > 16 * KIB)
		SKIP(return, "so many base pages of this size take gigabytes");
	status = in_child(run_out_of_mappings, NULL);
	if (status == OUT_OF_TIME)
		SKIP(return, "this kernel takes minutes for so many mappings");
	EXPECT_EQ(0, status);
}

static struct hpheap *shared;

static void *churn(void *arg)
{
	uint64_t state = (uintptr_t)arg;
	char *span;
	int i;

	for (i = 0; i < 2000; i++) {
		span = hpheap_span_alloc(shared, (random_next(&state) % 24 + 1) * PAGE, 0, 0);
		if (!span)
			return "no memory";
		*span = 1;
		hpheap_span_free(shared, span);
	}
	return NULL;
}

TEST_F(efence, threads_share_it)
{
	pthread_t threads[4];
	void *wrong;
	uintptr_t i;

	ASSERT_TRUE(use_all_cpus());
	shared = self->heap;
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, churn, (void *)(i + 1)));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], &wrong));
		EXPECT_EQ(NULL, wrong);
	}
	EXPECT_EQ(0, stats_of(shared).used_bytes);
	EXPECT_SOUND(shared);
}

TEST_HARNESS_MAIN
