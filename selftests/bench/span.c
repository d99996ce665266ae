// SPDX-License-Identifier: GPL-2.0-only
/*
 * span CONTESTANT WORKLOAD SIZE THREADS WINDOW: what allocating and freeing SIZE costs.
 *
 * Reads numbers from standard input; for each, every thread does so many
 * operations and the nanoseconds that took, from the first to begin to the last
 * to end, are written as one line. A zero or the end of the input ends it. The
 * process lives through all rounds, so what it has allocated and touched stays
 * warm while others have their turn.
 *
 * An operation is one allocation, a write to its first word, and one free:
 *
 *   pair    of the same span
 *   churn   of a random one out of WINDOW live spans, which the new one replaces;
 *           each thread has its own window, every byte of it written at first
 *   mixed   churn of sizes up to SIZE, at random: each eighth of it as often as the next
 *   handed  the first thread allocates, the second frees, out of a ring of RING
 *           that takes and gives BATCH at a time: one by one, moving the ring's
 *           cache lines between the CPUs would cost more than most heaps do
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "contestant.h"

#define MAX_THREADS	2
#define MAX_WINDOW	16384
#define RING		128
#define BATCH		32
#define CACHE_LINE	128

struct worker {
	_Alignas(CACHE_LINE) unsigned int number;
	uint64_t random;
	void *window[MAX_WINDOW];
};

struct workload {
	const char *name;
	unsigned int min_threads;
	void (*prepare)(struct worker *worker);
	/* One for each contestant, in their order. */
	void (*run[CONTESTANTS])(struct worker *worker, uint64_t ops);
};

struct calls {
	void *(*alloc)(size_t size);
	void (*free)(void *memory, size_t size);
};

static const struct contestant *who;
static const struct workload *workload;
static size_t size;
static size_t window;	/* spans of each thread */
static uint64_t round_ops;
static pthread_barrier_t begin, end;
static struct worker workers[MAX_THREADS];

static struct {
	_Alignas(CACHE_LINE) _Atomic uint64_t put;	/* spans ever, whole batches */
	_Alignas(CACHE_LINE) _Atomic uint64_t got;
	_Alignas(CACHE_LINE) void *spans[RING];
} ring;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* xorshift64*: the upper half is good enough to pick a victim. */
static uint32_t next_random(struct worker *worker)
{
	worker->random ^= worker->random >> 12;
	worker->random ^= worker->random << 25;
	worker->random ^= worker->random >> 27;
	return (worker->random * 0x2545f4914f6cdd1d) >> 32;
}

/*
 * The workloads are compiled once for each contestant, its functions called by name: of
 * what is measured here, the way through two pointers would be most.
 */
#define INLINE static inline __attribute__((always_inline))

INLINE void *take_by(void *(*alloc)(size_t size))
{
	void *span = alloc(size);

	if (!span)
		die(who->name);
	*(volatile uint64_t *)span = 1;
	return span;
}

static void *take(void)
{
	return take_by(who->alloc);
}

static void nothing(struct worker *worker)
{
	(void)worker;
}

INLINE void pair(struct worker *worker, uint64_t ops, struct calls calls)
{
	(void)worker;
	while (ops--)
		calls.free(take_by(calls.alloc), size);
}

static void fill_window(struct worker *worker)
{
	size_t i;

	for (i = 0; i < window; i++)
		worker->window[i] = memset(take(), 1, size);
}

INLINE void churn(struct worker *worker, uint64_t ops, struct calls calls)
{
	void **victim;

	while (ops--) {
		victim = &worker->window[(uint64_t)next_random(worker) * window >> 32];
		calls.free(*victim, size);
		*victim = take_by(calls.alloc);
	}
}

/* Of sizes from 16 bytes on: without the branch on the size that a constant one would have. */
INLINE void mixed(struct worker *worker, uint64_t ops, struct calls calls)
{
	uint32_t random;
	void **victim;

	while (ops--) {
		random = next_random(worker);
		victim = &worker->window[(uint64_t)random * window >> 32];
		calls.free(*victim, size);
		*victim = calls.alloc(16 + ((random * 0x9e3779b1u) * (uint64_t)(size - 16) >> 32));
		if (!*victim)
			die(who->name);
		*(volatile uint64_t *)*victim = 1;
	}
}

/* Spins first; the other may be without a CPU. */
static void wait_while(_Atomic uint64_t *counter, uint64_t value)
{
	unsigned int spins;

	for (spins = 1; atomic_load_explicit(counter, memory_order_acquire) == value; spins++)
		if (!(spins % 1024))
			sched_yield();
}

