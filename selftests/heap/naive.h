/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A naive heap beside the real one: a list of live spans, and a byte for each
 * heap page. It is told what the real one did, and says what was wrong with it.
 */
#ifndef SELFTESTS_NAIVE_H
#define SELFTESTS_NAIVE_H

#include "fake_backend.h"

#define NAIVE_MOST	40000	/* live spans */
#define MARK_BYTES	sizeof(uint64_t)

struct naive_span {
	uintptr_t addr;
	size_t pages;
};

struct naive {
	struct fake *fake;	/* has the bytes; and the states of units if it is not real */
	bool real;		/* there is memory in the spans */
	bool efence;		/* where a span was, none comes again */
	struct naive_span *live;
	size_t nr_live;
	size_t used_pages;
	size_t used_units;	/* with a page of a span */
};

static inline void naive_init(struct naive *naive, struct fake *fake, bool real, bool efence)
{
	*naive = (struct naive){ .fake = fake, .real = real, .efence = efence };
	naive->live = calloc(NAIVE_MOST, sizeof(naive->live[0]));
	if (!naive->live)
		abort();
}

static inline uint8_t *naive_page(struct naive *naive, uintptr_t addr)
{
	return &fake_unit(naive->fake, hph_unit_of(addr))->page[hph_page_in_unit(addr)];
}

/* The bytes of a span's pages in the unit of @addr: how many there are. */
static inline size_t naive_part(uintptr_t addr, size_t pages)
{
	const size_t room = HPH_UNIT_PAGES - hph_page_in_unit(addr);

	return pages < room ? pages : room;
}

/* Memory that is there says whose it is, at both ends of some of its pages. */
static inline void naive_mark(const struct naive_span *span, uint64_t mark)
{
	const size_t step = span->pages / 16 + 1;
	size_t page;

	for (page = 0; page < span->pages; page += step) {
		memcpy((char *)span->addr + page * PAGE, &mark, MARK_BYTES);
		memcpy((char *)span->addr + (page + 1) * PAGE - MARK_BYTES, &mark, MARK_BYTES);
	}
}

static inline bool naive_marked(const struct naive_span *span, uint64_t mark)
{
	const size_t step = span->pages / 16 + 1;
	size_t page;

	for (page = 0; page < span->pages; page += step)
		if (memcmp((char *)span->addr + page * PAGE, &mark, MARK_BYTES) ||
		    memcmp((char *)span->addr + (page + 1) * PAGE - MARK_BYTES, &mark, MARK_BYTES))
			return false;
	return true;
}

/* All that is promised of a span's place. */
static inline const char *naive_place(struct naive *naive, const struct naive_span *span)
{
	uintptr_t addr = span->addr;
	size_t left = span->pages, part, i;

	if (addr % PAGE)
		return "a span does not begin at a heap page";
	if (span->pages <= HPH_WITHIN_PAGES && naive_part(addr, left) < left)
		return "a small span crosses from one huge unit into the next";
	for (; left; left -= part, addr += part * PAGE) {
		part = naive_part(addr, left);
		if (!naive->real &&
		    fake_unit(naive->fake, hph_unit_of(addr))->state != FAKE_COMMITTED)
			return "a span lies where there is no memory";
		for (i = 0; i < part; i++)
			if (naive_page(naive, addr)[i] & (NAIVE_USED | NAIVE_FENCED | FAKE_AWAY))
				return naive_page(naive, addr)[i] & NAIVE_USED ?
					"a span lies where another one is alive" :
					"a span lies where none may be";
	}
	return NULL;
}

/* Writes down that pages belong to a span, or no longer do. */
static inline void naive_set(struct naive *naive, const struct naive_span *span, bool used)
{
	const uint8_t freed = naive->efence ? NAIVE_FENCED : NAIVE_DIRTY;
	const uint8_t value = used ? NAIVE_USED | NAIVE_DIRTY : freed;
	uintptr_t addr = span->addr;
	size_t left = span->pages, part;

	for (; left; left -= part, addr += part * PAGE) {
		struct fake_unit *unit = fake_unit(naive->fake, hph_unit_of(addr));

		part = naive_part(addr, left);
		naive->used_units -= unit->naive_used != 0;
		unit->naive_used = (uint16_t)(used ? unit->naive_used + part :
					      unit->naive_used - part);
		naive->used_units += unit->naive_used != 0;
		memset(naive_page(naive, addr), value, part);
	}
	naive->used_pages += used ? span->pages : -span->pages;
}

static inline const char *naive_add(struct naive *naive, uintptr_t addr, size_t pages, bool zero)
{
	struct naive_span *span = &naive->live[naive->nr_live];
	const char *wrong;

	*span = (struct naive_span){ addr, pages };
	wrong = naive_place(naive, span);
	if (wrong)
		return wrong;
	if (naive->real && zero && !naive_marked(span, 0))
		return "a span is not zero";
	if (naive->real)
		naive_mark(span, addr | 1);
	naive_set(naive, span, true);
	naive->nr_live++;
	return NULL;
}

/* Takes it from the list. */
static inline const char *naive_remove(struct naive *naive, size_t index, struct naive_span *span)
{
	*span = naive->live[index];
	if (naive->real && !naive_marked(span, span->addr | 1))
		return "a span has lost what was written";
	naive_set(naive, span, false);
	naive->live[index] = naive->live[--naive->nr_live];
	return NULL;
}

/*
 * The longest row of units of the heap that have no span, which it might empty; or, where
 * free memory does not serve, of those that are empty.
 */
static inline size_t naive_spare_units(struct naive *naive, const struct hpheap *heap, bool empty)
{
	const struct hph_block *block;
	size_t run = 0, longest = 0;
	uintptr_t number, end = 0;

	for (block = heap->arena.blocks; block; block = block->next) {
		if (block->first != end)
			run = 0;
		end = block->end;
		for (number = hph_unit_of(block->first); number < hph_unit_of(end); number++) {
			const struct hph_unit *unit = hph_unitmap_find(&heap->map, number);

			if (!unit || hph_unit_state(unit) == HPH_UNIT_NONE ||
			    (empty && hph_unit_state(unit) != HPH_UNIT_EMPTY) ||
			    unit->nr_fenced || fake_unit(naive->fake, number)->naive_used)
				run = 0;
			else
				run++;
			longest = run > longest ? run : longest;
		}
	}
	return longest;
}

static inline int naive_order(const void *a, const void *b)
{
	const struct naive_span *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static inline void naive_free(struct naive *naive)
{
	free(naive->live);
}

#endif /* SELFTESTS_NAIVE_H */
