// SPDX-License-Identifier: GPL-2.0-only
/*
 * A service that breathes: a cache whose load comes and goes.
 *
 * Its records have random sizes (records.h). Half of its requests read a record,
 * half store a new one, for which others go when the cache is full, each as likely as
 * any. So it goes, in each round, after a time at high tide:
 *
 *	ebb		the cache is shrunk to 30 %: what is too much goes
 *	low tide	requests that replace its records so many times, if at all
 *	rest		some seconds without any
 *	ramp		requests, with the cache as large as before, until it is full
 *	high tide	requests, as many as there are records; then perhaps a pause
 *
 * Each request is timed, from the end of the one before to its own. The footprint is looked
 * at between the tides, when no time is taken. What was given back, and a quarter of the
 * peak more, is warmed before what is timed: on a virtual machine the host takes free
 * memory, and one would measure how fast it brings that back.
 */
#include "breathing.h"

#include <string.h>
#include <sys/resource.h>

#include "system.h"

#define LOW_PERCENT	30

static struct traffic unused;	/* what is not measured */

static void request(struct records *records, size_t capacity, volatile uint64_t *sum)
{
	if (records_below(records, 2) && records->count) {
		*sum += records_read(records, records_below(records, (uint32_t)records->count));
		return;
	}
	records_shrink(records, capacity);
	records_add(records);
}

/* Of the thread that serves, not of others that bring memory for it. */
static uint64_t page_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_minflt;
}

/* So many requests, or until the cache is full if there are 0. */
static void serve(struct records *records, size_t capacity, size_t requests,
		  struct traffic *traffic)
{
	const uint64_t faults = page_faults(), begin = system_nanoseconds();
	uint64_t last = begin, now;
	volatile uint64_t sum = 0;
	size_t done = 0;

	while (requests ? done < requests : records->live < capacity) {
		request(records, capacity, &sum);
		now = system_nanoseconds();
		latency_record(&traffic->latency, now - last);
		last = now;
		done++;
	}
	traffic->requests += done;
	traffic->ns += last - begin;
	traffic->faults += page_faults() - faults;
}

/* Requests at high tide, and what they need beyond what is there. */
static void stay(struct records *records, size_t high, struct traffic *traffic)
{
	system_warm(high / 4);
	serve(records, high, records->count, traffic);
}

static void breathe_once(const struct breathing *breathing, struct records *records,
			 struct tide *tide, struct breath *breath)
{
	const size_t high = breathing->peak, low = high / 100 * LOW_PERCENT;
	size_t given_back = 0;

	tide->top = records_footprint(records);
	records_shrink(records, low);
	if (breathing->turns)
		serve(records, low, 2 * breathing->turns * records->count, &unused);
	tide->low = records_footprint(records);
	tide->idle = records_rest(records, breathing->idle_seconds, breathing->idle);
	if (tide->top.resident > tide->idle.resident)
		given_back = (size_t)(tide->top.resident - tide->idle.resident);
	system_warm(given_back + high / 4);
	serve(records, high, 0, &breath->ramp);
	stay(records, high, &breath->steady);
	tide->full = records_footprint(records);
}

void breathe(const struct breathing *breathing, const struct allocator *allocator,
	     void (*told)(const struct tide *tide, void *arg), void *arg, struct breath *breath)
{
	const size_t high = breathing->peak;
	struct records records;
	struct tide tide;
	unsigned int i;

	memset(breath, 0, sizeof(*breath));
	system_warm(high / 2 * 3);
	records_open(&records, allocator, breathing->seed, breathing->smallest,
		     breathing->largest, high);
	serve(&records, high, 0, &unused);
	stay(&records, high, &unused);
	stay(&records, high, &breath->steady);
	for (i = 0; i < breathing->rounds; i++) {
		breathe_once(breathing, &records, &tide, breath);
		if (i + 1 == breathing->rounds)
			tide.full = records_rest(&records, breathing->back_seconds,
						 breathing->back);
		told(&tide, arg);
		if (breathing->pause && i + 1 < breathing->rounds)
			breathing->pause(arg);
	}
	records_close(&records);
}
