/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_CLAIM_H
#define HPH_CLAIM_H

#include "batch.h"

bool hph_charge(struct hpheap *heap, size_t units, bool shrink);
size_t hph_reach_ahead(struct hpheap *heap);
int hph_take(struct hpheap *heap, struct hph_zone *zone, size_t units, size_t align, size_t ahead,
	     bool shrink, struct hph_batch *batch);
bool hph_take_behind(struct hpheap *heap, struct hph_zone *zone, uintptr_t first, size_t units,
		     struct hph_batch *batch);

#endif /* HPH_CLAIM_H */
