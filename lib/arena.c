// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Arena growth: where a heap's huge units come from.
 *
 * A block is a reservation of address space, rounded inward to huge units. A
 * linear allocator walks through the current block; when that is used up, a
 * new block is reserved, preferably right behind it. The system may answer
 * with any address, above, below or next to what is there, and on 32-bit
 * systems it does: hence three positions instead of one (struct hph_growth).
 *
 * A block that adjoins the current one extends it. One that lies elsewhere
 * replaces it, unless that would strand more than 16 MiB of the current block:
 * then it goes back, and just what is needed is taken, behind the current block if
 * these addresses are free, else anywhere; the current one stays what it is. (The
 * rule is that of Go's allocator before 1.11, where reservations on 32-bit systems had
 * the same problem.)
 *
 * The arithmetic is in functions without side effects; what is said of
 * blocks is checked again on every one that the system hands out.
 */
#include "arena.h"

#include <errno.h>
#include <stdint.h>

#include "os.h"
#include "unitmap.h"

/* A reservation is a small part of the addresses there are, at most so much. */
#define MAX_BLOCK_BYTES	((size_t)1 << 30)
#define SPACE_SHARE	64

/**
 * hph_growth_round() - the whole huge units of a reservation
 *
 * Return: false when there is none, or when the system's answer is not a
 * range of addresses that can be used.
 */
bool hph_growth_round(uintptr_t base, size_t bytes, uintptr_t *first, uintptr_t *end)
{
	uintptr_t last;

	if (!base || bytes < HPHEAP_HUGE_SIZE || bytes - 1 > UINTPTR_MAX - base)
		return false;
	last = base + (bytes - 1);
	if ((uint64_t)last >> HPH_ADDRESS_BITS)
		return false;
	*first = hph_round_up(base, HPHEAP_HUGE_SIZE);
	/* last + 1 may be 0, at the very top; that unit is left out */
	*end = hph_round_down(last == UINTPTR_MAX ? last : last + 1, HPHEAP_HUGE_SIZE);
	return *first < *end;
}

/**
 * hph_growth_ask() - how much to reserve so that @bytes of huge units are in it
 *
 * The system aligns to the base page only: at worst all but one base page of a
 * unit are lost in front.
 *
 * Return: false when that is more than there can be.
 */
bool hph_growth_ask(size_t bytes, size_t base_page, size_t *asked)
{
	const size_t slack = HPHEAP_HUGE_SIZE - base_page;

	if (bytes > SIZE_MAX - slack)
		return false;
	*asked = bytes + slack;
	return true;
}

/**
 * hph_growth_judge() - what to do with a new block [@first, @end)
 */
enum hph_verdict hph_growth_judge(const struct hph_growth *growth, uintptr_t first,
				  uintptr_t end)
{
	if (growth->end && first == growth->end && end > first)
		return HPH_EXTEND;
	if (growth->end - growth->alloc <= HPH_STRAND_LIMIT)
		return HPH_SWITCH;
	return HPH_GIVE_BACK;
}

/**
 * hph_growth_take() - the next @bytes of the current block
 *
 * Return: false when it has not so many left.
 */
bool hph_growth_take(struct hph_growth *growth, size_t bytes, uintptr_t *addr)
{
	if (growth->end - growth->alloc < bytes)
		return false;
	*addr = growth->alloc;
	growth->alloc += bytes;
	hph_growth_note_used(growth, growth->alloc);
	return true;
}

void hph_growth_note_used(struct hph_growth *growth, uintptr_t end)
{
	if (end > growth->used)
		growth->used = end;
}

static size_t usual_block(size_t space)
{
	size_t bytes = HPHEAP_HUGE_SIZE;

	while (bytes < MAX_BLOCK_BYTES && bytes < space / SPACE_SHARE)
		bytes *= 2;
	return bytes;
}

void hph_arena_init(struct hph_arena *arena, struct hph_backend *backend,
		    struct hph_meta *meta, size_t base_page)
{
	*arena = (struct hph_arena){
		.backend = backend,
		.meta = meta,
		.base_page = base_page,
		.block_bytes = usual_block(hph_os_address_space()),
	};
}

