/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations on a heap as data: made by chance, read out of a fuzzer's bytes, and
 * written as C, so that a sequence that found something can be kept.
 *
 * Each says what it works on in a way that has a meaning in every state of the
 * heap ("the 17th live span, modulo their number"): any part of a sequence is
 * one, too.
 */
#ifndef SELFTESTS_OPERATIONS_H
#define SELFTESTS_OPERATIONS_H

#include "heap.h"

enum operation_kind {
	ALLOC,		/* .amount pages, .align: log2 of pages, .flags, .which: bytes less */
	FREE,		/* the span .which */
	FREE_SOME,	/* all spans whose place in the list is .which modulo .amount */
	FIND,		/* the span .which, from its page .amount */
	STRAY,		/* the page .amount from the span .which on, whatever is there */
	RESERVE,	/* .amount units; .which: node + 1 */
	SCAVENGE,	/* .amount units; ALL: what there is */
	DRAIN,		/* all caches */
	LOOK,		/* walk and statistics */
	FAIL,		/* the .amount-th call .which of the backend, .flags times, .align: error */
	SWITCH,		/* to the thread .which, for .amount operations; then back to the first */
	LEAVE,		/* the thread ends; another one takes its place */
	MOVE,		/* to the node .which */
	OPERATION_KINDS,
};

#define ALL UINT32_MAX

static const char *const operation_names[OPERATION_KINDS] = {
	"ALLOC", "FREE", "FREE_SOME", "FIND", "STRAY", "RESERVE", "SCAVENGE", "DRAIN", "LOOK",
	"FAIL", "SWITCH", "LEAVE", "MOVE",
};

struct operation {
	uint8_t kind;
	uint8_t align;
	uint8_t flags;
	uint32_t amount;
	uint32_t which;
};

/* How a life goes. */
struct operation_style {
	uint32_t most_units;	/* of a large span, and of a reservation */
	unsigned int phase;	/* operations in which the heap mostly grows, then mostly shrinks */
	bool failures;		/* of the backend; and what needs a fake one */
	bool zero;		/* there is memory, so it can be asked to be zero */
	bool threads;
	bool nodes;
};

struct chance {
	uint64_t state;
};

static inline uint32_t below(struct chance *chance, uint32_t limit)
{
	return random_next(&chance->state) % limit;
}

static inline uint32_t some_pages(struct chance *chance, const struct operation_style *style)
{
	switch (below(chance, 16)) {
	case 0:
		return below(chance, style->most_units * 256) + 1;
	case 1:
		return (below(chance, style->most_units) + 1) * 256;
	case 2:
		return 257 - below(chance, 140);
	case 3:
	case 4:
		return below(chance, 256) + 1;
	case 5:
		return 1U << below(chance, 8);
	default:
		return below(chance, 40) + 1;
	}
}

static inline struct operation some_alloc(struct chance *chance,
					  const struct operation_style *style)
{
	struct operation operation = { .kind = ALLOC, .amount = some_pages(chance, style) };

	if (!below(chance, 6))
		operation.align = (uint8_t)below(chance, 11);
	if (!below(chance, 4))
		operation.flags = HPHEAP_SPAN_BASE_ALIGNED;
	if (style->zero && !below(chance, 4))
		operation.flags |= HPHEAP_SPAN_ZERO;
	if (!below(chance, 4))
		operation.which = below(chance, PAGE);
	return operation;
}

