/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_SLAB_H
#define HPH_SLAB_H

#include <pthread.h>

#include "lock.h"
#include "sizeclass.h"
#include "unit.h"

#define HPH_BIN_LOCKS	16u	/* of a zone: neighbouring classes have different ones */
#define HPH_FILLS	4u	/* lists of slabs that have free objects, the fullest first */

struct hpheap;
struct hph_zone;

/* What is known about a span that objects of one class are cut from; never in the span. */
struct hph_slab {
	struct hph_slab *link[2];
	struct hph_unit *unit;	/* that it lies in */
	uintptr_t base;
	uint16_t nr_free;
	uint16_t nr_withdrawn;	/* free ones on hollow pages: hollow.c */
	uint32_t fresh;		/* objects from here on were never handed out */
	uint16_t word;		/* of free[]: none before it has a bit */
	uint8_t class;
	uint8_t fill;		/* the list it is in, while it has both objects and free ones */
	uint64_t free[];	/* a bit for each object that neither a program has, nor a cache */
};

/* The slabs of a unit, by the page that each begins at. */
struct hph_slabs {
	struct hph_unit *next;	/* that ever had slabs, in its heap */
	uint16_t combed;	/* in which window last: see sparse.c; HPH_NEVER: it was not */
	/* Away, of pages of slabs that are not: as the unit's away, under the same locks. */
	hph_pagemap halves[HPH_HALVES];
	/* Of the unit's away: half of the page is there, with what was in it. */
	hph_pagemap remnants;
	struct hph_slab *at[HPH_UNIT_PAGES / HPH_SLAB_LEAST_PAGES]; /* none has fewer pages */
};

/* The slabs of one class in a zone. */
struct hph_bin {
	pthread_mutex_t *lock;	/* of all that follows: one of the zone's */
	const struct hph_pages *pages;	/* the zone's */
	uint32_t ready;		/* objects in the depot, on their way between threads */
	uintptr_t *depot;	/* has room for two threads' caches; NULL: not made yet */
	struct hph_slab *partial[HPH_FILLS];
	struct hph_slab *empty;	/* one without objects is kept */
	struct hph_slab *unused; /* structures without a span */
	size_t slabs;
	size_t taken;		/* objects that are not in a slab */
	uint64_t look;		/* as the scavenger saw the depot last */
};

unsigned int hph_bin_take(struct hph_bin *bin, uintptr_t *slots, unsigned int wanted);
void hph_bin_put(struct hpheap *heap, struct hph_bin *bin, const uintptr_t *slots,
		 unsigned int count, bool touches, struct hph_slab **emptied);
void hph_bin_settle(struct hpheap *heap, struct hph_bin *bin, struct hph_slab **emptied);
void hph_bin_lose(struct hph_bin *bin);
void hph_slabs_lose(const struct hpheap *heap, const struct hph_unit *unit);
struct hph_bin *hph_slab_make(struct hpheap *heap, unsigned int class);
void hph_slabs_free(struct hph_zone *zone, struct hph_bin *bin, struct hph_slab *emptied);
void hph_slabs_free_locked(struct hph_zone *zone, struct hph_bin *bin,
			   struct hph_slab *emptied);

void hph_slab_refile(struct hph_bin *bin, struct hph_slab *slab, unsigned int before);
struct hph_slab *hph_slab_next(const struct hph_unit *unit, unsigned int *next);

/* hollow.c */
void hph_slabs_bare(const struct hph_unit *unit, bool halves, struct hph_parts *bare);
void hph_slabs_withdraw(const struct hph_zone *zone, const struct hph_unit *unit,
			const struct hph_parts *away);
void hph_slabs_return(const struct hpheap *heap, const struct hph_zone *zone,
		      const struct hph_unit *unit, const struct hph_parts *back);
void hph_slabs_tag(uintptr_t secret, const struct hph_unit *unit, const struct hph_parts *back);
bool hph_slab_is_withdrawn(const struct hph_slab *slab, unsigned int index);

/* The structure of a slab that begins at a page. */
static inline struct hph_slab **hph_slab_at(const struct hph_unit *unit, unsigned int page)
{
	return &unit->slabs->at[page / HPH_SLAB_LEAST_PAGES];
}

/* An object that was never handed out: of others the tag stands in them. */
#define HPH_FRESH	((uintptr_t)1)

#endif /* HPH_SLAB_H */
