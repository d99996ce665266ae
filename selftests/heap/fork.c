// SPDX-License-Identifier: GPL-2.0-only
/*
 * Heaps and fork(): parent and child each have their own copy, of anonymous memory as of the
 * device's. What happens where a child gets nothing of that is in device.c and fake_fork.c.
 */
#include "kselftest_harness.h"
#define TEST_MAY_MOVE
#include "regions.h"
#include "cache.h"

#include <pthread.h>
#include <stdatomic.h>

FIXTURE(fork) {
	struct hpheap *heap;
	char *span;
};

FIXTURE_VARIANT(fork) {
	enum hpheap_backend backend;
};

FIXTURE_VARIANT_ADD(fork, thp) { .backend = HPHEAP_BACKEND_THP };
/* The device's memory, where there is a device. */
FIXTURE_VARIANT_ADD(fork, auto) { .backend = HPHEAP_BACKEND_AUTO };

FIXTURE_SETUP(fork)
{
	self->heap = heap_on(variant->backend);
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

static struct walk child_walk;
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

/* In and out of a lock all the time, for requests that no cache serves. */
static void *disturb_quickly(void *arg)
{
	uint64_t state = 1;

	(void)arg;
	while (!stop) {
		const size_t nr = random_next(&state) % 200 + 1;

		hpheap_span_free(shared_heap,
				 hpheap_span_alloc(shared_heap, nr * PAGE, 2 * PAGE, 0));
	}
	return NULL;
}

static int use_disturbed(void *arg)
{
	char *span;
	int i;

	(void)arg;
	alarm(60);
	if (take_walk(shared_heap, &child_walk))
		return 3;
	for (i = 0; i < 3; i++) {
		span = hpheap_span_alloc(shared_heap, UNIT + PAGE, 0, HPHEAP_SPAN_ZERO);
		if (!span || !is_zero(span, UNIT + PAGE))
			return 1;
		memset(span, 1, UNIT + PAGE);
		hpheap_span_free(shared_heap, span);
	}
	hpheap_scavenge(shared_heap, SIZE_MAX);
	if (take_walk(shared_heap, &child_walk))
		return 4;
	/*
	 * At most what other threads held at that moment is left: two spans of 3 units, two
	 * small ones, and that of 2 units, each perhaps in one unit more than its size.
	 */
	return stats_of(shared_heap).committed_bytes > 15 * UNIT ? 2 : 0;
}

TEST_F(fork, in_a_threaded_program_leaves_the_child_a_usable_heap)
{
	const double end = now() + 10;
	pthread_t threads[4];
	int i;

	shared_heap = self->heap;
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, i % 2 ? disturb : disturb_quickly,
					    NULL));
	for (i = 0; i < 60 && now() < end; i++)
		EXPECT_EQ(0, in_child(use_disturbed, NULL));
	stop = true;
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_SOUND(self->heap);
}

static struct hpheap *first_heap;
static unsigned int handler_calls;

static void use_first_heap(void)
{
	handler_calls++;
	if (first_heap)
		hpheap_span_free(first_heap, hpheap_span_alloc(first_heap, 40 * PAGE, 0, 0));
}

static int nothing(void *arg)
{
	(void)arg;
	return handler_calls == 2 ? 0 : 1;
}

static int fork_with_handlers(void *arg)
{
	(void)arg;
	alarm(60);
	if (pthread_atfork(use_first_heap, use_first_heap, use_first_heap))
		return 1;
	first_heap = heap_on(HPHEAP_BACKEND_THP);
	if (!first_heap || in_child(nothing, NULL))
		return 2;
	return handler_calls == 2 ? 0 : 3;
}

/* Though the program's handlers were there before its first heap. */
TEST(handlers_of_the_program_may_use_its_heaps)
{
	EXPECT_EQ(0, in_child(fork_with_handlers, NULL));
}

static int held_is_what_is_there(void *arg)
{
	struct hpheap *heap = arg;

	return heap->held_units == stats_of(heap).committed_bytes / UNIT ? 0 : 1;
}

/* A thread that has charged some, and waits for a lock, is not in the child. */
TEST_F(fork, undoes_what_other_threads_have_charged)
{
	atomic_fetch_add(&self->heap->held_units, 3);
	EXPECT_EQ(0, in_child(held_is_what_is_there, self->heap));
	atomic_fetch_sub(&self->heap->held_units, 3);
}

/* A heap whose backend forks while it is at work on a unit, as if another thread did. */
static struct hph_backend_ops forking_ops, real_ops;
static struct hpheap *forking_heap;
static int forked;
static char *forking_spans[256];

