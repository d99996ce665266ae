// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A heap's numbers, read in one moment: nothing here is an estimate.
 */
#include <errno.h>
#include <string.h>

#include "heap.h"

/* The first published structure: a caller who knows less has made a mistake. */
#define STATS_SIZE_FIRST	(offsetof(struct hpheap_stats, placement_errno))

static uint64_t unit_bytes(size_t units)
{
	return (uint64_t)units << HPH_HUGE_SHIFT;
}

/* Under both locks. */
static void read_heap(struct hpheap *heap, struct hpheap_stats *stats)
{
	const struct hph_pages *pages = &heap->pages;
	struct hph_backend_facts facts;

	heap->backend->ops->query(heap->backend, &facts);
	stats->backend = heap->kind;
	stats->backend_wanted = heap->wanted;
	memcpy(stats->backend_reason, heap->reason, sizeof(stats->backend_reason));
	stats->base_page_bytes = heap->base_page;
	stats->address_bytes = heap->arena.address_bytes;
	stats->committed_bytes = unit_bytes(pages->memory_units);
	stats->device_bytes = unit_bytes(heap->device_units);
	stats->fallback_bytes = unit_bytes(heap->fallback_units);
	stats->used_bytes = (uint64_t)pages->used_pages << HPH_PAGE_SHIFT;
	stats->free_bytes = stats->committed_bytes - stats->used_bytes;
	stats->free_huge_bytes = unit_bytes(pages->free_units);
	stats->spans = pages->spans;
	stats->arenas = heap->arena.nr_blocks;
	stats->grow_calls = heap->arena.reservations;
	stats->commit_calls = heap->commits;
	stats->release_calls = heap->releases;
	stats->fallback_units = heap->fallbacks;
	stats->fallback_errno = heap->fallback_errno;
	stats->device_lost = facts.device_lost;
	stats->peak_committed_bytes = unit_bytes(heap->peak_units);
	stats->placement_errno = facts.placement_errno;
	if (!facts.placement_errno && heap->fallback) {
		heap->fallback->ops->query(heap->fallback, &facts);
		stats->placement_errno = facts.placement_errno;
	}
}

int hpheap_stats(struct hpheap *heap, struct hpheap_stats *stats)
{
	struct hpheap_stats now = { 0 };

	if (!heap || !stats || stats->size < STATS_SIZE_FIRST) {
		errno = EINVAL;
		return -1;
	}
	pthread_mutex_lock(&heap->grow);
	pthread_mutex_lock(&heap->lock);
	read_heap(heap, &now);
	pthread_mutex_unlock(&heap->lock);
	pthread_mutex_unlock(&heap->grow);
	now.size = stats->size < sizeof(now) ? stats->size : sizeof(now);
	memcpy(stats, &now, now.size);
	return 0;
}
