// SPDX-License-Identifier: GPL-2.0-only
/*
 * What threads hold ready for themselves: it comes back when others need it, and
 * as long as there is enough of it no thread calls the system.
 */
#include "kselftest_harness.h"
#include "regions.h"
#include "cache.h"

#include <pthread.h>
#include <linux/filter.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* Of a span that counts as large, and two of which fit into a unit. */
#define LARGE_PAGES	(HPH_UNIT_PAGES / 2)

static void *pages(struct hpheap *heap, size_t nr)
{
	return hpheap_span_alloc(heap, nr * PAGE, 0, 0);
}

/* Another thread that frees spans into its cache, its own or the caller's, and waits before it ends. */
struct idler {
	pthread_t thread;
	struct hpheap *heap;
	void *spans[64];
	size_t count, pages;
	pthread_barrier_t idle, end;
};

static void *idle(void *arg)
{
	struct idler *idler = arg;
	size_t i;

	for (i = 0; i < idler->count; i++)
		if (!idler->spans[i])
			idler->spans[i] = pages(idler->heap, idler->pages);
	for (i = 0; i < idler->count; i++)
		hpheap_span_free(idler->heap, idler->spans[i]);
	pthread_barrier_wait(&idler->idle);
	pthread_barrier_wait(&idler->end);
	return NULL;
}

static bool run_idler(struct idler *idler)
{
	pthread_barrier_init(&idler->idle, NULL, 2);
	pthread_barrier_init(&idler->end, NULL, 2);
	if (pthread_create(&idler->thread, NULL, idle, idler))
		return false;
	pthread_barrier_wait(&idler->idle);
	return true;
}

static bool start_idler(struct idler *idler, struct hpheap *heap, size_t count, size_t nr)
{
	*idler = (struct idler){ .heap = heap, .count = count, .pages = nr };
	return run_idler(idler);
}

static void end_idler(struct idler *idler)
{
	pthread_barrier_wait(&idler->end);
	pthread_join(idler->thread, NULL);
}

FIXTURE(cache) {
	struct hpheap *heap;
	struct idler idler;
};

FIXTURE_SETUP(cache)
{
	self->heap = heap_on(HPHEAP_BACKEND_THP);
	ASSERT_NE(NULL, self->heap);
}

FIXTURE_TEARDOWN(cache)
{
	hpheap_destroy(self->heap);
}

TEST_F(cache, is_given_back_when_its_thread_ends)
{
	ASSERT_TRUE(start_idler(&self->idler, self->heap, 20, 2));
	EXPECT_LT(0, stats_of(self->heap).cached_bytes);
	EXPECT_EQ(0, stats_of(self->heap).spans);
	EXPECT_EQ(0, stats_of(self->heap).free_huge_bytes);
	end_idler(&self->idler);
	EXPECT_EQ(0, stats_of(self->heap).cached_bytes);
	EXPECT_EQ(stats_of(self->heap).committed_bytes, stats_of(self->heap).free_huge_bytes);
}

static pthread_key_t late_key;
static unsigned int late_calls;

/* A destructor of the thread's own, called a second time when all have been. */
static void free_late(void *heap)
{
	if (!late_calls++)
		pthread_setspecific(late_key, heap);
	else
		hpheap_span_free(heap, pages(heap, 2));
}

static void *end_late(void *heap)
{
	hpheap_span_free(heap, pages(heap, 2));
	pthread_setspecific(late_key, heap);
	return NULL;
}

/* It may be another thread's by then. */
TEST_F(cache, is_left_alone_by_what_its_thread_does_later)
{
	late_calls = 0;
	ASSERT_EQ(0, pthread_key_create(&late_key, free_late));
	ASSERT_EQ(0, pthread_create(&self->idler.thread, NULL, end_late, self->heap));
	pthread_join(self->idler.thread, NULL);
	pthread_key_delete(late_key);
	EXPECT_EQ(2, late_calls);
	EXPECT_EQ(0, stats_of(self->heap).cached_bytes);
	EXPECT_EQ(stats_of(self->heap).committed_bytes, stats_of(self->heap).free_huge_bytes);
}

static void *free_all(void *arg)
{
	struct idler *idler = arg;
	size_t i;

	for (i = 0; i < idler->count; i++)
		hpheap_span_free(idler->heap, idler->spans[i]);
	hpheap_span_free(idler->heap, pages(idler->heap, 1));
	return NULL;
}

