// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The drawing of heaps, for a canvas that is SVG or PNG: title, legend, and for each
 * heap its rows of cells.
 *
 * A cell is a measuring glass: dark is live, from the bottom up, pale is free, grey is
 * no memory. Blue is a unit that is whole, orange one that is not, green one that is
 * whole and free.
 */
#include "canvas.h"

#include <inttypes.h>

#define MARGIN		HPH_CANVAS_MARGIN
#define LABEL_WIDTH	112
#define ROWS_X		(MARGIN + LABEL_WIDTH)
#define ROWS_WIDTH	(HPH_CANVAS_WIDTH - ROWS_X - MARGIN)

/* Sizes of cells, as few in a row as there may be rows. */
static const struct size {
	int cell;		/* width and height, with the line that parts them */
	size_t columns;
	size_t most_rows;
} sizes[] = {
	{ 28, 32, 24 },
	{ 14, 64, 160 },	/* 128 MiB in a row */
	{ 7, 128, SIZE_MAX },
};

_Static_assert(ROWS_WIDTH == 14 * 64, "a row fits the picture");

#define LABEL_HEIGHT	14

const uint32_t hph_palette[HPH_COLOURS] = {
	[HPH_PAPER] = 0xffffff,
	[HPH_INK] = 0x1a1a1a,
	[HPH_NOTE] = 0x5f6368,
	[HPH_NOTHING] = 0xe4e4e4,
	[HPH_WHOLE_LIVE] = 0x00609c,
	[HPH_WHOLE_KEPT] = 0x56b4e9,
	[HPH_WHOLE_FREE] = 0xcbe6f7,
	[HPH_THIN_LIVE] = 0xc24e00,
	[HPH_THIN_KEPT] = 0xef9a4d,
	[HPH_THIN_FREE] = 0xfbdcb8,
	[HPH_FREE] = 0x74d0b0,
	[HPH_PURGEABLE] = 0xcc79a7,
	[HPH_FENCED] = 0x8c8c8c,
	[HPH_LOST] = 0x000000,
	[HPH_BUSY] = 0xf0e442,
};

struct drawing {
	struct hph_canvas *canvas;
	int y;
	int cell;		/* width and height of one, with the line that parts it */
	size_t columns;
};

/* One level of a glass, @from and @to halves of pages above its bottom. */
static void fill_level(struct hph_canvas *canvas, const struct hph_box *glass, unsigned int from,
		       unsigned int to, enum hph_colour colour)
{
	const int halves = (int)HPH_UNIT_HALVES, height = glass->height;
	const int low = ((int)from * height + halves / 2) / halves;
	int high = ((int)to * height + halves / 2) / halves;
	struct hph_box box = { glass->x, 0, glass->width, 0 };

	if (high == low && to > from && !from)
		high = low + 1;		/* what lives is seen, be it ever so little */
	box.y = glass->y + height - high;
	box.height = high - low;
	if (box.height > 0)
		canvas->fill(canvas, &box, colour);
}

static enum hph_colour plain_colour(uint8_t kind)
{
	switch (kind) {
	case HPH_CELL_WHOLE:
		return HPH_WHOLE_FREE;
	case HPH_CELL_THIN:
	case HPH_CELL_BROKEN:
		return HPH_THIN_FREE;
	case HPH_CELL_FREE:
		return HPH_FREE;
	case HPH_CELL_PURGEABLE:
		return HPH_PURGEABLE;
	case HPH_CELL_FENCED:
		return HPH_FENCED;
	case HPH_CELL_LOST:
		return HPH_LOST;
	case HPH_CELL_BUSY:
		return HPH_BUSY;
	default:
		return HPH_NOTHING;
	}
}

void hph_canvas_cell(struct hph_canvas *canvas, const struct hph_box *box,
		     const struct hph_cell *cell, bool efence)
{
	const bool thin = cell->kind == HPH_CELL_THIN;
	const unsigned int used = cell->live + cell->kept;

	canvas->fill(canvas, box, plain_colour(cell->kind));
	if (cell->kind == HPH_CELL_LOST)
		return;
	if (cell->away)
		fill_level(canvas, box, HPH_UNIT_HALVES - cell->away, HPH_UNIT_HALVES, HPH_NOTHING);
	if (cell->kept)
		fill_level(canvas, box, cell->live, used, efence ? HPH_FENCED :
			   thin ? HPH_THIN_KEPT : HPH_WHOLE_KEPT);
	if (cell->live)
		fill_level(canvas, box, 0, cell->live, thin ? HPH_THIN_LIVE : HPH_WHOLE_LIVE);
}

static unsigned int kib(unsigned int halves)
{
	return halves << (HPH_HALF_SHIFT - 10);
}

/* What one of the cells of a stretch is, for who points at it. */
static struct hph_line describe(const struct hph_stretch *stretch, bool efence)
{
	const struct hph_cell *cell = stretch->cell;
	struct hph_line line;
	int length;

	length = snprintf(line.text, sizeof(line.text), "%#" PRIx64 ", %zu unit%s: %s",
			  (uint64_t)stretch->first << HPH_HUGE_SHIFT, stretch->units,
			  hph_plural(stretch->units), hph_cell_names[cell->kind]);
	if (cell->live || cell->kept || cell->away)
		length += snprintf(line.text + length, sizeof(line.text) - (size_t)length,
				   "; of 2048 KiB %u live, %u %s, %u given back", kib(cell->live),
				   kib(cell->kept), efence ? "fenced" : "kept", kib(cell->away));
	if (cell->backend)
		length += snprintf(line.text + length, sizeof(line.text) - (size_t)length, "; %s",
				   hph_backend_name(cell->backend));
	if (cell->node >= 0)
		snprintf(line.text + length, sizeof(line.text) - (size_t)length, ", node %d",
			 cell->node);
	return line;
}

