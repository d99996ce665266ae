/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests with objects judge: breathing.c and survivors.c. To be included after heap.h.
 *
 * Records are measured by the base page: what shares one with others does not go. Nothing is
 * judged by the clock: they wait until it is so, or until patience ends.
 */
#ifndef SELFTESTS_FOOTPRINTS_H
#define SELFTESTS_FOOTPRINTS_H

#include "heap_objects.h"
#include "records.h"

/* Seconds: some machines are emulated. */
#define PATIENCE	75

/* And what takes a hundredth of a CPU, or is done once a minute, takes them too long. */
__attribute__((constructor)) static void hurry(void)
{
	setenv("HPHEAP_SCAVENGE", "cpu=500,whole=5,pressure=0", 0);
}

/* Of live bytes on anonymous memory, what is on huge pages where a unit can be one. */
#define LEAST_HUGE	0.98

static struct hpheap *measured;

static inline double share(uint64_t part, uint64_t whole)
{
	return (double)part / (double)whole;
}

/* Is there no whole free unit but for what is kept as a margin? */
static inline bool keeps_a_margin_only(void)
{
	const struct hpheap_stats stats = stats_of(measured);

	return stats.free_huge_bytes <= 2 * UNIT + stats.committed_bytes / 16;
}

/* Does memory go base page by base page? A chunk of the device goes whole or not at all. */
static inline bool is_divisible(void)
{
	return !stats_of(measured).device_bytes;
}

struct reach {
	uintptr_t begin, end;
};

static inline int reach_visit(const struct hpheap_region *region, void *arg)
{
	struct reach *reach = arg;

	if (!reach->end)
		reach->begin = region->address;
	reach->end = region->address + region->bytes;
	return 0;
}

/* Of the heap's memory without its metadata, what smaps has under a key. */
static inline uint64_t mapped(const char *key)
{
	struct reach reach = { 0 };

	if (hpheap_walk(measured, reach_visit, &reach, NULL))
		abort();
	return smaps_bytes((void *)reach.begin, reach.end - reach.begin, key);
}

/*
 * Chunks of the device are huge, all of them; anonymous memory, also where the device had no
 * more, is what the kernel makes of it.
 */
static inline bool is_huge(void)
{
	const struct hpheap_stats stats = stats_of(measured);
	const uint64_t anonymous = stats.backend == HPHEAP_BACKEND_DEVICE ? stats.fallback_bytes :
									    mapped("Rss:");

	return !anonymous || !thp_is_a_unit() ||
	       share(mapped("AnonHugePages:"), anonymous) >= LEAST_HUGE;
}

#endif /* SELFTESTS_FOOTPRINTS_H */
