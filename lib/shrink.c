// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A heap shrinks: huge units lose their memory.
 *
 * As in batch.c, units on their way are BUSY, and no lock is held while the
 * system works on them.
 */
#include "cache.h"

#define SHRINK_BATCH	((size_t)64)

/* Units without memory, or little: other threads' faults wait for as long as they are emptied. */
#define AWAY_BATCH	((size_t)16)

static struct hph_unit *get(const struct hpheap *heap, uintptr_t number)
{
	return hph_unitmap_get(&heap->map, number);
}

/* Counts whose memory it is that comes into the indexes, or leaves them. Under the lock. */
void hph_count_owners(struct hpheap *heap, struct hph_zone *zone, uintptr_t first,
		      size_t units, bool come)
{
	const bool device = heap->kind == HPHEAP_BACKEND_DEVICE;
	size_t i, of_device = 0, of_fallback = 0;

	for (i = 0; i < units; i++) {
		const struct hph_backend *owner = get(heap, first + i)->owner;

		of_device += device && owner == heap->backend;
		of_fallback += owner == heap->fallback;
	}
	zone->device_units += come ? of_device : -of_device;
	zone->fallback_units += come ? of_fallback : -of_fallback;
}

/* So many units more have memory, and are in the indexes. Under their zone's lock. */
void hph_note_committed(struct hpheap *heap, size_t units)
{
	const size_t now = atomic_fetch_add(&heap->committed_units, units) + units;
	size_t peak = atomic_load(&heap->peak_units);

	while (peak < now && !atomic_compare_exchange_weak(&heap->peak_units, &peak, now))
		;
}

/* Marks a unit whole, where that is possible. */
static bool purge(struct hph_unit *unit)
{
	const struct hph_backend_ops *ops = unit->owner->ops;

	unit->stale = ops->purge && !unit->nr_away &&
		      !ops->purge(unit->owner, hph_unit_addr(unit->number));
	return unit->stale;
}

/* It has no memory any more. */
static void clear(struct hph_unit *unit, bool detached)
{
	hph_unit_emptied(unit);
	unit->open = false;
	if (detached)
		unit->owner = NULL;
	else if (unit->split)
		unit->owner->ops->join(unit->owner, hph_unit_addr(unit->number));
	unit->split = false;
	unit->stale = false;
	unit->lazy = false;
}

/* Takes its memory from a BUSY unit; on failure it stays what it was. */
int hph_release_unit(struct hph_unit *unit)
{
	bool detached;
	int error = unit->owner->ops->release(unit->owner, hph_unit_addr(unit->number), &detached);

	if (!error)
		clear(unit, detached);
	return error;
}

/* It keeps its memory, or what it has of it. Under the lock. */
static void put_back(struct hpheap *heap, struct hph_zone *zone, struct hph_unit *unit)
{
	if (unit->lazy)
		hph_unit_forget(unit);
	if (unit->nr_away)
		hph_pages_put_broken(&zone->pages, unit);
	else
		hph_pages_add_free(&zone->pages, unit->number, 1);
	hph_count_owners(heap, zone, unit->number, 1, true);
	hph_note_committed(heap, 1);
}

/* Of units in a row, and of one backend, those of which nothing is known to be there. */
static size_t count_away(const struct hpheap *heap, uintptr_t first, size_t units)
{
	const struct hph_backend *owner = get(heap, first)->owner;
	size_t i;

	for (i = 0; i < units; i++)
		if (get(heap, first + i)->nr_away < HPH_UNIT_PAGES ||
		    get(heap, first + i)->owner != owner)
			break;
	return i;
}

/*
 * What was a lazy span may have had hundreds of units, and most of them no memory: with one
 * system call for each that takes long. Returns how many are empty now.
 */
static size_t empty_away(struct hpheap *heap, struct hph_zone *zone, uintptr_t first, size_t units)
{
	struct hph_backend *owner = get(heap, first)->owner;
	size_t i;

	units = count_away(heap, first, units < AWAY_BATCH ? units : AWAY_BATCH);
	if (units < 2 ||
	    owner->ops->detach(owner, hph_unit_addr(first), units << HPH_HUGE_SHIFT))
		return 0;
	for (i = 0; i < units; i++)
		clear(get(heap, first + i), true);
	hph_lock(&zone->lock);
	atomic_fetch_sub(&heap->held_units, units);
	hph_pages_add_empty(&zone->pages, first, units);
	atomic_fetch_sub(&heap->busy_units, units);
	zone->releases += units;
	hph_unlock(&zone->lock);
	return units;
}

/* Empties one BUSY unit, or with @marks makes it purgeable. Returns whether that was done. */
static bool empty_one(struct hpheap *heap, struct hph_zone *zone, struct hph_unit *unit,
		      bool marks, size_t *bytes)
{
	const size_t there = HPHEAP_HUGE_SIZE - hph_page_addr(unit->nr_away);
	const bool done = (marks && purge(unit)) || !hph_release_unit(unit);

	*bytes += done ? there : 0;

	hph_lock(&zone->lock);
	atomic_fetch_sub(&heap->held_units, done);	/* while it is BUSY: see charge() */
	if (!done)
		put_back(heap, zone, unit);
	else if (unit->stale)
		hph_purgeable_add(&zone->pages, unit->number, 1);
	else
		hph_pages_add_empty(&zone->pages, unit->number, 1);
	atomic_fetch_sub(&heap->busy_units, 1);
	zone->releases += done;
	hph_unlock(&zone->lock);
	return done;
}