/*
 * Aborts on a block that is not @bytes of whole huge units, within what was asked:
 * everything stands on that. It is never so if the system aligns to base pages.
 */
static void check_block(uintptr_t first, uintptr_t end, size_t bytes, uintptr_t base, size_t asked)
{
	if ((first | end) & (HPHEAP_HUGE_SIZE - 1) || end - first != bytes || first < base ||
	    end - base > asked)
		hph_os_die("misrounded arena block [%#jx, %#jx) of reservation %#jx + %#zx",
			   (uintmax_t)first, (uintmax_t)end, (uintmax_t)base, asked);
}

/*
 * Reserves @bytes of whole huge units. What alignment needed around them goes
 * back at once; it is less than a unit, so that there is never one too many.
 */
static int reserve(struct hph_arena *arena, size_t bytes, uintptr_t hint, uintptr_t *first,
		   uintptr_t *end)
{
	struct hph_backend *backend = arena->backend;
	size_t asked, before, behind;
	uintptr_t base;
	bool at_top;
	int error;

	if (!hph_growth_ask(bytes, arena->base_page, &asked))
		return -ENOMEM;
	error = backend->ops->reserve(backend, hint, asked, &base);
	if (error)
		return error;
	at_top = asked - 1 == UINTPTR_MAX - base;	/* where the last unit cannot be used */
	if (!hph_growth_round(base, asked, first, end) || (at_top && *end - *first != bytes)) {
		backend->ops->unreserve(backend, base, asked);
		return -ENOMEM;
	}
	check_block(*first, *end, bytes, base, asked);
	before = *first - base;
	behind = asked - before - bytes;
	if (before)
		backend->ops->unreserve(backend, base, before);
	if (behind)
		backend->ops->unreserve(backend, *end, behind);
	arena->reservations++;
	return 0;
}

/*
 * Where addresses are so few that what is needed fits in a hole, but not with the
 * surplus that aligning it takes: asks for no more than that, and if it comes
 * unaligned, for the aligned places about it.
 */
static int reserve_tight(struct hph_arena *arena, size_t bytes, uintptr_t *first)
{
	struct hph_backend *backend = arena->backend;
	uintptr_t base, end, hint = 0;
	unsigned int tries;
	int error;

	for (tries = 0; tries < 3; tries++) {
		error = backend->ops->reserve(backend, hint, bytes, &base);
		if (error)
			return error;
		if (hph_growth_round(base, bytes, first, &end) && end - *first == bytes)
			return 0;
		backend->ops->unreserve(backend, base, bytes);
		/* Systems hand out the upper end of a hole, or the lower one. */
		hint = hph_round_down(base, HPHEAP_HUGE_SIZE) + (tries ? HPHEAP_HUGE_SIZE : 0);
		if (!hint)
			break;
	}
	return -ENOMEM;
}

static struct hph_block *add_block(struct hph_arena *arena, uintptr_t first, uintptr_t end)
{
	struct hph_block *block = hph_meta_alloc(arena->meta, sizeof(*block));
	struct hph_block **link = &arena->blocks;

	if (!block)
		return NULL;
	while (*link && (*link)->first < first)
		link = &(*link)->next;
	*block = (struct hph_block){
		.next = *link,
		.first = first,
		.end = end,
	};
	*link = block;
	arena->nr_blocks++;
	arena->address_bytes += end - first;
	return block;
}

/* Makes [@first, @end) the current block, or the end of it. */
static int adopt(struct hph_arena *arena, enum hph_verdict verdict, uintptr_t first,
		 uintptr_t end)
{
	struct hph_block *block;

	if (verdict == HPH_EXTEND) {
		arena->current->end = end;
		arena->address_bytes += end - first;
	} else {
		block = add_block(arena, first, end);
		if (!block)
			return -ENOMEM;
		arena->current = block;
		arena->stranded = arena->growth.alloc;
		arena->stranded_bytes = arena->growth.end - arena->growth.alloc;
		arena->growth.alloc = first;
	}
	arena->growth.end = end;
	return 0;
}

