// SPDX-License-Identifier: GPL-2.0-only
/*
 * Views: an arena's memory as one process sees it, a table of chunks that is filled on
 * demand.
 *
 * This file knows nothing of files and mappings: file.c and map.c put an
 * arena behind a descriptor and under addresses.
 */
#include "view.h"

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/hpheap.h>

#include "arena.h"
#include "purge.h"
#include "status.h"
#include "trace.h"

/* Without the memory of what is in it. */
static void free_tables(struct hpheap_view *view)
{
	hpheap_status_free(view->status);
	kvfree(view->node_chunks);
	kvfree(view->slots);
	kfree(view);
}

/* An empty one, charged to the caller; NULL without memory. */
struct hpheap_view *hpheap_view_new(struct hpheap_arena *arena, unsigned long nr_chunks,
				    struct mm_struct *mm)
{
	struct hpheap_view *view = kzalloc(sizeof(*view), GFP_KERNEL_ACCOUNT);
	int i;

	if (!view)
		return NULL;
	view->arena = arena;
	view->nr_chunks = nr_chunks;
	refcount_set(&view->users, 1);
	spin_lock_init(&view->lock);
	for (i = 0; i < HPHEAP_FILL_LOCKS; i++)
		mutex_init(&view->fill[i]);
	view->slots = kvcalloc(nr_chunks, sizeof(*view->slots),
			       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	view->node_chunks = kvcalloc(nr_node_ids, sizeof(*view->node_chunks),
				     GFP_KERNEL_ACCOUNT);
	view->status = hpheap_status_alloc(nr_chunks);
	if (!view->slots || !view->node_chunks || !view->status) {
		free_tables(view);
		return NULL;
	}
	if (mm)
		mmgrab(mm);
	view->mm = mm;
	mutex_lock(&arena->views_lock);
	list_add(&view->list, &arena->views);
	mutex_unlock(&arena->views_lock);
	return view;
}

/* Frees the chunks of a view without mapping, as far as nobody else has them. */
void hpheap_view_clear(struct hpheap_view *view)
{
	unsigned long index;

	for (index = hpheap_view_next(view, 0, true); index < view->nr_chunks;
	     index = hpheap_view_next(view, index + 1, true)) {
		hpheap_view_release(view, index, NULL);
		cond_resched();
	}
}

/**
 * hpheap_view_find() - the view of a process
 * @arena: the arena
 * @mm: the process's
 *
 * Return: the view, to be put; NULL: the arena is of FORK_COW and the process neither made it
 * nor has got it from who did.
 */
struct hpheap_view *hpheap_view_find(struct hpheap_arena *arena, struct mm_struct *mm)
{
	struct hpheap_view *view;

	if (!(arena->flags & HPHEAP_CREATE_FORK_COW)) {
		refcount_inc(&arena->own->users);
		return arena->own;
	}
	mutex_lock(&arena->views_lock);
	list_for_each_entry(view, &arena->views, list)
		if (view->mm == mm && refcount_inc_not_zero(&view->users))
			goto out;
	view = NULL;
out:
	mutex_unlock(&arena->views_lock);
	return view;
}

/* The last user of a view, which has no mapping then, frees it and its chunks. */
void hpheap_view_put(struct hpheap_view *view)
{
	if (!refcount_dec_and_mutex_lock(&view->users, &view->arena->views_lock))
		return;
	list_del(&view->list);
	mutex_unlock(&view->arena->views_lock);
	hpheap_view_clear(view);
	hpheap_purge_wait(view);
	if (view->mm)
		mmdrop(view->mm);
	free_tables(view);
}

/* The chunk in a slot with a reference of the caller's own, or NULL. */
struct folio *hpheap_view_get(struct hpheap_view *view, unsigned long index)
{
	struct folio *folio;

	spin_lock(&view->lock);
	folio = view->slots[index];
	if (folio)
		folio_get(folio);
	spin_unlock(&view->lock);
	return folio;
}

/**
 * hpheap_view_get_or_alloc() - the chunk in a slot, allocated if there is none
 * @view: the view
 * @index: of the slot
 *
 * Return: the chunk with a reference of the caller's own; -ENOMEM; -EINTR
 * killed.
 */
struct folio *hpheap_view_get_or_alloc(struct hpheap_view *view, unsigned long index)
{
	struct mutex *fill = &view->fill[index % HPHEAP_FILL_LOCKS];
	struct folio *folio, *fresh;

	folio = hpheap_view_get(view, index);
	if (folio)
		return folio;
	if (mutex_lock_killable(fill))
		return ERR_PTR(-EINTR);
	while (!(folio = hpheap_view_get(view, index))) {
		fresh = hpheap_arena_alloc(view->arena, index);
		if (!fresh) {
			folio = ERR_PTR(-ENOMEM);
			break;
		}
		/* fallocate() does not take fill and may have come first */
		if (!hpheap_view_install(view, index, fresh))
			hpheap_arena_drop(view->arena, fresh);
	}
	mutex_unlock(fill);
	return folio;
}

/* Is @folio still the slot's chunk? To be asked with the folio locked (A1). */
bool hpheap_view_holds(struct hpheap_view *view, unsigned long index,
		       const struct folio *folio)
{
	return READ_ONCE(view->slots[index]) == folio;
}

static void count_chunk(struct hpheap_view *view, struct folio *folio, long n)
{
	lockdep_assert_held(&view->lock);
	view->resident += n;
	view->node_chunks[folio_nid(folio)] += n;
}

/* Gives the caller's reference to an empty slot; false when it is filled. */
bool hpheap_view_install(struct hpheap_view *view, unsigned long index,
			 struct folio *folio)
{
	int node = folio_nid(folio);
	bool empty;

