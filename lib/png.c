// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A picture of heaps as PNG, with a palette.
 *
 * It is drawn in bands of some lines, each from the beginning: so it needs the same
 * little memory for a heap of any size. A point of the canvas is two dots wide and high.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "canvas.h"
#include "deflate.h"
#include "font.h"
#include "os.h"

#define SCALE		2
#define BAND		64	/* dots high */
#define WIDTH		((size_t)HPH_CANVAS_WIDTH * SCALE)
#define LINE_BYTES	(WIDTH + 1)	/* the first says that the rest is as it is */

_Static_assert(LINE_BYTES <= 32768, "a distance reaches the line before");

struct png {
	struct hph_canvas canvas;
	struct hph_deflate deflate;
	FILE *file;
	uint32_t crc_table[256];
	int top;			/* of the band, in dots */
	uint8_t before[LINE_BYTES];	/* the last line of the band before */
	uint8_t band[BAND][LINE_BYTES];
	uint8_t out[HPH_DEFLATE_ROOM];
};

static struct png *to_png(struct hph_canvas *canvas)
{
	return (struct png *)canvas;
}

static void fill_dots(struct png *png, int x, int y, int width, int height,
		      enum hph_colour colour)
{
	int line = y > png->top ? y : png->top;
	const int end = y + height < png->top + BAND ? y + height : png->top + BAND;

	if (x + width > (int)WIDTH)
		width = (int)WIDTH - x;
	for (; line < end && width > 0; line++)
		memset(&png->band[line - png->top][1 + x], (int)colour, (size_t)width);
}

static void fill(struct hph_canvas *canvas, const struct hph_box *box, enum hph_colour colour)
{
	fill_dots(to_png(canvas), box->x * SCALE, box->y * SCALE, box->width * SCALE,
		  box->height * SCALE, colour);
}

static void part(struct hph_canvas *canvas, const struct hph_box *box, int step)
{
	struct hph_box line = { box->x + step - 1, box->y, 1, box->height };

	for (; line.x < box->x + box->width; line.x += step)
		fill(canvas, &line, HPH_PAPER);
}

static void write_letter(struct png *png, int x, int y, int dot, enum hph_colour colour,
			 char letter)
{
	unsigned int i, k;

	for (k = 0; k < HPH_GLYPH_HEIGHT; k++)
		for (i = 0; i < HPH_GLYPH_WIDTH; i++)
			if (hph_font_dot(letter, i, k))
				fill_dots(png, x + (int)i * dot, y + (int)k * dot, dot, dot,
					  colour);
}

static void write_text(struct hph_canvas *canvas, int x, int y, enum hph_font font,
		       enum hph_colour colour, const char *text)
{
	struct png *png = to_png(canvas);
	const int dot = font == HPH_FONT_TITLE ? 3 : 2;
	const int top = y * SCALE - (int)HPH_GLYPH_RISE * dot;

	if (top >= png->top + BAND || top + (int)HPH_GLYPH_HEIGHT * dot <= png->top)
		return;
	for (x *= SCALE; *text; text++, x += ((int)HPH_GLYPH_WIDTH + 1) * dot)
		write_letter(png, x, top, dot, colour, *text);
}

static void make_crc_table(struct png *png)
{
	uint32_t i, k, crc;

	for (i = 0; i < 256; i++) {
		for (crc = i, k = 0; k < 8; k++)
			crc = crc & 1 ? 0xedb88320 ^ crc >> 1 : crc >> 1;
		png->crc_table[i] = crc;
	}
}

static uint32_t add_to_crc(const struct png *png, uint32_t crc, const uint8_t *bytes, size_t count)
{
	for (; count; count--, bytes++)
		crc = png->crc_table[(crc ^ *bytes) & 0xff] ^ crc >> 8;
	return crc;
}

static void put_number(uint8_t bytes[4], uint32_t number)
{
	bytes[0] = (uint8_t)(number >> 24);
	bytes[1] = (uint8_t)(number >> 16);
	bytes[2] = (uint8_t)(number >> 8);
	bytes[3] = (uint8_t)number;
}

static void write_chunk(struct png *png, const char *type, const uint8_t *bytes, size_t count)
{
	uint8_t head[8], tail[4];
	uint32_t crc;

	put_number(head, (uint32_t)count);
	memcpy(head + 4, type, 4);
	crc = add_to_crc(png, UINT32_MAX, head + 4, 4);
	put_number(tail, ~add_to_crc(png, crc, bytes, count));
	fwrite(head, 1, sizeof(head), png->file);
	fwrite(bytes, 1, count, png->file);
	fwrite(tail, 1, sizeof(tail), png->file);
}

static void put(struct hph_deflate *deflate)
{
	struct png *png = (struct png *)((char *)deflate - offsetof(struct png, deflate));

	write_chunk(png, "IDAT", deflate->out, deflate->used);
	deflate->used = 0;
}

static void write_head(struct png *png, uint32_t height)
{
	static const uint8_t signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
	uint8_t header[13] = { 0 }, palette[3 * HPH_COLOURS];
	size_t i;

	fwrite(signature, 1, sizeof(signature), png->file);
	put_number(header, WIDTH);
	put_number(header + 4, height);
	header[8] = 8;	/* bits */
	header[9] = 3;	/* of a palette */
	write_chunk(png, "IHDR", header, sizeof(header));
	for (i = 0; i < HPH_COLOURS; i++) {
		palette[3 * i] = (uint8_t)(hph_palette[i] >> 16);
		palette[3 * i + 1] = (uint8_t)(hph_palette[i] >> 8);
		palette[3 * i + 2] = (uint8_t)hph_palette[i];
	}
	write_chunk(png, "PLTE", palette, sizeof(palette));
}

static void draw_band(struct png *png, const struct hph_picture *picture, int height)
{
	const int lines = height - png->top < BAND ? height - png->top : BAND;
	int line;

	memset(png->band, HPH_PAPER, sizeof(png->band));
	png->canvas.top = png->top / SCALE;
	png->canvas.bottom = (png->top + BAND) / SCALE;
	hph_canvas_draw(&png->canvas, picture);
	for (line = 0; line < lines; line++)
		hph_deflate_line(&png->deflate, png->band[line]);
	memcpy(png->before, png->band[lines - 1], LINE_BYTES);
	png->deflate.before = png->before;
}

static void write_png(struct png *png, const struct hph_picture *picture)
{
	const int height = hph_canvas_height(picture) * SCALE;

	png->canvas = (struct hph_canvas){ .fill = fill, .text = write_text, .part = part };
	png->deflate.put = put;
	png->deflate.out = png->out;
	png->deflate.line = LINE_BYTES;
	make_crc_table(png);
	write_head(png, (uint32_t)height);
	hph_deflate_begin(&png->deflate);
	for (; png->top < height && !ferror(png->file); png->top += BAND)
		draw_band(png, picture, height);
	hph_deflate_end(&png->deflate);
	write_chunk(png, "IEND", png->out, 0);
}

int hph_picture_png(const struct hph_picture *picture, FILE *file)
{
	const size_t bytes = hph_round_up(sizeof(struct png), HPHEAP_MAX_BASE_PAGE);
	uintptr_t base;
	struct png *png;
	int error = hph_os_map(bytes, &base);

	if (error)
		return error;
	png = (struct png *)base;
	png->file = file;
	write_png(png, picture);
	hph_os_unmap(base, bytes);
	return ferror(file) ? -EIO : 0;
}