TEST_F(cache, takes_what_another_thread_has_allocated)
{
	size_t i;

	self->idler = (struct idler){ .heap = self->heap, .count = 64 };
	for (i = 0; i < 64; i++)
		self->idler.spans[i] = pages(self->heap, i % 40 + 1);
	ASSERT_EQ(0, pthread_create(&self->idler.thread, NULL, free_all, &self->idler));
	pthread_join(self->idler.thread, NULL);
	EXPECT_EQ(0, stats_of(self->heap).used_bytes);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
}

/* It would be used again where it is, and that unit never become empty. */
TEST_F(cache, does_not_hold_a_span_that_is_nearly_alone_in_its_unit)
{
	const size_t nr = 4 * UNIT / (8 * PAGE);
	char *spans[4 * UNIT / (8 * PAGE)], *last = NULL;
	size_t i, kept = 0;

	for (i = 0; i < nr; i++) {
		spans[i] = pages(self->heap, 8);
		ASSERT_NE(NULL, spans[i]);
		if (spans[i] > last)
			last = spans[i];
	}
	last -= (uintptr_t)last % UNIT;
	for (i = 0; i < nr; i++) {
		if (spans[i] >= last && kept++ >= 2) {
			hpheap_span_free(self->heap, spans[i]);
			spans[i] = NULL;
		}
	}
	hph_caches_drain(self->heap);
	for (i = 0; i < nr && kept; i++) {
		if (spans[i] && spans[i] >= last) {
			hpheap_span_free(self->heap, spans[i]);
			EXPECT_EQ(0, stats_of(self->heap).cached_bytes);
			kept = 0;
		}
	}
	EXPECT_EQ(0, kept);
	for (i = 0; !spans[i] || spans[i] >= last; i++)
		;
	hpheap_span_free(self->heap, spans[i]);
	EXPECT_EQ(8 * PAGE, stats_of(self->heap).cached_bytes);
	EXPECT_SOUND(self->heap);
}

/* The address of the span that a cache had last may come back to its thread as another span's. */
TEST_F(cache, sees_that_its_last_span_is_another_now)
{
	void *span, *again;
	size_t size;

	hpheap_span_free(self->heap, pages(self->heap, 1));
	span = pages(self->heap, 1);
	self->idler = (struct idler){ .heap = self->heap, .spans = { span }, .count = 1 };
	ASSERT_EQ(0, pthread_create(&self->idler.thread, NULL, free_all, &self->idler));
	pthread_join(self->idler.thread, NULL);
	for (size = 2; size <= 64; size *= 2) {
		hpheap_scavenge(self->heap, SIZE_MAX);
		again = pages(self->heap, size);
		ASSERT_EQ(span, again);
		EXPECT_EQ(size * PAGE, hpheap_span_size(self->heap, again));
		hpheap_span_free(self->heap, again);
		EXPECT_EQ(0, stats_of(self->heap).used_bytes);
		EXPECT_EQ(0, hpheap_span_size(self->heap, again));
	}
	EXPECT_SOUND(self->heap);
}

/* Or else it would begin in a part of the huge unit where the other one has no span. */
TEST_F(cache, passes_on_to_another_thread_what_is_too_much)
{
	char *span;
	size_t i;

	ASSERT_TRUE(start_idler(&self->idler, self->heap, 64, 1));
	span = pages(self->heap, 1);
	for (i = 0; i < 64 && self->idler.spans[i] != span; i++)
		;
	EXPECT_GT(64, i);
	hpheap_span_free(self->heap, span);
	end_idler(&self->idler);
	EXPECT_EQ(0, stats_of(self->heap).used_bytes);
	EXPECT_SOUND(self->heap);
}

/* Else what one thread allocates and another frees goes through the page allocator each time. */
TEST_F(cache, passes_on_large_spans_to_another_thread_that_missed_one)
{
	const struct hph_cache *depot = hph_zone_here(self->heap)->depot;
	size_t i, passed;
	char *span;

	self->idler = (struct idler){ .heap = self->heap, .count = 12 };
	for (i = 0; i < 12; i++) {
		self->idler.spans[i] = pages(self->heap, LARGE_PAGES);
		ASSERT_NE(NULL, self->idler.spans[i]);
	}
	ASSERT_TRUE(run_idler(&self->idler));
	passed = depot->nr_large;
	EXPECT_LT(0, passed);
	EXPECT_SOUND(self->heap);
	span = pages(self->heap, LARGE_PAGES);
	EXPECT_GT(passed, depot->nr_large);
	for (i = 0; i < 12 && self->idler.spans[i] != span; i++)
		;
	EXPECT_GT(12, i);
	EXPECT_SOUND(self->heap);
	hpheap_span_free(self->heap, span);
	end_idler(&self->idler);
	EXPECT_EQ(0, stats_of(self->heap).used_bytes);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, depot->nr_large);
	EXPECT_EQ(0, stats_of(self->heap).cached_bytes);
	EXPECT_SOUND(self->heap);
}

