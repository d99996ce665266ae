// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A heap before fork(), and after it in the child.
 *
 * Anonymous memory is copied on write by the kernel, that of the device by the module: the
 * child has all of it. Where the module cannot, or that is not wanted, the device's memory is
 * the parent's alone, for two processes with one heap would ruin it silently: what has
 * no span is forgotten, and the heap goes on with new memory. A span can be touched where it is
 * shared on purpose, else that is SIGSEGV. It can be freed, which gives nobody its memory.
 *
 * Also, of the parent's threads just one is here: what the others had BUSY
 * stays so for ever unless it is picked up.
 */
#include "cache.h"
#include "os.h"

static void for_each_unit(struct hpheap *heap, void (*visit)(struct hpheap *, struct hph_unit *))
{
	const struct hph_block *block;
	struct hph_unit *unit;
	uintptr_t number, end;

	for (block = heap->arena.blocks; block; block = block->next) {
		end = hph_unit_of(block->end);
		for (number = hph_unit_of(block->first); number < end; number++) {
			unit = hph_unitmap_find(&heap->map, number);
			if (unit)
				visit(heap, unit);
		}
	}
}

static struct hph_pages *pages_of(const struct hpheap *heap, const struct hph_unit *unit)
{
	return &heap->zones[hph_unit_zone(unit)].pages;
}

/* Attached, and without memory that counts: see close_unit() in backend_device.c. */
static bool is_closed(const struct hpheap *heap, uintptr_t number)
{
	const struct hph_unit *unit = hph_unitmap_find(&heap->map, number);
	const enum hph_unit_state state = unit ? hph_unit_state(unit) : HPH_UNIT_NONE;

	return (state == HPH_UNIT_EMPTY || state == HPH_UNIT_PURGEABLE) &&
	       unit->owner == heap->backend;
}

/* Runs of closed units, each in one go. What fails here is opened when it gets memory. */
static void open_closed(const struct hpheap *heap)
{
	const struct hph_block *block;
	uintptr_t number, first, end;

	for (block = heap->arena.blocks; block; block = block->next) {
		end = hph_unit_of(block->end);
		for (number = hph_unit_of(block->first); number < end; number++) {
			for (first = number; number < end && is_closed(heap, number); number++)
				;
			if (first != number)
				hph_os_open_up(hph_unit_addr(first),
					       (number - first) << HPH_HUGE_SHIFT);
		}
	}
}

/*
 * All threads of the heap stand still. From its first fork on what the device has mapped stays
 * open: mappings that were copied do not become one again.
 */
void hph_before_fork(struct hpheap *heap)
{
	if (heap->backend->fork == HPHEAP_FORK_COW && !heap->backend->forked)
		open_closed(heap);
	heap->backend->forked = true;
}

/* Where the parent's memory is in its place, its addresses are never used again. */
static void lose(struct hpheap *heap, struct hph_unit *unit)
{
	if (hph_unit_state(unit) != HPH_UNIT_USED || unit->owner != heap->backend)
		return;
	hph_slabs_lose(heap, unit);
	hph_pages_lose(pages_of(heap, unit), unit);
	unit->gone |= heap->backend->fork == HPHEAP_FORK_SHARE;
}

/* Is it attached to what did not come along, or was another thread at work on it? */
static bool needs_addresses(const struct hpheap *heap, const struct hph_unit *unit)
{
	const bool absent = heap->backend->fork == HPHEAP_FORK_NONE;

	switch (hph_unit_state(unit)) {
	case HPH_UNIT_BUSY:
		return true;
	case HPH_UNIT_LOST:
		return absent;
	case HPH_UNIT_FENCED:
		return absent && unit->owner == heap->backend;
	default:
		return false;
	}
}

/*
 * Makes reserved what is BUSY, LOST or FENCED. As long as that has not happened, its
 * addresses are free for anybody: where it fails they are never used again.
 */
static void reserve(struct hpheap *heap, struct hph_unit *unit)
{
	int error = 0;

	if (!needs_addresses(heap, unit))
		return;
	if (unit->owner)
		error = unit->owner->ops->detach(unit->owner, hph_unit_addr(unit->number),
						 HPHEAP_HUGE_SIZE);
	unit->owner = NULL;
	unit->open = false;
	unit->gone |= error != 0;
	if (hph_unit_state(unit) != HPH_UNIT_BUSY)
		return;
	hph_unit_emptied(unit);
	unit->split = false;
	unit->stale = false;
	unit->lazy = false;
	if (error)
		hph_unit_set_tag(unit, hph_tag(0, HPH_UNIT_NONE));
	else
		hph_pages_add_empty(pages_of(heap, unit), unit->number, 1);
}

/* What another thread was about to give back or to get may be there or not: it is away. */
static void end_thinning(struct hpheap *heap, struct hph_unit *unit)
{
	static const struct hph_parts none;

	if (unit->thinning)
		hph_pages_thicken(pages_of(heap, unit), unit, &none, none.pages);
}

/* Out of the indexes with all that has no span, whosever it was. */
static void forget_free(struct hph_pages *pages)
{
	uintptr_t first;

	while (hph_pages_take_last_free(pages, SIZE_MAX, &first))
		;
	while (hph_runs_take_last(&pages->empty, SIZE_MAX, &first))
		;
	while (hph_purgeable_take_last(pages, SIZE_MAX, &first))
		;
}

/* Another thread may have been about to change the number. */
static void count_lazy(struct hpheap *heap, struct hph_unit *unit)
{
	if (hph_unit_state(unit) == HPH_UNIT_USED)
		pages_of(heap, unit)->lazy_units += unit->lazy;
}

static void put_units_right(struct hpheap *heap, bool lost)
{
	unsigned int i;

	for_each_unit(heap, end_thinning);
	if (lost) {
		for (i = 0; i < heap->nr_zones; i++)
			forget_free(&heap->zones[i].pages);
		for_each_unit(heap, lose);
		hph_bins_lose(heap);
		heap->lost = true;
	}
	for_each_unit(heap, reserve);
}

/*
 * The child's only thread; it holds the heap's locks, and the caches are closed.
 * What other threads had charged for units to come, nobody waits for.
 */
void hph_after_fork(struct hpheap *heap)
{
	const bool lost = hph_backend_stays(heap->backend);
	size_t held = 0, lazy = 0;
	unsigned int i;

	hph_caches_after_fork(heap);
	hph_bins_after_fork(heap);
	if (lost || atomic_load(&heap->busy_units))
		put_units_right(heap, lost);
	for (i = 0; i < heap->nr_zones; i++) {
		lazy |= heap->zones[i].pages.lazy_units;
		heap->zones[i].pages.lazy_units = 0;
	}
	if (lazy)
		for_each_unit(heap, count_lazy);
	for (i = 0; i < heap->nr_zones; i++) {
		struct hph_zone *zone = &heap->zones[i];

		if (lost) {
			zone->device_units = 0;
			zone->fallback_units = zone->pages.memory_units;
		}
		held += zone->pages.memory_units;
	}
	atomic_store(&heap->busy_units, 0);
	atomic_store(&heap->held_units, held);
	atomic_store(&heap->committed_units, held);
}
