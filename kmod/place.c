// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placement: which NUMA node a chunk is asked from.
 *
 * The page allocator ignores the task's memory policy when a node is named,
 * and modules cannot read a policy (get_vma_policy() is not exported), so an
 * arena carries its own. A policy names candidates for a chunk, which are
 * tried nearest first; after them any node, where the policy may fall back.
 */
#include "place.h"

#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/topology.h>
#include <linux/hpheap.h>

/**
 * hpheap_place_init() - check and take over a policy from user space
 * @place: filled
 * @policy: HPHEAP_POLICY_*
 * @strict: HPHEAP_CREATE_STRICT_NODE was given
 * @words: node mask of HPHEAP_NODE_WORDS words
 *
 * Return: 0; -EINVAL unknown policy or a mask that does not go with it;
 * -ENODEV a node that is not online; -ENXIO a node without memory.
 */
int hpheap_place_init(struct hpheap_place *place, u32 policy, bool strict,
		      const u64 *words)
{
	bool without_memory = false;
	unsigned int node;

	if (policy > HPHEAP_POLICY_INTERLEAVE)
		return -EINVAL;

	place->policy = policy;
	place->strict = strict;
	nodes_clear(place->nodes);
	for (node = 0; node < HPHEAP_MAX_NODES; node++) {
		if (!(words[node / 64] & BIT_ULL(node % 64)))
			continue;
		if (policy == HPHEAP_POLICY_LOCAL)
			return -EINVAL;
		if (node >= MAX_NUMNODES || !node_online(node))
			return -ENODEV;
		if (!node_state(node, N_MEMORY))
			without_memory = true;
		node_set(node, place->nodes);
	}
	if (policy != HPHEAP_POLICY_LOCAL && nodes_empty(place->nodes))
		return -EINVAL;
	return without_memory ? -ENXIO : 0;
}

/* May a chunk come from a node that the policy does not name? */
bool hpheap_place_may_fall_back(const struct hpheap_place *place)
{
	return !place->strict && place->policy != HPHEAP_POLICY_BIND;
}

/* Bytes of memory of all nodes that chunks may come from. */
u64 hpheap_place_bytes(const struct hpheap_place *place)
{
	bool any = hpheap_place_may_fall_back(place) ||
		   place->policy == HPHEAP_POLICY_LOCAL;
	u64 pages = 0;
	int node;

	for_each_node_state(node, N_MEMORY)
		if (any || node_isset(node, place->nodes))
			pages += NODE_DATA(node)->node_present_pages;
	return pages << PAGE_SHIFT;
}

/* The node of a mask that is nearest to this CPU; NUMA_NO_NODE when it is empty. */
static int nearest(const nodemask_t *nodes)
{
	int here = numa_mem_id(), best = NUMA_NO_NODE, best_distance = INT_MAX, node;

	if (node_isset(here, *nodes))
		return here;
	for_each_node_mask(node, *nodes) {
		if (node_distance(here, node) < best_distance) {
			best = node;
			best_distance = node_distance(here, node);
		}
	}
	return best;
}

/**
 * hpheap_place_candidates() - nodes to try for a chunk before falling back
 * @place: the arena's policy
 * @index: the chunk's number, for interleaving
 * @candidates: filled, never empty
 */
void hpheap_place_candidates(const struct hpheap_place *place, unsigned long index,
			     nodemask_t *candidates)
{
	unsigned int skip;
	int node;

	switch (place->policy) {
	case HPHEAP_POLICY_LOCAL:
		/*
		 * Not simply numa_mem_id(): where CONFIG_HAVE_MEMORYLESS_NODES
		 * is not set (x86, arm64) that may be a node without memory.
		 */
		*candidates = nodemask_of_node(nearest(&node_states[N_MEMORY]));
		break;
	case HPHEAP_POLICY_INTERLEAVE:
		skip = index % nodes_weight(place->nodes);
		for_each_node_mask(node, place->nodes)
			if (!skip--)
				break;
		*candidates = nodemask_of_node(node);
		break;
	default:
		*candidates = place->nodes;
	}
}

/* Takes the candidate nearest to this CPU out of the mask; NUMA_NO_NODE when it is empty. */
int hpheap_place_take_nearest(nodemask_t *candidates)
{
	int best = nearest(candidates);

	if (best != NUMA_NO_NODE)
		node_clear(best, *candidates);
	return best;
}