/* What is not alloc, free or find: once in a while. */
static inline struct operation some_rarity(struct chance *chance,
					   const struct operation_style *style)
{
	static const uint8_t kinds[] = {
		FREE_SOME, STRAY, RESERVE, SCAVENGE, SCAVENGE, DRAIN, LOOK, FAIL, FAIL, FAIL,
		SWITCH, SWITCH, LEAVE, MOVE,
	};
	struct operation operation = {
		.kind = kinds[below(chance, sizeof(kinds))], .which = random_next(&chance->state),
	};

	switch (operation.kind) {
	case FREE_SOME:
		operation.amount = 1U << (below(chance, 5) + 1);
		break;
	case STRAY:
		operation.amount = below(chance, 2000);
		break;
	case RESERVE:
		operation.amount = below(chance, style->most_units) + 1;
		operation.which = style->nodes ? below(chance, 3) : 0;
		break;
	case SCAVENGE:
		operation.amount = below(chance, 3) ? below(chance, 2 * style->most_units) : ALL;
		break;
	case FAIL:
		operation.amount = below(chance, 4) + 1;
		operation.flags = below(chance, 4) ? 1 : (uint8_t)below(chance, 6);
		operation.align = (uint8_t)below(chance, 4);
		operation.kind = style->failures ? FAIL : DRAIN;
		break;
	case SWITCH:
	case LEAVE:
		operation.which %= 4;
		operation.amount = operation.kind == SWITCH ? below(chance, 40) : 0;
		operation.kind = style->threads ? operation.kind : LOOK;
		break;
	case MOVE:
		operation.which %= 2;
		operation.kind = style->nodes ? MOVE : FIND;
		break;
	default:
		break;
	}
	return operation;
}

/* The operation number @step of a life. */
static inline struct operation some_operation(struct chance *chance, size_t step,
					      const struct operation_style *style)
{
	const bool growing = step / style->phase % 2 == 0;
	const uint32_t number = below(chance, 100);

	if (number < 2)
		return some_rarity(chance, style);
	if (number < 6)
		return (struct operation){
			.kind = FIND, .which = random_next(&chance->state),
			.amount = random_next(&chance->state),
		};
	if (number < (growing ? 58 : 46))
		return some_alloc(chance, style);
	return (struct operation){ .kind = FREE, .which = random_next(&chance->state) };
}

/* A fuzzer's: eight bytes each. */
#define OPERATION_BYTES 8

static inline struct operation operation_of_bytes(const uint8_t *bytes,
						  const struct operation_style *style)
{
	const uint32_t low = bytes[2] | (uint32_t)bytes[3] << 8;
	struct operation operation = {
		.kind = bytes[0] % OPERATION_KINDS, .amount = low,
		.which = bytes[4] | (uint32_t)bytes[5] << 8 | (uint32_t)bytes[6] << 16,
	};

	switch (operation.kind) {
	case ALLOC:
		operation.amount = low % (style->most_units * 256) + 1;
		operation.align = bytes[1] % 11;
		operation.flags = bytes[1] & 16 ? HPHEAP_SPAN_BASE_ALIGNED : 0;
		break;
	case FAIL:
		operation.amount = low % 8 + 1;
		operation.align = bytes[1] % 4;
		operation.flags = bytes[1] >> 5;
		break;
	case RESERVE:
		operation.amount = low % style->most_units + 1;
		operation.which %= 3;
		break;
	case SCAVENGE:
		operation.amount = low % 64 ? low % 64 : ALL;
		break;
	case FREE:
	case DRAIN:
	case LOOK:
	case LEAVE:
	case MOVE:
		operation.amount = 0;
		break;
	default:
		break;
	}
	return operation;
}

static inline void write_operation(FILE *file, const struct operation *operation)
{
	fprintf(file, "\t{ .kind = %s", operation_names[operation->kind]);
	if (operation->align)
		fprintf(file, ", .align = %u", operation->align);
	if (operation->flags)
		fprintf(file, ", .flags = %u", operation->flags);
	if (operation->amount == ALL)
		fprintf(file, ", .amount = ALL");
	else if (operation->amount)
		fprintf(file, ", .amount = %" PRIu32, operation->amount);
	if (operation->which)
		fprintf(file, ", .which = %" PRIu32, operation->which);
	fprintf(file, " },\n");
}

#endif /* SELFTESTS_OPERATIONS_H */
