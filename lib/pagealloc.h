/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_PAGEALLOC_H
#define HPH_PAGEALLOC_H

#include "runs.h"

/* Bins by number of spans: [1], [2, 3], [4, 7] and so on. */
#define HPH_DENSITIES	8

/*
 * A span no larger than this never crosses from one huge unit into the next, or it
 * would keep two from becoming empty. Larger ones may, for they would leave too
 * much of each unit.
 */
#define HPH_WITHIN_PAGES	(HPH_UNIT_PAGES / 4)

/* The heap pages of a zone. All calls under the zone's lock, all in memory. */
struct hph_pages {
	const struct hph_unitmap *map;
	unsigned int zone;
	struct hph_runs free;	/* units with memory and no span */
	struct hph_runs empty;	/* units without memory */
	struct hph_runs broken;	/* units with part of their memory and no span */
	struct hph_runs purgeable; /* units whose memory the system may take */
	struct hph_unit *thin;	/* list of the used ones that have part of their memory, */
	struct hph_unit *patchy; /* and of those that have it in parts */
	struct hph_unit *bins[HPH_UNIT_PAGES][HPH_DENSITIES]; /* used units, by longest free run */
	uint8_t densities[HPH_UNIT_PAGES]; /* that have a unit, of each length */
	hph_pagemap lengths;	/* that have a unit */
	size_t used_pages;	/* of spans whose memory is there */
	size_t away_pages;
	size_t hollow_pages;	/* of them: in slabs */
	size_t away_halves;	/* of used pages */
	size_t thin_used;	/* the least used_pages when one of the thin units was thinned */
	size_t fenced_pages;
	size_t used_units;
	size_t patchy_units;	/* of them */
	size_t free_units;
	_Atomic uint16_t window; /* of the scavenger's, by number */
	size_t free_low;	/* the fewest there were in this window of the scavenger's, */
	size_t free_before;	/* and in the one before it, less what it took since */
	size_t memory_units;	/* free ones, used ones and broken ones */
	size_t lazy_units;	/* of the used ones */
	size_t purgeable_units;
	size_t purgeable_low;	/* the fewest there were since the scavenger asked */
	size_t spans;
};

/* What a span needs. */
struct hph_want {
	size_t pages;
	size_t align;	/* in heap pages, a power of two */
	bool lazy;	/* whole units need not have their memory yet */
};

/* What a unit must be to be thinned. */
struct hph_sparse {
	unsigned int most_used;	/* heap pages */
	unsigned int group;	/* heap pages in a base page, at least 1 */
	unsigned int idle;	/* unchanged since so many windows began; */
	unsigned int rested;	/* and not thinned in so many */
	bool all;		/* also those that were combed before: see sparse.c */
};

/* A span in a thread's cache. */
struct hph_cached {
	uintptr_t addr;		/* with HPH_CACHED_ZERO: known to be zero */
	_Atomic uint8_t *live;	/* of its head, in its unit */
};

#define HPH_CACHED_ZERO	((uintptr_t)1)

/* Units a want needs in a row, and their alignment, if there is no page for it. */
static inline size_t hph_want_nr_units(const struct hph_want *want)
{
	return (want->pages + HPH_UNIT_PAGES - 1) / HPH_UNIT_PAGES;
}

static inline size_t hph_want_unit_align(const struct hph_want *want)
{
	return want->align > HPH_UNIT_PAGES ? want->align / HPH_UNIT_PAGES : 1;
}

static inline unsigned int hph_page_in_unit(uintptr_t addr)
{
	return (unsigned int)(hph_page_of(addr) % HPH_UNIT_PAGES);
}

/* Where a span begins, and its size. */
struct hph_found {
	struct hph_unit *unit;
	unsigned int page;
	size_t pages;
	bool live;	/* the program's; else in a thread's cache, or fenced off */
};

static inline uintptr_t hph_found_addr(const struct hph_found *found)
{
	return hph_unit_addr(found->unit->number) + hph_page_addr(found->page);
}

static inline uint16_t hph_pages_window(const struct hph_pages *pages)
{
	return atomic_load_explicit(&pages->window, memory_order_relaxed);
}

/* A span or an object of the unit came or went. */
static inline void hph_pages_touch(const struct hph_pages *pages, struct hph_unit *unit)
{
	const uint16_t window = hph_pages_window(pages);

	if (atomic_load_explicit(&unit->changed, memory_order_relaxed) != window)
		atomic_store_explicit(&unit->changed, window, memory_order_relaxed);
}

