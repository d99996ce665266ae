/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps of all units, what is written beside them of each, and what they come
 * to. Part of invariants.h.
 */
#ifndef SELFTESTS_INVARIANTS_MAPS_H
#define SELFTESTS_INVARIANTS_MAPS_H

#include <stdarg.h>

#include "heap.h"
#include "cache.h"

#define INVARIANT_DEPTH	100	/* no tree is so deep */

/* What is counted in the maps, of one zone. */
struct census {
	size_t used_pages, away_pages, fenced_pages, used_units, free_units, empty_units, broken_units;
	size_t purgeable_units;
	size_t memory_units, spans, binned, thin, patchy, device_units, fallback_units;
};

struct invariants {
	struct hpheap *heap;
	struct census zones[HPH_MAX_ZONES];
	size_t busy, idle;		/* idle: spans that no program holds */
	const struct hph_unit *begin;	/* of a span that goes on, so many pages yet */
	size_t left;
	bool left_fenced;
	unsigned int fenced;		/* pages, of this unit */
};

static char invariant_text[240];

__attribute__((format(printf, 1, 2)))
static inline const char *invariant_broken(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(invariant_text, sizeof(invariant_text), format, args);
	va_end(args);
	return invariant_text;
}

#define REQUIRE(condition, ...) do {				\
	if (!(condition))					\
		return invariant_broken(__VA_ARGS__);		\
} while (0)

static inline unsigned int map_count(const hph_pagemap map)
{
	unsigned int word, sum = 0;

	for (word = 0; word < HPH_UNIT_WORDS; word++)
		sum += (unsigned int)__builtin_popcountll(map[word]);
	return sum;
}

/* Every page of @a is one of @b, or none is. */
static inline bool map_within(const hph_pagemap a, const hph_pagemap b)
{
	unsigned int word;

	for (word = 0; word < HPH_UNIT_WORDS; word++)
		if (a[word] & ~b[word])
			return false;
	return true;
}

static inline bool map_apart(const hph_pagemap a, const hph_pagemap b)
{
	unsigned int word;

	for (word = 0; word < HPH_UNIT_WORDS; word++)
		if (a[word] & b[word])
			return false;
	return true;
}

static inline const char *check_span(struct invariants *check, const struct hph_unit *unit,
				     unsigned int page, unsigned int here)
{
	const size_t pages = unit->span_pages && page + here == HPH_UNIT_PAGES ?
		unit->span_pages : here;
	const unsigned int live = hph_unit_live(unit, page);
	const bool slab = live & HPH_LIVE_SLAB;

	if (page + here == HPH_UNIT_PAGES && unit->span_pages) {
		REQUIRE(pages > here, "unit %#jx: its last span does not go beyond it",
			(uintmax_t)unit->number);
		REQUIRE(pages > HPH_WITHIN_PAGES, "unit %#jx: a span of %zu pages crosses its end",
			(uintmax_t)unit->number, pages);
		check->begin = unit;
		check->left = pages - here;
	}
	REQUIRE(!live || live == (slab ? HPH_LIVE_SLAB | pages : hph_live_code(page, pages)),
		"unit %#jx page %u: %zu pages, live[] is %u (P4)",
		(uintmax_t)unit->number, page, pages, live);
	REQUIRE(!live || slab || hph_live_pages(unit, page) == pages,
		"unit %#jx page %u: %zu pages, live[] says %zu (P4)", (uintmax_t)unit->number, page,
		pages, hph_live_pages(unit, page));
	check->left_fenced = check->heap->efence && !live;
	check->fenced += check->left_fenced ? here : 0;
	check->idle += !check->heap->efence && !live;
	check->zones[hph_unit_zone(unit)].spans += !check->left_fenced;
	return NULL;
}

/* P2, live[], nr_spans */
static inline const char *check_spans(struct invariants *check, const struct hph_unit *unit)
{
	unsigned int page = 0, spans = 0, next, free;
	const char *wrong;

	check->fenced = 0;
	if (check->left) {
		page = check->left < HPH_UNIT_PAGES ? (unsigned int)check->left : HPH_UNIT_PAGES;
		REQUIRE(unit->back == unit->number - check->begin->number,
			"unit %#jx: back is %u", (uintmax_t)unit->number, unit->back);
		REQUIRE(hph_map_all(unit->used, 0, page) && hph_map_next(unit->head, 0,
									 true) >= page,
			"unit %#jx: the span from %#jx does not go on", (uintmax_t)unit->number,
			(uintmax_t)check->begin->number);
		check->left -= page;
		check->fenced += check->left_fenced ? page : 0;
		spans++;
	}
	for (; page < HPH_UNIT_PAGES; page = next) {
		page = hph_map_next(unit->used, page, true);
		if (page == HPH_UNIT_PAGES)
			break;
		REQUIRE(hph_map_test(unit->head, page), "unit %#jx page %u: in use by no span",
			(uintmax_t)unit->number, page);
		next = page + 1 < HPH_UNIT_PAGES ? hph_map_next(unit->head, page + 1, true) :
						   HPH_UNIT_PAGES;
		free = hph_map_next(unit->used, page, false);
		next = free < next ? free : next;
		wrong = check_span(check, unit, page, next - page);
		if (wrong)
			return wrong;
		spans++;
	}
	REQUIRE(!unit->span_pages || check->begin == unit,
		"unit %#jx: none of its spans goes on for %zu pages", (uintmax_t)unit->number,
		unit->span_pages);
	REQUIRE(unit->nr_spans == spans, "unit %#jx: nr_spans is %u of %u",
		(uintmax_t)unit->number, unit->nr_spans, spans);
	REQUIRE(unit->nr_fenced == check->fenced, "unit %#jx: nr_fenced is %u of %u",
		(uintmax_t)unit->number, unit->nr_fenced, check->fenced);
	return NULL;
}

