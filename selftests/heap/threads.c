// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads on one heap: allocating, freeing what others allocated, giving
 * memory back, reading statistics and growing, all at once.
 */
#include "kselftest_harness.h"
#define TEST_MAY_MOVE
#include "heap.h"

#include <pthread.h>
#include <stdatomic.h>

#define THREADS		6
#define ROUNDS		3000	/* or what can be done in so many ... */
#define SECONDS		8
#define SLOTS		128

/* Spans on their way from one thread to another. */
static _Atomic(char *) slots[SLOTS];
static struct hpheap *heap;
static _Atomic unsigned int wrong;

struct worker {
	pthread_t thread;
	unsigned int number;
};

static void churn(uint64_t *state)
{
	const unsigned int slot = random_next(state) % SLOTS;
	size_t bytes = random_next(state) % 4 ? random_next(state) % (80 * KIB) + 1
					      : random_next(state) % (3 * MIB) + 1;
	const bool zero = random_next(state) % 4 == 0;
	char *span = hpheap_span_alloc(heap, bytes, 0, zero ? HPHEAP_SPAN_ZERO : 0);

	if (!span) {
		wrong++;
		return;
	}
	if (zero && (span[0] || span[bytes / 2] || span[bytes - 1]))
		wrong++;
	bytes = hpheap_span_size(heap, span);
	memcpy(span, &span, sizeof(span));
	memcpy(span + bytes - sizeof(span), &span, sizeof(span));

	span = atomic_exchange(&slots[slot], span);
	if (!span)
		return;
	bytes = hpheap_span_size(heap, span);
	if (memcmp(span, &span, sizeof(span)) ||
	    memcmp(span + bytes - sizeof(span), &span, sizeof(span)))
		wrong++;
	hpheap_span_free(heap, span);
}

static void *work(void *arg)
{
	const struct worker *worker = arg;
	const double end = now() + SECONDS;
	uint64_t state = worker->number;
	unsigned int round;

	for (round = 0; round < ROUNDS && now() < end; round++) {
		churn(&state);
		if (round % 100 == worker->number)
			hpheap_scavenge(heap, 4 * UNIT);
		if (round % 50 == worker->number) {
			const struct hpheap_stats stats = stats_of(heap);

			if (stats.used_bytes + stats.free_bytes + stats.away_bytes != stats.committed_bytes ||
			    stats.address_bytes < stats.committed_bytes)
				wrong++;
		}
		if (round % 500 == worker->number && hpheap_reserve(heap, UNIT, HPHEAP_NODE_ANY))
			wrong++;
	}
	return NULL;
}

FIXTURE(threads) {
};
FIXTURE_VARIANT(threads) {
	enum hpheap_backend backend;
};
FIXTURE_VARIANT_ADD(threads, thp) { .backend = HPHEAP_BACKEND_THP };
FIXTURE_VARIANT_ADD(threads, auto) { .backend = HPHEAP_BACKEND_AUTO };
FIXTURE_SETUP(threads)
{
	heap = heap_on(variant->backend);
	ASSERT_NE(NULL, heap);
}
FIXTURE_TEARDOWN(threads)
{
	hpheap_destroy(heap);
}

TEST_F(threads, share_a_heap)
{
	struct worker workers[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		workers[i].number = i;
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_join(workers[i].thread, NULL));
	EXPECT_EQ(0, wrong);
	for (i = 0; i < SLOTS; i++)
		hpheap_span_free(heap, atomic_load(&slots[i]));
	EXPECT_EQ(0, stats_of(heap).used_bytes);
	EXPECT_EQ(0, stats_of(heap).spans);
	EXPECT_SOUND(heap);
	hpheap_scavenge(heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(heap).committed_bytes);
}

static void *make_heaps(void *arg)
{
	const double end = now() + SECONDS;
	unsigned int i;

	(void)arg;
	for (i = 0; i < 40 && (i < 2 || now() < end); i++) {
		struct hpheap *own = heap_on(HPHEAP_BACKEND_THP);
		char *span = own ? hpheap_span_alloc(own, PAGE, 0, 0) : NULL;

		if (!span || hpheap_default() == own || !hpheap_default())
			wrong++;
		hpheap_destroy(own);
	}
	return NULL;
}

TEST(threads_make_and_destroy_heaps_of_their_own)
{
	pthread_t threads[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, make_heaps, NULL));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	EXPECT_EQ(0, wrong);
}

TEST(a_thread_with_the_smallest_stack_can_use_a_heap)
{
	pthread_attr_t attr;
	pthread_t thread;

	ASSERT_EQ(0, pthread_attr_init(&attr));
	ASSERT_EQ(0, pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN) + 16 * KIB));
	ASSERT_EQ(0, pthread_create(&thread, &attr, make_heaps, NULL));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, wrong);
}

static _Atomic bool all_done;

static void *scavenge_all(void *arg)
{
	while (!all_done)
		hpheap_scavenge(arg, SIZE_MAX);
	return NULL;
}

/* Though another thread has units in its hands just then. */
TEST(a_request_within_the_limit_is_never_refused)
{
	const struct hpheap_options options = {
		.size = sizeof(options), .backend = HPHEAP_BACKEND_THP, .limit_bytes = 4 * UNIT,
	};
	const double end = now() + SECONDS;
	unsigned int i, refused = 0;
	pthread_t thread;

	heap = hpheap_create(&options);
	ASSERT_NE(NULL, heap);
	ASSERT_EQ(0, pthread_create(&thread, NULL, scavenge_all, heap));
	for (i = 0; i < ROUNDS && now() < end; i++) {
		char *span = hpheap_span_alloc(heap, 3 * UNIT, 0, 0);

		refused += !span;
		hpheap_span_free(heap, span);
		if (i % 2)
			usleep(i * 7 % 200);	/* to meet the other one at any moment */
	}
	all_done = true;
	pthread_join(thread, NULL);
	EXPECT_EQ(0, refused);
	hpheap_destroy(heap);
}

static void *create_cancelled(void *arg)
{
	(void)arg;
	pthread_cancel(pthread_self());
	heap = hpheap_create(NULL);
	pthread_testcancel();
	return NULL;
}

static int create_after_cancelled(void *arg)
{
	pthread_t thread;
	void *result;

	(void)arg;
	alarm(60);
	if (pthread_create(&thread, NULL, create_cancelled, NULL) || pthread_join(thread, &result))
		return 1;
	if (result != PTHREAD_CANCELED || !heap)
		return 2;
	hpheap_destroy(heap);
	return hpheap_default() ? 0 : 3;
}

TEST(a_cancelled_thread_leaves_no_lock_behind)
{
	EXPECT_EQ(0, in_child(create_after_cancelled, NULL));
}

TEST_HARNESS_MAIN
