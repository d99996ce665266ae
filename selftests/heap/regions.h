/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All regions of a heap, and whether they add up to the statistics of the same
 * moment.
 */
#ifndef SELFTESTS_REGIONS_H
#define SELFTESTS_REGIONS_H

#include <stddef.h>

#include "heap.h"

#define MOST_REGIONS	20000
#define KINDS		(HPHEAP_REGION_HOLLOW + 1)

struct walk {
	size_t count;
	struct hpheap_region last;
	uint64_t bytes[KINDS];
	size_t spans;
	uint64_t huge;		/* bytes of whole free huge units */
	uint64_t backends[HPHEAP_BACKEND_SMALL + 1];
	const char *wrong;
	struct hpheap_region regions[MOST_REGIONS];	/* the first of them */
};

/* What is free in whole units, by the heap's own account; the first of it. */
struct free_units {
	char *first;
	size_t bytes;
};

static inline int add_free_units(const struct hpheap_region *region, void *arg)
{
	const uintptr_t first = (region->address + UNIT - 1) & ~(UNIT - 1);
	const uintptr_t end = (region->address + region->bytes) & ~(UNIT - 1);
	struct free_units *units = arg;

	if (region->kind != HPHEAP_REGION_FREE || end <= first)
		return 0;
	if (!units->first)
		units->first = (char *)first;
	units->bytes += end - first;
	return 0;
}

/* "", or what says that it is not so many, in one place and all of them resident. */
static inline const char *wrong_of_free_units(struct hpheap *heap, size_t count)
{
	struct free_units units = { 0 };

	if (hpheap_walk(heap, add_free_units, &units, NULL))
		abort();
	if (units.bytes != count * UNIT)
		return "the walk";
	if (stats_of(heap).free_huge_bytes != count * UNIT)
		return "free_huge_bytes";
	if (resident_bytes(units.first, units.bytes) != count * UNIT)
		return "mincore()";
	return "";
}

static inline void begin_walk(struct walk *walk)
{
	memset(walk, 0, offsetof(struct walk, regions));
}

static int note_region(const struct hpheap_region *region, void *arg)
{
	struct walk *walk = arg;
	const struct hpheap_region *last = walk->count ? &walk->last : NULL;
	const uintptr_t end = region->address + region->bytes;
	const uintptr_t first_unit = (region->address + UNIT - 1) & ~(UNIT - 1);
	const bool halved = region->kind == HPHEAP_REGION_SPAN ||
			    region->kind == HPHEAP_REGION_HOLLOW;

	if (!region->bytes || (region->address | region->bytes) % (halved ? PAGE / 2 : PAGE) ||
	    region->kind >= KINDS ||
	    region->backend > HPHEAP_BACKEND_SMALL)
		walk->wrong = "a region that cannot be";
	if (region->rest &&
	    (!last || last->address + last->bytes != region->address || region->rest > 1))
		walk->wrong = "the rest of nothing";
	if (last && last->address + last->bytes > region->address)
		walk->wrong = "regions that overlap";
	if (last && last->address + last->bytes != region->address &&
	    (last->address + last->bytes) % UNIT)
		walk->wrong = "a gap within a huge unit";
	if ((region->kind == HPHEAP_REGION_SPAN || region->kind == HPHEAP_REGION_FREE) &&
	    region->backend == HPHEAP_BACKEND_AUTO)
		walk->wrong = "memory of no backend";
	if (walk->count < MOST_REGIONS)
		walk->regions[walk->count] = *region;
	walk->count++;
	walk->bytes[region->kind % KINDS] += region->bytes;
	walk->spans += !region->rest && (region->kind == HPHEAP_REGION_SPAN ||
					 region->kind == HPHEAP_REGION_LOST ||
					 region->kind == HPHEAP_REGION_HOLLOW);
	if (region->kind == HPHEAP_REGION_FREE && (end & ~(UNIT - 1)) > first_unit)
		walk->huge += (end & ~(UNIT - 1)) - first_unit;
	walk->backends[region->backend % (HPHEAP_BACKEND_SMALL + 1)] += region->bytes;
	walk->last = *region;
	return 0;
}

/* NULL, or which of the sums is not that of the statistics. */
static const char *compare_walk(const struct walk *walk, const struct hpheap_stats *stats)
{
	const uint64_t *bytes = walk->bytes;

	if (walk->wrong)
		return walk->wrong;
	if (walk->spans != stats->spans)
		return "spans";
	if (bytes[HPHEAP_REGION_SPAN] != stats->used_bytes)
		return "used_bytes";
	if (bytes[HPHEAP_REGION_CACHED] != stats->cached_bytes)
		return "cached_bytes";
	if (bytes[HPHEAP_REGION_FREE] + bytes[HPHEAP_REGION_CACHED] != stats->free_bytes)
		return "free_bytes";
	if (walk->huge != stats->free_huge_bytes)
		return "free_huge_bytes";
	if (stats->committed_bytes != stats->used_bytes + stats->free_bytes + stats->away_bytes +
				      stats->fenced_bytes)
		return "committed_bytes";
	if (bytes[HPHEAP_REGION_SPAN] + bytes[HPHEAP_REGION_CACHED] + bytes[HPHEAP_REGION_FREE] +
	    bytes[HPHEAP_REGION_EMPTY] + bytes[HPHEAP_REGION_FENCED] +
	    bytes[HPHEAP_REGION_LOST] + bytes[HPHEAP_REGION_HOLLOW] != stats->address_bytes)
		return "address_bytes";
	if (bytes[HPHEAP_REGION_HOLLOW] > stats->away_bytes)
		return "away_bytes";
	if (walk->backends[HPHEAP_BACKEND_DEVICE] != stats->device_bytes)
		return "device_bytes";
	if (stats->backend == HPHEAP_BACKEND_DEVICE &&
	    walk->backends[HPHEAP_BACKEND_THP] + stats->away_bytes != stats->fallback_bytes)
		return "fallback_bytes";
	return NULL;
}

static inline const char *take_walk(struct hpheap *heap, struct walk *walk)
{
	struct hpheap_stats stats = { .size = sizeof(stats) };

	begin_walk(walk);
	if (hpheap_walk(heap, note_region, walk, &stats))
		return "the walk fails";
	return compare_walk(walk, &stats);
}

#endif /* SELFTESTS_REGIONS_H */
