// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A walk over all addresses of a heap, in one moment.
 *
 * The heap is stopped just as long as it takes to write down what is where, in
 * memory of its own; the visitor is called afterwards, and may use the heap. How
 * much there is to write is known after the first try.
 */
#include <errno.h>
#include <string.h>

#include "cache.h"
#include "os.h"

/* Written down; counted only, where there is no room. */
struct record {
	struct hpheap_region *regions;
	size_t room;
	size_t count;
	struct hpheap_region last;	/* may become longer */
	uintptr_t end;			/* a span may go on from one block into the next */
};

static void write_last(struct record *record)
{
	if (!record->last.bytes)
		return;
	if (record->count < record->room)
		record->regions[record->count] = record->last;
	record->count++;
	record->last.bytes = 0;
}

/* Does it only make the last one longer? What nobody holds does, and the rest of a span. */
static bool goes_on(const struct hpheap_region *last, const struct hpheap_region *region)
{
	return last->bytes && last->address + last->bytes == region->address &&
	       last->kind == region->kind && last->node == region->node &&
	       last->backend == region->backend &&
	       (last->kind == HPHEAP_REGION_FREE || last->kind == HPHEAP_REGION_EMPTY ||
		region->rest);
}

static void add(struct record *record, const struct hpheap_region *region)
{
	struct hpheap_region *last = &record->last;

	if (goes_on(last, region)) {
		last->bytes += region->bytes;
		return;
	}
	write_last(record);
	*last = *region;
}

static uint32_t backend_of(const struct hpheap *heap, const struct hph_unit *unit)
{
	return heap->fallback && unit->owner == heap->fallback ? HPHEAP_BACKEND_THP : heap->kind;
}

static size_t unit_left(uintptr_t addr)
{
	return HPHEAP_HUGE_SIZE - addr % HPHEAP_HUGE_SIZE;
}

static uint32_t kind_of(const struct hpheap *heap, const struct hph_unit *unit, bool live)
{
	if (hph_unit_state(unit) == HPH_UNIT_LOST)
		return live ? HPHEAP_REGION_LOST : HPHEAP_REGION_EMPTY;
	if (live)
		return HPHEAP_REGION_SPAN;
	return heap->efence ? HPHEAP_REGION_FENCED : HPHEAP_REGION_CACHED;
}

/* Of a slab some may be hollow: a region is as far as its parts are alike. */
static void leave_out_hollow(const struct hph_unit *unit, uintptr_t addr,
			     struct hpheap_region *region)
{
	const unsigned int half = (unsigned int)(addr % HPHEAP_HUGE_SIZE >> HPH_HALF_SHIFT);
	struct hph_parts away = { .pages = { 0 } };
	bool is_away;
	size_t alike;

	memcpy(away.pages, unit->away, sizeof(away.pages));
	if (unit->nr_halves)
		memcpy(away.halves, unit->slabs->halves, sizeof(away.halves));
	is_away = hph_parts_test(&away, half);
	alike = (size_t)(hph_parts_next(&away, half, !is_away) - half) << HPH_HALF_SHIFT;
	if (is_away)
		region->kind = HPHEAP_REGION_HOLLOW;
	if (region->bytes > alike)
		region->bytes = alike;
}

/* What lies at @addr, in a unit with spans. */
static void region_in_unit(const struct hpheap *heap, const struct hph_unit *unit, uintptr_t addr,
			   struct hpheap_region *region)
{
	const struct hph_pages *pages = &heap->zones[hph_unit_zone(unit)].pages;
	const unsigned int page = hph_page_in_unit(addr);
	struct hph_found found;

	if (!hph_pages_find(pages, addr, &found)) {
		const bool away = hph_map_test(unit->away, page);
		const unsigned int used = hph_map_next(unit->used, page, true);
		const unsigned int other = hph_map_next(unit->away, page, !away);

		if (!away && hph_unit_state(unit) != HPH_UNIT_LOST)
			region->kind = HPHEAP_REGION_FREE;
		region->bytes = hph_page_addr((used < other ? used : other) - page);
		return;
	}
	region->bytes = hph_found_addr(&found) + hph_page_addr(found.pages) - addr;
	if (region->bytes > unit_left(addr))
		region->bytes = unit_left(addr);	/* The next unit may be of another owner. */
	region->kind = kind_of(heap, unit, found.live);
	if (region->kind == HPHEAP_REGION_SPAN && found.pages <= HPH_SMALL_PAGES)
		leave_out_hollow(unit, addr, region);
	region->rest = region->kind != HPHEAP_REGION_EMPTY && addr != hph_found_addr(&found);
}

