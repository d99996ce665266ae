// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Purgeable units: the system may take their memory, and until it does it is ours.
 *
 * What nobody needed for a while is not given back at once where the backend can mark
 * it instead: it has no mapping then and counts as given back, but whoever needs a unit
 * gets such a one first, without its memory being zeroed again, unless the system was
 * in need meanwhile. Marks cost the process nothing but what its memory cgroup is
 * charged; so what nobody fetched back for some windows of the scavenger's is released
 * after all, and a heap with a limit marks nothing.
 *
 * Q1 A unit that is PURGEABLE, or was and is BUSY since, is stale: what it has may be zero
 *    or not. No other unit is.
 */
#include "heap.h"

/* The lowest that lie in a row; BUSY, to be filled. Under the zone's lock. */
bool hph_purgeable_take(struct hph_pages *pages, size_t units, size_t align, uintptr_t *first)
{
	if (!hph_runs_take(&pages->purgeable, units, align, first))
		return false;
	pages->purgeable_units -= units;
	if (pages->purgeable_low > pages->purgeable_units)
		pages->purgeable_low = pages->purgeable_units;
	return true;
}

/* The highest, at most so many in a row; BUSY, to be released. Under the zone's lock. */
size_t hph_purgeable_take_last(struct hph_pages *pages, size_t units, uintptr_t *first)
{
	units = hph_runs_take_last(&pages->purgeable, units, first);
	pages->purgeable_units -= units;
	pages->purgeable_low -= units < pages->purgeable_low ? units : pages->purgeable_low;
	return units;
}

void hph_purgeable_add(struct hph_pages *pages, uintptr_t first, size_t units)
{
	hph_runs_add(&pages->purgeable, first, units);
	pages->purgeable_units += units;
}

/* How many nobody fetched since this was asked last. Under the zone's lock. */
size_t hph_purgeable_idle(struct hph_pages *pages)
{
	const size_t idle = pages->purgeable_low;

	pages->purgeable_low = pages->purgeable_units;
	return idle;
}

/**
 * hph_purgeable_release() - release up to @units that are purgeable, the highest first
 *
 * Return: how many there were.
 */
size_t hph_purgeable_release(struct hpheap *heap, struct hph_zone *zone, size_t units)
{
	size_t done = 0, taken;
	uintptr_t first;
	bool released;

	while (done < units) {
		hph_lock(&zone->lock);
		taken = hph_purgeable_take_last(&zone->pages, 1, &first);
		atomic_fetch_add(&heap->busy_units, taken);
		hph_unlock(&zone->lock);
		if (!taken)
			break;
		released = !hph_release_unit(hph_unitmap_get(&heap->map, first));
		hph_lock(&zone->lock);
		if (released)
			hph_pages_add_empty(&zone->pages, first, 1);
		else
			hph_purgeable_add(&zone->pages, first, 1);
		atomic_fetch_sub(&heap->busy_units, 1);
		hph_unlock(&zone->lock);
		if (!released)
			break;
		done++;
	}
	return done;
}
