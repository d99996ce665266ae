/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_CANVAS_H
#define HPH_CANVAS_H

#include "picture.h"

/* Differ also for who does not see all colours: after Okabe and Ito, dark is live. */
enum hph_colour {
	HPH_PAPER,
	HPH_INK,
	HPH_NOTE,		/* text of less weight */
	HPH_NOTHING,		/* no memory */
	HPH_WHOLE_LIVE,
	HPH_WHOLE_KEPT,
	HPH_WHOLE_FREE,
	HPH_THIN_LIVE,
	HPH_THIN_KEPT,
	HPH_THIN_FREE,
	HPH_FREE,
	HPH_PURGEABLE,
	HPH_FENCED,
	HPH_LOST,
	HPH_BUSY,
	HPH_COLOURS
};

extern const uint32_t hph_palette[HPH_COLOURS];	/* 0xRRGGBB */

enum hph_font {
	HPH_FONT_TEXT,
	HPH_FONT_TITLE,
	HPH_FONT_LABEL,		/* of a row, all characters of one width */
};

struct hph_box {
	int x, y, width, height;
};

/* What a picture is drawn on. Lines of text stand on their y. */
struct hph_canvas {
	void (*fill)(struct hph_canvas *canvas, const struct hph_box *box,
		     enum hph_colour colour);
	void (*text)(struct hph_canvas *canvas, int x, int y, enum hph_font font,
		     enum hph_colour colour, const char *text);
	/* Lines of paper that part a row of cells; @step: width of a cell. */
	void (*part)(struct hph_canvas *canvas, const struct hph_box *box, int step);
	/* Shown for what is drawn until the next call, with NULL. NULL: not needed. */
	void (*hint)(struct hph_canvas *canvas, const char *text);
	int top, bottom;	/* no cell is drawn outside of these */
};

#define HPH_CANVAS_WIDTH	1040
#define HPH_CANVAS_MARGIN	16
#define HPH_CANVAS_LINE		18	/* height of a line of text */

void hph_canvas_cell(struct hph_canvas *canvas, const struct hph_box *box,
		     const struct hph_cell *cell, bool efence);
int hph_legend_draw(struct hph_canvas *canvas, const struct hph_picture *picture);
int hph_canvas_height(const struct hph_picture *picture);
int hph_canvas_draw(struct hph_canvas *canvas, const struct hph_picture *picture);

#endif /* HPH_CANVAS_H */
