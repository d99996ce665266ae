// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scattered survivors: of many small records one in 64 stays, chosen by chance; nothing
 * happens for a while; then as many come as there were.
 *
 * This is what keeps memory from going back: every huge page, and many base pages, have
 * someone in them.
 */
#include "survivors.h"

#include "system.h"

#define ONE_IN	64

static void fill(struct records *records, size_t bytes)
{
	while (records->live < bytes)
		records_add(records);
}

void survive(const struct survivors *survivors, const struct allocator *allocator,
	     struct survival *survival)
{
	unsigned int i, slept = 0;
	struct records records;
	size_t which, staying;

	system_warm(survivors->bytes / 4 * 5);
	records_open(&records, allocator, survivors->seed, survivors->smallest,
		     survivors->largest, survivors->bytes);
	fill(&records, survivors->bytes);
	survival->top = records_footprint(&records);
	/* Where one goes the last is put: from the end on, each is asked once. */
	for (which = records.count; which; which--)
		if (records_below(&records, ONE_IN))
			records_remove(&records, which - 1);
	staying = records.count;
	for (i = 0; i < survivors->waits; i++) {
		survival->now[i] = records_rest(&records, survivors->seconds[i] - slept,
						survivors->enough);
		slept = survivors->seconds[i];
	}
	for (which = 0; which < staying; which++)
		records_read(&records, which);
	fill(&records, survivors->bytes);
	survival->refilled = records_rest(&records, survivors->refilled_seconds,
					  survivors->refilled);
	records_close(&records);
}

double survival_back(const struct survival *survival, unsigned int wait)
{
	const uint64_t freed = survival->top.live - survival->now[wait].live;
	const uint64_t before = survival->top.resident, now = survival->now[wait].resident;

	return before > now ? (double)(before - now) / (double)freed : 0;
}
