// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A heap as cells, one for each huge unit: what its pictures show.
 *
 * Units come one by one, in the order of their addresses, also from who reads another
 * process's memory: nothing here follows a pointer of a unit, and any bytes are a unit.
 */
#include "cells.h"

#include "os.h"

static bool alike(const struct hph_cell *a, const struct hph_cell *b)
{
	return a->live == b->live && a->kept == b->kept && a->away == b->away &&
	       a->node == b->node && a->kind == b->kind && a->backend == b->backend;
}

static void write_last(struct hph_cells *cells)
{
	if (!cells->last.units)
		return;
	if (cells->count < cells->room)
		cells->runs[cells->count] = cells->last;
	cells->count++;
	cells->last.units = 0;
}

static void add(struct hph_cells *cells, uintptr_t first, size_t units,
		const struct hph_cell *cell)
{
	struct hph_run_of_cells *last = &cells->last;

	if (last->units && last->first + last->units == first && alike(&last->cell, cell)) {
		last->units += units;
		return;
	}
	write_last(cells);
	*last = (struct hph_run_of_cells){ .first = first, .units = units, .cell = *cell };
}

void hph_cells_begin(struct hph_cells *cells)
{
	cells->count = 0;
	cells->last.units = 0;
	cells->goes_on = false;
}

void hph_cells_end(struct hph_cells *cells)
{
	write_last(cells);
}

void hph_cells_add_empty(struct hph_cells *cells, uintptr_t first, size_t units)
{
	static const struct hph_cell empty = { .node = HPHEAP_NODE_ANY };

	cells->goes_on = false;
	add(cells, first, units, &empty);
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * Pages of spans that have their memory: those before the first head belong to one that began in
 * a unit before.
 */
static void count_pages(struct hph_cells *cells, const struct hph_unit *unit,
			struct hph_cell *cell)
{
	unsigned int page = hph_map_next(unit->used, 0, true), end, head, there;
	bool live = cells->goes_on;

	cells->goes_on = false;
	for (; page < HPH_UNIT_PAGES; page = hph_map_next(unit->used, end, true)) {
		if (hph_map_test(unit->head, page))
			live = hph_unit_live(unit, page) != 0;
		end = hph_map_next(unit->used, page, false);
		head = hph_map_next(unit->head, page + 1, true);
		if (head < end)
			end = head;
		there = end - page - hph_map_count_both(unit->used, unit->away, page, end - page);
		there *= HPH_HALVES;
		if (live)
			cell->live = (uint16_t)(cell->live + there);
		else
			cell->kept = (uint16_t)(cell->kept + there);
		cells->goes_on = live && end == HPH_UNIT_PAGES;
	}
	/* They are of live spans; if all is of one moment. */
	cell->live = (uint16_t)(cell->live - least(cell->live, unit->nr_halves));
}

static unsigned int count_away(const struct hph_unit *unit)
{
	return HPH_HALVES * hph_map_count(unit->away) + least(unit->nr_halves, HPH_UNIT_PAGES);
}

static enum hph_cell_kind kind_of(const struct hph_unit *unit)
{
	switch (hph_unit_state(unit)) {
	case HPH_UNIT_USED:
		return count_away(unit) ? HPH_CELL_THIN : HPH_CELL_WHOLE;
	case HPH_UNIT_FREE:
		return HPH_CELL_FREE;
	case HPH_UNIT_BROKEN:
		return HPH_CELL_BROKEN;
	case HPH_UNIT_PURGEABLE:
		return HPH_CELL_PURGEABLE;
	case HPH_UNIT_FENCED:
		return HPH_CELL_FENCED;
	case HPH_UNIT_LOST:
		return HPH_CELL_LOST;
	case HPH_UNIT_BUSY:
		return HPH_CELL_BUSY;
	default:
		return HPH_CELL_EMPTY;
	}
}

static bool has_memory(enum hph_cell_kind kind)
{
	return kind == HPH_CELL_WHOLE || kind == HPH_CELL_THIN || kind == HPH_CELL_FREE ||
	       kind == HPH_CELL_BROKEN;
}

/*
 * The next unit of @heap, which is at hand or a copy of a heap elsewhere. @unit may have
 * been read while it changed.
 */
void hph_cells_add(struct hph_cells *cells, const struct hpheap *heap, uintptr_t number,
		   const struct hph_unit *unit)
{
	struct hph_cell cell = { .node = HPHEAP_NODE_ANY };
	const enum hph_cell_kind kind = kind_of(unit);

	cell.kind = (uint8_t)kind;
	if (kind == HPH_CELL_WHOLE || kind == HPH_CELL_THIN || kind == HPH_CELL_LOST)
		count_pages(cells, unit, &cell);
	else
		cells->goes_on = false;
	if (kind == HPH_CELL_THIN || kind == HPH_CELL_BROKEN)
		cell.away = (uint16_t)count_away(unit);
	if (has_memory(kind)) {
		cell.node = unit->node;
		cell.backend = heap->fallback && unit->owner == heap->fallback ?
			       HPHEAP_BACKEND_THP : (uint8_t)heap->kind;
	}
	add(cells, number, 1, &cell);
}

/* The heap is stopped. */
static void take(const struct hpheap *heap, struct hph_cells *cells)
{
	const struct hph_block *block;
	uintptr_t number;

	hph_cells_begin(cells);
	for (block = heap->arena.blocks; block; block = block->next) {
		for (number = hph_unit_of(block->first); number < hph_unit_of(block->end);
		     number++) {
			const struct hph_unit *unit = hph_unitmap_find(&heap->map, number);

			if (unit)
				hph_cells_add(cells, heap, number, unit);
			else
				hph_cells_add_empty(cells, number, 1);
		}
	}
	hph_cells_end(cells);
}

/**
 * hph_cells_take() - all cells of a heap, of one moment
 * @bytes: of the mapping that @cells->runs is then in, for the caller to unmap; 0: none
 *
 * How much there is to write is known after the first try.
 */
int hph_cells_take(struct hpheap *heap, struct hph_cells *cells, size_t *bytes)
{
	uintptr_t base;
	int error;

	*cells = (struct hph_cells){ 0 };
	for (*bytes = 0;;) {
		hph_heap_stop(heap);
		take(heap, cells);
		hph_heap_resume(heap);
		if (cells->count <= cells->room)
			return 0;
		if (*bytes)
			hph_os_unmap((uintptr_t)cells->runs, *bytes);
		cells->room = cells->count + cells->count / 8 + 16;
		*bytes = hph_round_up(cells->room * sizeof(cells->runs[0]), HPHEAP_MAX_BASE_PAGE);
		error = hph_os_map(*bytes, &base);
		if (error)
			return error;
		cells->runs = (struct hph_run_of_cells *)base;
	}
}