void hph_pages_init(struct hph_pages *pages, const struct hph_unitmap *map, unsigned int zone);
uintptr_t hph_pages_alloc(struct hph_pages *pages, const struct hph_want *want, bool *zero);
uintptr_t hph_pages_carve(struct hph_pages *pages, uintptr_t first, const struct hph_want *want,
			  bool *zero);
unsigned int hph_pages_refill(struct hph_pages *pages, unsigned int nr, unsigned int from,
			      struct hph_cached *cached, unsigned int count);
bool hph_pages_find(const struct hph_pages *pages, uintptr_t addr, struct hph_found *found);
void hph_pages_free(struct hph_pages *pages, const struct hph_found *found);
void hph_pages_free_cached(struct hph_pages *pages, const struct hph_cached *cached,
			   unsigned int count, unsigned int nr);

void hph_pages_join(struct hph_pages *pages, uintptr_t first, size_t units);
void hph_pages_add_free(struct hph_pages *pages, uintptr_t first, size_t units);
void hph_pages_add_empty(struct hph_pages *pages, uintptr_t first, size_t units);
void hph_pages_turn(struct hph_pages *pages);
size_t hph_pages_idle(const struct hph_pages *pages);
size_t hph_pages_take_last_free(struct hph_pages *pages, size_t units, uintptr_t *first);
void hph_pages_fence(struct hph_pages *pages, const struct hph_found *found);
void hph_pages_retire(struct hph_pages *pages, struct hph_unit *unit);
void hph_pages_lose(struct hph_pages *pages, struct hph_unit *unit);

/* bins.c */
void hph_pages_unfile(struct hph_pages *pages, struct hph_unit *unit);
void hph_pages_file(struct hph_pages *pages, struct hph_unit *unit);
struct hph_unit *hph_pages_best(const struct hph_pages *pages, unsigned int nr);
struct hph_unit *hph_pages_best_aligned(const struct hph_pages *pages, unsigned int nr,
					unsigned int align);
void hph_pages_unuse_unit(struct hph_pages *pages, struct hph_unit *unit);

/* thin.c */
struct hph_unit *hph_pages_sparsest(const struct hph_pages *pages,
				    const struct hph_sparse *sparse);
bool hph_pages_may_thin(const struct hph_pages *pages, const struct hph_unit *unit,
			const struct hph_sparse *sparse);
bool hph_pages_unchanged(const struct hph_pages *pages, const struct hph_unit *unit,
			 uint16_t window);
bool hph_pages_is_sparse(const struct hph_unit *unit, const struct hph_sparse *sparse,
			 const struct hph_parts *bare, struct hph_parts *away);
void hph_pages_thin(struct hph_pages *pages, struct hph_unit *unit, const struct hph_parts *away);
void hph_pages_thicken(struct hph_pages *pages, struct hph_unit *unit,
		       const struct hph_parts *back, const hph_pagemap zero);
void hph_pages_unhalve(struct hph_pages *pages, struct hph_unit *unit, unsigned int page,
		       unsigned int nr);
void hph_pages_list_patchy(struct hph_pages *pages, struct hph_unit *unit);
void hph_pages_unlist_patchy(struct hph_pages *pages, struct hph_unit *unit);
void hph_unit_emptied(struct hph_unit *unit);
struct hph_unit *hph_pages_take_patchy(struct hph_pages *pages);
struct hph_unit *hph_pages_thin_back(const struct hph_pages *pages);
struct hph_unit *hph_pages_thin_fit(const struct hph_pages *pages, const struct hph_want *want,
				    unsigned int *page);
void hph_pages_break(struct hph_pages *pages, struct hph_unit *unit);
void hph_pages_break_lazy(struct hph_pages *pages, struct hph_unit *unit);
size_t hph_pages_take_last_broken(struct hph_pages *pages, size_t units, uintptr_t *first);
void hph_pages_put_broken(struct hph_pages *pages, struct hph_unit *unit);

/* purge.c */
bool hph_purgeable_take(struct hph_pages *pages, size_t units, size_t align, uintptr_t *first);
size_t hph_purgeable_take_last(struct hph_pages *pages, size_t units, uintptr_t *first);
void hph_purgeable_add(struct hph_pages *pages, uintptr_t first, size_t units);
size_t hph_purgeable_idle(struct hph_pages *pages);

#endif /* HPH_PAGEALLOC_H */
