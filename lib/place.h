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

bool hph_numa_node_valid(uint32_t node);
void hph_numa_mask(uint64_t *words, size_t count);
int hph_numa_bind(uintptr_t addr, size_t bytes, const struct hph_place *place);

#endif /* HPH_PLACE_H */
