// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The clients: see requests.h. Thread i has the records whose number modulo
 * threads is i to itself, so that it knows what each must hold; the store has
 * no such order, and its shards see all threads.
 *
 * Popularity is like Zipf's: the r-th most popular record is asked for with a
 * chance of about 1/r^0.8, as Breslau and others found for the requests that
 * reach web caches (INFOCOM 1999: 0.64 to 0.83). Values that are put are texts
 * that were got before.
 */
#include "requests.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hash.h"
#include "system.h"

#define GET_PERCENT	75u
#define PUT_PERCENT	20u	/* and deletes the rest; what is missing is put again */
#define PROGRESS_NS	200000000L

struct worker {
	pthread_t thread;
	struct clients *clients;
	unsigned int index, threads, requests;
	uint64_t ended;
	atomic_uint done;
	uint64_t random;
	struct latency gets, writes;
	char key[TEXT_MAX_KEY];
	char value[TEXT_MAX_VALUE];	/* the last text that was got */
	size_t value_bytes;
	int failed;
};

static int complain(const char *what, const char *key)
{
	fprintf(stderr, "hpheap-kv: %s: %s\n", key, what);
	return -1;
}

int clients_open(struct clients *clients, struct store *store, const struct text *text)
{
	*clients = (struct clients){ .store = store, .text = text };
	clients->expected = calloc(text->records, sizeof(*clients->expected));
	return clients->expected ? 0 : complain(strerror(ENOMEM), "clients");
}

void clients_close(struct clients *clients)
{
	free(clients->expected);
}

struct loading {
	struct clients *clients;
	const struct text_file *file;
};

static int load_record(void *context, uint32_t number, const char *value, size_t bytes)
{
	struct loading *loading = context;
	struct clients *clients = loading->clients;
	uint32_t record = loading->file->first + number;
	char key[TEXT_MAX_KEY];
	size_t key_bytes;

	if (number >= loading->file->records)	/* the file has grown */
		return 1;
	key_bytes = text_key(clients->text, record, key);
	if (store_put(clients->store, key, key_bytes, value, bytes))
		return complain(strerror(errno), key);
	clients->expected[record] = hash_bytes(value, bytes);
	clients->loaded++;
	return 0;
}

int clients_load(struct clients *clients)
{
	size_t i;

	for (i = 0; i < clients->text->count; i++) {
		struct loading loading = { clients, &clients->text->files[i] };

		/* A file that has gone or shrunk since it was counted: without it. */
		if (text_read(loading.file, load_record, &loading) == -1)
			return -1;
	}
	if (!clients->loaded)
		return complain("no text left to load", "clients");
	return 0;
}

/* xorshift64*: any state but 0 */
static uint64_t next_random(struct worker *worker)
{
	worker->random ^= worker->random >> 12;
	worker->random ^= worker->random << 25;
	worker->random ^= worker->random >> 27;
	return worker->random * UINT64_C(0x2545f4914f6cdd1d);
}

/*
 * A record of this worker. The share of requests that go to the r most popular
 * of n records is (r/n)^0.2: the inverse is a fifth power. The prime, larger
 * than any count, spreads the ranks over all records.
 */
static uint32_t choose(struct worker *worker)
{
	uint32_t own = (worker->clients->text->records - worker->index + worker->threads - 1) /
		worker->threads;
	double uniform = (double)(next_random(worker) >> 11) * 0x1p-53;
	uint64_t rank = (uint64_t)(uniform * uniform * uniform * uniform * uniform * own);

	return (uint32_t)(rank * UINT64_C(4294967291) % own) * worker->threads + worker->index;
}

static int request_get(struct worker *worker, uint32_t record, size_t key_bytes)
{
	uint64_t begin = system_nanoseconds();
	ssize_t bytes = store_get(worker->clients->store, worker->key, key_bytes, worker->value,
				  sizeof(worker->value));

	latency_record(&worker->gets, system_nanoseconds() - begin);
	if (bytes < 0)
		return complain("a record is missing", worker->key);
	if ((size_t)bytes > sizeof(worker->value) ||
	    hash_bytes(worker->value, (size_t)bytes) != worker->clients->expected[record])
		return complain("a record has the wrong text", worker->key);
	worker->value_bytes = (size_t)bytes;
	return 0;
}

static int request_put(struct worker *worker, uint32_t record, size_t key_bytes)
{
	uint64_t begin = system_nanoseconds();
	int ret = store_put(worker->clients->store, worker->key, key_bytes, worker->value,
			    worker->value_bytes);

	latency_record(&worker->writes, system_nanoseconds() - begin);
	if (ret)
		return complain(strerror(errno), worker->key);
	worker->clients->expected[record] = hash_bytes(worker->value, worker->value_bytes);
	return 0;
}

