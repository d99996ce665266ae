// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A picture of heaps as SVG: one file, nothing beside it, with a hint for whoever points at
 * a cell.
 */
#include "canvas.h"

#include <errno.h>
#include <limits.h>

struct svg {
	struct hph_canvas canvas;
	FILE *file;
};

static struct svg *to_svg(struct hph_canvas *canvas)
{
	return (struct svg *)canvas;
}

/* Only what is printable comes here. */
static void write_escaped(FILE *file, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '&':
			fputs("&amp;", file);
			break;
		default:
			putc(*text, file);
		}
	}
}

static void fill(struct hph_canvas *canvas, const struct hph_box *box, enum hph_colour colour)
{
	fprintf(to_svg(canvas)->file,
		"<rect class=\"c%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n",
		(int)colour, box->x, box->y, box->width, box->height);
}

static void write_text(struct hph_canvas *canvas, int x, int y, enum hph_font font,
		       enum hph_colour colour, const char *text)
{
	FILE *file = to_svg(canvas)->file;

	fprintf(file, "<text class=\"f%d c%d\" x=\"%d\" y=\"%d\">", (int)font, (int)colour, x, y);
	write_escaped(file, text);
	fputs("</text>\n", file);
}

static void hint(struct hph_canvas *canvas, const char *text)
{
	FILE *file = to_svg(canvas)->file;

	if (!text) {
		fputs("</g>\n", file);
		return;
	}
	fputs("<g><title>", file);
	write_escaped(file, text);
	fputs("</title>\n", file);
}

/* The lines are one line as wide as the row is high, of dashes as long as a line is wide. */
static void part(struct hph_canvas *canvas, const struct hph_box *box, int step)
{
	fprintf(to_svg(canvas)->file,
		"<path class=\"p\" stroke-width=\"%d\" stroke-dasharray=\"1 %d\" "
		"d=\"M%d %d%sH%d\"/>\n", box->height, step - 1, box->x + step - 1,
		box->y + box->height / 2, box->height % 2 ? ".5" : "", box->x + box->width);
}

static void write_head(const struct hph_picture *picture, FILE *file, int height)
{
	int colour;

	fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\">\n<title>", HPH_CANVAS_WIDTH, height, HPH_CANVAS_WIDTH,
		height);
	write_escaped(file, picture->name);
	fprintf(file, " (process %ld): heaps</title>\n<style>\n"
		"text { font-family: sans-serif; white-space: pre }\n"
		".f%d { font-size: 13px }\n.f%d { font-size: 18px; font-weight: bold }\n"
		".f%d { font-family: monospace; font-size: 11px }\n"
		".p { stroke: #%06x; shape-rendering: crispEdges }\n", picture->pid,
		HPH_FONT_TEXT, HPH_FONT_TITLE, HPH_FONT_LABEL, hph_palette[HPH_PAPER]);
	for (colour = 0; colour < HPH_COLOURS; colour++)
		fprintf(file, ".c%d { fill: #%06x }\n", colour, hph_palette[colour]);
	fprintf(file, "</style>\n<rect class=\"c%d\" width=\"%d\" height=\"%d\"/>\n", HPH_PAPER,
		HPH_CANVAS_WIDTH, height);
}

int hph_picture_svg(const struct hph_picture *picture, FILE *file)
{
	struct svg svg = {
		.canvas = { .fill = fill, .text = write_text, .part = part, .hint = hint },
		.file = file,
	};

	write_head(picture, file, hph_canvas_height(picture));
	svg.canvas.bottom = INT_MAX;
	hph_canvas_draw(&svg.canvas, picture);
	fputs("</svg>\n", file);
	return ferror(file) ? -EIO : 0;
}