/*
 * Empties BUSY units; returns how many. The others keep their memory. With @marks whole ones
 * become purgeable instead, where that is possible. @bytes goes up by what was there of them.
 */
size_t hph_put_emptied(struct hpheap *heap, struct hph_zone *zone, uintptr_t first, size_t units,
		       bool marks, size_t *bytes)
{
	size_t i = 0, emptied = 0, away;

	while (i < units) {
		away = empty_away(heap, zone, first + i, units - i);
		emptied += away;
		if (!away)
			emptied += empty_one(heap, zone, get(heap, first + i), marks, bytes);
		i += away ? away : 1;
	}
	return emptied;
}

/* Takes units of a zone to empty them. */
static size_t take_last(struct hpheap *heap, struct hph_zone *zone, size_t units, uintptr_t *first,
			size_t (*take)(struct hph_pages *pages, size_t units, uintptr_t *first))
{
	size_t taken;

	hph_lock(&zone->lock);
	taken = take(&zone->pages, units, first);
	atomic_fetch_add(&heap->busy_units, taken);
	if (taken)
		hph_count_owners(heap, zone, *first, taken, false);
	atomic_fetch_sub(&heap->committed_units, taken);
	hph_unlock(&zone->lock);
	return taken;
}

static size_t empty_last(struct hpheap *heap, struct hph_zone *zone, size_t units, bool marks,
			 size_t *bytes,
			 size_t (*take)(struct hph_pages *pages, size_t units, uintptr_t *first))
{
	size_t done = 0, taken, emptied;
	uintptr_t first;

	while (done < units) {
		taken = units - done < SHRINK_BATCH ? units - done : SHRINK_BATCH;
		taken = take_last(heap, zone, taken, &first, take);
		if (!taken)
			break;
		emptied = hph_put_emptied(heap, zone, first, taken, marks, bytes);
		done += emptied;
		if (emptied < taken)
			break;
	}
	return done;
}

/* Empties up to @units broken ones: they are of no use before they are filled anew. */
size_t hph_empty_broken(struct hpheap *heap, struct hph_zone *zone, size_t units)
{
	size_t bytes = 0;

	return empty_last(heap, zone, units, false, &bytes, hph_pages_take_last_broken);
}

/* Units of which something is missing go before those that are whole. */
size_t hph_shrink_zone(struct hpheap *heap, struct hph_zone *zone, size_t units, bool marks,
		       size_t *bytes)
{
	const size_t done = empty_last(heap, zone, units, false, bytes,
				       hph_pages_take_last_broken);

	return done + empty_last(heap, zone, units - done, marks, bytes,
				 hph_pages_take_last_free);
}

/* What is marked is not in use either: with it empty runs are longer. */
static size_t shrink_zones(struct hpheap *heap, size_t units, size_t *bytes)
{
	size_t done = 0;
	unsigned int i;

	for (i = 0; i < heap->nr_zones; i++)
		*bytes += hph_purgeable_release(heap, &heap->zones[i], units) << HPH_HUGE_SHIFT;
	for (i = 0; i < heap->nr_zones && done < units; i++)
		done += hph_shrink_zone(heap, &heap->zones[i], units - done, false, bytes);
	return done;
}

/**
 * hph_shrink() - empty up to @units free ones, the highest of a zone first
 * @bytes: goes up by what they had
 *
 * If there are fewer, what threads have in their caches is freed, too.
 *
 * Return: how many there were.
 */
size_t hph_shrink(struct hpheap *heap, size_t units, size_t *bytes)
{
	size_t done = shrink_zones(heap, units, bytes);

	if (done < units) {
		hph_caches_drain(heap);
		done += shrink_zones(heap, units - done, bytes);
	}
	return done;
}

/* Are there so many units without a span? */
static bool has_free(struct hpheap *heap, size_t units)
{
	size_t found = 0;
	unsigned int i;

	for (i = 0; i < heap->nr_zones && found < units; i++) {
		struct hph_zone *zone = &heap->zones[i];

		hph_lock(&zone->lock);
		found += zone->pages.memory_units - zone->pages.used_units;
		hph_unlock(&zone->lock);
	}
	return found >= units;
}

/**
 * hph_make_way() - empty @units free ones, or none if there are fewer
 *
 * Return: whether it was done.
 */
bool hph_make_way(struct hpheap *heap, size_t units)
{
	size_t bytes = 0;

	if (!has_free(heap, units)) {
		hph_caches_drain(heap);
		if (!has_free(heap, units))
			return false;
	}
	return hph_shrink(heap, units, &bytes) >= units;
}
