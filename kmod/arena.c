// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arenas: what they may have, from where, and who pays. Their memory is in views.
 */
#include "arena.h"

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/hpheap.h>

#include "contig.h"
#include "trace.h"
#include "view.h"

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
	struct hpheap_arena *arena = kzalloc(sizeof(*arena), GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (!arena)
		return ERR_PTR(-ENOMEM);
	arena->bytes = bytes;
	arena->flags = flags;
	arena->supply.order = chunk_shift - PAGE_SHIFT;
	arena->supply.place = *place;
	mutex_init(&arena->views_lock);
	spin_lock_init(&arena->chunks_lock);
	INIT_LIST_HEAD(&arena->views);
	arena->own = hpheap_view_new(arena, bytes >> chunk_shift,
				     flags & HPHEAP_CREATE_FORK_COW ? current->mm : NULL);
	if (!arena->own)
		goto err_arena;
	err = hpheap_charge(&arena->charge, bytes);
	if (err)
		goto err_view;
	/* Who copies pays. */
	if (!(flags & HPHEAP_CREATE_FORK_COW))
		arena->supply.memcg = get_mem_cgroup_from_mm(current->mm);
	atomic64_inc(&hpheap_counters.arenas);
	return arena;

err_view:
	hpheap_view_put(arena->own);
err_arena:
	kfree(arena);
	return ERR_PTR(err);
}

/*
 * One chunk more; false: it would be one too many for the module's limit. Before the first
 * fork there is one too many only for a moment, that nobody needs after all.
 */
static bool count(struct hpheap_arena *arena)
{
	bool may = true;

	if (!(arena->flags & HPHEAP_CREATE_FORK_COW))
		return true;
	spin_lock(&arena->chunks_lock);
	if (arena->chunks >= hpheap_arena_nr_chunks(arena) + arena->charged) {
		if (!hpheap_charge_copy(hpheap_arena_chunk_bytes(arena)))
			arena->charged++;
		else
			may = !READ_ONCE(arena->own->armed);
	}
	arena->chunks += may;
	spin_unlock(&arena->chunks_lock);
	return may;
}

/* One less, which is freed or about to be. */
void hpheap_arena_uncount(struct hpheap_arena *arena)
{
	if (!(arena->flags & HPHEAP_CREATE_FORK_COW))
		return;
	spin_lock(&arena->chunks_lock);
	arena->chunks--;
	if (arena->charged && arena->chunks < hpheap_arena_nr_chunks(arena) + arena->charged) {
		hpheap_uncharge_copy(hpheap_arena_chunk_bytes(arena));
		arena->charged--;
	}
	spin_unlock(&arena->chunks_lock);
}

/* hpheap_chunk_alloc() for an arena; the same errors. */
struct folio *hpheap_arena_alloc(struct hpheap_arena *arena, unsigned long index)
{
	struct folio *folio;

	if (!count(arena))
		return NULL;
	folio = hpheap_chunk_alloc(&arena->supply, index);
	if (!folio)
		hpheap_arena_uncount(arena);
	return folio;
}

/* hpheap_chunk_copy() for an arena; the same errors. */
struct folio *hpheap_arena_copy(struct hpheap_arena *arena, struct folio *from)
{
	struct folio *folio;

	if (!count(arena))
		return ERR_PTR(-ENOMEM);
	folio = hpheap_chunk_copy(&arena->supply, from);
	if (IS_ERR(folio))
		hpheap_arena_uncount(arena);
	return folio;
}

/* Frees what either gave. */
void hpheap_arena_drop(struct hpheap_arena *arena, struct folio *folio)
{
	hpheap_arena_uncount(arena);
	hpheap_chunk_free(folio);
}

/* Fills a new arena with one physical run; -ENOMEM or -EINTR. */
int hpheap_arena_fill_contig(struct hpheap_arena *arena)
{
	struct folio *folio, *next;
	unsigned long index = 0;
	LIST_HEAD(run);
	int err;

	err = hpheap_contig_alloc(&arena->supply, hpheap_arena_nr_chunks(arena), &run);
	if (err)
		return err;
	list_for_each_entry_safe(folio, next, &run, lru) {
		list_del(&folio->lru);
		hpheap_view_install(arena->own, index++, folio);
	}
	return 0;
}

/**
 * hpheap_arena_free() - free an arena and its chunks
 * @arena: without file or mapping
 */
void hpheap_arena_free(struct hpheap_arena *arena)
{
	trace_hpheap_arena_destroy(arena->id,
				   (u64)arena->own->resident << hpheap_arena_chunk_shift(arena));
	hpheap_view_put(arena->own);
	mem_cgroup_put(arena->supply.memcg);
	hpheap_uncharge(&arena->charge);
	kfree(arena);
	atomic64_dec(&hpheap_counters.arenas);
}