TEST_F(cache, keeps_no_large_spans_for_threads_that_want_none)
{
	ASSERT_TRUE(start_idler(&self->idler, self->heap, 12, LARGE_PAGES));
	EXPECT_EQ(0, hph_zone_here(self->heap)->depot->nr_large);
	end_idler(&self->idler);
	EXPECT_SOUND(self->heap);
}

/* Each may hold 16 MiB of large spans, all of them 32 MiB or an eighth of the heap. */
TEST_F(cache, and_all_others_hold_so_many_large_spans_in_all)
{
	struct idler idlers[5];
	size_t i;

	for (i = 0; i < 5; i++)
		ASSERT_TRUE(start_idler(&idlers[i], self->heap, 4, 4 * UNIT / PAGE / 2));
	EXPECT_LT(0, stats_of(self->heap).cached_bytes);
	EXPECT_GE(32 * MIB, stats_of(self->heap).cached_bytes);
	for (i = 0; i < 5; i++)
		end_idler(&idlers[i]);
	EXPECT_EQ(0, stats_of(self->heap).cached_bytes);
}

TEST_F(cache, of_an_idle_thread_is_scavenged)
{
	ASSERT_TRUE(start_idler(&self->idler, self->heap, 20, 2));
	ASSERT_LT(0, stats_of(self->heap).cached_bytes);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).cached_bytes);
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
	end_idler(&self->idler);
	EXPECT_SOUND(self->heap);
}

TEST_F(cache, of_an_idle_thread_serves_who_finds_no_memory)
{
	const struct hpheap_options options = {
		.size = sizeof(options), .backend = HPHEAP_BACKEND_THP, .limit_bytes = UNIT,
	};
	struct hpheap *heap = hpheap_create(&options);
	char *span;

	ASSERT_NE(NULL, heap);
	ASSERT_TRUE(start_idler(&self->idler, heap, 60, 2));
	ASSERT_LT(0, stats_of(heap).cached_bytes);
	span = pages(heap, 256);
	EXPECT_NE(NULL, span);
	EXPECT_EQ(UNIT, stats_of(heap).committed_bytes);
	end_idler(&self->idler);
	hpheap_destroy(heap);
}

static unsigned int count_caches(const struct hpheap *heap)
{
	const struct hph_cache *cache;
	unsigned int count = 0;

	for (cache = heap->caches; cache; cache = cache->next)
		count++;
	return count;
}

static int count_in_child(void *arg)
{
	FIXTURE_DATA(cache) *self = arg;
	static struct walk walk;
	unsigned int caches;
	char *span;

	if (take_walk(self->heap, &walk))
		return 1;
	if (walk.spans != 1 || walk.bytes[HPHEAP_REGION_SPAN] != 3 * PAGE)
		return 2;
	if (walk.bytes[HPHEAP_REGION_CACHED])
		return 3;
	span = pages(self->heap, 2);
	if (!span || stats_of(self->heap).used_bytes != 5 * PAGE)
		return 4;
	hpheap_span_free(self->heap, span);
	hpheap_scavenge(self->heap, SIZE_MAX);
	if (stats_of(self->heap).committed_bytes != UNIT)
		return 5;
	if (SANITIZED)
		return 0;	/* and there are no new threads after a fork */
	/* The parent's other thread is not here: its cache serves a new one. */
	caches = count_caches(self->heap);
	self->idler = (struct idler){ .heap = self->heap };
	if (pthread_create(&self->idler.thread, NULL, free_all, &self->idler) ||
	    pthread_join(self->idler.thread, NULL))
		return 6;
	return count_caches(self->heap) == caches ? 0 : 7;
}

TEST_F(cache, is_given_back_in_the_child_of_a_fork)
{
	char *span = pages(self->heap, 3);

	ASSERT_NE(NULL, span);
	hpheap_span_free(self->heap, pages(self->heap, 1));
	ASSERT_TRUE(start_idler(&self->idler, self->heap, 20, 2));
	EXPECT_LT(0, stats_of(self->heap).cached_bytes);
	EXPECT_EQ(0, in_child(count_in_child, self));
	EXPECT_LT(0, stats_of(self->heap).cached_bytes);
	end_idler(&self->idler);
	EXPECT_SOUND(self->heap);
}

