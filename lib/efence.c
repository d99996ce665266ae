// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * efence mode: what has been freed is never used again.
 *
 * The addresses of a freed span become inaccessible and stay that, so that any
 * later use of it faults at once, where it happens. Its memory goes back as soon
 * as that is possible: from anonymous memory with the span, from the device with
 * the last span of its chunk, and after a fork, where a chunk's mapping stays in pieces,
 * with its arena. (The idea is Perens's Electric Fence, 1987; Go's allocator has it as
 * GODEBUG=efence=1.)
 *
 * Spans are whole base pages in this mode, and threads have no caches. A fenced
 * span keeps its head, but is not live: a second free is noticed as ever.
 *
 * Each hole costs the system a mapping, of which it allows a process so many
 * (vm.max_map_count). When there are no more, or no addresses, the heap has come
 * to its end: a span that cannot be fenced off any more is not used again
 * either, and all further requests get ENOMEM.
 */
#include "heap.h"
#include "os.h"

/*
 * Its last span is freed, and no other will be there: the unit is done with. Where
 * its memory cannot be given back it stays, as that of a unit in use.
 */
static void retire(struct hpheap *heap, struct hph_zone *zone, uintptr_t number)
{
	struct hph_unit *unit = hph_unitmap_get(&heap->map, number);
	bool detached = false, done;

	hph_lock(&zone->lock);
	done = unit->nr_fenced == HPH_UNIT_PAGES && !unit->thinning &&
	       hph_unit_state(unit) == HPH_UNIT_USED;
	unit->thinning |= done;
	atomic_fetch_add(&heap->busy_units, done);
	hph_unlock(&zone->lock);
	if (!done)
		return;
	done = !unit->owner->ops->release(unit->owner, hph_unit_addr(number), &detached);
	hph_lock(&zone->lock);
	unit->thinning = false;
	if (done) {
		hph_count_owners(heap, zone, number, 1, false);
		hph_pages_retire(&zone->pages, unit);
		zone->releases++;
		atomic_fetch_sub(&heap->held_units, 1);
		atomic_fetch_sub(&heap->committed_units, 1);
	}
	atomic_fetch_sub(&heap->busy_units, 1);
	hph_unlock(&zone->lock);
}

/**
 * hph_fence() - free a live span for good
 *
 * Comes with the zone's lock, and goes without.
 */
void hph_fence(struct hpheap *heap, struct hph_zone *zone, const struct hph_found *found)
{
	const uintptr_t addr = hph_found_addr(found);
	const size_t bytes = hph_page_addr(found->pages);
	const uintptr_t last = hph_unit_of(addr + bytes - 1);
	uintptr_t number, begin, end;

	hph_pages_fence(&zone->pages, found);
	hph_unlock(&zone->lock);
	if (hph_os_forbid(addr, bytes))
		atomic_store(&heap->exhausted, true);
	for (number = found->unit->number; number <= last; number++) {
		const struct hph_unit *unit = hph_unitmap_get(&heap->map, number);

		begin = number == found->unit->number ? addr : hph_unit_addr(number);
		end = number == last ? addr + bytes : hph_unit_addr(number + 1);
		if (unit->divisible)
			unit->owner->ops->thin(unit->owner, begin, end - begin);
		retire(heap, zone, number);
	}
}