INLINE void put_batch(struct calls calls)
{
	uint64_t put = atomic_load_explicit(&ring.put, memory_order_relaxed);
	unsigned int i;

	wait_while(&ring.got, put - RING);
	for (i = 0; i < BATCH; i++)
		ring.spans[(put + i) % RING] = take_by(calls.alloc);
	atomic_store_explicit(&ring.put, put + BATCH, memory_order_release);
}

INLINE void get_batch(struct calls calls)
{
	uint64_t got = atomic_load_explicit(&ring.got, memory_order_relaxed);
	unsigned int i;

	wait_while(&ring.put, got);
	for (i = 0; i < BATCH; i++)
		calls.free(ring.spans[(got + i) % RING], size);
	atomic_store_explicit(&ring.got, got + BATCH, memory_order_release);
}

/* As many as will live at once, so that no round meets memory that is new. */
static void warm_ring(struct worker *worker)
{
	void *spans[RING];
	size_t i;

	if (worker->number)
		return;
	for (i = 0; i < RING; i++)
		spans[i] = take();
	while (i--)
		who->free(spans[i], size);
}

INLINE void handed(struct worker *worker, uint64_t ops, struct calls calls)
{
	uint64_t batches = (ops + BATCH - 1) / BATCH;

	while (batches--) {
		if (worker->number == 0)
			put_batch(calls);
		else
			get_batch(calls);
	}
}

#define RUN(workload, name)								\
	static void workload##_##name(struct worker *worker, uint64_t ops)		\
	{										\
		workload(worker, ops, (struct calls){ name##_take, name##_give });	\
	}
#define RUNS(workload) RUN(workload, hpheap) RUN(workload, malloc) RUN(workload, mmap)

RUNS(pair)
RUNS(churn)
RUNS(mixed)
RUNS(handed)

static const struct workload workloads[] = {
	{ "pair", 1, nothing, { pair_hpheap, pair_malloc, pair_mmap } },
	{ "churn", 1, fill_window, { churn_hpheap, churn_malloc, churn_mmap } },
	{ "mixed", 1, fill_window, { mixed_hpheap, mixed_malloc, mixed_mmap } },
	{ "handed", 2, warm_ring, { handed_hpheap, handed_malloc, handed_mmap } },
};

static void take_part(struct worker *worker)
{
	workload->run[who->number](worker, round_ops);
	pthread_barrier_wait(&end);
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;

	workload->prepare(worker);
	for (;;) {
		pthread_barrier_wait(&begin);
		if (!round_ops)
			return NULL;
		take_part(worker);
	}
}

/* The main thread is the first worker: alone it is the process's only thread. */
static uint64_t run_round(void)
{
	uint64_t start;

	pthread_barrier_wait(&begin);
	if (!round_ops)
		return 0;
	start = now();
	take_part(&workers[0]);
	return now() - start;
}

static void start(unsigned int threads)
{
	pthread_t thread;
	unsigned int i;
	int err;

	pthread_barrier_init(&begin, NULL, threads);
	pthread_barrier_init(&end, NULL, threads);
	for (i = 0; i < threads; i++) {
		workers[i].number = i;
		workers[i].random = i + 1;
		if (i) {
			err = pthread_create(&thread, NULL, worker_main, &workers[i]);
			errno = err;
			if (err || pthread_detach(thread))
				die("pthread_create");
		}
	}
	workload->prepare(&workers[0]);
}

static const struct workload *find_workload(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (!strcmp(workloads[i].name, name))
			return &workloads[i];
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int threads;

	if (argc == 6)
		workload = find_workload(argv[2]);
	size = workload ? strtoull(argv[3], NULL, 0) : 0;
	threads = workload ? strtoul(argv[4], NULL, 0) : 0;
	window = workload ? strtoull(argv[5], NULL, 0) : 0;
	if (size < sizeof(uint64_t) || !window || window > MAX_WINDOW ||
	    threads < workload->min_threads || threads > MAX_THREADS) {
		fprintf(stderr, "usage: span CONTESTANT pair|churn|mixed|handed SIZE THREADS WINDOW\n");
		return 2;
	}
	who = contestant_open(argv[1]);
	start(threads);
	while (scanf("%" SCNu64, &round_ops) == 1 && round_ops) {
		printf("%" PRIu64 "\n", run_round());
		fflush(stdout);
	}
	round_ops = 0;
	run_round();
	return 0;
}
