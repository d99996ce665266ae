// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One run: load, serve, shrink, give memory back; after serving and at the end
 * every record is asked for. What is measured is measured the same way whatever
 * the memory is.
 */
#include "run.h"

#include <stdio.h>
#include <string.h>

#include "requests.h"
#include "system.h"

struct run {
	const struct run_options *options;
	struct run_result *result;
	struct clients clients;
	struct store *store;
	unsigned int shown;	/* per cent of the requests */
};

static void show(const struct run *run, const char *what)
{
	if (!run->options->quiet)
		fputs(what, stderr);
}

static void show_progress(void *context, double done)
{
	struct run *run = context;

	if (done * 100 < run->shown + 10 || run->options->quiet)
		return;
	run->shown = (unsigned int)(done * 10) * 10;
	fprintf(stderr, " %u%%", run->shown);
}

/* A record is padded to 8 bytes: on average by half of that. */
static uint64_t record_bytes(const struct text *text)
{
	return text->bytes + text->key_bytes +
		(uint64_t)text->records * (store_record_bytes(0, 0) + 4);
}

static int load(struct run *run)
{
	double *metrics = run->result->metrics;
	const struct text *text = run->options->text;
	size_t expected = store_expected_bytes(text->records, record_bytes(text));
	struct faults before, after;
	uint64_t begin;
	int ret;

	system_warm(expected);
	show(run, " load");
	before = system_faults();
	begin = system_nanoseconds();
	ret = run->options->memory->open(expected);
	if (ret) {
		fprintf(stderr, "hpheap-kv: no memory from %s: %s\n", run->options->memory->name,
			strerror(-ret));
		return -1;
	}
	run->store = store_create(run->options->memory);
	if (!run->store) {
		perror("hpheap-kv: store");
		return -1;
	}
	if (clients_open(&run->clients, run->store, text) || clients_load(&run->clients))
		return -1;
	after = system_faults();
	metrics[LOAD_SECONDS] = (double)(system_nanoseconds() - begin) * 1e-9;
	metrics[LOAD_MINOR] = (double)(after.minor - before.minor);
	metrics[LOAD_MAJOR] = (double)(after.major - before.major);
	return 0;
}

static void put_percentiles(double *metrics, const struct latency *latency)
{
	metrics[0] = (double)latency_at(latency, 0.5);
	metrics[1] = (double)latency_at(latency, 0.99);
	metrics[2] = (double)latency_at(latency, 0.999);
	metrics[3] = (double)latency->max;
}

static int look_at_memory(struct run *run)
{
	double *metrics = run->result->metrics;
	struct store_facts facts;
	struct heap_pages pages;

	store_describe(run->store, &facts);
	if (system_heap_pages(&pages) || run->options->memory->describe(&run->result->facts)) {
		perror("hpheap-kv: memory");
		return -1;
	}
	metrics[HUGE_SHARE] = pages.resident ? (double)pages.huge / (double)pages.resident : 0;
	metrics[DEVICE_BYTES] = (double)run->result->facts.device_bytes;
	metrics[LIVE_FULL] = (double)facts.live_bytes;
	metrics[RESIDENT_FULL] = (double)system_resident();
	return 0;
}

static int serve(struct run *run)
{
	const struct serve_options options = {
		.threads = run->options->threads, .requests = run->options->requests,
		.progress = show_progress, .context = run,
	};
	double *metrics = run->result->metrics;
	static struct served served;
	struct faults before, after;
	double cpu;

	/* As much as the store may grow meanwhile. */
	system_warm(store_expected_bytes(0, record_bytes(run->options->text) / 4));
	show(run, " serve");
	before = system_faults();
	cpu = system_cpu_seconds();
	if (clients_serve(&run->clients, &options, &served))
		return -1;
	cpu = system_cpu_seconds() - cpu;
	after = system_faults();
	put_percentiles(&metrics[GET_P50], &served.gets);
	put_percentiles(&metrics[WRITE_P50], &served.writes);
	metrics[REQUEST_RATE] = options.requests / ((double)(served.ended - served.began) * 1e-9);
	metrics[REQUEST_CPU] = cpu / options.requests;
	metrics[SERVE_MINOR] = (double)(after.minor - before.minor);
	metrics[SERVE_MAJOR] = (double)(after.major - before.major);
	return look_at_memory(run);
}

/* When it has most to show: little is live, and nothing is given back yet. */
static int draw(const struct run *run)
{
	const struct run_options *options = run->options;
	int err;

	if (!options->picture || !options->memory->draw)
		return 0;
	err = options->memory->draw(options->picture);
	if (err)
		fprintf(stderr, "hpheap-kv: %s: %s\n", options->picture, strerror(-err));
	return err ? -1 : 0;
}

static int shrink(struct run *run)
{
	double *metrics = run->result->metrics;
	struct store_facts facts;
	uint64_t begin;

	show(run, " shrink");
	if (clients_delete(&run->clients, RUN_KEEP))
		return -1;
	if (store_compact(run->store)) {
		perror("hpheap-kv: compacting the store");
		return -1;
	}
	store_describe(run->store, &facts);
	metrics[LIVE_SHRUNK] = (double)facts.live_bytes;
	metrics[RESIDENT_SHRUNK] = (double)system_resident();
	if (draw(run))
		return -1;
	begin = system_nanoseconds();
	run->options->memory->give_back();
	metrics[RETURN_SECONDS] = (double)(system_nanoseconds() - begin) * 1e-9;
	metrics[RESIDENT_RETURNED] = (double)system_resident();
	return 0;
}

static int verify(struct run *run)
{
	show(run, " verify");
	return clients_verify(&run->clients);
}

int run_store(const struct run_options *options, struct run_result *result)
{
	struct run run = { .options = options, .result = result };
	int ret;

	memset(result, 0, sizeof(*result));
	ret = load(&run);
	if (!ret)
		ret = serve(&run);
	if (!ret && options->damage)
		ret = clients_damage(&run.clients);
	if (!ret)
		ret = verify(&run);
	if (!ret)
		ret = shrink(&run);
	if (!ret)
		ret = verify(&run);
	show(&run, ret ? "\n" : " done\n");
	clients_close(&run.clients);
	if (run.store) {
		store_destroy(run.store);
		options->memory->close();
	}
	return ret;
}
