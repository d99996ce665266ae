/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_ARENA_H
#define HPH_ARENA_H

#include <stdbool.h>

#include "backend.h"
#include "meta.h"

/* What may be given up of one block in favour of another. */
#define HPH_STRAND_LIMIT	((size_t)16 << 20)

/*
 * Where the linear allocator stands. Invariant: alloc <= end; used is the
 * highest address ever handed out plus one, of any block, and has no order
 * with the other two: blocks come from anywhere.
 */
struct hph_growth {
	uintptr_t alloc;
	uintptr_t end;
	uintptr_t used;
};

enum hph_verdict {
	HPH_EXTEND,	/* the new block begins where the current one ends */
	HPH_SWITCH,	/* it lies elsewhere: go on there */
	HPH_GIVE_BACK,	/* it lies elsewhere, and too much would be stranded */
};

/* The arithmetic of growth: pure, for every pointer width and base page. */
bool hph_growth_round(uintptr_t base, size_t bytes, uintptr_t *first, uintptr_t *end);
bool hph_growth_ask(size_t bytes, size_t base_page, size_t *asked);
enum hph_verdict hph_growth_judge(const struct hph_growth *growth, uintptr_t first,
				  uintptr_t end);
bool hph_growth_take(struct hph_growth *growth, size_t bytes, uintptr_t *addr);
void hph_growth_note_used(struct hph_growth *growth, uintptr_t end);

/* Addresses that belong to one heap. */
struct hph_block {
	struct hph_block *next;
	uintptr_t first;	/* huge-aligned */
	uintptr_t end;		/* huge-aligned; grows when the block is extended */
};

struct hph_arena {
	struct hph_backend *backend;
	struct hph_meta *meta;
	size_t base_page;
	size_t block_bytes;	/* usual size of a reservation */
	struct hph_growth growth;
	struct hph_block *current;
	struct hph_block *blocks;	/* by address */
	uintptr_t stranded;	/* by the last hph_arena_grow() */
	size_t stranded_bytes;
	size_t address_bytes;	/* of all blocks */
	uint64_t nr_blocks;
	uint64_t reservations;	/* ever */
};

void hph_arena_init(struct hph_arena *arena, struct hph_backend *backend,
		    struct hph_meta *meta, size_t base_page);
int hph_arena_grow(struct hph_arena *arena, size_t bytes, uintptr_t *addr);
void hph_arena_give_back(struct hph_arena *arena, uintptr_t addr, size_t bytes);
void hph_arena_destroy(struct hph_arena *arena);

#endif /* HPH_ARENA_H */
