// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arenas: a table of chunks, filled on demand.
 *
 * This file knows nothing of files and mappings: file.c and map.c put an
 * arena behind a descriptor and under addresses. Copies of an arena across
 * fork() will be further tables over the same chunks.
 */
#include "arena.h"

#include <linux/blk_types.h>
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/hpheap.h>

#include "contig.h"
#include "purge.h"
#include "status.h"
#include "trace.h"

static void free_tables(struct hpheap_arena *arena)
{
	hpheap_status_free(arena->status);
	kvfree(arena->node_chunks);
	kvfree(arena->slots);
	kfree(arena);
}

static struct hpheap_arena *alloc_tables(unsigned long nr_chunks)
{
	struct hpheap_arena *arena = kzalloc(sizeof(*arena), GFP_KERNEL_ACCOUNT);

	if (!arena)
		return NULL;
	arena->nr_chunks = nr_chunks;
	arena->slots = kvcalloc(nr_chunks, sizeof(*arena->slots),
				GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	arena->node_chunks = kvcalloc(nr_node_ids, sizeof(*arena->node_chunks),
				      GFP_KERNEL_ACCOUNT);
	arena->status = hpheap_status_alloc(nr_chunks);
	if (arena->slots && arena->node_chunks && arena->status)
		return arena;
	free_tables(arena);
	return NULL;
}

/**
 * hpheap_arena_new() - make an empty arena, charged to the caller
 * @bytes: its size, checked against what the nodes have
 * @chunk_shift: log2 of the chunk size
 * @flags: HPHEAP_CREATE_*
 * @place: where chunks come from
 *
 * Return: the arena, -ENOMEM, or the error of hpheap_charge().
 */
struct hpheap_arena *hpheap_arena_new(u64 bytes, unsigned int chunk_shift, u32 flags,
				      const struct hpheap_place *place)
{
	struct hpheap_arena *arena;
	int err, i;

	arena = alloc_tables(bytes >> chunk_shift);
	if (!arena)
		return ERR_PTR(-ENOMEM);

	err = hpheap_charge(&arena->charge, bytes);
	if (err) {
		free_tables(arena);
		return ERR_PTR(err);
	}
	arena->bytes = bytes;
	arena->flags = flags;
	arena->supply.order = chunk_shift - PAGE_SHIFT;
	arena->supply.place = *place;
	arena->supply.memcg = get_mem_cgroup_from_mm(current->mm);
	spin_lock_init(&arena->lock);
	for (i = 0; i < HPHEAP_FILL_LOCKS; i++)
		mutex_init(&arena->fill[i]);
	atomic64_inc(&hpheap_counters.arenas);
	return arena;
}

/* Fills a new arena with one physical run; -ENOMEM or -EINTR. */
int hpheap_arena_fill_contig(struct hpheap_arena *arena)
{
	struct folio *folio, *next;
	unsigned long index = 0;
	LIST_HEAD(run);
	int err;

	err = hpheap_contig_alloc(&arena->supply, arena->nr_chunks, &run);
	if (err)
		return err;
	list_for_each_entry_safe(folio, next, &run, lru) {
		list_del(&folio->lru);
		hpheap_arena_install(arena, index++, folio);
	}
	return 0;
}

/**
 * hpheap_arena_free() - free an arena and its chunks
 * @arena: without file or mapping
 */
void hpheap_arena_free(struct hpheap_arena *arena)
{
	unsigned long index;

	trace_hpheap_arena_destroy(arena->id, arena->resident << hpheap_arena_chunk_shift(arena));
	for (index = hpheap_arena_next(arena, 0, true); index < arena->nr_chunks;
	     index = hpheap_arena_next(arena, index + 1, true)) {
		hpheap_arena_release(arena, index, NULL);
		cond_resched();
	}
	hpheap_purge_wait(arena);
	mem_cgroup_put(arena->supply.memcg);
	hpheap_uncharge(&arena->charge);
	free_tables(arena);
	atomic64_dec(&hpheap_counters.arenas);
}

/* The chunk in a slot with a reference of the caller's own, or NULL. */
struct folio *hpheap_arena_get(struct hpheap_arena *arena, unsigned long index)
{
	struct folio *folio;

	spin_lock(&arena->lock);
	folio = arena->slots[index];
	if (folio)
		folio_get(folio);
	spin_unlock(&arena->lock);
	return folio;
}

/**
 * hpheap_arena_get_or_alloc() - the chunk in a slot, allocated if there is none
 * @arena: the arena
 * @index: of the slot
 *
 * Return: the chunk with a reference of the caller's own; -ENOMEM; -EINTR
 * killed.
 */
struct folio *hpheap_arena_get_or_alloc(struct hpheap_arena *arena, unsigned long index)
{
	struct mutex *fill = &arena->fill[index % HPHEAP_FILL_LOCKS];
	struct folio *folio, *fresh;

