/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_UNIT_H
#define HPH_UNIT_H

#include <stdatomic.h>

#include "units.h"

struct hph_backend;
struct hph_slabs;

/* One bit for each heap page of a huge unit. */
typedef uint64_t hph_pagemap[HPH_UNIT_WORDS];

/* A heap page in two, each as small as base pages are. */
#define HPH_HALF_SHIFT	12
#define HPH_HALVES	2u
#define HPH_UNIT_HALVES	512u

_Static_assert(HPH_UNIT_HALVES == HPH_HALVES * HPH_UNIT_PAGES, "halves of a unit");
_Static_assert(HPH_HALVES << HPH_HALF_SHIFT == 1u << HPH_PAGE_SHIFT, "halves of a page");

/* Parts of a unit: heap pages, and halves of others, of each page at most one. */
struct hph_parts {
	hph_pagemap pages;
	hph_pagemap halves[HPH_HALVES];
};

/* The largest span that counts as small: its pages are written in one byte. */
#define HPH_SMALL_PAGES	32u

/*
 * What is written beside the head of a live span: its pages, if it is small; or
 * that they are in the two bytes behind, seven bits in each, of which bit 7 says
 * that no span begins there; or that the span goes on in the next unit, and its
 * pages are in span_pages.
 */
#define HPH_LIVE_LARGE	33u
#define HPH_LIVE_BEYOND	34u
#define HPH_LIVE_SIZE	0x80u

/* And where a slab begins, a small span that objects are cut from: this, and its pages. */
#define HPH_LIVE_SLAB	0x40u

/* In hph_unit.slab_page: in the lower bits the pages back to where its slab begins, */
#define HPH_SLAB_BACK	0x1fu
/* and from this one on the class plus 1. */
#define HPH_SLAB_CLASS	5

#define HPH_NEVER	0	/* no window has this number */

enum hph_unit_state {
	HPH_UNIT_NONE,	/* not of this heap; what zeroed metadata says */
	HPH_UNIT_EMPTY,	/* has addresses, no memory; in a run of such */
	HPH_UNIT_FREE,	/* has memory, no span; in a run of such */
	HPH_UNIT_USED,	/* has spans */
	HPH_UNIT_BROKEN, /* no span, and part of its memory; in a run of such */
	HPH_UNIT_PURGEABLE, /* no span, and memory that the system may take; in a run of such */
	HPH_UNIT_FENCED, /* had spans, will have none again: see efence.c */
	HPH_UNIT_BUSY,	/* being filled or emptied by one thread; in no index */
	HPH_UNIT_LOST,	/* has spans whose memory is the parent's since fork() */
};

/*
 * All that is known about a huge unit. Spans have no structure of their own:
 * their heads and the pages in use tell where each begins and ends. Only of a
 * span that goes on in the next unit the length is written down; it is the last
 * one that begins in its unit.
 *
 * All but tag and live belongs to whoever holds the lock of the unit's zone, or
 * made it BUSY.
 */