static int request_delete(struct worker *worker, uint32_t record, size_t key_bytes)
{
	uint64_t begin = system_nanoseconds();
	bool was_there = store_delete(worker->clients->store, worker->key, key_bytes);

	latency_record(&worker->writes, system_nanoseconds() - begin);
	if (!was_there)
		return complain("a record to delete is missing", worker->key);
	worker->clients->expected[record] = 0;
	return 0;
}

static int request(struct worker *worker)
{
	uint32_t record = choose(worker);
	size_t key_bytes = text_key(worker->clients->text, record, worker->key);
	unsigned int kind = (unsigned int)(next_random(worker) >> 32) % 100;

	if (!worker->clients->expected[record])
		return request_put(worker, record, key_bytes);
	if (kind < GET_PERCENT)
		return request_get(worker, record, key_bytes);
	if (kind < GET_PERCENT + PUT_PERCENT)
		return request_put(worker, record, key_bytes);
	return request_delete(worker, record, key_bytes);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	unsigned int i;

	for (i = 0; i < worker->requests && !worker->failed; i++) {
		worker->failed = request(worker);
		atomic_store_explicit(&worker->done, i + 1, memory_order_relaxed);
	}
	worker->ended = system_nanoseconds();
	atomic_store_explicit(&worker->done, worker->requests, memory_order_relaxed);
	return NULL;
}

static void watch(struct worker *workers, const struct serve_options *options)
{
	const struct timespec pause = { .tv_nsec = PROGRESS_NS };
	unsigned int done, i;

	do {
		nanosleep(&pause, NULL);
		for (done = 0, i = 0; i < options->threads; i++)
			done += atomic_load_explicit(&workers[i].done, memory_order_relaxed);
		options->progress(options->context, (double)done / options->requests);
	} while (done < options->requests);
}

static int finish(struct worker *workers, unsigned int count, struct served *served)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		latency_merge(&served->gets, &workers[i].gets);
		latency_merge(&served->writes, &workers[i].writes);
		if (workers[i].ended > served->ended)
			served->ended = workers[i].ended;
		ret |= workers[i].failed;
	}
	return ret;
}

int clients_serve(struct clients *clients, const struct serve_options *options,
		  struct served *served)
{
	struct worker *workers = calloc(options->threads, sizeof(*workers));
	unsigned int i;
	int ret = 0;

	memset(served, 0, sizeof(*served));
	if (!workers)
		return complain(strerror(ENOMEM), "clients");
	served->began = system_nanoseconds();
	for (i = 0; i < options->threads && !ret; i++) {
		struct worker *worker = &workers[i];

		worker->clients = clients;
		worker->index = i;
		worker->threads = options->threads;
		worker->requests = options->requests / options->threads +
			(i < options->requests % options->threads);
		worker->random = hash_step(1, i + 1);
		ret = pthread_create(&worker->thread, NULL, work, worker);
	}
	if (ret)
		i--;
	else
		watch(workers, options);
	ret = finish(workers, i, served) || ret;
	free(workers);
	return ret ? -1 : 0;
}

int clients_delete(struct clients *clients, uint32_t keep)
{
	char key[TEXT_MAX_KEY];
	uint32_t i;

	for (i = 0; i < clients->text->records; i++) {
		if (!clients->expected[i] || i % keep == 0)
			continue;
		if (!store_delete(clients->store, key, text_key(clients->text, i, key)))
			return complain("a record to delete is missing", key);
		clients->expected[i] = 0;
	}
	return 0;
}

int clients_verify(struct clients *clients)
{
	char key[TEXT_MAX_KEY], value[TEXT_MAX_VALUE];
	uint32_t i;

	for (i = 0; i < clients->text->records; i++) {
		size_t key_bytes = text_key(clients->text, i, key);
		ssize_t bytes = store_get(clients->store, key, key_bytes, value, sizeof(value));

		if (!clients->expected[i] && bytes >= 0)
			return complain("a deleted record is there", key);
		if (clients->expected[i] && bytes < 0)
			return complain("a record is missing", key);
		if (bytes >= 0 && ((size_t)bytes > sizeof(value) ||
				   hash_bytes(value, (size_t)bytes) != clients->expected[i]))
			return complain("a record has the wrong text", key);
	}
	return 0;
}

int clients_damage(struct clients *clients)
{
	static const char wrong[] = "not what the clients have put";
	char key[TEXT_MAX_KEY];
	uint32_t i = 0;

	while (i < clients->text->records - 1 && !clients->expected[i])
		i++;
	if (store_put(clients->store, key, text_key(clients->text, i, key), wrong, sizeof(wrong)))
		return complain(strerror(errno), key);
	return 0;
}
