// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A heap grows and shrinks: huge units get memory and lose it again.
 *
 * Units on their way are BUSY, in no index, so the system calls for them are
 * made without the heap's lock. They come from the empty units that the heap
 * has, else from the arena, are attached to the backend, committed one by one,
 * and published. A unit that the backend cannot give falls back to the second
 * one, alone; when it is emptied it is detached, so that the next time the first
 * backend is asked again.
 *
 * Attaching runs ahead of committing, by an eighth of the heap: a backend
 * that pays for each call then makes few and large ones.
 */
#include <errno.h>
#include <string.h>

#include "heap.h"
#include "os.h"

#define AHEAD_SHARE	8
#define AHEAD_UNITS	((size_t)32)
#define SHRINK_BATCH	((size_t)64)

/* Units on their way. */
struct batch {
	uintptr_t first;
	size_t units;	/* to be filled */
	size_t reach;	/* to be attached at the same time; they stay empty */
};

static struct hph_unit *get(const struct hpheap *heap, uintptr_t number)
{
	return hph_unitmap_get(&heap->pages.map, number);
}

/* Counts whose memory it is that comes into the indexes, or leaves them. Under the lock. */
static void count_owners(struct hpheap *heap, uintptr_t first, size_t units, bool come)
{
	const bool device = heap->kind == HPHEAP_BACKEND_DEVICE;
	size_t i, of_device = 0, of_fallback = 0;

	for (i = 0; i < units; i++) {
		const struct hph_backend *owner = get(heap, first + i)->owner;

		of_device += device && owner == heap->backend;
		of_fallback += owner == heap->fallback;
	}
	heap->device_units += come ? of_device : -of_device;
	heap->fallback_units += come ? of_fallback : -of_fallback;
}

/* May the heap have so many units more? Then they count already. */
static bool charge(struct hpheap *heap, size_t units)
{
	size_t held;

	pthread_mutex_lock(&heap->lock);
	held = heap->pages.memory_units + heap->busy_units;
	if (units > heap->limit_units || held > heap->limit_units - units) {
		const size_t excess = held + units - heap->limit_units;

		pthread_mutex_unlock(&heap->lock);
		if (units > heap->limit_units || hph_shrink(heap, excess) < excess)
			return false;
		pthread_mutex_lock(&heap->lock);
		held = heap->pages.memory_units + heap->busy_units;
		if (held > heap->limit_units - units) {
			pthread_mutex_unlock(&heap->lock);
			return false;
		}
	}
	heap->busy_units += units;
	pthread_mutex_unlock(&heap->lock);
	return true;
}

static void discharge(struct hpheap *heap, size_t units)
{
	pthread_mutex_lock(&heap->lock);
	heap->busy_units -= units;
	pthread_mutex_unlock(&heap->lock);
}

