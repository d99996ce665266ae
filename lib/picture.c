// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What all pictures of heaps have in common: sums, and the order of cells in rows.
 *
 * A row is as many units as fit; rows end where addresses do. Where a row would begin
 * with more than a row of units without memory, it says how many.
 */
#include "picture.h"

#include <inttypes.h>
#include <string.h>

/* Any bytes become text that neither a terminal nor a parser takes for something else. */
void hph_picture_name(struct hph_picture *picture, const char *name)
{
	size_t i;

	memset(picture->name, 0, sizeof(picture->name));
	for (i = 0; name[i] && i < sizeof(picture->name) - 1; i++)
		picture->name[i] = (char)(name[i] < ' ' || name[i] > '~' ? '?' : name[i]);
}

const char *hph_backend_name(uint32_t backend)
{
	switch (backend) {
	case HPHEAP_BACKEND_DEVICE:
		return "device";
	case HPHEAP_BACKEND_THP:
		return "thp";
	case HPHEAP_BACKEND_SMALL:
		return "small";
	default:
		return "-";
	}
}

const char *const hph_cell_names[HPH_CELL_KINDS] = {
	[HPH_CELL_EMPTY] = "addresses without memory",
	[HPH_CELL_WHOLE] = "with spans, whole",
	[HPH_CELL_THIN] = "with spans, parts given back: no huge page now",
	[HPH_CELL_FREE] = "free, whole",
	[HPH_CELL_BROKEN] = "free, parts given back: no huge page now",
	[HPH_CELL_PURGEABLE] = "purgeable: there until the system needs it",
	[HPH_CELL_FENCED] = "freed, never used again (efence)",
	[HPH_CELL_LOST] = "stayed with the parent at fork()",
	[HPH_CELL_BUSY] = "just being filled or emptied",
};

/* "1.5 GiB": without floating point, whose comma is the program's own choice. */
struct hph_size hph_size_of(size_t halves)
{
	static const char units[] = "KMGTP";
	uint64_t size = (uint64_t)halves << (HPH_HALF_SHIFT - 10), tenths = 0;
	struct hph_size text;
	size_t i;

	for (i = 0; size >= 1024 && i < sizeof(units) - 2; i++) {
		tenths = size % 1024 * 10 / 1024;
		size /= 1024;
	}
	if (tenths)
		snprintf(text.text, sizeof(text.text), "%" PRIu64 ".%" PRIu64 " %ciB", size,
			 tenths, units[i]);
	else
		snprintf(text.text, sizeof(text.text), "%" PRIu64 " %ciB", size, units[i]);
	return text;
}

const char *hph_plural(size_t count)
{
	return count == 1 ? "" : "s";
}

static void add_memory(struct hph_totals *totals, const struct hph_cell *cell, size_t units)
{
	totals->memory += units;
	if (cell->backend <= HPHEAP_BACKEND_SMALL)
		totals->of[cell->backend] += units;
	if (cell->node >= 0 && cell->node < (int)HPH_MAX_ZONES)
		totals->on[cell->node] += units;
}

void hph_totals_add(struct hph_totals *totals, const struct hph_picture_heap *heap)
{
	size_t i;

	for (i = 0; i < heap->count; i++) {
		const struct hph_run_of_cells *run = &heap->runs[i];

		totals->units[run->cell.kind] += run->units;
		totals->away += run->cell.away * run->units;
		if (run->cell.kind == HPH_CELL_LOST)
			continue;	/* none of it is here */
		totals->live += run->cell.live * run->units;
		totals->kept += run->cell.kept * run->units;
		if (run->cell.backend)
			add_memory(totals, &run->cell, run->units);
	}
}

void hph_rows_begin(struct hph_rows *rows, const struct hph_picture_heap *heap, size_t columns)
{
	*rows = (struct hph_rows){
		.run = heap->runs, .end = heap->runs + heap->count, .columns = columns,
	};
}

static void go_on(struct hph_rows *rows, size_t units)
{
	rows->skip += units;
	if (rows->skip == rows->run->units) {
		rows->run++;
		rows->skip = 0;
	}
}

/* False: there is none any more. */
bool hph_rows_next(struct hph_rows *rows, struct hph_row *row)
{
	size_t left;

	if (rows->run == rows->end)
		return false;
	*row = (struct hph_row){
		.first = rows->run->first + rows->skip, .run = rows->run, .skip = rows->skip,
	};
	left = rows->run->units - rows->skip;
	if (rows->run->cell.kind == HPH_CELL_EMPTY && left >= rows->columns) {
		row->gap = true;
		row->units = left - left % rows->columns;
		go_on(rows, row->units);
		return true;
	}
	while (row->units < rows->columns && rows->run != rows->end &&
	       rows->run->first + rows->skip == row->first + row->units) {
		left = rows->run->units - rows->skip;
		if (left > rows->columns - row->units)
			left = rows->columns - row->units;
		row->units += left;
		go_on(rows, left);
	}
	return true;
}

/* Takes from the row what is alike at its beginning; false: it is empty. */
bool hph_row_next(struct hph_row *row, struct hph_stretch *stretch)
{
	if (!row->units)
		return false;
	*stretch = (struct hph_stretch){
		.cell = &row->run->cell, .first = row->first,
		.units = row->run->units - row->skip,
	};
	if (stretch->units > row->units)
		stretch->units = row->units;
	row->first += stretch->units;
	row->units -= stretch->units;
	row->run++;
	row->skip = 0;
	return true;
}
