// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What stands above the cells of a picture: whose heaps these are, how much they have,
 * and what each kind of cell and each part of a cell means, with its share.
 */
#include "canvas.h"

#include <string.h>

#define MARGIN		HPH_CANVAS_MARGIN
#define LINE		HPH_CANVAS_LINE
#define SAMPLE		13	/* width and height of a cell in the legend */
#define SECOND_X	600	/* of the legend's second column */

struct legend {
	struct hph_canvas *canvas;
	struct hph_totals totals;
	bool efence;
	int x, y;
};

/* Kinds in the legend, with a cell of each; the last ones only where there are some. */
static const struct hph_cell samples[] = {
	{ .kind = HPH_CELL_WHOLE, .live = 288, .kept = 96 },
	{ .kind = HPH_CELL_THIN, .live = 160, .away = 224 },
	{ .kind = HPH_CELL_FREE },
	{ .kind = HPH_CELL_BROKEN, .away = 224 },
	{ .kind = HPH_CELL_EMPTY },
	{ .kind = HPH_CELL_BUSY },
	{ .kind = HPH_CELL_PURGEABLE },
	{ .kind = HPH_CELL_FENCED },
	{ .kind = HPH_CELL_LOST },
};

static unsigned int percent(size_t part, size_t all)
{
	return all ? (unsigned int)((part * 100 + all / 2) / all) : 0;
}

static void write_line(struct legend *legend, enum hph_font font, enum hph_colour colour,
		       const char *text)
{
	legend->canvas->text(legend->canvas, legend->x, legend->y, font, colour, text);
}

static void write_title(struct legend *legend, const struct hph_picture *picture)
{
	const struct hph_totals *totals = &legend->totals;
	struct hph_line line;

	snprintf(line.text, sizeof(line.text),
		 "%s (process %ld): %zu heap%s, %s in %zu huge unit%s", picture->name,
		 picture->pid, picture->count, hph_plural(picture->count),
		 hph_size_of(totals->memory * HPH_UNIT_HALVES - totals->away).text, totals->memory,
		 hph_plural(totals->memory));
	legend->y = MARGIN + LINE;
	write_line(legend, HPH_FONT_TITLE, HPH_INK, line.text);
}

/* "; NAME: SIZE" behind a line, as long as there is room for it. */
static void add_size(struct hph_line *line, const char *name, size_t units)
{
	const size_t length = strlen(line->text);

	if (units)
		snprintf(line->text + length, sizeof(line->text) - length, "%s%s: %s",
			 length ? "; " : "", name, hph_size_of(units * HPH_UNIT_HALVES).text);
}

/* Whose memory it is, and of which nodes it was asked. */
static void write_places(struct legend *legend)
{
	const struct hph_totals *totals = &legend->totals;
	struct hph_line line = { "" };
	char name[32];
	size_t i;

	for (i = HPHEAP_BACKEND_DEVICE; i <= HPHEAP_BACKEND_SMALL; i++)
		add_size(&line, hph_backend_name((uint32_t)i), totals->of[i]);
	for (i = 0; i < HPH_MAX_ZONES; i++) {
		snprintf(name, sizeof(name), "node %zu", i);
		add_size(&line, name, totals->on[i]);
	}
	legend->y += LINE;
	write_line(legend, HPH_FONT_TEXT, HPH_NOTE, line.text);
}

static void write_kind(struct legend *legend, const struct hph_cell *sample)
{
	const size_t units = legend->totals.units[sample->kind];
	const struct hph_box box = { legend->x, legend->y - SAMPLE + 2, SAMPLE, SAMPLE };
	struct hph_line line;

	hph_canvas_cell(legend->canvas, &box, sample, legend->efence);
	snprintf(line.text, sizeof(line.text), "%s: %zu unit%s, %s", hph_cell_names[sample->kind],
		 units, hph_plural(units), hph_size_of(units * HPH_UNIT_HALVES).text);
	legend->x += SAMPLE + 8;
	write_line(legend, HPH_FONT_TEXT, HPH_INK, line.text);
	legend->x -= SAMPLE + 8;
	legend->y += LINE;
}

/* A part of a cell: the colour where it is whole, and where not. */
static void write_part(struct legend *legend, enum hph_colour whole, enum hph_colour thin,
		       const char *name, size_t halves)
{
	struct hph_box box = { legend->x, legend->y - SAMPLE + 2, SAMPLE, SAMPLE };
	struct hph_line line;

	legend->canvas->fill(legend->canvas, &box, whole);
	box.x += SAMPLE;
	legend->canvas->fill(legend->canvas, &box, thin);
	snprintf(line.text, sizeof(line.text), "%s: %s, %u %%", name, hph_size_of(halves).text,
		 percent(halves, legend->totals.memory * HPH_UNIT_HALVES));
	legend->x += 2 * SAMPLE + 8;
	write_line(legend, HPH_FONT_TEXT, HPH_INK, line.text);
	legend->x -= 2 * SAMPLE + 8;
	legend->y += LINE;
}

static void write_kinds(struct legend *legend)
{
	size_t i;

	write_line(legend, HPH_FONT_TEXT, HPH_NOTE, "A cell is a huge unit of 2 MiB:");
	legend->y += LINE;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		if (samples[i].kind < HPH_CELL_PURGEABLE || legend->totals.units[samples[i].kind])
			write_kind(legend, &samples[i]);
}

static void write_parts(struct legend *legend)
{
	const struct hph_totals *totals = &legend->totals;
	const size_t all = totals->memory * HPH_UNIT_HALVES;
	const size_t held = totals->live + totals->kept + totals->away;

	write_line(legend, HPH_FONT_TEXT, HPH_NOTE, "It fills from the bottom; of all:");
	legend->y += LINE;
	write_part(legend, HPH_WHOLE_LIVE, HPH_THIN_LIVE, "live", totals->live);
	if (legend->efence)
		write_part(legend, HPH_FENCED, HPH_FENCED, "freed and fenced off", totals->kept);
	else
		write_part(legend, HPH_WHOLE_KEPT, HPH_THIN_KEPT, "kept ready by threads",
			   totals->kept);
	write_part(legend, HPH_WHOLE_FREE, HPH_THIN_FREE, "free",
		   all > held ? all - held : 0);
	write_part(legend, HPH_NOTHING, HPH_NOTHING, "given back out of units", totals->away);
}

/* Returns where the rest begins. */
int hph_legend_draw(struct hph_canvas *canvas, const struct hph_picture *picture)
{
	struct legend legend = { .canvas = canvas, .x = MARGIN };
	int top, bottom;
	size_t i;

	for (i = 0; i < picture->count; i++) {
		hph_totals_add(&legend.totals, &picture->heaps[i]);
		legend.efence |= picture->heaps[i].efence;
	}
	write_title(&legend, picture);
	write_places(&legend);
	legend.y += LINE + LINE / 2;
	top = legend.y;
	write_kinds(&legend);
	bottom = legend.y;
	legend.x = SECOND_X;
	legend.y = top;
	write_parts(&legend);
	return bottom > legend.y ? bottom : legend.y;
}