/* live[] of what begins no span: the size of a large one that begins just before it, or 0 */
static inline const char *check_live(const struct hph_unit *unit)
{
	const uint64_t *words = (const uint64_t *)(const void *)unit->live;
	unsigned int i, page;

	for (i = 0; i < HPH_UNIT_PAGES / sizeof(*words); i++) {
		if (!words[i])
			continue;
		for (page = i * 8; page < i * 8 + 8; page++) {
			const unsigned int live = hph_unit_live(unit, page);

			if (!live)
				continue;
			if (hph_map_test(unit->head, page)) {
				REQUIRE(!(live & HPH_LIVE_SIZE),
					"unit %#jx page %u: a span, live[] is %u (P4)",
					(uintmax_t)unit->number, page, live);
				continue;
			}
			REQUIRE(live & HPH_LIVE_SIZE && hph_map_test(unit->used, page) &&
				((page >= 1 && hph_map_test(unit->head, page - 1)) ||
				 (page >= 2 && hph_map_test(unit->head, page - 2))),
				"unit %#jx page %u: live[] is %u, no span begins there (P4)",
				(uintmax_t)unit->number, page, live);
		}
	}
	return NULL;
}

/* What depends on the pages that can be had at once, and on those that cannot. */
static inline const char *check_used(struct invariants *check, const struct hph_unit *unit)
{
	struct census *census = &check->zones[hph_unit_zone(unit)];
	unsigned int front, tail, density = 0;
	hph_pagemap taken;

	hph_unit_taken(unit, taken);
	front = hph_map_next(taken, 0, true);
	tail = HPH_UNIT_PAGES - 1 - hph_map_last(taken, HPH_UNIT_PAGES - 1, true);
	REQUIRE(unit->nr_used, "unit %#jx: USED without a span", (uintmax_t)unit->number);
	REQUIRE(unit->longest == hph_map_longest(taken), "unit %#jx: longest is %u, not %u",
		(uintmax_t)unit->number, unit->longest, hph_map_longest(taken));
	REQUIRE(unit->front == front && unit->tail == tail,
		"unit %#jx: front and tail are %u, %u, not %u, %u", (uintmax_t)unit->number,
		unit->front, unit->tail, front, tail);
	while (density < HPH_DENSITIES - 1 && unit->nr_spans >> (density + 1))
		density++;
	REQUIRE(!unit->longest || unit->density == density, "unit %#jx: density is %u, not %u",
		(uintmax_t)unit->number, unit->density, density);
	census->used_units++;
	census->used_pages += (size_t)unit->nr_used - unit->nr_fenced -
			      hph_map_count_both(unit->used, unit->away, 0, HPH_UNIT_PAGES);
	census->fenced_pages += unit->nr_fenced;
	census->binned += unit->longest != 0;
	census->thin += hph_unit_is_thin(unit);
	census->patchy += hph_unit_is_patchy(unit);
	return check_spans(check, unit);
}

/* What has no span, and no memory or all or some of it. */
static inline const char *check_unused(struct invariants *check, const struct hph_unit *unit)
{
	struct census *census = &check->zones[hph_unit_zone(unit)];
	const enum hph_unit_state state = hph_unit_state(unit);

	REQUIRE(!unit->front && !unit->tail, "unit %#jx: front and tail of an unused one",
		(uintmax_t)unit->number);
	REQUIRE(!unit->nr_used && !unit->nr_spans && !unit->span_pages && !unit->nr_fenced,
		"unit %#jx: unused with %u pages, %u spans", (uintmax_t)unit->number, unit->nr_used,
		unit->nr_spans);
	REQUIRE((unit->nr_away != 0) == (state == HPH_UNIT_BROKEN),
		"unit %#jx: state %u with %u pages away", (uintmax_t)unit->number, state,
		unit->nr_away);
	census->free_units += state == HPH_UNIT_FREE;
	census->empty_units += state == HPH_UNIT_EMPTY;
	census->purgeable_units += state == HPH_UNIT_PURGEABLE;
	REQUIRE(unit->stale == (state == HPH_UNIT_PURGEABLE), "unit %#jx: stale in state %u (Q1)",
		(uintmax_t)unit->number, state);
	census->broken_units += state == HPH_UNIT_BROKEN;
	return NULL;
}

