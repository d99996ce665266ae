// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A small compressor for pictures: RFC 1951 with fixed codes.
 *
 * Of what came before it knows two things only, the byte before and the line before: in
 * a picture of rows of cells that is nearly all there is to know. It needs no table.
 */
#include "deflate.h"

#include <string.h>

#define SHORTEST	3u
#define LONGEST		258u
#define ADLER		65521u

/* Codes of lengths (257 to 285) and distances (0 to 29): the least of each, and extra bits. */
static const uint16_t length_least[] = {
	3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115,
	131, 163, 195, 227, 258,
};
static const uint8_t length_extra[] = {
	0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
};

static void put_byte(struct hph_deflate *deflate, uint8_t byte)
{
	deflate->out[deflate->used++] = byte;
	if (deflate->used == HPH_DEFLATE_ROOM)
		deflate->put(deflate);
}

static void put_bits(struct hph_deflate *deflate, uint32_t bits, unsigned int count)
{
	deflate->bits |= (uint64_t)bits << deflate->nr_bits;
	deflate->nr_bits += count;
	for (; deflate->nr_bits >= 8; deflate->nr_bits -= 8, deflate->bits >>= 8)
		put_byte(deflate, (uint8_t)deflate->bits);
}

/* Huffman codes come with their first bit first. */
static void put_code(struct hph_deflate *deflate, uint32_t code, unsigned int count)
{
	uint32_t turned = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		turned |= (code >> i & 1) << (count - 1 - i);
	put_bits(deflate, turned, count);
}

/* The fixed code of a literal or length. */
static void put_symbol(struct hph_deflate *deflate, unsigned int symbol)
{
	if (symbol < 144)
		put_code(deflate, 0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(deflate, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(deflate, symbol - 256, 7);
	else
		put_code(deflate, 0xc0 + symbol - 280, 8);
}

static void put_distance(struct hph_deflate *deflate, size_t distance)
{
	unsigned int extra = 0;
	size_t least = distance - 1;

	/* Two codes for each power of two, from 4 on with extra bits. */
	if (least < 4) {
		put_code(deflate, (uint32_t)least, 5);
		return;
	}
	while (least >> extra > 3)
		extra++;
	put_code(deflate, 2 * extra + (uint32_t)(least >> extra), 5);
	put_bits(deflate, (uint32_t)(least & ((1U << extra) - 1)), extra);
}

static void put_match(struct hph_deflate *deflate, size_t length, size_t distance)
{
	unsigned int code = sizeof(length_extra) - 1;

	while (length < length_least[code])
		code--;
	put_symbol(deflate, 257 + code);
	put_bits(deflate, (uint32_t)(length - length_least[code]), length_extra[code]);
	put_distance(deflate, distance);
}

static size_t match(const uint8_t *a, const uint8_t *b, size_t most)
{
	size_t length = 0;

	while (length < most && a[length] == b[length])
		length++;
	return length;
}

static void add_to_sum(struct hph_deflate *deflate, const uint8_t *line)
{
	size_t i;

	for (i = 0; i < deflate->line; i++) {
		deflate->adler_a = (deflate->adler_a + line[i]) % ADLER;
		deflate->adler_b = (deflate->adler_b + deflate->adler_a) % ADLER;
	}
}

void hph_deflate_begin(struct hph_deflate *deflate)
{
	deflate->used = 0;
	deflate->bits = 0;
	deflate->nr_bits = 0;
	deflate->adler_a = 1;
	deflate->adler_b = 0;
	deflate->before = NULL;
	put_byte(deflate, 0x78);	/* deflate, window of 32 KiB */
	put_byte(deflate, 0x01);
	put_bits(deflate, 1, 1);	/* the last block, and the only one; */
	put_bits(deflate, 1, 2);	/* fixed codes */
}

/* @line must stay as it is until the next one has been compressed. */
void hph_deflate_line(struct hph_deflate *deflate, const uint8_t *line)
{
	size_t i = 0;

	add_to_sum(deflate, line);
	while (i < deflate->line) {
		const size_t left = deflate->line - i, most = left < LONGEST ? left : LONGEST;
		const size_t along = i ? match(line + i, line + i - 1, most) : 0;
		const size_t above = deflate->before ?
				     match(line + i, deflate->before + i, most) : 0;
		const size_t length = above >= along ? above : along;

		if (length < SHORTEST) {
			put_symbol(deflate, line[i++]);
			continue;
		}
		put_match(deflate, length, above >= along ? deflate->line : 1);
		i += length;
	}
	deflate->before = line;
}

void hph_deflate_end(struct hph_deflate *deflate)
{
	const uint32_t sum = deflate->adler_b << 16 | deflate->adler_a;
	int shift;

	put_symbol(deflate, 256);
	if (deflate->nr_bits)
		put_bits(deflate, 0, 8 - deflate->nr_bits);
	for (shift = 24; shift >= 0; shift -= 8)
		put_byte(deflate, (uint8_t)(sum >> shift));
	deflate->put(deflate);
}
