/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_BATCH_H
#define HPH_BATCH_H

#include "heap.h"

/* Units on their way. */
struct hph_batch {
	uintptr_t first;
	size_t units;	/* to be filled */
	size_t reach;	/* to be attached at the same time; they stay empty */
	size_t lazy;	/* of units: these first ones need not have their memory yet */
	size_t filled;	/* of units, as far as that came */
};

int hph_batch_fill(struct hpheap *heap, struct hph_zone *zone, struct hph_batch *batch, int node);
void hph_batch_account(struct hpheap *heap, struct hph_zone *zone, const struct hph_batch *batch);
int hph_batch_attach(struct hpheap *heap, struct hph_unit *unit, struct hph_backend *backend,
		     int node);
int hph_batch_detach(struct hpheap *heap, uintptr_t first, size_t units);
void hph_batch_put_empty(struct hpheap *heap, struct hph_zone *zone, const struct hph_batch *batch);

#endif /* HPH_BATCH_H */
