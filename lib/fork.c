// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A heap after fork(), in the child.
 *
 * Anonymous memory is copied on write by the kernel: the child has all of it.
 * The device's memory could only be shared, and two processes with one heap
 * ruin it silently. So a device arena does not go to the child at all: a touch
 * of what was there is SIGSEGV, the heap itself goes on with new memory. Spans
 * that were lost can be freed.
 *
 * Also, of the parent's threads just one is here: what the others had BUSY
 * stays so for ever unless it is picked up.
 */
#include "heap.h"

static void for_each_unit(struct hpheap *heap, void (*visit)(struct hpheap *, struct hph_unit *))
{
	const struct hph_block *block;
	struct hph_unit *unit;
	uintptr_t number, end;

	for (block = heap->arena.blocks; block; block = block->next) {
		end = hph_unit_of(block->end);
		for (number = hph_unit_of(block->first); number < end; number++) {
			unit = hph_unitmap_get(&heap->pages.map, number);
			if (unit)
				visit(heap, unit);
		}
	}
}

static void lose(struct hpheap *heap, struct hph_unit *unit)
{
	if (unit->state == HPH_UNIT_USED && unit->owner == heap->backend)
		hph_pages_lose(&heap->pages, unit);
}

/*
 * Makes reserved what is BUSY or LOST. As long as that has not happened, its
 * addresses are free for anybody: where it fails they are never used again.
 */
static void reserve(struct hpheap *heap, struct hph_unit *unit)
{
	int error = 0;

	if (unit->state != HPH_UNIT_BUSY && unit->state != HPH_UNIT_LOST)
		return;
	if (unit->owner)
		error = unit->owner->ops->detach(unit->owner, hph_unit_addr(unit->number),
						 HPHEAP_HUGE_SIZE);
	unit->owner = NULL;
	if (unit->state == HPH_UNIT_LOST)
		return;
	if (error)
		unit->state = HPH_UNIT_NONE;
	else
		hph_pages_add_empty(&heap->pages, unit->number, 1);
}

/* The child's only thread; it holds the heap's locks. */
void hph_after_fork(struct hpheap *heap)
{
	const bool device = heap->kind == HPHEAP_BACKEND_DEVICE;
	uintptr_t first;

	if (!device && !heap->busy_units)
		return;
	if (device) {
		/* Out of the indexes with all that has no span, whosever it was. */
		while (hph_pages_take_last_free(&heap->pages, SIZE_MAX, &first))
			;
		while (hph_runs_take_last(&heap->pages.empty, SIZE_MAX, &first))
			;
		for_each_unit(heap, lose);
	}
	for_each_unit(heap, reserve);
	heap->busy_units = 0;
	if (device) {
		heap->device_units = 0;
		heap->fallback_units = heap->pages.memory_units;
	}
}
