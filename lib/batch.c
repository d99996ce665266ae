// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A batch of units gets memory: attached to the backend, then committed one by one.
 *
 * They are BUSY, in no index, so that no zone's lock is held while the system works. A
 * unit that the backend cannot give falls back to the second one, alone; when it
 * is emptied it is detached, so that the next time the first backend is asked again.
 *
 * What is attached beyond the batch is opened with it, if the backend can do that: threads that
 * get their memory one after the other would else wait for each other.
 */
#include "batch.h"

#include <string.h>

#include "os.h"

static struct hph_unit *get(const struct hpheap *heap, uintptr_t number)
{
	return hph_unitmap_get(&heap->map, number);
}

/* Puts units back, which have no memory, or none of their own. */
void hph_batch_put_empty(struct hpheap *heap, struct hph_zone *zone, const struct hph_batch *batch)
{
	size_t i;

	hph_lock(&zone->lock);
	for (i = 0; i < batch->reach; i++) {
		if (get(heap, batch->first + i)->stale)
			hph_purgeable_add(&zone->pages, batch->first + i, 1);
		else
			hph_pages_add_empty(&zone->pages, batch->first + i, 1);
	}
	atomic_fetch_sub(&heap->busy_units, batch->reach);
	hph_unlock(&zone->lock);
}

/* Makes BUSY units of one backend reserved again. */
int hph_batch_detach(struct hpheap *heap, uintptr_t first, size_t units)
{
	struct hph_backend *owner = get(heap, first)->owner;
	const int error = owner->ops->detach(owner, hph_unit_addr(first), units << HPH_HUGE_SHIFT);
	size_t i;

	for (i = 0; !error && i < units; i++) {
		struct hph_unit *unit = get(heap, first + i);

		unit->owner = NULL;
		unit->open = false;
		unit->split = false;
		unit->stale = false;
		unit->lazy = false;
	}
	return error;
}

static int detach(struct hpheap *heap, const struct hph_unit *unit)
{
	return hph_batch_detach(heap, unit->number, 1);
}

/* Attaches up to @units that are reserved, at least the first of them. */
static int attach_to(struct hpheap *heap, struct hph_backend *backend, uintptr_t first,
		     size_t units, int node)
{
	const struct hph_place place = node == HPHEAP_NODE_ANY ? heap->place :
		(struct hph_place){ .placement = HPHEAP_PLACE_NODE, .node = (uint32_t)node };
	const struct hph_backend_ops *ops = backend->ops;
	int error, cancel;
	size_t bytes, i;
	bool open;

	cancel = hph_os_hold_cancel();
	pthread_mutex_lock(&heap->grow);
	error = ops->attach(backend, hph_unit_addr(first), units << HPH_HUGE_SHIFT, &place, &bytes);
	open = !error && ops->open_ahead && bytes > HPHEAP_HUGE_SIZE && hph_ahead_has_room(heap) &&
	       !ops->open_ahead(backend, hph_unit_addr(first), bytes);
	/* Under the lock, which fork() takes: the child must know whose they are. */
	for (i = 0; !error && i < bytes >> HPH_HUGE_SHIFT; i++) {
		struct hph_unit *unit = get(heap, first + i);

		unit->owner = backend;
		unit->open = open;
		unit->divisible = ops->thin;
		unit->node = (int16_t)node;
	}
	if (open)
		hph_ahead_note(heap, first, bytes >> HPH_HUGE_SHIFT);
	pthread_mutex_unlock(&heap->grow);
	hph_os_allow_cancel(cancel);
	return error;
}

/* One unit that is reserved, and not in use. */
int hph_batch_attach(struct hpheap *heap, struct hph_unit *unit, struct hph_backend *backend,
		     int node)
{
	return attach_to(heap, backend, unit->number, 1, node);
}

static int fall_back(struct hpheap *heap, struct hph_unit *unit, int node, int why)
{
	struct hph_zone *zone = &heap->zones[hph_unit_zone(unit)];

	if (!heap->fallback)
		return why;
	hph_lock(&zone->lock);
	zone->fallback_errno = -why;
	hph_unlock(&zone->lock);
	return attach_to(heap, heap->fallback, unit->number, 1, node);
}

/* Sees to it that the first of @units is attached, for @node. */
static int attach(struct hpheap *heap, uintptr_t first, size_t units, int node)
{
	struct hph_unit *unit = get(heap, first);
	size_t reserved;
	int error;

	if (unit->owner && unit->node != node) {
		error = detach(heap, unit);
		if (error)
			return error;
	}
	if (unit->owner)
		return 0;
	for (reserved = 1; reserved < units; reserved++)
		if (get(heap, first + reserved)->owner)
			break;
	error = attach_to(heap, heap->backend, first, reserved, node);
	return error ? fall_back(heap, unit, node, error) : 0;
}