#define SEEDS		4
#define STEADY_LIVE	100
#define STEADY_BYTES	(48 * MIB)

/* A program that lives at a certain size: spans come and go, and are written. */
static bool live_steadily(struct hpheap *heap, uint64_t seed, unsigned int operations)
{
	static char *live[STEADY_LIVE];
	static size_t sizes[STEADY_LIVE], sum;
	uint64_t state = seed;
	unsigned int i;

	for (i = 0; i < operations; i++) {
		const size_t slot = random_next(&state) % STEADY_LIVE;
		const uint32_t kind = random_next(&state) % 32;
		size_t bytes = random_next(&state) % (kind ? 32 * PAGE : 4 * UNIT) + 1;

		if (kind == 1)
			bytes = random_next(&state) % (UNIT / 2) + 1;
		hpheap_span_free(heap, live[slot]);
		sum -= sizes[slot];
		live[slot] = NULL;
		sizes[slot] = 0;
		if (sum + bytes > STEADY_BYTES)
			continue;
		live[slot] = hpheap_span_alloc(heap, bytes, 0, 0);
		if (!live[slot])
			return false;
		sizes[slot] = bytes;
		sum += bytes;
		live[slot][0] = live[slot][bytes - 1] = 1;
	}
	return true;
}

/* From now on all but exit_group() is the end. */
static bool allow_exit_only(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]), .filter = filter,
	};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static long page_faults(void)
{
	static struct rusage usage;	/* in one place: the first call may meet a fault there */

	if (getrusage(RUSAGE_SELF, &usage))
		abort();
	return usage.ru_minflt + usage.ru_majflt;
}

/* Until what the heap knows of itself is in memory, too. */
static bool settle(struct hpheap *heap)
{
	unsigned int i;

	if (hpheap_reserve(heap, 4 * STEADY_BYTES, HPHEAP_NODE_ANY))
		return false;
	for (i = 0; i < 8; i++)
		if (!live_steadily(heap, 42, 50000))
			return false;
	return true;
}

/* The child's own: after a fork all of the parent's would have to be copied. */
static struct hpheap *settled(void)
{
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_THP);

	return heap && settle(heap) ? heap : NULL;
}

static int steady_without_calls(void *arg)
{
	struct hpheap *heap = settled();

	if (!heap)
		return 1;
	if (!allow_exit_only())
		return 2;
	return live_steadily(heap, *(const uint64_t *)arg, 200000) ? 0 : 3;
}

/*
 * NUMA balancing makes a process fault now and then, to see where it is: not in what is
 * the heap's own, but in all else, unless the process has said where its memory shall be.
 * And where it compacts memory, who touches a page on its way meets a fault, once: what a
 * heap does itself it does each time.
 */
static int steady_without_faults(void *arg)
{
	struct hpheap *heap;
	unsigned int tries;
	long before;

	syscall(__NR_set_mempolicy, MPOL_LOCAL, NULL, 0);
	heap = settled();
	if (!heap || page_faults() < 0)
		return 1;
	for (tries = 0; tries < 3; tries++) {
		before = page_faults();
		if (!live_steadily(heap, *(const uint64_t *)arg, 200000))
			return 2;
		if (page_faults() == before)
			return 0;
	}
	return 3;
}

TEST_F(cache, and_heap_make_no_system_call_in_steady_state)
{
	uint64_t seed;

	if (SANITIZED)
		SKIP(return, "a sanitizer makes calls of its own");
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		SKIP(return, "this kernel has no seccomp");
	for (seed = 1; seed <= SEEDS; seed++)
		EXPECT_EQ(0, in_child(steady_without_calls, &seed)) {
			TH_LOG("seed %ju", (uintmax_t)seed);
		}
}

TEST_F(cache, and_heap_meet_no_page_fault_in_steady_state)
{
	uint64_t seed;

	if (SANITIZED)
		SKIP(return, "a sanitizer meets faults of its own");
	for (seed = 1; seed <= SEEDS; seed++)
		EXPECT_EQ(0, in_child(steady_without_faults, &seed)) {
			TH_LOG("seed %ju", (uintmax_t)seed);
		}
}

TEST_HARNESS_MAIN
