// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of an arena's blocks, from add_block() to hph_arena_destroy(): of any
 * blocks up to BLOCKS, in any order, which together fit in the address space: none
 * is larger than its share. Memory for one may fail.
 *
 * No wrap is meant: unsigned overflow is an error.
 */
#include "prove.h"
#include "arena.c"
#include "owner.h"

#define BLOCKS	3


static const struct hph_block *holder;	/* the block that has the byte, or NULL */

/* At most one has it: no two blocks have anything in common. */
static void add(void)
{
	const struct hph_arena was = arena;
	const uintptr_t first = any_multiple(HPH_HUGE_SHIFT), end = any_multiple(HPH_HUGE_SHIFT);
	const struct hph_block *block;

	given(first && first < end);
	given(end - first <= SIZE_MAX / BLOCKS);
	given(!between(byte, first, end) || owner == SYSTEM);
	block = add_block(&arena, first, end);
	if (!block) {
		always(arena.nr_blocks == was.nr_blocks && arena.blocks == was.blocks &&
		       arena.address_bytes == was.address_bytes, "L1 a failure changes nothing");
		return;
	}
	if (between(byte, first, end)) {
		owner = ARENA;
		holder = block;
	}
	always(block->first == first && block->end == end, "L2 a block is what it was made of");
	always(arena.nr_blocks == was.nr_blocks + 1 &&
	       arena.address_bytes == was.address_bytes + (end - first), "L3 it is counted");
	possible(arena.blocks != block, "a block is not put first");
}

static void list_holds(void)
{
	const struct hph_block *block;
	unsigned int length = 0, times = 0;

	for (block = arena.blocks; block; block = block->next) {
		length++;
		times += block == holder;
		always(!block->next || block->first <= block->next->first,
		       "L4 the list is in the order of addresses");
	}
	always(length == arena.nr_blocks, "L5 it has all blocks, each once");
	always(times == (holder != NULL), "L6 a block that was added is in the list once");
	always(!holder || between(byte, holder->first, holder->end), "L7 and is still the same");
	possible(length == BLOCKS, "the list has all there may be");
}

void *hph_meta_alloc(struct hph_meta *meta, size_t bytes)
{
	static struct hph_block blocks[BLOCKS];
	static unsigned int used;

	(void)meta;
	always(bytes == sizeof(blocks[0]), "M1 the list is made of blocks");
	return nondet_bool() ? NULL : &blocks[used++];
}

int main(void)
{
	static const struct hph_backend_ops ops = { .unreserve = unreserve };
	static struct hph_backend backend = { .ops = &ops };
	unsigned int i;

	byte = any_multiple(BASE_SHIFT);
	arena.backend = &backend;
	for (i = 0; i < BLOCKS; i++)
		add();
	list_holds();
	closing = true;
	hph_arena_destroy(&arena);
	always(owner == SYSTEM, "L8 when an arena is destroyed, all is the system's again");
	return 0;
}
