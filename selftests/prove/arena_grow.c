// SPDX-License-Identifier: GPL-2.0-only
/*
 * hph_arena_grow() of arena.c: one request, from any state that the invariants I1
 * to I7 allow. They hold of a new arena, and after a request if they held before;
 * hence after any number of requests, for blocks in any order, below, above,
 * between or next to each other.
 *
 * Who has which address is followed for one byte that stands for all of them: it
 * belongs to the system, to the arena, or to the arena's user. At most one block
 * has it, so that of all blocks two are looked at: the current one and another.
 * OWNER says who has it before the request, where the cases are run one by one.
 *
 * reserve(), reserve_some() and add_block() are replaced by what reserve.c,
 * retry.c and blocks.c show of them: the system may refuse each time, or have any
 * free place; there may be no memory for the list. Given is that all reservations
 * fit in the address space.
 *
 * No wrap is meant: unsigned overflow is an error.
 */
#include "prove.h"
#include "arena.c"
#include "owner.h"

static struct hph_block current, other, fresh;
static uintptr_t highest;	/* end of all that the user was given */

/* What is true of an arena between two requests. */
struct invariants {
	bool order, used, shape, there, once, coming, current;
};

/* Blocks that are not there are empty. */
static bool has(const struct hph_block *block)
{
	return between(byte, block->first, block->end);
}

static bool well_shaped(const struct hph_block *block)
{
	return !block->end ||
	       (block->first && block->first < block->end &&
		multiple(block->first | block->end, HPHEAP_HUGE_SIZE) &&
		usable(block->first, block->end - block->first));
}

static struct invariants look(void)
{
	const struct hph_growth *growth = &arena.growth;
	const bool ahead = between(byte, growth->alloc, growth->end);
	const bool a = has(&current), b = has(&other), c = has(&fresh);

	return (struct invariants){
		.order = growth->alloc <= growth->end && multiple(growth->alloc, HPHEAP_HUGE_SIZE),
		.used = growth->used == highest,
		.shape = well_shaped(&current) && well_shaped(&other) && well_shaped(&fresh),
		.there = (a || b || c) == (owner != SYSTEM),
		.once = !(a && b) && !(b && c) && !(a && c),
		.coming = ahead == (owner == ARENA),
		.current = arena.current ? growth->end == arena.current->end &&
					   arena.current->first <= growth->alloc :
					   !growth->alloc && !growth->end,
	};
}

static void arena_holds(void)
{
	const struct invariants are = look();

	always(are.order, "I1 alloc <= end, and it is huge-aligned");
	always(are.used, "I2 used is the highest end of all that was handed out");
	always(are.current, "I3 the linear allocator is in the current block and ends with it");
	always(are.shape, "I4 blocks are huge-aligned, and the heap has a map for them");
	always(are.coming, "I5 what is reserved is handed out, or still to come and nobody's yet");
	always(are.there, "I6 what is reserved is in a block, what is not is in none");
	always(are.once, "I7 blocks have nothing in common");
}

/* The user gets addresses. */
static void handed_out(uintptr_t addr, size_t bytes)
{
	always(multiple(addr, HPHEAP_HUGE_SIZE) && multiple(bytes, HPHEAP_HUGE_SIZE),
	       "G1 the user gets whole huge units");
	always(addr && usable(addr, bytes), "G2 they end at an address the heap has a map for");
	if (!between(byte, addr, addr + bytes))
		return;
	always(owner == ARENA, "G3 what is handed out is reserved, and nobody had it before");
	owner = USER;
}

static void request_holds(const struct hph_arena *was, size_t bytes, int error, uintptr_t addr)
{
	const bool added = arena.nr_blocks != was->nr_blocks;
	const bool same = arena.growth.alloc == was->growth.alloc &&
			  arena.growth.end == was->growth.end;

	always(error <= 0, "S1 an error is negative");
	always(added == (fresh.end != 0), "S2 a block that was added is kept");
	if (error) {
		always(same && arena.growth.used == was->growth.used && !arena.stranded_bytes &&
		       arena.address_bytes == was->address_bytes && !added,
		       "S3 a request that failed has changed nothing");
		possible(was->current, "a request fails");
		return;
	}
	handed_out(addr, bytes);
	if (addr + bytes > highest)
		highest = addr + bytes;
	always(arena.stranded_bytes <= (size_t)16 << 20, "S4 at most 16 MiB are stranded");
	if (arena.stranded_bytes)
		handed_out(arena.stranded, arena.stranded_bytes);
	possible(arena.stranded_bytes == (size_t)16 << 20, "16 MiB are stranded");
	possible(arena.current == was->current && arena.growth.end > was->growth.end && !answered,
		 "the current block is extended by a new one that happens to be next to it");
	possible(arena.growth.end > was->growth.end && answered,
		 "the current block is extended on purpose");
	possible(arena.current != was->current && arena.growth.end < was->growth.alloc,
		 "a switch to a block below");
	possible(arena.current != was->current && was->current && addr > was->growth.end,
		 "a switch to a block above");
	possible(same && added && addr < was->growth.alloc,
		 "a block is taken beside the current one, below");
	possible(same && added && addr > was->growth.end,
		 "a block is taken beside the current one, above");
}

size_t hph_os_address_space(void)
{
	return nondet_size();
}

/* What blocks.c shows of add_block(); the list itself is of no interest here. */
struct hph_block *any_block(struct hph_arena *of, uintptr_t first, uintptr_t end)
{
	always(!fresh.end, "M1 a request needs one new block at most");
	if (nondet_bool())
		return NULL;
	fresh.first = first;
	fresh.end = end;
	of->nr_blocks++;
	of->address_bytes += end - first;
	return &fresh;
}

/* Any state the invariants allow, of an arena that has a block already. */
static void grown_up(void)
{
	struct invariants were;

	current.first = any_multiple(HPH_HUGE_SHIFT);
	current.end = any_multiple(HPH_HUGE_SHIFT);
	other.first = any_multiple(HPH_HUGE_SHIFT);
	other.end = any_multiple(HPH_HUGE_SHIFT);
	given(current.first && current.first < current.end && other.first < other.end);
	arena.current = &current;
	arena.growth = (struct hph_growth){
		.alloc = any_multiple(HPH_HUGE_SHIFT),
		.end = current.end,
		.used = any_multiple(HPH_HUGE_SHIFT),
	};
	given(arena.growth.alloc <= arena.growth.end);
	arena.nr_blocks = nondet_uint();
	arena.address_bytes = any_multiple(HPH_HUGE_SHIFT);
	highest = arena.growth.used;
#ifdef OWNER
	owner = OWNER;
#else
	owner = nondet_bool() ? SYSTEM : nondet_bool() ? ARENA : USER;
#endif
	were = look();
	given(were.order && were.used && were.there && were.once && were.coming && were.current &&
	      were.shape);
}

int main(void)
{
	static const struct hph_backend_ops ops = {
		.reserve = reserve_anywhere,
		.unreserve = unreserve,
		.is_free = any_is_free,
	};
	static struct hph_backend backend = { .ops = &ops };
	const size_t bytes = any_multiple(HPH_HUGE_SHIFT);
	struct hph_arena was;
	uintptr_t addr;
	int error;

	byte = any_multiple(BASE_SHIFT);
	hph_arena_init(&arena, &backend, NULL, BASE_PAGE);
	arena_holds();
	if (nondet_bool())
		grown_up();

	was = arena;
	given(bytes);
	error = hph_arena_grow(&arena, bytes, &addr);
	request_holds(&was, bytes, error, addr);
	arena_holds();
	return 0;
}
