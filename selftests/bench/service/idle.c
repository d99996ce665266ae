// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cache that had much and has little: what it still holds when it has rested.
 *
 * Its records are those of breathing.c, of 64 bytes to 4 MiB. It fills up, lives until as many came
 * anew as it has, twice, is shrunk to 30 %, each record as likely to go as any, and then does
 * nothing for three seconds. A round is such a life, of the seed that it is told; it writes the
 * bytes that are resident then, those that are live, and those on huge pages. What comes of a
 * second life depends on the first: a process is for one.
 */
#include "service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "contestant.h"
#include "records.h"
#include "system.h"

#define LEAST		((size_t)64)
#define MOST		((size_t)4 << 20)
#define LOW_PERCENT	30
#define REST_SECONDS	3

static size_t peak;

static void prepare(size_t mib, bool by_hand)
{
	(void)by_hand;
	peak = mib << 20;
	system_warm(peak / 2 * 3);
}

static void run(uint64_t seed)
{
	const struct allocator allocator = { .alloc = malloc_take, .free = malloc_give };
	struct footprint footprint;
	struct records records;
	size_t left;

	records_open(&records, &allocator, seed, LEAST, MOST, peak);
	while (records.live < peak)
		records_add(&records);
	for (left = 2 * records.count; left; left--) {
		records_shrink(&records, peak);
		records_add(&records);
	}
	records_shrink(&records, peak / 100 * LOW_PERCENT);
	footprint = records_rest(&records, REST_SECONDS, NULL);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", footprint.resident, footprint.live,
	       footprint.huge);
	records_close(&records);
}

const struct measure idle_measure = { "idle", prepare, run };
