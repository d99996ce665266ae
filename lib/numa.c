// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * NUMA, through libnuma's node mask and mbind().
 *
 * Node numbers have holes, nodes may have no memory, and a task may be allowed
 * some of them only: a node is what numa_all_nodes_ptr has, never 0..n-1.
 * Containers block mbind() (EPERM, ENOSYS): memory then comes from where the
 * kernel likes, and the heap's statistics say that its wish was refused.
 */
#include "place.h"

#include <errno.h>
#include <numa.h>
#include <numaif.h>

#define MAX_NODES	1024u	/* the kernel's own limit */

/*
 * The nodes whose memory the task may use. The mask is libnuma's own, made by
 * its constructor from /proc: before that, and where the system has no NUMA,
 * there is just node 0. numa_available() is of no use: it fails where a
 * container blocks get_mempolicy(), and the device places without that.
 */
static const struct bitmask *memory_nodes(void)
{
	const struct bitmask *nodes = numa_all_nodes_ptr;

	return nodes && numa_bitmask_weight(nodes) > 0 ? nodes : NULL;
}

bool hph_numa_node_valid(uint32_t node)
{
	const struct bitmask *nodes = memory_nodes();

	if (!nodes)
		return node == 0;
	return node < nodes->size && numa_bitmask_isbitset(nodes, node);
}

/* The nodes as the device takes them. */
void hph_numa_mask(uint64_t *words, size_t count)
{
	uint32_t node;

	for (node = 0; node < count * 64; node++)
		if (hph_numa_node_valid(node))
			words[node / 64] |= UINT64_C(1) << node % 64;
}

/*
 * Says where a range's memory shall come from. Preferred, not bound: with
 * MPOL_BIND a full node means the OOM killer, while others have memory.
 */
int hph_numa_bind(uintptr_t addr, size_t bytes, const struct hph_place *place)
{
	const struct bitmask *nodes = memory_nodes();
	const unsigned int bits = 8 * sizeof(unsigned long);
	unsigned long one[MAX_NODES / (8 * sizeof(unsigned long))] = { 0 };

	if (place->placement == HPHEAP_PLACE_LOCAL || !nodes)
		return 0;
	if (place->placement == HPHEAP_PLACE_INTERLEAVE)
		return mbind((void *)addr, bytes, MPOL_INTERLEAVE, nodes->maskp,
			     nodes->size + 1, 0) ? -errno : 0;
	if (place->node >= MAX_NODES)
		return -EINVAL;
	one[place->node / bits] = 1UL << place->node % bits;
	return mbind((void *)addr, bytes, MPOL_PREFERRED, one, MAX_NODES + 1, 0) ? -errno : 0;
}
