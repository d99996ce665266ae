// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Units without memory, for a heap that grows: charged against its limit, then taken.
 *
 * They come from the empty units that the heap has, else from the arena. Taken they are BUSY,
 * in no index, and nobody else's.
 *
 * Attaching runs ahead of committing, and not under a limit: a backend that pays for each call
 * then makes few and large ones. By an eighth of the heap, 64 MiB at most; where it costs nothing,
 * and addresses are opened with it, by half of the heap, or by what it had more once, 256 MiB at
 * most.
 */
#include "claim.h"

#include <errno.h>

#include "os.h"

#define AHEAD_SHARE	8
#define AHEAD_UNITS	((size_t)32)

/* Where what is attached costs nothing as long as it has no memory. */
#define OPEN_SHARE	2
#define OPEN_UNITS	((size_t)128)

/* For units on their way to be there, each some 50 microseconds. */
#define MOST_NAPS	4000

static struct hph_unit *get(const struct hpheap *heap, uintptr_t number)
{
	return hph_unitmap_get(&heap->map, number);
}

/*
 * May the heap have so many units more? Then they count already. At its limit free
 * ones are emptied for them, if @shrink says so and there are enough. What other
 * threads are emptying just now counts still: that is waited for.
 */
bool hph_charge(struct hpheap *heap, size_t units, bool shrink)
{
	unsigned int naps = 0;
	size_t limit, held, busy;

	for (;;) {
		limit = atomic_load(&heap->limit_units);
		if (units > limit)
			return false;
		busy = atomic_load(&heap->busy_units);
		held = atomic_load(&heap->held_units);
		if (held <= limit - units) {
			if (atomic_compare_exchange_weak(&heap->held_units, &held, held + units))
				return true;
			continue;
		}
		if (shrink && hph_make_way(heap, held - (limit - units)))
			continue;
		/* Nobody had any, neither before nor since. */
		if (!busy && !atomic_load(&heap->busy_units) &&
		    atomic_load(&heap->held_units) == held)
			return false;
		if (naps++ == MOST_NAPS)
			return false;
		hph_os_nap();
	}
}

/* Enters units of the arena in the map, BUSY. Nobody else knows them yet. */
static void introduce(struct hpheap *heap, const struct hph_zone *zone, uintptr_t first,
		      size_t units)
{
	size_t i;

	for (i = 0; i < units; i++) {
		struct hph_unit *unit = get(heap, first + i);

		unit->number = first + i;
		unit->node = HPHEAP_NODE_ANY;
		hph_unit_set_tag(unit, hph_tag(zone->pages.zone, HPH_UNIT_BUSY));
	}
}

/* Address space of so many units; under the grow lock. */
static int take_addresses(struct hpheap *heap, size_t units, uintptr_t *first)
{
	struct hph_arena *arena = &heap->arena;
	uintptr_t addr;
	int error;

	if (units > SIZE_MAX >> HPH_HUGE_SHIFT)
		return -ENOMEM;
	error = hph_arena_grow(arena, units << HPH_HUGE_SHIFT, &addr);
	if (error)
		return error;
	*first = hph_unit_of(addr);
	error = hph_unitmap_prepare(&heap->map, &heap->meta, *first, units);
	if (error)
		hph_arena_give_back(arena, addr, units << HPH_HUGE_SHIFT);
	return error;
}

/* What a switch of blocks left behind; under the grow lock. */
static void keep_stranded(struct hpheap *heap, struct hph_zone *zone)
{
	const uintptr_t first = hph_unit_of(heap->arena.stranded);
	const size_t units = heap->arena.stranded_bytes >> HPH_HUGE_SHIFT;

	if (!units || hph_unitmap_prepare(&heap->map, &heap->meta, first, units))
		return;
	hph_lock(&zone->lock);
	introduce(heap, zone, first, units);
	hph_pages_add_empty(&zone->pages, first, units);
	hph_unlock(&zone->lock);
}

static int take_new(struct hpheap *heap, struct hph_zone *zone, size_t units, size_t align,
		    size_t ahead, struct hph_batch *batch)
{
	uintptr_t first, end;
	size_t asked;
	int error;

	asked = units + (align - 1) + ahead;
	pthread_mutex_lock(&heap->grow);
	error = take_addresses(heap, asked, &first);
	if (error && ahead) {
		asked -= ahead;
		error = take_addresses(heap, asked, &first);
	}
	if (!error)
		keep_stranded(heap, zone);
	pthread_mutex_unlock(&heap->grow);
	if (error)
		return error;

	batch->first = hph_round_up(first, align);
	batch->units = units;
	batch->lazy = 0;
	end = first + asked;
	batch->reach = end - batch->first;
	if (batch->reach > units + ahead)
		batch->reach = units + ahead;
	hph_lock(&zone->lock);
	introduce(heap, zone, first, asked);
	/* What is only there for the alignment. */
	if (batch->first > first)
		hph_pages_add_empty(&zone->pages, first, batch->first - first);
	if (batch->first + batch->reach < end)
		hph_pages_add_empty(&zone->pages, batch->first + batch->reach,
				    end - (batch->first + batch->reach));
	atomic_fetch_add(&heap->busy_units, batch->reach);
	hph_unlock(&zone->lock);
	return 0;
}