static inline bool has_memory(const struct hph_unit *unit)
{
	const enum hph_unit_state state = hph_unit_state(unit);

	return state == HPH_UNIT_USED || state == HPH_UNIT_FREE || state == HPH_UNIT_BROKEN;
}

static inline bool only_slabs_are_hollow(const struct hph_unit *unit)
{
	unsigned int page;

	for (page = 0; page < HPH_UNIT_PAGES && !map_apart(unit->away, unit->used); page++)
		if (hph_map_test(unit->used, page) && hph_map_test(unit->away, page) &&
		    !unit->slab_page[page])
			return false;
	return true;
}

static inline const char *check_memory(struct invariants *check, const struct hph_unit *unit)
{
	const struct hpheap *heap = check->heap;
	struct census *census = &check->zones[hph_unit_zone(unit)];

	REQUIRE(map_apart(unit->zero, unit->used), "unit %#jx: a used page is said to be zero",
		(uintmax_t)unit->number);
	REQUIRE(only_slabs_are_hollow(unit), "unit %#jx: a used page is away (P5)",
		(uintmax_t)unit->number);
	REQUIRE(map_count(unit->away) == unit->nr_away, "unit %#jx: nr_away is %u of %u",
		(uintmax_t)unit->number, unit->nr_away, map_count(unit->away));
	REQUIRE(unit->owner, "unit %#jx: has memory of nobody", (uintmax_t)unit->number);
	REQUIRE(unit->divisible == (unit->owner->ops->thin != NULL), "unit %#jx: divisible is %d",
		(uintmax_t)unit->number, unit->divisible);
	REQUIRE(!unit->thinning, "unit %#jx: thinning", (uintmax_t)unit->number);
	census->memory_units++;
	census->away_pages += unit->nr_away;
	census->fallback_units += unit->owner == heap->fallback;
	census->device_units += heap->kind == HPHEAP_BACKEND_DEVICE && unit->owner == heap->backend;
	return NULL;
}

static inline const char *check_unit(struct invariants *check, uintptr_t number)
{
	const struct hph_unit *unit = hph_unitmap_find(&check->heap->map, number);
	const enum hph_unit_state state = unit ? hph_unit_state(unit) : HPH_UNIT_NONE;
	const bool spans = state == HPH_UNIT_USED || state == HPH_UNIT_LOST ||
			   state == HPH_UNIT_FENCED;
	const char *wrong;

	REQUIRE(!check->left || spans, "unit %#jx: a span should go on here", (uintmax_t)number);
	if (state == HPH_UNIT_NONE)
		return NULL;
	REQUIRE(unit->number == number && hph_unit_zone(unit) < check->heap->nr_zones,
		"unit %#jx: has number %#jx, zone %u", (uintmax_t)number, (uintmax_t)unit->number,
		hph_unit_zone(unit));
	REQUIRE(map_within(unit->head, unit->used), "unit %#jx: a head is not in use",
		(uintmax_t)number);
	REQUIRE(map_count(unit->used) == unit->nr_used, "unit %#jx: nr_used is %u of %u",
		(uintmax_t)number, unit->nr_used, map_count(unit->used));
	check->busy += state == HPH_UNIT_BUSY;
	wrong = check_live(unit);
	if (!wrong && has_memory(unit))
		wrong = check_memory(check, unit);
	if (wrong)
		return wrong;
	if (state == HPH_UNIT_USED)
		return check_used(check, unit);
	return spans ? check_spans(check, unit) : check_unused(check, unit);
}

/* All blocks, all units in them. */
static inline const char *check_units(struct invariants *check)
{
	const struct hph_arena *arena = &check->heap->arena;
	const struct hph_block *block;
	uintptr_t number, end = 0;
	size_t blocks = 0, bytes = 0;
	const char *wrong;

	REQUIRE(arena->growth.alloc <= arena->growth.end,
		"the arena stands behind its block's end");
	for (block = arena->blocks; block; block = block->next) {
		REQUIRE(block->first >= end && block->first < block->end &&
			!((block->first | block->end) % UNIT), "block [%#jx, %#jx) is out of order",
			(uintmax_t)block->first, (uintmax_t)block->end);
		REQUIRE(!check->left || block->first == end, "a span goes on behind block end %#jx",
			(uintmax_t)end);
		end = block->end;
		blocks++;
		bytes += block->end - block->first;
		for (number = hph_unit_of(block->first); number < hph_unit_of(end); number++) {
			wrong = check_unit(check, number);
			if (wrong)
				return wrong;
		}
	}
	REQUIRE(!check->left, "a span goes on behind all blocks");
	REQUIRE(arena->nr_blocks == blocks && arena->address_bytes == bytes,
		"the arena counts %ju blocks and %zu bytes, not %zu and %zu",
		(uintmax_t)arena->nr_blocks, arena->address_bytes, blocks, bytes);
	return NULL;
}

#endif /* SELFTESTS_INVARIANTS_MAPS_H */
