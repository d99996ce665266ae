// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A heap's numbers, read in one moment: nothing here is an estimate.
 */
#include <errno.h>
#include <string.h>

#include "cache.h"

/* The first published structure: a caller who knows less has made a mistake. */
#define STATS_SIZE_FIRST	(offsetof(struct hpheap_stats, placement_errno))

static uint64_t unit_bytes(size_t units)
{
	return (uint64_t)units << HPH_HUGE_SHIFT;
}

static uint64_t page_bytes(size_t pages)
{
	return (uint64_t)pages << HPH_PAGE_SHIFT;
}

static uint64_t half_bytes(size_t halves)
{
	return (uint64_t)halves << HPH_HALF_SHIFT;
}

/* What the zones have; under all locks. */
static void read_zones(struct hpheap *heap, struct hpheap_stats *stats)
{
	unsigned int i;

	for (i = 0; i < heap->nr_zones; i++) {
		const struct hph_zone *zone = &heap->zones[i];

		stats->committed_bytes += unit_bytes(zone->pages.memory_units);
		stats->device_bytes += unit_bytes(zone->device_units);
		stats->fallback_bytes += unit_bytes(zone->fallback_units);
		stats->used_bytes += page_bytes(zone->pages.used_pages) -
				     half_bytes(zone->pages.away_halves);
		stats->away_bytes += page_bytes(zone->pages.away_pages) +
				     half_bytes(zone->pages.away_halves);
		stats->fenced_bytes += page_bytes(zone->pages.fenced_pages);
		stats->free_huge_bytes += unit_bytes(zone->pages.free_units);
		stats->lazy_bytes += unit_bytes(zone->pages.lazy_units);
		stats->purgeable_bytes += unit_bytes(zone->pages.purgeable_units);
		stats->spans += zone->pages.spans;
		stats->commit_calls += zone->commits;
		stats->release_calls += zone->releases;
		stats->fallback_units += zone->fallbacks;
		if (zone->fallback_errno)
			stats->fallback_errno = zone->fallback_errno;
	}
}

/* Under all locks, with the caches closed. */
void hph_stats_read(struct hpheap *heap, struct hpheap_stats *stats)
{
	struct hph_backend_facts facts;
	size_t spans, pages;

	read_zones(heap, stats);
	hph_caches_count(heap, &spans, &pages);
	hph_objects_count(heap, &stats->slab_bytes, &stats->object_bytes);
	stats->used_bytes -= page_bytes(pages);
	stats->scavenged_bytes = page_bytes(atomic_load(&heap->scavenged_pages));
	stats->spans -= spans;
	stats->cached_bytes = page_bytes(pages);
	stats->free_bytes = stats->committed_bytes - stats->used_bytes - stats->away_bytes -
			    stats->fenced_bytes;
	stats->backend = heap->kind;
	stats->backend_wanted = heap->wanted;
	memcpy(stats->backend_reason, heap->reason, sizeof(stats->backend_reason));
	stats->base_page_bytes = heap->base_page;
	stats->address_bytes = heap->arena.address_bytes;
	stats->arenas = heap->arena.nr_blocks;
	stats->grow_calls = heap->arena.reservations;
	stats->peak_committed_bytes = unit_bytes(atomic_load(&heap->peak_units));
	heap->backend->ops->query(heap->backend, &facts);
	stats->device_lost = facts.device_lost;
	stats->placement_errno = facts.placement_errno;
	if (!facts.placement_errno && heap->fallback) {
		heap->fallback->ops->query(heap->fallback, &facts);
		stats->placement_errno = facts.placement_errno;
	}
}

/* Does the caller know enough of the structure? */
bool hph_stats_valid(const struct hpheap_stats *stats)
{
	return stats->size >= STATS_SIZE_FIRST;
}

/* As much as the caller knows of it. */
void hph_stats_copy(struct hpheap_stats *stats, struct hpheap_stats *now)
{
	now->size = stats->size < sizeof(*now) ? stats->size : sizeof(*now);
	memcpy(stats, now, now->size);
}

int hpheap_stats(struct hpheap *heap, struct hpheap_stats *stats)
{
	struct hpheap_stats now = { 0 };

	if (!heap || !stats || !hph_stats_valid(stats)) {
		errno = EINVAL;
		return -1;
	}
	hph_heap_stop(heap);
	hph_stats_read(heap, &now);
	hph_heap_resume(heap);
	hph_stats_copy(stats, &now);
	return 0;
}
