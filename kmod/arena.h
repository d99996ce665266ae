/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_ARENA_H
#define HPHEAP_ARENA_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "account.h"
#include "chunk.h"

struct folio;
struct hpheap_view;

/* What all views of an arena have in common. */
struct hpheap_arena {
	u64 id;			/* the file's inode number */
	u64 bytes;		/* a multiple of the chunk size */
	u32 flags;		/* HPHEAP_CREATE_* */
	struct hpheap_supply supply;
	struct hpheap_charge charge;
	struct hpheap_view *own; /* that of the process that made it */
	struct mutex views_lock;
	struct list_head views;	/* of FORK_COW: one for each process */
	atomic_long_t mappings;	/* armed ones, of all of them: see fork.c */
	spinlock_t chunks_lock;
	unsigned long chunks;	/* of FORK_COW: in all views; */
	unsigned long charged;	/* of them, those beyond its size that are charged */
};

static inline unsigned int hpheap_arena_chunk_shift(const struct hpheap_arena *arena)
{
	return arena->supply.order + PAGE_SHIFT;
}

static inline u64 hpheap_arena_chunk_bytes(const struct hpheap_arena *arena)
{
	return 1ULL << hpheap_arena_chunk_shift(arena);
}

static inline unsigned long hpheap_arena_nr_chunks(const struct hpheap_arena *arena)
{
	return arena->bytes >> hpheap_arena_chunk_shift(arena);
}

struct hpheap_arena *hpheap_arena_new(u64 bytes, unsigned int chunk_shift, u32 flags,
				      const struct hpheap_place *place);
struct folio *hpheap_arena_alloc(struct hpheap_arena *arena, unsigned long index);
struct folio *hpheap_arena_copy(struct hpheap_arena *arena, struct folio *from);
void hpheap_arena_drop(struct hpheap_arena *arena, struct folio *folio);
void hpheap_arena_uncount(struct hpheap_arena *arena);
int hpheap_arena_fill_contig(struct hpheap_arena *arena);
void hpheap_arena_free(struct hpheap_arena *arena);

#endif /* HPHEAP_ARENA_H */