/* And behind them some more, to be attached with them, if they are not. Under the zone's lock. */
static size_t take_ahead(struct hpheap *heap, struct hph_zone *zone, uintptr_t first, size_t ahead)
{
	const size_t there = hph_runs_length(&zone->pages.empty, first);
	size_t units;

	if (ahead > there)
		ahead = there;
	for (units = 0; units < ahead && !get(heap, first + units)->owner; units++)
		;
	if (units)
		hph_runs_cut(&zone->pages.empty, get(heap, first), first, units);
	return units;
}

static bool take_empty(struct hpheap *heap, struct hph_zone *zone, size_t units, size_t align,
		       size_t ahead, struct hph_batch *batch)
{
	bool found;

	*batch = (struct hph_batch){ .units = units, .reach = units };
	hph_lock(&zone->lock);
	found = hph_purgeable_take(&zone->pages, units, align, &batch->first) ||
		hph_runs_take(&zone->pages.empty, units, align, &batch->first);
	if (found && ahead && !get(heap, batch->first)->owner)
		batch->reach += take_ahead(heap, zone, batch->first + units, ahead);
	if (found)
		atomic_fetch_add(&heap->busy_units, batch->reach);
	hph_unlock(&zone->lock);
	return found;
}

/*
 * What is attached ahead counts somewhere: a heap with a limit does not do that, nor one that the
 * system has just refused memory. A heap that comes and goes opens what it will have in one go:
 * while units are filled, each time is a wait.
 */
size_t hph_reach_ahead(struct hpheap *heap)
{
	const size_t held = atomic_load(&heap->held_units), peak = atomic_load(&heap->peak_units);
	const size_t more = peak > held ? peak - held : 0;

	if (atomic_load(&heap->limit_units) != SIZE_MAX || atomic_load(&heap->refused))
		return 0;
	if (!heap->backend->ops->open_ahead)
		return hph_least(held / AHEAD_SHARE, AHEAD_UNITS);
	return hph_least(more > held / OPEN_SHARE ? more : held / OPEN_SHARE, OPEN_UNITS);
}

/* May the heap have addresses for so many units, whatever is there now? */
static bool has_addresses(struct hpheap *heap, size_t units, size_t align)
{
	bool has;

	pthread_mutex_lock(&heap->grow);
	has = heap->arena.address_bytes >> HPH_HUGE_SHIFT >= (uint64_t)units + (align - 1);
	pthread_mutex_unlock(&heap->grow);
	return has;
}

/*
 * Units without memory, for who has charged them. When there are no addresses
 * any more, those of other zones will do, and if @shrink says so free units become
 * empty: what lies between two empty runs joins them.
 */
int hph_take(struct hpheap *heap, struct hph_zone *zone, size_t units, size_t align, size_t ahead,
	     bool shrink, struct hph_batch *batch)
{
	size_t bytes = 0;
	unsigned int i;
	int error;

	if (take_empty(heap, zone, units, align, ahead, batch))
		return 0;
	error = take_new(heap, zone, units, align, ahead, batch);
	if (!error)
		return 0;
	if (shrink && has_addresses(heap, units, align))
		hph_shrink(heap, SIZE_MAX, &bytes);
	for (i = 0; i < heap->nr_zones; i++)
		if (take_empty(heap, &heap->zones[i], units, align, 0, batch))
			return 0;
	return error;
}

/* Does the arena go on at this address? */
static bool is_next(struct hpheap *heap, uintptr_t addr)
{
	bool is;

	pthread_mutex_lock(&heap->grow);
	is = heap->arena.growth.alloc == addr;
	pthread_mutex_unlock(&heap->grow);
	return is;
}

/* Takes the @units behind a run of free ones, if they are empty, or the arena has them next. */
bool hph_take_behind(struct hpheap *heap, struct hph_zone *zone, uintptr_t first, size_t units,
		     struct hph_batch *batch)
{
	size_t there;

	hph_lock(&zone->lock);
	there = hph_runs_length(&zone->pages.empty, first);
	hph_unlock(&zone->lock);
	if (there < units) {
		if (!is_next(heap, hph_unit_addr(first + there)) ||
		    take_new(heap, zone, units - there, 1, 0, batch))
			return false;
		hph_batch_put_empty(heap, zone, batch);
	}
	*batch = (struct hph_batch){ .first = first, .units = units, .reach = units };
	hph_lock(&zone->lock);
	there = hph_runs_length(&zone->pages.empty, first);
	if (there >= units) {
		hph_runs_cut(&zone->pages.empty, get(heap, first), first, units);
		atomic_fetch_add(&heap->busy_units, units);
	}
	hph_unlock(&zone->lock);
	return there >= units;
}