/* The largest block to be had now, between @bytes and @wanted. */
static int reserve_some(struct hph_arena *arena, size_t bytes, size_t wanted, uintptr_t hint,
			uintptr_t *first, uintptr_t *end)
{
	int error;

	for (;;) {
		error = reserve(arena, wanted, hint, first, end);
		if (!error)
			return 0;
		if (wanted <= bytes)
			break;
		wanted = hph_round_down(wanted / 2, HPHEAP_HUGE_SIZE);
		if (wanted < bytes)
			wanted = bytes;
	}
	error = reserve_tight(arena, bytes, first);
	if (error)
		return error;
	*end = *first + bytes;
	arena->reservations++;
	return 0;
}

static int new_block(struct hph_arena *arena, size_t bytes)
{
	const size_t wanted = bytes > arena->block_bytes ? bytes : arena->block_bytes;
	enum hph_verdict verdict;
	uintptr_t first, end;
	int error;

	error = reserve_some(arena, bytes, wanted, arena->growth.end, &first, &end);
	if (error)
		return error;
	verdict = hph_growth_judge(&arena->growth, first, end);
	if (verdict != HPH_GIVE_BACK) {
		error = adopt(arena, verdict, first, end);
		if (!error)
			return 0;
	} else {
		error = -ERANGE;	/* for hph_arena_grow() alone */
	}
	arena->backend->ops->unreserve(arena->backend, first, end - first);
	return error;
}

/*
 * Extends the current block by just what it lacks, where nobody else has these
 * addresses. It is asked before, or else a reservation would be made somewhere.
 */
static bool extend(struct hph_arena *arena, size_t bytes)
{
	const size_t lacking = bytes - (arena->growth.end - arena->growth.alloc);
	struct hph_backend *backend = arena->backend;
	const uintptr_t end = arena->growth.end;
	uintptr_t base;

	if (!backend->ops->is_free || lacking > UINTPTR_MAX - end ||
	    !backend->ops->is_free(backend, end, lacking) ||
	    backend->ops->reserve(backend, end, lacking, &base))
		return false;
	if (base != end || (uint64_t)(end + (lacking - 1)) >> HPH_ADDRESS_BITS) {
		backend->ops->unreserve(backend, base, lacking);
		return false;
	}
	arena->reservations++;
	adopt(arena, HPH_EXTEND, end, end + lacking);
	return true;
}

/* The current block stays what it is; this one is taken whole. */
static int grow_beside(struct hph_arena *arena, size_t bytes, uintptr_t *addr)
{
	uintptr_t end;
	int error = reserve_some(arena, bytes, bytes, 0, addr, &end);

	if (error)
		return error;
	if (!add_block(arena, *addr, end)) {
		arena->backend->ops->unreserve(arena->backend, *addr, end - *addr);
		return -ENOMEM;
	}
	hph_growth_note_used(&arena->growth, end);
	return 0;
}

/**
 * hph_arena_grow() - take @bytes, whole huge units, that nobody had before
 *
 * What a switch left of the old block is in stranded and stranded_bytes: it
 * can still serve what is small enough.
 */
int hph_arena_grow(struct hph_arena *arena, size_t bytes, uintptr_t *addr)
{
	int error;

	arena->stranded_bytes = 0;
	if (hph_growth_take(&arena->growth, bytes, addr))
		return 0;
	error = new_block(arena, bytes);
	if (error == -ERANGE && !extend(arena, bytes))
		return grow_beside(arena, bytes, addr);
	if (error && error != -ERANGE)
		return error;
	if (!hph_growth_take(&arena->growth, bytes, addr))
		hph_os_die("arena block of %#zx has no room for %#zx",
			   (size_t)(arena->growth.end - arena->growth.alloc), bytes);
	return 0;
}

/* The last bytes that hph_arena_grow() gave were of no use. Of a block of its own they stay. */
void hph_arena_give_back(struct hph_arena *arena, uintptr_t addr, size_t bytes)
{
	if (addr + bytes == arena->growth.alloc)
		arena->growth.alloc = addr;
}

void hph_arena_destroy(struct hph_arena *arena)
{
	struct hph_block *block;

	for (block = arena->blocks; block; block = block->next)
		arena->backend->ops->unreserve(arena->backend, block->first,
					       block->end - block->first);
}
