/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_PAGEALLOC_H
#define HPH_PAGEALLOC_H

#include "runs.h"

/* The heap pages of a heap. All calls under the heap's lock, all in memory. */
struct hph_pages {
	struct hph_unitmap map;
	struct hph_runs free;	/* units with memory and no span */
	struct hph_runs empty;	/* units without memory */
	struct hph_unit *bins[HPH_UNIT_PAGES]; /* used units, by longest free run */
	hph_pagemap nonempty;	/* bins */
	size_t used_pages;	/* of live spans whose memory is there */
	size_t free_units;
	size_t memory_units;	/* free ones and used ones */
	size_t spans;
};

/* What a span needs. */
struct hph_want {
	size_t pages;
	size_t align;	/* in heap pages, a power of two */
};

static inline bool hph_want_units(const struct hph_want *want)
{
	return want->pages > HPH_UNIT_PAGES || want->align > HPH_UNIT_PAGES;
}

/* Units a want needs in a row, and their alignment, if there is no page for it. */
static inline size_t hph_want_nr_units(const struct hph_want *want)
{
	return (want->pages + HPH_UNIT_PAGES - 1) / HPH_UNIT_PAGES;
}

static inline size_t hph_want_unit_align(const struct hph_want *want)
{
	return want->align > HPH_UNIT_PAGES ? want->align / HPH_UNIT_PAGES : 1;
}

int hph_pages_init(struct hph_pages *pages, struct hph_meta *meta);
uintptr_t hph_pages_alloc(struct hph_pages *pages, const struct hph_want *want, bool *zero);
uintptr_t hph_pages_carve(struct hph_pages *pages, uintptr_t first, const struct hph_want *want);
size_t hph_pages_free(struct hph_pages *pages, uintptr_t addr);
size_t hph_pages_size(const struct hph_pages *pages, uintptr_t addr);

void hph_pages_add_free(struct hph_pages *pages, uintptr_t first, size_t units);
void hph_pages_add_empty(struct hph_pages *pages, uintptr_t first, size_t units);
size_t hph_pages_take_last_free(struct hph_pages *pages, size_t units, uintptr_t *first);
void hph_pages_lose(struct hph_pages *pages, struct hph_unit *unit);

#endif /* HPH_PAGEALLOC_H */
