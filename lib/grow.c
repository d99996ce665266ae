// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A heap grows: which huge units get memory.
 *
 * Units are claimed (claim.c), filled (batch.c), and published. What a long span lacks behind the
 * longest free run is filled there, else a run of its own.
 */
#include <errno.h>

#include "claim.h"
#include "scavenger.h"

/* Others are getting and giving back memory at the same time. */
#define MOST_EXCHANGES	8u

static struct hph_unit *get(const struct hpheap *heap, uintptr_t number)
{
	return hph_unitmap_get(&heap->map, number);
}

/* More than there can be, whoever had the rest of it? */
static bool is_hopeless(const struct hpheap *heap, size_t units)
{
	const struct hph_backend_ops *ops = heap->backend->ops;

	return units > SIZE_MAX >> HPH_HUGE_SHIFT ||
	       (ops->most && (uint64_t)units << HPH_HUGE_SHIFT > ops->most());
}

/*
 * Makes the longest run of free units as long as is asked for, if there is room behind it.
 * Who asks for ever more, and gives back what he had, would else get all of it anew
 * each time.
 */
static void lengthen(struct hpheap *heap, struct hph_zone *zone, size_t units)
{
	const struct hph_unit *run;
	uintptr_t behind = 0;
	struct hph_batch batch;

	hph_lock(&zone->lock);
	run = hph_runs_longest(&zone->pages.free);
	if (run && run->run < units) {
		behind = run->number + run->run;
		units -= run->run;
	}
	hph_unlock(&zone->lock);
	if (!behind || !hph_charge(heap, units, false))
		return;
	if (!hph_take_behind(heap, zone, behind, units, &batch)) {
		atomic_fetch_sub(&heap->held_units, units);
		return;
	}
	if (hph_batch_fill(heap, zone, &batch, zone->node))
		return;
	hph_lock(&zone->lock);
	hph_batch_account(heap, zone, &batch);
	hph_pages_add_free(&zone->pages, batch.first, batch.units);
	hph_unlock(&zone->lock);
}

/* A span in the longest free run, made as long as that takes; 0: there is no room behind it. */
static uintptr_t grow_behind(struct hpheap *heap, struct hph_zone *zone,
			     const struct hph_want *want, bool *zero)
{
	const size_t units = hph_want_nr_units(want);
	uintptr_t addr;

	if (want->lazy || units == 1 || hph_want_unit_align(want) != 1)
		return 0;
	lengthen(heap, zone, units);
	hph_lock(&zone->lock);
	addr = hph_pages_alloc(&zone->pages, want, zero);
	hph_unlock(&zone->lock);
	return addr;
}

/*
 * Where lazy spans were, whole units and empty ones lie mixed: memory enough, but none of it in a
 * row. As many as are wanted become empty then, for a span that takes others without need of
 * their memory; else a heap of large objects would grow for ever. It may be in a row by now, since
 * the scavenger fetches some ahead: then that is the span.
 */
static uintptr_t put_together(struct hpheap *heap, struct hph_zone *zone,
			      const struct hph_want *want, bool *zero)
{
	const size_t units = hph_want_nr_units(want);
	size_t bytes = 0;
	bool scattered;
	uintptr_t addr;

	hph_lock(&zone->lock);
	addr = hph_pages_alloc(&zone->pages, want, zero);
	scattered = !addr && zone->pages.free_units >= units;
	hph_unlock(&zone->lock);
	if (scattered)
		hph_shrink_zone(heap, zone, units, false, &bytes);
	return addr;
}

/*
 * Units that were empty, or are new. Returns how many the system would not give memory for, or
 * SIZE_MAX where that cannot be said: 0 if all is well.
 */
static size_t get_filled(struct hpheap *heap, struct hph_zone *zone, const struct hph_want *want,
			 struct hph_batch *batch)
{
	const size_t units = hph_want_nr_units(want), align = hph_want_unit_align(want);

	if (hph_take(heap, zone, units, align, hph_reach_ahead(heap), true, batch)) {
		atomic_store(&heap->refused, true);
		atomic_fetch_sub(&heap->held_units, units);
		return SIZE_MAX;
	}
	batch->lazy = want->lazy ? want->pages / HPH_UNIT_PAGES : 0;
	return hph_batch_fill(heap, zone, batch, zone->node) ? units - batch->filled : 0;
}

/*
 * A span in such units. Where the system gives no more, what is open or free elsewhere is given
 * back in exchange, if there is enough of it: a request that cannot be met takes nothing away.
 */