struct hph_unit {
	_Alignas(64) hph_pagemap used;	/* part of a span */
	hph_pagemap head;	/* first of a span */
	hph_pagemap zero;	/* not used, and known to be zero */
	hph_pagemap away;	/* given back to the system: not used, or hollow (hollow.c) */
	/*
	 * Where a span begins that the program holds: see HPH_LIVE_LARGE. Where one
	 * begins that is in a thread's cache, or fenced off: 0. This is all that
	 * changes when a span goes from one to the other, by the thread that has it.
	 */
	_Atomic uint8_t live[HPH_UNIT_PAGES];
	/*
	 * What a page of a slab is: its class plus 1, and how many pages before it the slab
	 * begins; 0: it is none. It is the same as long as there is an object.
	 */
	_Atomic uint16_t slab_page[HPH_UNIT_PAGES];
	struct hph_slabs *slabs; /* NULL: there was none yet */
	struct hph_unit *link[2]; /* of a list or tree, as the state says */
	struct hph_unit *broken[2]; /* of a list, while USED and thin, or patchy */
	struct hph_backend *owner; /* what it is attached to, or NULL: reserved */
	uintptr_t number;	/* address >> HPH_HUGE_SHIFT */
	size_t span_pages;	/* of the span that begins here and goes beyond, or 0 */
	size_t tree_reach;	/* farthest of the subtree, and its longest run; */
	uint32_t tree_run;	/* in a run's first unit */
	uint32_t run;		/* units of a run; in its first and its last one */
	uint32_t back;		/* units back to where the span at page 0 begins */
	uint16_t lead;		/* free pages before a run and behind it; */
	uint16_t trail;		/* in its first unit */
	uint16_t front;		/* free pages at the beginning and at the end, */
	uint16_t tail;		/* while USED; 0 in any other state */
	uint16_t longest;	/* pages of the longest free run, while USED */
	uint16_t nr_used;
	uint16_t nr_away;
	uint16_t nr_halves;	/* that are away, of other pages: in slabs */
	uint16_t nr_fenced;	/* of nr_used */
	uint16_t nr_spans;	/* that have pages here */
	_Atomic uint16_t changed; /* scavenger's window in which it changed, or a slab in it, */
	uint16_t thinned;	/* and in which it was thinned last; HPH_NEVER: it was not */
	int16_t node;		/* what it is attached for, HPHEAP_NODE_ANY: the heap's wish */
	uint8_t density;	/* of its bin, while USED */
	bool divisible;		/* its owner takes back parts of it */
	bool split;		/* its owner was told that it lacks pages: it is no huge page */
	bool gone;		/* LOST, and its addresses are the parent's, or may be anybody's */
	bool stale;		/* purgeable, or was so: see purge.c */
	bool lazy;		/* its memory comes as it is touched: see lazy.c */
	bool open;		/* attached, without memory, and opened ahead: see batch.c */
	bool thinning;		/* a thread is giving back its free pages, or getting them */
	_Atomic uint16_t tag;	/* zone and state: see hph_tag() */
};

_Static_assert(sizeof(struct hph_unit) * 100 < HPHEAP_HUGE_SIZE, "metadata under 1 %");

/*
 * Zone and state in one word: a thread that looks at a neighbour of its own unit
 * sees in one load whether it may look further. A unit of another zone may
 * change at any time, but never into one of this zone.
 */
static inline uint16_t hph_tag(unsigned int zone, enum hph_unit_state state)
{
	return (uint16_t)(zone << 8 | state);
}

/* In the tag of a USED unit: its spans shall not be held in caches. */
#define HPH_TAG_SHUNNED	0x80u

static inline uint16_t hph_unit_raw_tag(const struct hph_unit *unit)
{
	return atomic_load_explicit(&unit->tag, memory_order_relaxed);
}

static inline uint16_t hph_unit_tag(const struct hph_unit *unit)
{
	return (uint16_t)(hph_unit_raw_tag(unit) & ~HPH_TAG_SHUNNED);
}

static inline void hph_unit_set_tag(struct hph_unit *unit, uint16_t tag)
{
	atomic_store_explicit(&unit->tag, tag, memory_order_relaxed);
}

static inline enum hph_unit_state hph_unit_state(const struct hph_unit *unit)
{
	return (enum hph_unit_state)(hph_unit_tag(unit) & 0xff);
}

static inline unsigned int hph_unit_zone(const struct hph_unit *unit)
{
	return hph_unit_tag(unit) >> 8;
}

static inline unsigned int hph_unit_live(const struct hph_unit *unit, unsigned int page)
{
	return atomic_load_explicit(&unit->live[page], memory_order_relaxed);
}

static inline void hph_unit_set_live(struct hph_unit *unit, unsigned int page, unsigned int pages)
{
	atomic_store_explicit(&unit->live[page], (uint8_t)pages, memory_order_relaxed);
}

static inline unsigned int hph_live_code(unsigned int page, size_t pages)
{
	if (pages <= HPH_SMALL_PAGES)
		return (unsigned int)pages;
	return page + pages > HPH_UNIT_PAGES ? HPH_LIVE_BEYOND : HPH_LIVE_LARGE;
}

