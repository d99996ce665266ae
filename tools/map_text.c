// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A picture of heaps for a terminal: a character for each huge unit.
 */
#include "map_text.h"

#include <errno.h>
#include <inttypes.h>

#include "text.h"

#define COLUMNS	64u

/* How much of it is live: tenths, or all. */
static char tenth(const struct hph_cell *cell, const char *tenths)
{
	return cell->live == HPH_UNIT_HALVES ? '#' : tenths[cell->live * 10 / HPH_UNIT_HALVES];
}

static char letter(const struct hph_cell *cell)
{
	switch (cell->kind) {
	case HPH_CELL_WHOLE:
		return tenth(cell, "0123456789");
	case HPH_CELL_THIN:
		return tenth(cell, "abcdefghij");
	case HPH_CELL_FREE:
		return '_';
	case HPH_CELL_BROKEN:
		return 'x';
	case HPH_CELL_PURGEABLE:
		return '%';
	case HPH_CELL_FENCED:
		return '!';
	case HPH_CELL_LOST:
		return '?';
	case HPH_CELL_BUSY:
		return '~';
	default:
		return '.';
	}
}

static void write_row(struct hph_row *row, FILE *file)
{
	struct hph_stretch stretch;

	fprintf(file, "%14" PRIx64 "  ", (uint64_t)row->first << HPH_HUGE_SHIFT);
	if (row->gap) {
		fprintf(file, "... %zu units without memory\n", row->units);
		return;
	}
	while (hph_row_next(row, &stretch))
		for (; stretch.units; stretch.units--)
			putc(letter(stretch.cell), file);
	putc('\n', file);
}

static struct size_text size_of_halves(size_t halves)
{
	return size_text((uint64_t)halves << HPH_HALF_SHIFT);
}

static void write_heap(const struct hph_picture_heap *heap, FILE *file)
{
	struct hph_totals totals = { 0 };
	struct hph_rows rows;
	struct hph_row row;

	hph_totals_add(&totals, heap);
	fprintf(file, "heap %" PRIu64 " (%s): %zu huge unit%s, %s; %s live, %s kept ready, "
		"%s given back\n", heap->id, hph_backend_name(heap->kind), totals.memory,
		plural(totals.memory, "s"),
		size_of_halves(totals.memory * HPH_UNIT_HALVES - totals.away).text,
		size_of_halves(totals.live).text, size_of_halves(totals.kept).text,
		size_of_halves(totals.away).text);
	hph_rows_begin(&rows, heap, COLUMNS);
	while (hph_rows_next(&rows, &row))
		write_row(&row, file);
}

int map_text(const struct hph_picture *picture, FILE *file)
{
	size_t i;

	fprintf(file, "%s (process %ld), a character is a huge unit of 2 MiB:\n"
		"  # live  9 to 0 tenths of it live  j to a the same, parts given back\n"
		"  _ free  x free, parts given back  %% purgeable  . no memory  ! fenced  "
		"? lost at fork  ~ changing\n", picture->name, picture->pid);
	for (i = 0; i < picture->count; i++)
		write_heap(&picture->heaps[i], file);
	return ferror(file) ? -EIO : 0;
}