static void draw_row(struct drawing *drawing, struct hph_row *row, bool efence)
{
	struct hph_canvas *canvas = drawing->canvas;
	struct hph_box box = { ROWS_X, drawing->y, 0, drawing->cell - 1 };
	struct hph_box all = { ROWS_X, drawing->y, (int)row->units * drawing->cell,
			       drawing->cell };
	struct hph_stretch stretch;

	while (hph_row_next(row, &stretch)) {
		box.width = (int)stretch.units * drawing->cell;
		if (canvas->hint)
			canvas->hint(canvas, describe(&stretch, efence).text);
		hph_canvas_cell(canvas, &box, stretch.cell, efence);
		if (canvas->hint)
			canvas->hint(canvas, NULL);
		box.x += box.width;
	}
	canvas->part(canvas, &all, drawing->cell);
}

static void write_label(struct drawing *drawing, int x, const char *text)
{
	const int below = drawing->cell > LABEL_HEIGHT ? (drawing->cell - LABEL_HEIGHT) / 2 : 0;

	drawing->canvas->text(drawing->canvas, x, drawing->y + below + LABEL_HEIGHT - 3,
			      HPH_FONT_LABEL, HPH_NOTE, text);
}

static void label_row(struct drawing *drawing, const struct hph_row *row)
{
	struct hph_line line;

	snprintf(line.text, sizeof(line.text), "%14" PRIx64,
		 (uint64_t)row->first << HPH_HUGE_SHIFT);
	write_label(drawing, MARGIN, line.text);
	if (!row->gap)
		return;
	snprintf(line.text, sizeof(line.text), "... %zu units without memory (%s of addresses)",
		 row->units, hph_size_of(row->units * HPH_UNIT_HALVES).text);
	write_label(drawing, ROWS_X, line.text);
}

/* Small cells have a label at every other row, which is as high as two. */
static void draw_rows(struct drawing *drawing, const struct hph_picture_heap *heap)
{
	const struct hph_canvas *canvas = drawing->canvas;
	const unsigned int per_label = drawing->cell < LABEL_HEIGHT ? 2 : 1;
	unsigned int number = 0;
	struct hph_rows rows;
	struct hph_row row;
	int height;

	for (hph_rows_begin(&rows, heap, drawing->columns); hph_rows_next(&rows, &row);
	     drawing->y += height) {
		bool seen;

		if (row.gap && number % per_label)
			drawing->y += drawing->cell;
		seen = drawing->y < canvas->bottom &&
		       drawing->y + 2 * sizes[0].cell > canvas->top;
		height = row.gap && drawing->cell < LABEL_HEIGHT ? LABEL_HEIGHT : drawing->cell;
		if (seen && (row.gap || number % per_label == 0))
			label_row(drawing, &row);
		number = row.gap ? 0 : number + 1;
		if (seen && !row.gap)
			draw_row(drawing, &row, heap->efence);
	}
}

static void draw_heap(struct drawing *drawing, const struct hph_picture_heap *heap)
{
	struct hph_totals totals = { 0 };
	struct hph_line line;

	hph_totals_add(&totals, heap);
	snprintf(line.text, sizeof(line.text),
		 "heap %" PRIu64 " (%s): %s in %zu huge unit%s, %s live", heap->id,
		 hph_backend_name(heap->kind),
		 hph_size_of(totals.memory * HPH_UNIT_HALVES - totals.away).text, totals.memory,
		 hph_plural(totals.memory), hph_size_of(totals.live).text);
	drawing->canvas->text(drawing->canvas, MARGIN, drawing->y + HPH_CANVAS_LINE,
			      HPH_FONT_TEXT, HPH_INK, line.text);
	drawing->y += HPH_CANVAS_LINE + HPH_CANVAS_LINE / 2;
	draw_rows(drawing, heap);
	drawing->y += MARGIN / 2;
}

static size_t rows_of(const struct hph_picture *picture, size_t columns)
{
	struct hph_rows rows;
	struct hph_row row;
	size_t count = 0, i;

	for (i = 0; i < picture->count; i++) {
		hph_rows_begin(&rows, &picture->heaps[i], columns);
		while (hph_rows_next(&rows, &row))
			count++;
	}
	return count;
}

/* Returns the height of the picture, whatever of it was wanted. */
int hph_canvas_draw(struct hph_canvas *canvas, const struct hph_picture *picture)
{
	const struct size *size = sizes;
	struct drawing drawing = { .canvas = canvas };
	size_t i;

	while (rows_of(picture, size->columns) > size->most_rows)
		size++;
	drawing.cell = size->cell;
	drawing.columns = size->columns;
	drawing.y = hph_legend_draw(canvas, picture);
	for (i = 0; i < picture->count; i++)
		draw_heap(&drawing, &picture->heaps[i]);
	return drawing.y + MARGIN;
}

static void fill_nothing(struct hph_canvas *canvas, const struct hph_box *box,
			 enum hph_colour colour)
{
	(void)canvas;
	(void)box;
	(void)colour;
}

static void write_nothing(struct hph_canvas *canvas, int x, int y, enum hph_font font,
			  enum hph_colour colour, const char *text)
{
	(void)canvas;
	(void)x;
	(void)y;
	(void)font;
	(void)colour;
	(void)text;
}

/* What hph_canvas_draw() will return. */
int hph_canvas_height(const struct hph_picture *picture)
{
	struct hph_canvas canvas = { .fill = fill_nothing, .text = write_nothing };

	return hph_canvas_draw(&canvas, picture);
}
