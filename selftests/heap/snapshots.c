// SPDX-License-Identifier: GPL-2.0-only
/*
 * A service with threads that forks snapshots of itself under load: what a child has is
 * one moment of its parent, whatever that writes since, and both go on with their heap.
 */
#include "kselftest_harness.h"
#define TEST_MAY_MOVE
#include "heap.h"

#include <pthread.h>
#include <stdatomic.h>

#include "latency.h"

#define WRITERS		2
#define SPANS		24
#define SNAPSHOTS	6

#define OWNER	1		/* a word of each span that the parent wrote once, */
#define PARENT	UINT64_C(0x706172656e74)	/* and that children write to */

/* Spans of one writer; a word in each counts, one span after the other. */
struct writer {
	pthread_t thread;
	struct hpheap *heap;
	uint64_t *spans[SPANS];
	struct latency latency;	/* of its writes */
	bool failed;
};

static struct writer writers[WRITERS];
static _Atomic bool stop;

FIXTURE(snapshots) {
	struct hpheap *heap;
};

FIXTURE_VARIANT(snapshots) {
	enum hpheap_backend backend;
};

FIXTURE_VARIANT_ADD(snapshots, thp) { .backend = HPHEAP_BACKEND_THP };
/* The device's memory, where there is a device. */
FIXTURE_VARIANT_ADD(snapshots, auto) { .backend = HPHEAP_BACKEND_AUTO };

FIXTURE_SETUP(snapshots)
{
	size_t i, j;

	self->heap = heap_on(variant->backend);
	ASSERT_NE(NULL, self->heap);
	for (i = 0; i < WRITERS; i++) {
		writers[i].heap = self->heap;
		for (j = 0; j < SPANS; j++) {
			writers[i].spans[j] = hpheap_span_alloc(self->heap, UNIT / 4, 0,
								HPHEAP_SPAN_ZERO);
			ASSERT_NE(NULL, writers[i].spans[j]);
			writers[i].spans[j][OWNER] = PARENT;
		}
	}
}

FIXTURE_TEARDOWN(snapshots)
{
	hpheap_destroy(self->heap);
}

/* Round after round, and now and then a span that comes and goes. */
static void *write_on(void *arg)
{
	struct writer *writer = arg;
	uint64_t round;
	double begin;
	size_t j;
	char *span;

	for (round = 1; !stop; round++) {
		for (j = 0; j < SPANS; j++) {
			begin = now();
			*(volatile uint64_t *)writer->spans[j] = round;
			latency_record(&writer->latency, (uint64_t)((now() - begin) * 1e9));
			atomic_thread_fence(memory_order_seq_cst);
		}
		span = hpheap_span_alloc(writer->heap, (round % 7 + 1) * 40 * KIB, 0, 0);
		writer->failed |= !span;
		if (span)
			*span = 1;
		hpheap_span_free(writer->heap, span);
	}
	return NULL;
}

/* At any moment a writer's first spans are of one round, and the others of the one before. */
static bool is_one_moment(const struct writer *writer, uint64_t seen[SPANS])
{
	bool is = true;
	size_t j;

	for (j = 0; j < SPANS; j++)
		seen[j] = *(volatile uint64_t *)writer->spans[j];
	for (j = 1; j < SPANS; j++)
		is &= seen[j] == seen[j - 1] || seen[j] + 1 == seen[j - 1];
	return is && seen[0] - seen[SPANS - 1] <= 1;
}

/* All that the parent has, with nothing of what any child did. */
static bool are_the_parents(const struct writer *writer)
{
	size_t j;

	for (j = 0; j < SPANS; j++)
		if (writer->spans[j][OWNER] != PARENT)
			return false;
	return true;
}

static int be_a_snapshot(void *arg)
{
	uint64_t seen[WRITERS][SPANS], again[SPANS];
	struct hpheap *heap = arg;
	char *own;
	size_t i, j;

	for (i = 0; i < WRITERS; i++)
		if (!is_one_moment(&writers[i], seen[i]) || !are_the_parents(&writers[i]))
			return 1;
	own = hpheap_span_alloc(heap, 2 * UNIT, 0, HPHEAP_SPAN_ZERO);
	if (!own || !is_zero(own, 2 * UNIT))
		return 2;
	memset(own, 1, 2 * UNIT);
	usleep(50000);
	for (i = 0; i < WRITERS; i++)
		if (!is_one_moment(&writers[i], again) || memcmp(seen[i], again, sizeof(again)))
			return 3;
	/* And what it writes is nobody else's. */
	for (i = 0; i < WRITERS; i++)
		for (j = 0; j < SPANS; j++)
			writers[i].spans[j][0] = writers[i].spans[j][OWNER] = UINT64_MAX;
	hpheap_span_free(heap, own);
	hpheap_span_free(heap, writers[0].spans[1]);
	return stats_of(heap).spans < WRITERS * SPANS - 1 ? 4 : 0;
}

TEST_F(snapshots, are_of_one_moment_and_stay_that)
{
	static struct latency all;
	uint64_t seen[SPANS];
	size_t i;

	for (i = 0; i < WRITERS; i++)
		ASSERT_EQ(0, pthread_create(&writers[i].thread, NULL, write_on, &writers[i]));
	for (i = 0; i < SNAPSHOTS; i++)
		EXPECT_EQ(0, in_child(be_a_snapshot, self->heap));
	stop = true;
	for (i = 0; i < WRITERS; i++) {
		ASSERT_EQ(0, pthread_join(writers[i].thread, NULL));
		EXPECT_FALSE(writers[i].failed);
		EXPECT_TRUE(is_one_moment(&writers[i], seen));
		EXPECT_EQ(seen[0], seen[SPANS - 1]);
		EXPECT_TRUE(are_the_parents(&writers[i]));
		latency_merge(&all, &writers[i].latency);
	}
	EXPECT_EQ(WRITERS * SPANS, stats_of(self->heap).spans);
	TH_LOG("99.9 %% of writes took at most %llu ns",
	       (unsigned long long)latency_at(&all, 0.999));
}

TEST_HARNESS_MAIN