/* Enters units of the arena in the map, BUSY. */
static void introduce(struct hpheap *heap, uintptr_t first, size_t units)
{
	size_t i;

	for (i = 0; i < units; i++) {
		struct hph_unit *unit = get(heap, first + i);

		unit->number = first + i;
		unit->node = HPHEAP_NODE_ANY;
		unit->state = HPH_UNIT_BUSY;
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
	return hph_unitmap_prepare(&heap->pages.map, &heap->meta, *first, units);
}

/* What a switch of blocks left behind; under the grow lock. */
static void keep_stranded(struct hpheap *heap)
{
	const uintptr_t first = hph_unit_of(heap->arena.stranded);
	const size_t units = heap->arena.stranded_bytes >> HPH_HUGE_SHIFT;

	if (!units || hph_unitmap_prepare(&heap->pages.map, &heap->meta, first, units))
		return;
	pthread_mutex_lock(&heap->lock);
	introduce(heap, first, units);
	hph_pages_add_empty(&heap->pages, first, units);
	pthread_mutex_unlock(&heap->lock);
}

static int take_new(struct hpheap *heap, size_t units, size_t align, size_t ahead,
		    struct batch *batch)
{
	uintptr_t first;
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
		keep_stranded(heap);
	pthread_mutex_unlock(&heap->grow);
	if (error)
		return error;

	batch->first = hph_round_up(first, align);
	batch->units = units;
	batch->reach = asked - (batch->first - first);
	pthread_mutex_lock(&heap->lock);
	introduce(heap, first, asked);
	if (batch->first > first)
		hph_pages_add_empty(&heap->pages, first, batch->first - first);
	heap->busy_units += batch->reach - units;
	pthread_mutex_unlock(&heap->lock);
	return 0;
}

static bool take_empty(struct hpheap *heap, size_t units, size_t align, struct batch *batch)
{
	bool found;

	pthread_mutex_lock(&heap->lock);
	found = hph_runs_take(&heap->pages.empty, units, align, &batch->first);
	pthread_mutex_unlock(&heap->lock);
	batch->units = batch->reach = units;
	return found;
}

/* What is attached ahead counts somewhere: a heap with a limit does not do that. */
static size_t reach_ahead(struct hpheap *heap)
{
	size_t units = 0;

	pthread_mutex_lock(&heap->lock);
	if (heap->limit_units == SIZE_MAX)
		units = heap->pages.memory_units / AHEAD_SHARE;
	pthread_mutex_unlock(&heap->lock);
	return units < AHEAD_UNITS ? units : AHEAD_UNITS;
}

/*
 * Units without memory, for who has charged them. When there are no addresses
 * any more, free units become empty: what lies between two empty runs joins them.
 */
static int take(struct hpheap *heap, size_t units, size_t align, size_t ahead,
		struct batch *batch)
{
	int error;

	if (take_empty(heap, units, align, batch))
		return 0;
	error = take_new(heap, units, align, ahead, batch);
	if (error && hph_shrink(heap, SIZE_MAX) && take_empty(heap, units, align, batch))
		error = 0;
	return error;
}

/* Puts units back, which have no memory. */
static void put_empty(struct hpheap *heap, const struct batch *batch)
{
	pthread_mutex_lock(&heap->lock);
	hph_pages_add_empty(&heap->pages, batch->first, batch->reach);
	heap->busy_units -= batch->reach;
	pthread_mutex_unlock(&heap->lock);
}

static int detach(struct hph_unit *unit)
{
	int error = unit->owner->ops->detach(unit->owner, hph_unit_addr(unit->number),
					     HPHEAP_HUGE_SIZE);

	if (!error)
		unit->owner = NULL;
	return error;
}

/* Attaches up to @units that are reserved, at least the first of them. */
static int attach_to(struct hpheap *heap, struct hph_backend *backend, uintptr_t first,
		     size_t units, int node)
{
	const struct hph_place place = node == HPHEAP_NODE_ANY ? heap->place :
		(struct hph_place){ .placement = HPHEAP_PLACE_NODE, .node = (uint32_t)node };
	size_t bytes, i;
	int error;

	pthread_mutex_lock(&heap->grow);
	error = backend->ops->attach(backend, hph_unit_addr(first), units << HPH_HUGE_SHIFT,
				     &place, &bytes);
	pthread_mutex_unlock(&heap->grow);
	if (error)
		return error;
	for (i = 0; i < bytes >> HPH_HUGE_SHIFT; i++) {
		struct hph_unit *unit = get(heap, first + i);

		unit->owner = backend;
		unit->node = (int16_t)node;
	}
	return 0;
}

static int fall_back(struct hpheap *heap, struct hph_unit *unit, int node, int why)
{
	if (!heap->fallback)
		return why;
	pthread_mutex_lock(&heap->lock);
	heap->fallback_errno = -why;
	pthread_mutex_unlock(&heap->lock);
	return attach_to(heap, heap->fallback, unit->number, 1, node);
}

/* Sees to it that the first of @units is attached, for @node. */
static int attach(struct hpheap *heap, uintptr_t first, size_t units, int node)
{
	struct hph_unit *unit = get(heap, first);
	size_t reserved;
	int error;

	if (unit->owner && unit->node != node) {
		error = detach(unit);
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

static int commit(struct hpheap *heap, struct hph_unit *unit, int node)
{
	const uintptr_t addr = hph_unit_addr(unit->number);
	int error = unit->owner->ops->commit(unit->owner, addr);

	if (error && heap->fallback && unit->owner == heap->backend && !detach(unit)) {
		error = fall_back(heap, unit, node, error);
		if (!error)
			error = heap->fallback->ops->commit(heap->fallback, addr);
	}
	if (!error)
		memset(unit->zero, 0xff, sizeof(unit->zero));
	return error;
}

/* Takes the memory from a unit. */
static int empty(struct hph_unit *unit)
{
	bool detached;
	int error = unit->owner->ops->release(unit->owner, hph_unit_addr(unit->number), &detached);

	if (!error && detached)
		unit->owner = NULL;
	return error;
}

/* Empties BUSY units, one by one; returns how many. The others keep their memory. */
static size_t put_emptied(struct hpheap *heap, uintptr_t first, size_t units)
{
	size_t i, emptied = 0;

	for (i = 0; i < units; i++) {
		const bool done = !empty(get(heap, first + i));

		pthread_mutex_lock(&heap->lock);
		if (done) {
			hph_pages_add_empty(&heap->pages, first + i, 1);
		} else {
			hph_pages_add_free(&heap->pages, first + i, 1);
			count_owners(heap, first + i, 1, true);
		}
		heap->busy_units--;
		heap->releases += done;
		pthread_mutex_unlock(&heap->lock);
		emptied += done;
	}
	return emptied;
}

/* Gives all units of a batch their memory; if that fails, puts them back. */
static int fill(struct hpheap *heap, const struct batch *batch, int node)
{
	size_t i;
	int error;

	for (i = 0; i < batch->units; i++) {
		error = attach(heap, batch->first + i, batch->reach - i, node);
		if (!error)
			error = commit(heap, get(heap, batch->first + i), node);
		if (error)
			goto put_back;
	}
	return 0;
put_back:
	put_empty(heap, &(struct batch){ .first = batch->first + i, .reach = batch->reach - i });
	put_emptied(heap, batch->first, i);
	return error;
}

/* Counts a filled batch, and gives back what was attached only. Under the lock. */
static void account(struct hpheap *heap, const struct batch *batch)
{
	const size_t ahead = batch->reach - batch->units, fell = heap->fallback_units;
	size_t held;

	if (ahead)
		hph_pages_add_empty(&heap->pages, batch->first + batch->units, ahead);
	heap->busy_units -= batch->reach;
	heap->commits += batch->units;
	count_owners(heap, batch->first, batch->units, true);
	heap->fallbacks += heap->fallback_units - fell;
	held = heap->pages.memory_units + batch->units;
	if (held > heap->peak_units)
		heap->peak_units = held;
}

/**
 * hph_grow_span() - a span for which there was no memory
 * @error: out: why there is none
 *
 * It is zero, as new memory is.
 *
 * Return: its address, or 0.
 */
uintptr_t hph_grow_span(struct hpheap *heap, const struct hph_want *want, int *error)
{
	const size_t units = hph_want_nr_units(want);
	struct batch batch;
	uintptr_t addr;

	if (!charge(heap, units)) {
		*error = -ENOMEM;
		return 0;
	}
	*error = take(heap, units, hph_want_unit_align(want), reach_ahead(heap), &batch);
	if (*error) {
		discharge(heap, units);
		return 0;
	}
	*error = fill(heap, &batch, HPHEAP_NODE_ANY);
	if (*error)
		return 0;
	pthread_mutex_lock(&heap->lock);
	account(heap, &batch);
	addr = hph_pages_carve(&heap->pages, batch.first, want);
	pthread_mutex_unlock(&heap->lock);
	return addr;
}

/*
 * Fills @units, in as many pieces as the addresses take; the pieces are chained
 * by their first units. On failure those that were filled are in the chain, too.
 */
static int fill_pieces(struct hpheap *heap, size_t units, int node, struct hph_unit **chain)
{
	size_t piece = units, left = units;
	struct batch batch;
	int error;

	while (left) {
		if (piece > left)
			piece = left;
		error = take(heap, piece, 1, 0, &batch);
		if (error && piece > 1) {
			piece /= 2;
			continue;
		}
		if (error) {
			discharge(heap, left);
			return error;
		}
		left -= piece;
		error = fill(heap, &batch, node);
		if (error) {
			discharge(heap, left);
			return error;
		}
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
int hph_grow_reserve(struct hpheap *heap, size_t units, int node)
{
	struct hph_unit *chain = NULL, *next;
	int error;

	if (!charge(heap, units))
		return -ENOMEM;
	error = fill_pieces(heap, units, node, &chain);
	for (; chain; chain = next) {
		const struct batch batch = {
			.first = chain->number, .units = chain->run, .reach = chain->run,
		};

		next = chain->link[0];
		if (error) {
			put_emptied(heap, batch.first, batch.units);
			continue;
		}
		pthread_mutex_lock(&heap->lock);
		account(heap, &batch);
		hph_pages_add_free(&heap->pages, batch.first, batch.units);
		pthread_mutex_unlock(&heap->lock);
	}
	return error;
}

/**
 * hph_shrink() - empty up to @units free ones, the highest first
 *
 * Return: how many there were.
 */
size_t hph_shrink(struct hpheap *heap, size_t units)
{
	size_t done = 0, taken, emptied;
	uintptr_t first;

	while (done < units) {
		taken = units - done < SHRINK_BATCH ? units - done : SHRINK_BATCH;
		pthread_mutex_lock(&heap->lock);
		taken = hph_pages_take_last_free(&heap->pages, taken, &first);
		heap->busy_units += taken;
		if (taken)
			count_owners(heap, first, taken, false);
		pthread_mutex_unlock(&heap->lock);
		if (!taken)
			break;
		emptied = put_emptied(heap, first, taken);
		done += emptied;
		if (emptied < taken)
			break;
	}
	return done;
}
