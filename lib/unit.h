/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_UNIT_H
#define HPH_UNIT_H

#include "units.h"

struct hph_backend;

/* One bit for each heap page of a huge unit. */
typedef uint64_t hph_pagemap[HPH_UNIT_WORDS];

enum hph_unit_state {
	HPH_UNIT_NONE,	/* not of this heap; what zeroed metadata says */
	HPH_UNIT_EMPTY,	/* has addresses, no memory; in a run of such */
	HPH_UNIT_FREE,	/* has memory, no span; in a run of such */
	HPH_UNIT_USED,	/* has spans */
	HPH_UNIT_BUSY,	/* being filled or emptied by one thread; in no index */
	HPH_UNIT_LOST,	/* has spans whose memory stayed with the parent at fork() */
};

/*
 * All that is known about a huge unit. Spans have no structure of their own:
 * their heads and the pages in use tell where each begins and ends. Only of a
 * span that goes beyond its unit the length is written down; it begins at the
 * unit's first page.
 */
struct hph_unit {
	hph_pagemap used;	/* part of a live span */
	hph_pagemap head;	/* first of a live span */
	hph_pagemap zero;	/* not used, and known to be zero */
	struct hph_unit *link[2]; /* of a list or tree, as the state says */
	struct hph_backend *owner; /* what it is attached to, or NULL: reserved */
	uintptr_t number;	/* address >> HPH_HUGE_SHIFT */
	size_t span_pages;	/* of the span that begins here and goes beyond, or 0 */
	uint32_t run;		/* units of a run; in its first and its last one */
	uint32_t tree_max;	/* longest run of the subtree; in a run's first one */
	uint16_t nr_used;
	uint16_t longest;	/* pages of the longest free run, while USED */
	int16_t node;		/* what it is attached for, HPHEAP_NODE_ANY: the heap's wish */
	uint8_t state;		/* enum hph_unit_state */
};

/* Pages [0, HPH_UNIT_PAGES]; the latter is "none". */
unsigned int hph_map_next(const hph_pagemap map, unsigned int page, bool set);
unsigned int hph_map_longest(const hph_pagemap used);
unsigned int hph_map_find(const hph_pagemap used, unsigned int pages, unsigned int align);
bool hph_map_all(const hph_pagemap map, unsigned int first, unsigned int pages);
void hph_map_set(hph_pagemap map, unsigned int first, unsigned int pages);
void hph_map_clear(hph_pagemap map, unsigned int first, unsigned int pages);

static inline bool hph_map_test(const hph_pagemap map, unsigned int page)
{
	return map[page / 64] >> page % 64 & 1;
}

#endif /* HPH_UNIT_H */