static int use_all_of_it(void *arg)
{
	static char *spans[600];
	struct hpheap_stats stats;
	size_t i;

	(void)arg;
	alarm(100);
	if (take_walk(forking_heap, &child_walk))
		return 2;
	for (i = 0; i < 600; i++) {
		spans[i] = hpheap_span_alloc(forking_heap, PAGE, 0, HPHEAP_SPAN_ZERO);
		if (!spans[i] || !is_zero(spans[i], PAGE))
			return 1;
		memset(spans[i], 1, PAGE);
	}
	for (i = 0; i < 600; i++)
		hpheap_span_free(forking_heap, spans[i]);
	hpheap_span_free(forking_heap, forking_spans[0]);
	hpheap_scavenge(forking_heap, SIZE_MAX);
	stats = stats_of(forking_heap);
	return stats.away_bytes || stats.committed_bytes ? 3 : 0;
}

static int fork_and_release(struct hph_backend *backend, uintptr_t addr, bool *detached)
{
	forking_ops = real_ops;	/* once is enough, in the child too */
	forked = in_child(use_all_of_it, NULL);
	return real_ops.release(backend, addr, detached);
}

static int fork_and_thin(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	forking_ops = real_ops;
	forked = in_child(use_all_of_it, NULL);
	return real_ops.thin(backend, addr, bytes);
}

FIXTURE(forking) {
	struct hph_meta meta;
};

/* A unit with one span, the first of many. */
FIXTURE_SETUP(forking)
{
	const struct hpheap_options options = { .size = sizeof(options) };
	struct hph_backend *backend;
	size_t i;

	memset(&self->meta, 0, sizeof(self->meta));
	backend = hph_anon_open(&self->meta, false);
	ASSERT_NE(NULL, backend);
	real_ops = forking_ops = *backend->ops;
	backend->ops = &forking_ops;
	ASSERT_EQ(0, hph_heap_create(&options, backend, base_page(), &forking_heap));
	forking_heap->kind = HPHEAP_BACKEND_THP;
	for (i = 0; i < 256; i++)
		forking_spans[i] = hpheap_span_alloc(forking_heap, PAGE, 0, 0);
	for (i = 1; i < 256; i++)
		hpheap_span_free(forking_heap, forking_spans[i]);
	forked = -1;
}

FIXTURE_TEARDOWN(forking)
{
	hpheap_destroy(forking_heap);
	hph_meta_destroy(&self->meta);
}

TEST_F(forking, while_a_unit_is_thinned_leaves_the_child_all_of_it)
{
	forking_ops.thin = fork_and_thin;
	hpheap_scavenge(forking_heap, SIZE_MAX);
	EXPECT_EQ(0, forked);
	EXPECT_LT(0, stats_of(forking_heap).away_bytes);
}

TEST_F(forking, while_a_broken_unit_is_emptied_leaves_the_child_a_new_one)
{
	hpheap_scavenge(forking_heap, SIZE_MAX);
	hpheap_span_free(forking_heap, forking_spans[0]);
	forking_spans[0] = NULL;
	ASSERT_LT(0, stats_of(forking_heap).away_bytes);
	forking_ops.release = fork_and_release;
	hpheap_scavenge(forking_heap, SIZE_MAX);
	EXPECT_EQ(0, forked);
	EXPECT_EQ(0, stats_of(forking_heap).committed_bytes);
}

static int never_detach(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)backend;
	(void)addr;
	(void)bytes;
	return -ENOMEM;
}

static int free_what_is_gone(void *arg)
{
	const uintptr_t gone = (uintptr_t)forking_spans[0] / UNIT;
	size_t i;

	(void)arg;
	hpheap_span_free(forking_heap, forking_spans[0]);
	for (i = 0; i < 600; i++) {
		forking_spans[0] = hpheap_span_alloc(forking_heap, PAGE, 0, 0);
		if (!forking_spans[0] || (uintptr_t)forking_spans[0] / UNIT == gone)
			return 1;
	}
	return take_walk(forking_heap, &child_walk) ? 2 : 0;
}

/* Addresses of lost spans that could not be reserved in the child may be anybody's. */
TEST_F(forking, leaves_alone_what_the_child_could_not_reserve)
{
	forking_heap->backend->fork = HPHEAP_FORK_NONE;
	forking_ops.detach = never_detach;
	EXPECT_EQ(0, in_child(free_what_is_gone, NULL));
	forking_ops = real_ops;
	forking_heap->backend->fork = HPHEAP_FORK_AUTO;
}

TEST_HARNESS_MAIN
