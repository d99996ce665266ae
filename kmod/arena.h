/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_ARENA_H
#define HPHEAP_ARENA_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "account.h"
#include "chunk.h"

struct address_space;
struct folio;

/* A power of two: threads that touch different chunks first seldom meet. */
#define HPHEAP_FILL_LOCKS	16

/*
 * Memory by chunks. A slot holds one reference on its chunk.
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
 * innermost and held for a few instructions.
 */
struct hpheap_arena {
	u64 id;			/* the file's inode number */
	u64 bytes;		/* a multiple of the chunk size */
	unsigned long nr_chunks;
	u32 flags;		/* HPHEAP_CREATE_* */
	struct hpheap_supply supply;
	struct hpheap_charge charge;
	struct inode *inode;	/* st_blocks; valid while the file lives */

	spinlock_t lock;	/* slots, resident, node_chunks */
	struct folio **slots;
	u8 *status;		/* HPHEAP_CHUNK_*, seen by users */
	unsigned long resident;
	unsigned long *node_chunks;
	atomic_long_t purgeable; /* chunks with a mark: see purge.c */

	/* One first touch of a chunk zeroes it, the others wait. */
	struct mutex fill[HPHEAP_FILL_LOCKS];
};

static inline unsigned int hpheap_arena_chunk_shift(const struct hpheap_arena *arena)
{
	return arena->supply.order + PAGE_SHIFT;
}

static inline u64 hpheap_arena_chunk_bytes(const struct hpheap_arena *arena)
{
	return 1ULL << hpheap_arena_chunk_shift(arena);
}

/* For a chunk that stays, with its folio locked (A3). */
static inline void hpheap_arena_set_status(struct hpheap_arena *arena, unsigned long index,
					   u8 status)
{
	WRITE_ONCE(arena->status[index], status);
}

struct hpheap_arena *hpheap_arena_new(u64 bytes, unsigned int chunk_shift, u32 flags,
				      const struct hpheap_place *place);
int hpheap_arena_fill_contig(struct hpheap_arena *arena);
void hpheap_arena_free(struct hpheap_arena *arena);

struct folio *hpheap_arena_get(struct hpheap_arena *arena, unsigned long index);
struct folio *hpheap_arena_get_or_alloc(struct hpheap_arena *arena, unsigned long index);
bool hpheap_arena_holds(struct hpheap_arena *arena, unsigned long index,
			const struct folio *folio);
bool hpheap_arena_install(struct hpheap_arena *arena, unsigned long index,
			  struct folio *folio);
bool hpheap_arena_remove(struct hpheap_arena *arena, unsigned long index,
			 struct folio *folio, u8 status);
void hpheap_arena_release(struct hpheap_arena *arena, unsigned long index,
			  struct address_space *mapping);
unsigned long hpheap_arena_next(const struct hpheap_arena *arena, unsigned long index,
				bool filled);
bool hpheap_arena_locate(struct hpheap_arena *arena, unsigned long index,
			 unsigned long *pfn, int *node);

#endif /* HPHEAP_ARENA_H */
