/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_PLACE_H
#define HPH_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hpheap.h"

/* Where memory is to come from. */
struct hph_place {
	enum hpheap_placement placement;
	uint32_t node;	/* for HPHEAP_PLACE_NODE */
};

#define HPH_NUMA_NODES	1024	/* the kernel's own limits */
#define HPH_NUMA_CPUS	8192

bool hph_numa_known(void);
bool hph_numa_node_valid(uint32_t node);
unsigned int hph_numa_nodes(uint32_t *nodes, unsigned int most);
int hph_numa_distance(unsigned int from, unsigned int to);
int hph_numa_cpu(void);
void hph_numa_mark_cpus(unsigned int node, uint8_t *cpus, uint8_t mark);
void hph_numa_mask(uint64_t *words, size_t count);
void hph_numa_keep(uintptr_t addr, size_t bytes);
int hph_numa_bind(uintptr_t addr, size_t bytes, const struct hph_place *place);

#endif /* HPH_PLACE_H */
