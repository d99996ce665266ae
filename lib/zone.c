// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Zones: a heap's memory by NUMA node.
 *
 * A heap whose memory shall be local has a zone for each node: threads take
 * spans from the zone of the node they run on, and what is freed goes back to the
 * zone it came from, whoever frees it. A heap that was told where its memory
 * shall come from has one zone, and so has every heap where there is one node.
 */
#include <errno.h>
#include <string.h>

#include "cache.h"

/* The zone of a node without memory is that of the nearest one that has some. */
static int map_nodes(struct hpheap *heap, const uint32_t *nodes)
{
	uint8_t *zone_of_node = hph_meta_alloc(&heap->meta, HPH_NUMA_NODES);
	uint8_t *zone_of_cpu = hph_meta_alloc(&heap->meta, HPH_NUMA_CPUS);
	unsigned int node, i, best;

	if (!zone_of_node || !zone_of_cpu)
		return -ENOMEM;
	for (node = 0; node < HPH_NUMA_NODES; node++) {
		best = 0;
		for (i = 1; i < heap->nr_zones; i++)
			if (hph_numa_distance(node, nodes[i]) <
			    hph_numa_distance(node, nodes[best]))
				best = i;
		zone_of_node[node] = (uint8_t)best;
		hph_numa_mark_cpus(node, zone_of_cpu, (uint8_t)best);
	}
	heap->zone_of_node = zone_of_node;
	heap->zone_of_cpu = zone_of_cpu;
	return 0;
}

int hph_zones_init(struct hpheap *heap)
{
	uint32_t nodes[HPH_MAX_ZONES] = { 0 };
	unsigned int i, n;

	heap->nr_zones = 1;
	if (heap->place.placement == HPHEAP_PLACE_LOCAL)
		heap->nr_zones = hph_numa_nodes(nodes, HPH_MAX_ZONES);
	if (heap->nr_zones > 1 && map_nodes(heap, nodes))
		return -ENOMEM;
	heap->zones = hph_meta_alloc(&heap->meta, heap->nr_zones * sizeof(heap->zones[0]));
	if (!heap->zones)
		return -ENOMEM;
	memset(heap->zones, 0, heap->nr_zones * sizeof(heap->zones[0]));	/* no fault later */
	for (i = 0; i < heap->nr_zones; i++) {
		struct hph_zone *zone = &heap->zones[i];

		pthread_mutex_init(&zone->lock, NULL);
		for (n = 0; n < HPH_BIN_LOCKS; n++)
			pthread_mutex_init(&zone->bin_locks[n], NULL);
		hph_pages_init(&zone->pages, &heap->map, i);
		zone->node = heap->nr_zones > 1 ? (int)nodes[i] : HPHEAP_NODE_ANY;
		zone->depot = hph_cache_make_depot(heap, zone);
		if (!zone->depot)
			return -ENOMEM;
	}
	return 0;
}

void hph_zones_destroy(struct hpheap *heap)
{
	unsigned int i, n;

	for (i = 0; i < heap->nr_zones; i++) {
		pthread_mutex_destroy(&heap->zones[i].lock);
		for (n = 0; n < HPH_BIN_LOCKS; n++)
			pthread_mutex_destroy(&heap->zones[i].bin_locks[n]);
	}
}

struct hph_zone *hph_zone_of(const struct hpheap *heap, int node)
{
	if (heap->nr_zones == 1 || node < 0 || node >= HPH_NUMA_NODES)
		return &heap->zones[0];
	return &heap->zones[heap->zone_of_node[node]];
}

struct hph_zone *hph_zone_here(const struct hpheap *heap)
{
	const int cpu = heap->nr_zones == 1 ? -1 : hph_numa_cpu();

	return &heap->zones[cpu >= 0 && cpu < HPH_NUMA_CPUS ? heap->zone_of_cpu[cpu] : 0];
}

void hph_zones_lock(struct hpheap *heap)
{
	unsigned int i;

	for (i = 0; i < heap->nr_zones; i++)
		hph_lock(&heap->zones[i].lock);
}

void hph_zones_unlock(struct hpheap *heap)
{
	unsigned int i;

	for (i = 0; i < heap->nr_zones; i++)
		hph_unlock(&heap->zones[i].lock);
}
