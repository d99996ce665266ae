// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Following the structures of heaps in another process: see heaps.h.
 *
 * They change while they are read, and may be damaged. So every list has an order that
 * must hold, or an end; a pointer is nothing but a place to read from; a number that
 * says how many there are is held against what there can be.
 */
#include "heaps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cache.h"

#define MOST_HEAPS	4096
#define MOST_BLOCKS	((size_t)1 << 20)
#define MOST_UNITS	((size_t)1 << 22)	/* of a process: 8 TiB */
#define MOST_CACHES	((size_t)1 << 18)	/* of a process */
#define PIECE		((size_t)64)		/* units read at a time */
#define TRIES		3

/* A heap is looked at: a copy of its structure. */
typedef int look_fn(const struct target *target, const struct hpheap *heap, void *arg);

static int read_heap(const struct target *target, uint64_t address, struct hpheap *heap)
{
	int error = target_read(target, address, heap, sizeof(*heap));
	unsigned char efence;

	if (error)
		return error;
	/* What is copied may be no bool: neither true nor false. */
	memcpy(&efence, &heap->efence, 1);
	heap->efence = efence & 1;
	return heap->nr_zones > HPH_MAX_ZONES || heap->kind > HPHEAP_BACKEND_SMALL ? -EFAULT : 0;
}

/* The last heap made comes first: their numbers fall. */
static int for_registry(const struct target *target, uint64_t registry, look_fn *look, void *arg)
{
	uint64_t last = UINT64_MAX;
	uintptr_t address;
	struct hpheap heap;
	size_t count = 0;
	int error = target_read(target, registry, &address, sizeof(address));

	while (!error && address) {
		error = read_heap(target, address, &heap);
		if (!error && (heap.id >= last || ++count > MOST_HEAPS))
			error = -EFAULT;
		if (!error)
			error = look(target, &heap, arg);
		last = heap.id;
		address = (uintptr_t)heap.next;
	}
	return error;
}

static int for_heaps(const struct target *target, look_fn *look, void *arg)
{
	size_t i;
	int error = 0;

	for (i = 0; i < target->libraries && !error; i++)
		error = for_registry(target, target->registry[i], look, arg);
	return error;
}

/* Blocks come in the order of their addresses: *@end is where the one before ended. */
static int next_block(const struct target *target, uintptr_t *address, uintptr_t *end,
		      struct hph_block *block)
{
	const uintptr_t before = *end;
	int error = target_read(target, *address, block, sizeof(*block));

	if (error)
		return error;
	if ((block->first | block->end) % HPHEAP_HUGE_SIZE || block->first < before ||
	    block->end <= block->first || (block->end - 1) >> (HPH_ADDRESS_BITS - 1) >> 1)
		return -EFAULT;
	*address = (uintptr_t)block->next;
	*end = block->end;
	return 0;
}

/* Where the picture of one heap grows. */
struct drawing {
	struct hph_cells cells;
	size_t units;		/* of all heaps */
	struct heaps *heaps;
	struct hph_unit piece[PIECE];
};

static void make_room(struct hph_cells *cells, size_t more)
{
	if (cells->count + more + 1 <= cells->room)
		return;
	cells->runs = grow_to(cells->runs, &cells->room, cells->count + more + 1,
			      sizeof(*cells->runs));
}

/* Units of one leaf, whose first is at @address. */
static int draw_units(const struct target *target, const struct hpheap *heap,
		      struct drawing *drawing, uintptr_t number, size_t units, uint64_t address)
{
	size_t now, i;
	int error;

	for (; units; units -= now, number += now, address += now * sizeof(struct hph_unit)) {
		now = units < PIECE ? units : PIECE;
		error = target_read(target, address, drawing->piece, now * sizeof(struct hph_unit));
		if (error)
			return error;
		make_room(&drawing->cells, now);
		for (i = 0; i < now; i++)
			hph_cells_add(&drawing->cells, heap, number + i, &drawing->piece[i]);
	}
	return 0;
}

static int draw_block(const struct target *target, const struct hpheap *heap,
		      struct drawing *drawing, const struct hph_block *block)
{
	uintptr_t number = hph_unit_of(block->first), leaf;
	const uintptr_t end = hph_unit_of(block->end);
	size_t units;
	int error = 0;

	if (end - number > MOST_UNITS - drawing->units)
		return -EFBIG;
	drawing->units += end - number;
	for (; number < end && !error; number += units) {
		const size_t in_leaf = number & (HPH_LEAF_UNITS - 1);

		units = HPH_LEAF_UNITS - in_leaf < end - number ? HPH_LEAF_UNITS - in_leaf :
								 end - number;
		error = target_read(target, (uintptr_t)heap->map.top +
				    (number >> HPH_LEAF_BITS) * sizeof(leaf), &leaf, sizeof(leaf));
		if (error)
			return error;
		make_room(&drawing->cells, 1);
		if (leaf)
			error = draw_units(target, heap, drawing, number, units, leaf +
					   in_leaf * sizeof(struct hph_unit));
		else
			hph_cells_add_empty(&drawing->cells, number, units);
	}
	return error;
}

