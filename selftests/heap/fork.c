// SPDX-License-Identifier: GPL-2.0-only
/*
 * Heaps and fork(). Anonymous memory: parent and child each have their own copy.
 * What a fork does to the device's memory is in device.c and fake_device.c.
 */
#include "kselftest_harness.h"
#include "heap.h"

#include <pthread.h>
#include <stdatomic.h>

FIXTURE(fork) {
	struct hpheap *heap;
	char *span;
};

FIXTURE_SETUP(fork)
{
	self->heap = heap_on(HPHEAP_BACKEND_THP);
	ASSERT_NE(NULL, self->heap);
	self->span = hpheap_span_alloc(self->heap, 2 * UNIT, 0, 0);
	ASSERT_NE(NULL, self->span);
	memset(self->span, 1, 2 * UNIT);
}

FIXTURE_TEARDOWN(fork)
{
	hpheap_destroy(self->heap);
}

static int use_as_child(void *arg)
{
	FIXTURE_DATA(fork) *self = arg;
	char *own;

	if (not_all(self->span, 2 * UNIT, 1))
		return 1;
	memset(self->span, 2, 2 * UNIT);
	own = hpheap_span_alloc(self->heap, UNIT, 0, HPHEAP_SPAN_ZERO);
	if (!own || !is_zero(own, UNIT))
		return 2;
	memset(own, 3, UNIT);
	hpheap_span_free(self->heap, self->span);
	if (!hpheap_scavenge(self->heap, SIZE_MAX))
		return 3;
	return not_all(own, UNIT, 3) ? 4 : 0;
}

TEST_F(fork, gives_the_child_a_heap_of_its_own)
{
	char *own;

	EXPECT_EQ(0, in_child(use_as_child, self));
	EXPECT_EQ(NULL, not_all(self->span, 2 * UNIT, 1));
	own = hpheap_span_alloc(self->heap, UNIT, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, own);
	EXPECT_TRUE(is_zero(own, UNIT));
	EXPECT_EQ(2, stats_of(self->heap).spans);
	EXPECT_SOUND(self->heap);
}

static int fork_again(void *arg)
{
	return in_child(use_as_child, arg) ? 5 : use_as_child(arg);
}

TEST_F(fork, works_in_grandchildren)
{
	EXPECT_EQ(0, in_child(fork_again, self));
	EXPECT_EQ(NULL, not_all(self->span, 2 * UNIT, 1));
}

static struct hpheap *shared_heap;
static _Atomic bool stop;

/* Keeps all locks busy, and units on their way. */
static void *disturb(void *arg)
{
	(void)arg;
	while (!stop) {
		char *span = hpheap_span_alloc(shared_heap, 3 * UNIT, 0, 0);

		if (span)
			hpheap_span_free(shared_heap, span);
		hpheap_scavenge(shared_heap, SIZE_MAX);
		hpheap_destroy(heap_on(HPHEAP_BACKEND_THP));
	}
	return NULL;
}

static int use_disturbed(void *arg)
{
	char *span;
	int i;

	(void)arg;
	alarm(60);
	for (i = 0; i < 3; i++) {
		span = hpheap_span_alloc(shared_heap, UNIT + PAGE, 0, HPHEAP_SPAN_ZERO);
		if (!span || !is_zero(span, UNIT + PAGE))
			return 1;
		memset(span, 1, UNIT + PAGE);
		hpheap_span_free(shared_heap, span);
	}
	hpheap_scavenge(shared_heap, SIZE_MAX);
	/* At most what another thread held at that moment is left. */
	return stats_of(shared_heap).committed_bytes > 8 * UNIT ? 2 : 0;
}

TEST_F(fork, in_a_threaded_program_leaves_the_child_a_usable_heap)
{
	const double end = now() + 10;
	pthread_t threads[2];
	int i;

	shared_heap = self->heap;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, disturb, NULL));
	for (i = 0; i < 60 && now() < end; i++)
		EXPECT_EQ(0, in_child(use_disturbed, NULL));
	stop = true;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_SOUND(self->heap);
}

TEST_HARNESS_MAIN
