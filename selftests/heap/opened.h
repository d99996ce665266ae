/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OPENED_H
#define OPENED_H

/* Which units the heap has opened ahead of their memory: as it knows, and as the system does. */
#include "heap.h"
#include "cache.h"

/* Units without memory that may be touched already, and what of them is there all the same. */
static inline size_t open_units(struct hpheap *heap, size_t *resident)
{
	const struct hph_block *block;
	const struct hph_unit *unit;
	size_t open = 0, bytes = 0;
	uintptr_t number;

	hph_heap_stop(heap);
	for (block = heap->arena.blocks; block; block = block->next) {
		for (number = hph_unit_of(block->first); number < hph_unit_of(block->end);
		     number++) {
			unit = hph_unitmap_find(&heap->map, number);
			if (!unit || !unit->open)
				continue;
			open++;
			bytes += resident_bytes((void *)hph_unit_addr(number), HPHEAP_HUGE_SIZE);
		}
	}
	hph_heap_resume(heap);
	if (resident)
		*resident = bytes;
	return open;
}

#endif /* OPENED_H */