static uintptr_t grow_into(struct hpheap *heap, struct hph_zone *zone,
			   const struct hph_want *want, bool *zero)
{
	uintptr_t addr = want->lazy ? put_together(heap, zone, want, zero) : 0;
	struct hph_batch batch;
	unsigned int tries = 0;
	size_t missing;

	if (addr)
		return addr;
	for (;;) {
		if (!hph_charge(heap, hph_want_nr_units(want), true))
			return 0;
		missing = get_filled(heap, zone, want, &batch);
		if (!missing)
			break;
		if (tries++ == MOST_EXCHANGES ||
		    !(hph_ahead_close(heap) || hph_make_way(heap, missing)))
			return 0;
	}
	hph_lock(&zone->lock);
	hph_batch_account(heap, zone, &batch);
	addr = hph_pages_carve(&zone->pages, batch.first, want, zero);
	hph_unlock(&zone->lock);
	return addr;
}

/* There is something to scavenge now; and to fetch ahead, but for a small heap or a limited one. */
static void note_growth(struct hpheap *heap, struct hph_zone *zone)
{
	bool ahead;

	hph_scavenger_want();
	hph_lock(&zone->lock);
	ahead = (zone->pages.used_units >= HPH_AHEAD_LEAST || zone->pages.thin) &&
		atomic_load(&heap->limit_units) == SIZE_MAX && !atomic_exchange(&zone->grew, true);
	hph_unlock(&zone->lock);
	if (ahead)
		hph_scavenger_hurry();
}

/**
 * hph_grow_span() - a span for which there was no memory
 * @zero: out: it is known to be zero
 *
 * Thin units that have room come first: what a span needs of one is there as soon as a new one,
 * and where that is left to the scavenger, and the CPUs are busy, a heap whose load is back grows
 * to twice its size.
 *
 * Return: its address, or 0.
 */
uintptr_t hph_grow_span(struct hpheap *heap, struct hph_zone *zone, const struct hph_want *want,
			bool *zero)
{
	const size_t units = hph_want_nr_units(want);
	uintptr_t addr;

	addr = hph_thicken_span(heap, zone, want, zero);
	if (!addr && !is_hopeless(heap, units)) {
		hph_empty_broken(heap, zone, units);
		addr = grow_behind(heap, zone, want, zero);
		if (!addr)
			addr = grow_into(heap, zone, want, zero);
	}
	if (addr)
		note_growth(heap, zone);
	return addr;
}

/* What was attached beyond a filled batch is empty. */
static void put_ahead(struct hpheap *heap, struct hph_zone *zone, struct hph_batch *batch)
{
	hph_batch_put_empty(heap, zone, &(struct hph_batch){
		.first = batch->first + batch->units, .reach = batch->reach - batch->units,
	});
	batch->reach = batch->units;
}

/*
 * Fills @units, in as many pieces as the addresses take; the pieces are chained
 * by their first units. On failure those that were filled are in the chain, too.
 */
static int fill_pieces(struct hpheap *heap, struct hph_zone *zone, size_t units, int node,
		       struct hph_unit **chain)
{
	size_t piece = units, left = units;
	struct hph_batch batch;
	int error;

	while (left) {
		if (piece > left)
			piece = left;
		error = hph_take(heap, zone, piece, 1, piece == units ? hph_reach_ahead(heap) : 0,
				 false, &batch);
		if (error && piece > 1) {
			piece /= 2;
			continue;
		}
		if (error) {
			atomic_fetch_sub(&heap->held_units, left);
			return error;
		}
		left -= piece;
		error = hph_batch_fill(heap, zone, &batch, node);
		if (error) {
			atomic_fetch_sub(&heap->held_units, left);
			return error;
		}
		put_ahead(heap, zone, &batch);
		get(heap, batch.first)->link[0] = *chain;
		get(heap, batch.first)->run = (uint32_t)piece;
		*chain = get(heap, batch.first);
	}
	return 0;
}

/**
 * hph_grow_reserve() - so many units of free memory more
 * @node: for all of them, or HPHEAP_NODE_ANY
 */
int hph_grow_reserve(struct hpheap *heap, struct hph_zone *zone, size_t units, int node)
{
	struct hph_unit *chain = NULL, *next;
	size_t bytes = 0;
	int error;

	if (is_hopeless(heap, units) || !hph_charge(heap, units, false))
		return -ENOMEM;
	hph_scavenger_want();
	error = fill_pieces(heap, zone, units, node, &chain);
	for (; chain; chain = next) {
		const struct hph_batch batch = {
			.first = chain->number, .units = chain->run, .reach = chain->run,
		};

		next = chain->link[0];
		if (error) {
			hph_put_emptied(heap, zone, batch.first, batch.units, false, &bytes);
			continue;
		}
		hph_lock(&zone->lock);
		hph_batch_account(heap, zone, &batch);
		hph_pages_add_free(&zone->pages, batch.first, batch.units);
		hph_unlock(&zone->lock);
	}
	return error;
}