static bool has_memory(uint32_t kind)
{
	return kind != HPHEAP_REGION_EMPTY && kind != HPHEAP_REGION_LOST &&
	       kind != HPHEAP_REGION_HOLLOW;
}

static void walk_block(const struct hpheap *heap, const struct hph_block *block,
		       struct record *record)
{
	struct hpheap_region region;
	uintptr_t addr = block->first > record->end ? block->first : record->end;

	for (; addr < block->end; addr += region.bytes) {
		const struct hph_unit *unit = hph_unitmap_find(&heap->map, hph_unit_of(addr));

		region = (struct hpheap_region){
			.address = addr, .bytes = unit_left(addr),
			.kind = HPHEAP_REGION_EMPTY, .node = HPHEAP_NODE_ANY,
		};
		switch (unit ? hph_unit_state(unit) : HPH_UNIT_NONE) {
		case HPH_UNIT_FREE:
			region.kind = HPHEAP_REGION_FREE;
			break;
		case HPH_UNIT_USED:
		case HPH_UNIT_BROKEN:
		case HPH_UNIT_LOST:
			region_in_unit(heap, unit, addr, &region);
			break;
		case HPH_UNIT_NONE:
		case HPH_UNIT_EMPTY:
		case HPH_UNIT_PURGEABLE:
		case HPH_UNIT_BUSY:
		case HPH_UNIT_FENCED:
			break;
		}
		if (has_memory(region.kind)) {
			region.node = unit->node;
			region.backend = backend_of(heap, unit);
		}
		add(record, &region);
	}
	record->end = addr;
}

/* Writes down as much as there is room for; the heap is stopped. */
static void walk(const struct hpheap *heap, struct record *record)
{
	const struct hph_block *block;

	record->count = 0;
	record->end = 0;
	for (block = heap->arena.blocks; block; block = block->next)
		walk_block(heap, block, record);
	write_last(record);
}

/*
 * All regions of a heap, and its statistics of the same moment. @bytes is the
 * size of the mapping that they are in, which the caller unmaps.
 */
static int take_record(struct hpheap *heap, struct record *record, size_t *bytes,
		       struct hpheap_stats *stats)
{
	uintptr_t base;
	size_t room = 0;
	int error;

	for (;;) {
		*bytes = hph_round_up(room * sizeof(record->regions[0]), HPHEAP_MAX_BASE_PAGE);
		if (room) {
			error = hph_os_map(*bytes, &base);
			if (error)
				return error;
			record->regions = (struct hpheap_region *)base;
		}
		record->room = room;
		hph_heap_stop(heap);
		walk(heap, record);
		memset(stats, 0, sizeof(*stats));
		hph_stats_read(heap, stats);
		hph_heap_resume(heap);
		if (record->count <= room)
			return 0;
		if (room)
			hph_os_unmap(base, *bytes);
		room = record->count + record->count / 8 + 16;
	}
}

int hpheap_walk(struct hpheap *heap, hpheap_visitor visit, void *arg, struct hpheap_stats *stats)
{
	struct record record = { 0 };
	struct hpheap_stats now;
	int result = 0;
	size_t i, bytes;

	if (!heap || !visit || (stats && !hph_stats_valid(stats))) {
		errno = EINVAL;
		return -1;
	}
	result = take_record(heap, &record, &bytes, &now);
	if (result) {
		errno = -result;
		return -1;
	}
	if (stats)
		hph_stats_copy(stats, &now);
	for (i = 0; i < record.count && !result; i++)
		result = visit(&record.regions[i], arg);
	if (bytes)
		hph_os_unmap((uintptr_t)record.regions, bytes);
	return result;
}