/* What is open elsewhere may be what is missing. */
static int bring(struct hpheap *heap, const struct hph_unit *unit)
{
	const uintptr_t addr = hph_unit_addr(unit->number);
	const struct hph_backend_ops *ops = unit->owner->ops;
	int error;

	if (unit->open)
		return ops->fill(unit->owner, addr);
	error = ops->commit(unit->owner, addr);
	if (error && hph_ahead_close(heap))
		error = ops->commit(unit->owner, addr);
	return error;
}

static int commit(struct hpheap *heap, struct hph_unit *unit, int node)
{
	const uintptr_t addr = hph_unit_addr(unit->number);
	int error = bring(heap, unit);

	if (error && heap->fallback && unit->owner == heap->backend && !detach(heap, unit)) {
		error = fall_back(heap, unit, node, error);
		if (!error)
			error = heap->fallback->ops->commit(heap->fallback, addr);
	}
	/* The next one to try asks the first backend again. */
	if (error && unit->owner && unit->owner == heap->fallback)
		detach(heap, unit);
	if (!error) {
		const bool may_be_old = unit->stale || unit->owner->fork == HPHEAP_FORK_SHARE;

		/* A child may still write where its parent's span was. */
		memset(unit->zero, may_be_old ? 0 : 0xff, sizeof(unit->zero));
		unit->stale = false;
		unit->open = false;
	}
	return error;
}

/* If it fails, those that were open are so no more. */
static int open_units(struct hpheap *heap, struct hph_backend *owner, uintptr_t first, size_t units)
{
	const uintptr_t addr = hph_unit_addr(first);
	int error = owner->ops->open(owner, addr, units << HPH_HUGE_SHIFT);
	size_t i;

	if (error && hph_ahead_close(heap))
		error = owner->ops->open(owner, addr, units << HPH_HUGE_SHIFT);
	for (i = 0; error && i < units; i++)
		get(heap, first + i)->open = false;
	return error;
}

/*
 * Opens what need not have its memory yet, if it is attached to one backend and that can do
 * it. Returns how many units: from there on they are committed.
 */
static size_t open_lazy(struct hpheap *heap, const struct hph_batch *batch, int node)
{
	struct hph_unit *unit = get(heap, batch->first);
	struct hph_backend *owner;
	bool all_open = true;
	size_t units, i;

	if (!batch->lazy || attach(heap, batch->first, batch->reach, node))
		return 0;
	owner = unit->owner;
	for (units = 0; units < batch->lazy; units++) {
		unit = get(heap, batch->first + units);
		if (unit->owner != owner || unit->node != node || unit->stale)
			break;
		all_open &= unit->open;
	}
	if (!owner->ops->open || !units ||
	    (!all_open && open_units(heap, owner, batch->first, units)))
		return 0;
	for (i = 0; i < units; i++) {
		unit = get(heap, batch->first + i);
		memset(unit->zero, 0xff, sizeof(unit->zero));
		unit->open = false;
		unit->lazy = true;
	}
	return units;
}

/*
 * Gives all units of a batch their memory; if that fails, puts them back, and
 * the charge for them goes.
 */
int hph_batch_fill(struct hpheap *heap, struct hph_zone *zone, struct hph_batch *batch, int node)
{
	size_t i = open_lazy(heap, batch, node), bytes = 0;
	int error = 0;

	for (; i < batch->units; i++) {
		error = attach(heap, batch->first + i, batch->reach - i, node);
		if (!error)
			error = commit(heap, get(heap, batch->first + i), node);
		if (error)
			break;
	}
	batch->filled = i;
	hph_lock(&zone->lock);
	zone->commits += i;
	hph_unlock(&zone->lock);
	if (error) {
		atomic_store(&heap->refused, true);
		atomic_fetch_sub(&heap->held_units, batch->units - i);
		hph_batch_put_empty(heap, zone, &(struct hph_batch){
			.first = batch->first + i, .reach = batch->reach - i,
		});
		hph_put_emptied(heap, zone, batch->first, i, false, &bytes);
	}
	return error;
}

/* Counts a filled batch, and gives back what was attached only. Under the lock. */
void hph_batch_account(struct hpheap *heap, struct hph_zone *zone, const struct hph_batch *batch)
{
	const size_t ahead = batch->reach - batch->units, fell = zone->fallback_units;
	size_t i;

	if (ahead)
		hph_pages_add_empty(&zone->pages, batch->first + batch->units, ahead);
	atomic_fetch_sub(&heap->busy_units, batch->reach);
	hph_count_owners(heap, zone, batch->first, batch->units, true);
	zone->fallbacks += zone->fallback_units - fell;
	for (i = 0; i < batch->lazy; i++)
		zone->pages.lazy_units += get(heap, batch->first + i)->lazy;
	hph_note_committed(heap, batch->units);
}
