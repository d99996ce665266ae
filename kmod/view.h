/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_VIEW_H
#define HPHEAP_VIEW_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "arena.h"

struct address_space;
struct folio;
struct mm_struct;

/* A power of two: threads that touch different chunks first seldom meet. */
#define HPHEAP_FILL_LOCKS	16

/*
 * Memory by chunks. A slot holds one reference on its chunk. Arenas have one view for all
 * processes, those of FORK_COW one for each.
 *
 * Invariants:
 *  A1 a slot changes from a chunk to empty only with that chunk's folio lock
 *     held, and whoever maps a chunk rechecks the slot under the same lock:
 *     so no mapping outlives a punch.
 *  A2 resident and node_chunks count the filled slots; under lock.
 *  A3 status[i] changes as slot i does, in one go under lock, and while that is
 *     filled, with the chunk's folio lock held.
 *
 * Lock order: mmap_lock or VMA lock, fill, folio lock, i_mmap_rwsem; lock is
 * innermost and held for a few instructions. So are the arena's views_lock and chunks_lock.
 */
struct hpheap_view {
	struct hpheap_arena *arena;
	unsigned long nr_chunks;
	struct mm_struct *mm;	/* whose; its structure stays while the view does; NULL: all's */
	struct list_head list;	/* of the arena's, under its views_lock */
	refcount_t users;	/* mappings of fork.c, calls, and of the first one the arena */
	atomic_long_t pending;	/* of the mappings: those that a fork is making, see fork.c */
	bool armed;		/* chunks may be shared: see fork.c; under mm's lock */
	bool lost;		/* not all of it could be had: no touch is answered */
	bool placed;		/* it was mapped: */
	unsigned long origin;	/* where the file would begin then; under mm's lock */
	bool scattered;		/* mappings differ in that: a chunk may be in more than one */

	spinlock_t lock;	/* slots, resident, node_chunks */
	struct folio **slots;
	u8 *status;		/* HPHEAP_CHUNK_*, seen by users */
	unsigned long resident;
	unsigned long *node_chunks;
	atomic_long_t purgeable; /* chunks with a mark: see purge.c */

	/* One first touch of a chunk zeroes it, the others wait. */
	struct mutex fill[HPHEAP_FILL_LOCKS];
};

/* For a chunk that stays, with its folio locked (A3). */
static inline void hpheap_view_set_status(struct hpheap_view *view, unsigned long index,
					  u8 status)
{
	WRITE_ONCE(view->status[index], status);
}

struct hpheap_view *hpheap_view_new(struct hpheap_arena *arena, unsigned long nr_chunks,
				    struct mm_struct *mm);
void hpheap_view_clear(struct hpheap_view *view);
struct hpheap_view *hpheap_view_find(struct hpheap_arena *arena, struct mm_struct *mm);
void hpheap_view_put(struct hpheap_view *view);

struct folio *hpheap_view_get(struct hpheap_view *view, unsigned long index);
struct folio *hpheap_view_get_or_alloc(struct hpheap_view *view, unsigned long index);
bool hpheap_view_holds(struct hpheap_view *view, unsigned long index,
		       const struct folio *folio);
bool hpheap_view_install(struct hpheap_view *view, unsigned long index,
			 struct folio *folio);
void hpheap_view_adopt(struct hpheap_view *view, unsigned long index,
		       struct folio *folio, u8 status);
bool hpheap_view_find_private(struct hpheap_view *view, unsigned long *first,
			      unsigned long *last);
bool hpheap_view_remove(struct hpheap_view *view, unsigned long index,
			struct folio *folio, u8 status);
void hpheap_view_replace(struct hpheap_view *view, unsigned long index,
			 struct folio *old, struct folio *folio);
void hpheap_view_unmap(struct hpheap_view *view, unsigned long index,
		       struct address_space *mapping);
void hpheap_view_release(struct hpheap_view *view, unsigned long index,
			 struct address_space *mapping);
unsigned long hpheap_view_next(const struct hpheap_view *view, unsigned long index,
			       bool filled);
bool hpheap_view_locate(struct hpheap_view *view, unsigned long index,
			unsigned long *pfn, int *node);

#endif /* HPHEAP_VIEW_H */
