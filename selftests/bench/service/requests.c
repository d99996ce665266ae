// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cache server's requests: how long the slow ones take.
 *
 * Two workers have half of the keys each. Of 100 requests 70 read a value, 25 replace one by
 * a value of another size, 4 make one longer, and 1 reads sixteen. Every eighth value that is
 * replaced is freed by the other worker, as if it had sent the answer. A round is so many
 * requests of each worker: it writes p50, p99, p99.9 and p99.99 in nanoseconds.
 */
#include "service.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contestant.h"
#include "latency.h"
#include "system.h"

#define WORKERS		2u
#define LEAST		32u
#define MOST		((size_t)16 << 10)
#define LARGE		((size_t)256 << 10)	/* one value of 100 is up to this */
#define INBOX		256u

struct value {
	uint32_t bytes;
	char data[];
};

struct worker {
	_Alignas(128) uint64_t random;
	struct value **values;
	uint32_t keys;
	uint64_t count;
	uint64_t sum;
	struct latency latency;
	/* What the other one replaced: it puts, this one takes. */
	_Alignas(128) _Atomic uint32_t put;
	_Alignas(128) _Atomic uint32_t taken;
	struct value *inbox[INBOX];
};

static struct worker workers[WORKERS];

static struct value *new_value(struct worker *worker)
{
	const bool large = service_random(&worker->random) % 100 == 0;
	const size_t bytes = service_size(&worker->random, large ? MOST : LEAST,
					  large ? LARGE : MOST);
	struct value *value = service_malloc(bytes);

	memset(value, (int)bytes, bytes);
	value->bytes = (uint32_t)bytes;
	return value;
}

static void prepare(size_t mib, bool by_hand)
{
	unsigned int i;

	(void)by_hand;
	for (i = 0; i < WORKERS; i++) {
		struct worker *worker = &workers[i];
		size_t left = (mib << 20) / WORKERS, most = left / LEAST;

		worker->random = i + 1;
		worker->values = (struct value **)service_huge(most * sizeof(struct value *) / 16);
		while (left > LARGE && worker->keys < most / 16) {
			struct value *value = new_value(worker);

			worker->values[worker->keys++] = value;
			left -= value->bytes;
		}
	}
}

static uint64_t get(const struct value *value)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = sizeof(*value); i < value->bytes; i += 64)
		sum += (unsigned char)value->data[i - sizeof(*value)];
	return sum;
}

static void send(struct worker *to, struct value *value)
{
	const uint32_t put = atomic_load_explicit(&to->put, memory_order_relaxed);

	if (put - atomic_load_explicit(&to->taken, memory_order_acquire) == INBOX) {
		free(value);
		return;
	}
	to->inbox[put % INBOX] = value;
	atomic_store_explicit(&to->put, put + 1, memory_order_release);
}

static void empty_inbox(struct worker *worker)
{
	const uint32_t put = atomic_load_explicit(&worker->put, memory_order_acquire);
	uint32_t taken = atomic_load_explicit(&worker->taken, memory_order_relaxed);

	for (; taken != put; taken++)
		free(worker->inbox[taken % INBOX]);
	atomic_store_explicit(&worker->taken, taken, memory_order_release);
}

static void set(struct worker *worker, struct worker *other, struct value **value)
{
	struct value *old = *value;

	*value = new_value(worker);
	if (service_random(&worker->random) % 8)
		free(old);
	else
		send(other, old);
}

static void append(struct value **value)
{
	const size_t bytes = (*value)->bytes + (*value)->bytes / 4;
	struct value *longer;

	if (bytes > LARGE)
		return;
	longer = realloc(*value, bytes);
	if (!longer)
		die("realloc");
	memset((char *)longer + longer->bytes, 1, bytes - longer->bytes);
	longer->bytes = (uint32_t)bytes;
	*value = longer;
}

static struct value **any(struct worker *worker)
{
	return &worker->values[service_random(&worker->random) % worker->keys];
}

static void request(struct worker *worker, struct worker *other)
{
	const unsigned int what = service_random(&worker->random) % 100;
	unsigned int i;

	empty_inbox(worker);
	if (what < 70)
		worker->sum += get(*any(worker));
	else if (what < 95)
		set(worker, other, any(worker));
	else if (what < 99)
		append(any(worker));
	else
		for (i = 0; i < 16; i++)
			worker->sum += get(*any(worker));
}

static void *work(void *arg)
{
	struct worker *worker = arg, *other = &workers[worker == workers];
	uint64_t i, before = system_nanoseconds(), now;

	for (i = 0; i < worker->count; i++) {
		request(worker, other);
		now = system_nanoseconds();
		latency_record(&worker->latency, now - before);
		before = now;
	}
	return NULL;
}

static void run(uint64_t count)
{
	struct latency all = { .count = 0 };
	pthread_t threads[WORKERS];
	unsigned int i;

	for (i = 0; i < WORKERS; i++) {
		workers[i].count = count;
		memset(&workers[i].latency, 0, sizeof(workers[i].latency));
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			die("pthread_create");
	}
	for (i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		latency_merge(&all, &workers[i].latency);
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", latency_at(&all, 0.5),
	       latency_at(&all, 0.99), latency_at(&all, 0.999), latency_at(&all, 0.9999));
}

const struct measure requests_measure = { "requests", prepare, run };