	folio = hpheap_arena_get(arena, index);
	if (folio)
		return folio;
	if (mutex_lock_killable(fill))
		return ERR_PTR(-EINTR);
	while (!(folio = hpheap_arena_get(arena, index))) {
		fresh = hpheap_chunk_alloc(&arena->supply, index);
		if (!fresh) {
			folio = ERR_PTR(-ENOMEM);
			break;
		}
		/* fallocate() does not take fill and may have come first */
		if (!hpheap_arena_install(arena, index, fresh))
			hpheap_chunk_free(fresh);
	}
	mutex_unlock(fill);
	return folio;
}

/* Is @folio still the slot's chunk? To be asked with the folio locked (A1). */
bool hpheap_arena_holds(struct hpheap_arena *arena, unsigned long index,
			const struct folio *folio)
{
	return READ_ONCE(arena->slots[index]) == folio;
}

/*
 * What fstat() reads is written under the arena's lock alone: the inode's own is not
 * to be had where the shrinker takes a chunk, and nobody else writes it.
 */
static void count_chunk(struct hpheap_arena *arena, struct folio *folio, long n)
{
	lockdep_assert_held(&arena->lock);
	arena->resident += n;
	WRITE_ONCE(arena->inode->i_blocks,
		   (blkcnt_t)arena->resident << (hpheap_arena_chunk_shift(arena) - SECTOR_SHIFT));
	arena->node_chunks[folio_nid(folio)] += n;
}

/* Gives the caller's reference to an empty slot; false when it is filled. */
bool hpheap_arena_install(struct hpheap_arena *arena, unsigned long index,
			  struct folio *folio)
{
	int node = folio_nid(folio);
	bool empty;

	spin_lock(&arena->lock);
	empty = !arena->slots[index];
	if (empty) {
		WRITE_ONCE(arena->slots[index], folio);
		hpheap_arena_set_status(arena, index, HPHEAP_CHUNK_ZEROED);
		count_chunk(arena, folio, 1);
	}
	spin_unlock(&arena->lock);
	if (empty)
		trace_hpheap_chunk_alloc(arena->id, index, node);
	return empty;
}

/*
 * Empties a slot that holds @folio, which must be locked (A1), and gives its
 * reference to the caller; false when it holds it no longer. @status is what it
 * is then: absent or taken.
 */
bool hpheap_arena_remove(struct hpheap_arena *arena, unsigned long index,
			 struct folio *folio, u8 status)
{
	bool held;

	spin_lock(&arena->lock);
	held = arena->slots[index] == folio;
	if (held) {
		WRITE_ONCE(arena->slots[index], NULL);
		hpheap_arena_set_status(arena, index, status);
		count_chunk(arena, folio, -1);
	}
	spin_unlock(&arena->lock);
	if (held)
		trace_hpheap_chunk_release(arena->id, index, folio_nid(folio));
	return held;
}

/**
 * hpheap_arena_release() - free the chunk of a slot, if there is one
 * @arena: the arena
 * @index: of the slot
 * @mapping: of its file; NULL if there is no mapping any more
 *
 * The slot is emptied and its mappings go under the folio lock (A1). The shrinker
 * may come first: then there is none.
 */
void hpheap_arena_release(struct hpheap_arena *arena, unsigned long index,
			  struct address_space *mapping)
{
	unsigned int shift = hpheap_arena_chunk_shift(arena);
	struct folio *folio = hpheap_arena_get(arena, index);
	bool removed;

	if (!folio)
		return;
	folio_lock(folio);
	removed = hpheap_arena_remove(arena, index, folio, HPHEAP_CHUNK_ABSENT);
	if (removed) {
		hpheap_purge_unmark(arena, folio);
		if (mapping)
			unmap_mapping_range(mapping, (loff_t)index << shift, 1LL << shift, 1);
	}
	folio_unlock(folio);
	folio_put(folio);
	if (removed)
		hpheap_chunk_free(folio);
}

/* The first slot from @index on that is filled or empty; nr_chunks if none is. */
unsigned long hpheap_arena_next(const struct hpheap_arena *arena, unsigned long index,
				bool filled)
{
	for (; index < arena->nr_chunks; index++) {
		if (filled == !!READ_ONCE(arena->slots[index]))
			break;
		if (!(index % 4096))
			cond_resched();
	}
	return index;
}

/* Where the chunk of a slot lies; false when it is empty. */
bool hpheap_arena_locate(struct hpheap_arena *arena, unsigned long index,
			 unsigned long *pfn, int *node)
{
	struct folio *folio;

	spin_lock(&arena->lock);
	folio = arena->slots[index];
	if (folio) {
		*pfn = folio_pfn(folio);
		*node = folio_nid(folio);
	}
	spin_unlock(&arena->lock);
	return folio;
}