/* Pages of the live span that begins there; 0: none does. It does not change while that lives. */
static inline size_t hph_live_pages(const struct hph_unit *unit, unsigned int page)
{
	const unsigned int live = hph_unit_live(unit, page);

	if (live <= HPH_SMALL_PAGES)
		return live;
	if (live == HPH_LIVE_LARGE)
		return (hph_unit_live(unit, page + 1) & ~HPH_LIVE_SIZE) |
		       (hph_unit_live(unit, page + 2) & ~HPH_LIVE_SIZE) << 7;
	return live == HPH_LIVE_BEYOND ? unit->span_pages : 0;
}

/* What cannot be had without the system's help. */
static inline void hph_unit_taken(const struct hph_unit *unit, hph_pagemap taken)
{
	unsigned int word;

	for (word = 0; word < HPH_UNIT_WORDS; word++)
		taken[word] = unit->used[word] | unit->away[word];
}

/*
 * The first page from @page on whose bit is @set. Pages [0, HPH_UNIT_PAGES]; the
 * latter is "none", here and in all that follows.
 */
static inline unsigned int hph_map_next(const hph_pagemap map, unsigned int page, bool set)
{
	const uint64_t invert = set ? 0 : UINT64_MAX;
	unsigned int word = page / 64;
	uint64_t bits;

	if (page >= HPH_UNIT_PAGES)
		return HPH_UNIT_PAGES;
	bits = (map[word] ^ invert) & UINT64_MAX << page % 64;
	while (!bits) {
		if (++word == HPH_UNIT_WORDS)
			return HPH_UNIT_PAGES;
		bits = map[word] ^ invert;
	}
	return word * 64 + (unsigned int)__builtin_ctzll(bits);
}

/* What a lazy unit has, now that it is no span's, nobody knows: nothing. */
void hph_unit_forget(struct hph_unit *unit);

unsigned int hph_map_last(const hph_pagemap map, unsigned int page, bool set);
unsigned int hph_map_longest(const hph_pagemap used);
unsigned int hph_map_find(const hph_pagemap used, unsigned int pages, unsigned int align,
			  unsigned int from);
bool hph_map_all(const hph_pagemap map, unsigned int first, unsigned int pages);
void hph_map_set(hph_pagemap map, unsigned int first, unsigned int pages);
void hph_map_clear(hph_pagemap map, unsigned int first, unsigned int pages);
unsigned int hph_map_count_both(const hph_pagemap a, const hph_pagemap b, unsigned int first,
				unsigned int pages);

/* Is part of its memory away? */
static inline bool hph_unit_is_thin(const struct hph_unit *unit)
{
	return unit->nr_away || unit->nr_halves;
}

/* Did it come back part by part, to be made huge at leisure? */
static inline bool hph_unit_is_patchy(const struct hph_unit *unit)
{
	return unit->split && !hph_unit_is_thin(unit);
}

/* Pages of a span that are away, as they are in slabs. */
static inline unsigned int hph_unit_hollow(const struct hph_unit *unit, unsigned int first,
					   unsigned int pages)
{
	return unit->nr_away ? hph_map_count_both(unit->away, unit->used, first, pages) : 0;
}

static inline bool hph_map_test(const hph_pagemap map, unsigned int page)
{
	return map[page / 64] >> page % 64 & 1;
}

static inline unsigned int hph_map_count(const hph_pagemap map)
{
	return hph_map_count_both(map, map, 0, HPH_UNIT_PAGES);
}

/* Halves are numbered through the unit. */
static inline bool hph_parts_test(const struct hph_parts *parts, unsigned int half)
{
	return hph_map_test(parts->pages, half / HPH_HALVES) ||
	       hph_map_test(parts->halves[half % HPH_HALVES], half / HPH_HALVES);
}

static inline unsigned int hph_parts_nr_halves(const struct hph_parts *parts)
{
	return hph_map_count(parts->halves[0]) + hph_map_count(parts->halves[1]);
}

unsigned int hph_parts_next(const struct hph_parts *parts, unsigned int half, bool set);
bool hph_parts_any(const struct hph_parts *parts, unsigned int page, unsigned int pages);
void hph_parts_add(struct hph_parts *parts, const struct hph_parts *from, unsigned int first,
		   unsigned int end);
void hph_parts_remove(struct hph_parts *parts, const struct hph_parts *gone);

#endif /* HPH_UNIT_H */
