/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_DEFLATE_H
#define HPH_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

#define HPH_DEFLATE_ROOM	((size_t)32 << 10)

/* A zlib stream (RFC 1950, 1951) of lines of equal length. */
struct hph_deflate {
	void (*put)(struct hph_deflate *deflate);	/* takes used bytes of out away */
	uint8_t *out;		/* HPH_DEFLATE_ROOM bytes */
	size_t used;
	uint64_t bits;		/* not written yet */
	unsigned int nr_bits;
	uint32_t adler_a, adler_b;
	size_t line;		/* bytes in one, at most 32768 */
	const uint8_t *before;	/* the line before; NULL: there is none */
};

void hph_deflate_begin(struct hph_deflate *deflate);
void hph_deflate_line(struct hph_deflate *deflate, const uint8_t *line);
void hph_deflate_end(struct hph_deflate *deflate);

#endif /* HPH_DEFLATE_H */
