/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_SLAB_H
#define HPH_SLAB_H

#include <pthread.h>

#include "sizeclass.h"
#include "unit.h"

#define HPH_BIN_LOCKS	16u	/* of a zone: neighbouring classes have different ones */
#define HPH_FILLS	4u	/* lists of slabs that have free objects, the fullest first */

struct hpheap;
struct hph_zone;

/* What is known about a span that objects of one class are cut from; never in the span. */
struct hph_slab {
	struct hph_slab *link[2];
	uintptr_t base;
	uint32_t nr_free;
	uint32_t fresh;		/* objects from here on were never handed out */
	uint16_t word;		/* of free[]: none before it has a bit */
	uint8_t class;
	uint8_t fill;		/* the list it is in, while it has both objects and free ones */
	uint64_t free[];	/* a bit for each object that neither a program has, nor a cache */
};

/* The slabs of one class in a zone. */
struct hph_bin {
	pthread_mutex_t *lock;	/* of all that follows: one of the zone's */
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
		 unsigned int count, struct hph_slab **emptied);
void hph_bin_settle(struct hpheap *heap, struct hph_bin *bin, struct hph_slab **emptied);
void hph_bin_lose(const struct hpheap *heap, struct hph_bin *bin);
void hph_slabs_lose(const struct hpheap *heap, const struct hph_unit *unit);
struct hph_bin *hph_slab_make(struct hpheap *heap, unsigned int class);
void hph_slabs_free(struct hpheap *heap, struct hph_zone *zone, struct hph_bin *bin,
		    struct hph_slab *emptied);
void hph_slabs_free_locked(struct hpheap *heap, struct hph_zone *zone, struct hph_bin *bin,
			   struct hph_slab *emptied);

/* An object that was never handed out: of others the tag stands in them. */
#define HPH_FRESH	((uintptr_t)1)

#endif /* HPH_SLAB_H */