static int draw_heap(const struct target *target, const struct hpheap *heap, void *arg)
{
	struct drawing *drawing = arg;
	struct hph_cells *cells = &drawing->cells;
	struct heaps *heaps = drawing->heaps;
	uintptr_t address = (uintptr_t)heap->arena.blocks, end = 0;
	struct hph_block block;
	size_t blocks = 0;
	int error = 0;

	*cells = (struct hph_cells){ 0 };
	hph_cells_begin(cells);
	while (address && !error) {
		error = ++blocks > MOST_BLOCKS ? -EFBIG :
			next_block(target, &address, &end, &block);
		if (!error)
			error = draw_block(target, heap, drawing, &block);
	}
	hph_cells_end(cells);
	heaps->heap = grow_array(heaps->heap, heaps->count, sizeof(*heaps->heap));
	heaps->heap[heaps->count++] = (struct hph_picture_heap){
		.id = heap->id, .kind = heap->kind, .efence = heap->efence,
		.runs = cells->runs, .count = cells->count,
	};
	return error;
}

/* The last one made is the last one drawn. */
static void turn_round(struct heaps *heaps)
{
	struct hph_picture_heap heap;
	size_t i;

	for (i = 0; i < heaps->count / 2; i++) {
		heap = heaps->heap[i];
		heaps->heap[i] = heaps->heap[heaps->count - 1 - i];
		heaps->heap[heaps->count - 1 - i] = heap;
	}
}

void heaps_release(struct heaps *heaps)
{
	size_t i;

	for (i = 0; i < heaps->count; i++)
		free((void *)heaps->heap[i].runs);
	free(heaps->heap);
	*heaps = (struct heaps){ 0 };
}

int heaps_read(const struct target *target, struct heaps *heaps)
{
	static struct drawing drawing;
	int error = -EFAULT, tries;

	*heaps = (struct heaps){ 0 };
	/* A heap may be made or destroyed just now. */
	for (tries = 0; tries < TRIES && error == -EFAULT; tries++) {
		heaps_release(heaps);
		drawing.units = 0;
		drawing.heaps = heaps;
		error = for_heaps(target, draw_heap, &drawing);
	}
	turn_round(heaps);
	return error;
}

/* Free spans of a cache, in heap pages; its large arrays of spans are not read. */
static uint64_t kept_pages(const struct hph_cache *cache)
{
	uint64_t pages = (uint64_t)hph_cache_recent(cache) + cache->large_pages;
	size_t size;

	for (size = 1; size <= HPH_SMALL_PAGES; size++)
		pages += (uint64_t)cache->stacks[size].count * size;
	return pages;
}

static int add_caches(const struct target *target, const struct hpheap *heap, struct sums *sums,
		      uint64_t *pages)
{
	uintptr_t address = (uintptr_t)heap->caches;
	static struct hph_cache cache;
	int error = 0;

	while (address && !error) {
		if (++sums->caches > MOST_CACHES)
			return -EFAULT;
		error = target_read(target, address, &cache, offsetof(struct hph_cache, small));
		if (!error)
			error = target_read(target, address + offsetof(struct hph_cache, next),
					    &cache.next, sizeof(cache.next));
		if (!error) {
			*pages += kept_pages(&cache);
			address = (uintptr_t)cache.next;
		}
	}
	return error;
}

static int add_ranges(const struct target *target, const struct hpheap *heap, struct sums *sums)
{
	uintptr_t address = (uintptr_t)heap->arena.blocks, end = 0;
	struct hph_block block;
	int error = 0;

	while (address && !error) {
		error = sums->ranges > MOST_BLOCKS ? -EFBIG :
			next_block(target, &address, &end, &block);
		if (error)
			break;
		sums->range = grow_array(sums->range, sums->ranges, sizeof(*sums->range));
		sums->range[sums->ranges++] = (struct range){ block.first, block.end };
	}
	return error;
}

static int add_heap(const struct target *target, const struct hpheap *heap, void *arg)
{
	static struct hph_zone zone;
	struct sums *sums = arg;
	uint64_t memory = 0, used = 0, kept = 0, rest = 0, halves = 0;
	unsigned int i;
	int error = add_ranges(target, heap, sums);

	for (i = 0; i < heap->nr_zones && !error; i++) {
		error = target_read(target, (uintptr_t)heap->zones + i * sizeof(zone), &zone,
				    sizeof(zone));
		memory += (uint64_t)zone.pages.memory_units * HPH_UNIT_PAGES;
		used += zone.pages.used_pages;
		sums->purgeable += (uint64_t)zone.pages.purgeable_units << HPH_HUGE_SHIFT;
		rest += (uint64_t)zone.pages.away_pages + zone.pages.fenced_pages;
		halves += zone.pages.away_halves;
	}
	if (!error)
		error = add_caches(target, heap, sums, &kept);
	if (error)
		return error;
	/* Of numbers that are not of one moment a difference may be less than nothing. */
	used = used > kept ? used - kept : 0;
	sums->heaps++;
	sums->backends |= UINT32_C(1) << heap->kind;
	sums->committed += memory << HPH_PAGE_SHIFT;
	sums->peak += (uint64_t)heap->peak_units << HPH_HUGE_SHIFT;
	halves <<= HPH_HALF_SHIFT;
	sums->live += used << HPH_PAGE_SHIFT;
	sums->live -= halves < sums->live ? halves : sums->live;
	sums->free += memory > used + rest ? (memory - used - rest) << HPH_PAGE_SHIFT : 0;
	sums->scavenged += (uint64_t)heap->scavenged_pages << HPH_PAGE_SHIFT;
	return 0;
}

void sums_release(struct sums *sums)
{
	free(sums->range);
	*sums = (struct sums){ 0 };
}

int sums_read(const struct target *target, struct sums *sums)
{
	int error = -EFAULT, tries;

	*sums = (struct sums){ 0 };
	for (tries = 0; tries < TRIES && error == -EFAULT; tries++) {
		sums_release(sums);
		error = for_heaps(target, add_heap, sums);
	}
	return error;
}