	spin_lock(&view->lock);
	empty = !view->slots[index];
	if (empty) {
		WRITE_ONCE(view->slots[index], folio);
		hpheap_view_set_status(view, index, HPHEAP_CHUNK_ZEROED);
		count_chunk(view, folio, 1);
	}
	spin_unlock(&view->lock);
	if (empty)
		trace_hpheap_chunk_alloc(view->arena->id, index, node);
	return empty;
}

/* The same for a view that nobody else knows yet. */
void hpheap_view_adopt(struct hpheap_view *view, unsigned long index,
		       struct folio *folio, u8 status)
{
	view->slots[index] = folio;
	view->status[index] = status;
	view->resident++;
	view->node_chunks[folio_nid(folio)]++;
}

/* So many chunks' states are read under one lock. */
#define SCAN	64

/* The first and the last slot of which the chunk may be mapped writable; false: there is none. */
bool hpheap_view_find_private(struct hpheap_view *view, unsigned long *first,
			      unsigned long *last)
{
	unsigned long index = 0, end;

	*first = view->nr_chunks;
	*last = 0;
	while (index < view->nr_chunks) {
		end = min(index + SCAN, view->nr_chunks);
		spin_lock(&view->lock);
		for (; index < end; index++) {
			struct folio *folio = view->slots[index];

			if (!folio || hpheap_chunk_was_shared(folio))
				continue;
			*first = min(*first, index);
			*last = index;
		}
		spin_unlock(&view->lock);
		cond_resched();
	}
	return *first <= *last;
}

/*
 * Empties a slot that holds @folio, which must be locked (A1), and gives its
 * reference to the caller; false when it holds it no longer. @status is what it
 * is then: absent or taken.
 */
bool hpheap_view_remove(struct hpheap_view *view, unsigned long index,
			struct folio *folio, u8 status)
{
	bool held;

	spin_lock(&view->lock);
	held = view->slots[index] == folio;
	if (held) {
		WRITE_ONCE(view->slots[index], NULL);
		hpheap_view_set_status(view, index, status);
		count_chunk(view, folio, -1);
	}
	spin_unlock(&view->lock);
	if (held)
		trace_hpheap_chunk_release(view->arena->id, index, folio_nid(folio));
	return held;
}

/* Another chunk for the one of a slot, which must be locked (A1); both references change hands. */
void hpheap_view_replace(struct hpheap_view *view, unsigned long index,
			 struct folio *old, struct folio *folio)
{
	spin_lock(&view->lock);
	WRITE_ONCE(view->slots[index], folio);
	count_chunk(view, old, -1);
	count_chunk(view, folio, 1);
	spin_unlock(&view->lock);
	trace_hpheap_chunk_copy(view->arena->id, index, folio_nid(folio));
}

/* What is mapped of a slot goes, in all processes that have it mapped: see fork.c. */
void hpheap_view_unmap(struct hpheap_view *view, unsigned long index,
		       struct address_space *mapping)
{
	unsigned int shift = hpheap_arena_chunk_shift(view->arena);

	unmap_mapping_range(mapping, (loff_t)index << shift, 1LL << shift, 1);
}

/**
 * hpheap_view_release() - free the chunk of a slot, if there is one
 * @view: the view
 * @index: of the slot
 * @mapping: of its file; NULL if there is no mapping any more
 *
 * The slot is emptied and its mappings go under the folio lock (A1). The shrinker
 * may come first: then there is none.
 */
void hpheap_view_release(struct hpheap_view *view, unsigned long index,
			 struct address_space *mapping)
{
	struct folio *folio = hpheap_view_get(view, index);
	bool removed, shared;

	if (!folio)
		return;
	folio_lock(folio);
	removed = hpheap_view_remove(view, index, folio, HPHEAP_CHUNK_ABSENT);
	shared = removed && hpheap_chunk_unshare(folio);
	if (removed) {
		hpheap_purge_unmark(view, folio);
		if (mapping)
			hpheap_view_unmap(view, index, mapping);
	}
	folio_unlock(folio);
	folio_put(folio);
	if (shared)
		folio_put(folio);
	else if (removed)
		hpheap_arena_drop(view->arena, folio);
}

/* The first slot from @index on that is filled or empty; nr_chunks if none is. */
unsigned long hpheap_view_next(const struct hpheap_view *view, unsigned long index,
			       bool filled)
{
	for (; index < view->nr_chunks; index++) {
		if (filled == !!READ_ONCE(view->slots[index]))
			break;
		if (!(index % 4096))
			cond_resched();
	}
	return index;
}

/* Where the chunk of a slot lies; false when it is empty. */
bool hpheap_view_locate(struct hpheap_view *view, unsigned long index,
			unsigned long *pfn, int *node)
{
	struct folio *folio;

	spin_lock(&view->lock);
	folio = view->slots[index];
	if (folio) {
		*pfn = folio_pfn(folio);
		*node = folio_nid(folio);
	}
	spin_unlock(&view->lock);
	return folio;
}
