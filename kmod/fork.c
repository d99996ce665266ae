// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork() of an arena that is copied on write, a chunk at a time.
 *
 * A child gets a view of its own with the same chunks. All of them are shared then, which
 * their mappings show: none is writable. Who writes gets a copy in his view, and
 * whoever is left with the chunk alone goes on with it.
 *
 * Core mm calls vm_ops->open at the end of the copying of a mapping. The forking process
 * cannot take a page fault meanwhile: its mmap_lock is held, and the lock of each mapping
 * (Linux 6.4) from hpheap_fork_arm() on. So first its writable mappings go, then
 * nobody has pages of a chunk that he could still get pinned to be written to, and
 * then chunks are shared; those that are pinned already are copied, so that who does I/O
 * there stays with whom he began with.
 *
 * Until its first fork a process pays nothing: its mappings are armed then, which means
 * that they ask before they let anybody write, and are counted by their view.
 *
 * Invariants:
 *  F1 a chunk in more than one view says so (hpheap_chunk_is_shared()), and no mapping of it
 *     is writable. It is shared and no more shared with its lock held.
 *  F2 a view with shared chunks is armed, and so is each mapping of it.
 *  F3 an armed mapping is a user of its view, and counted by the arena: in a child from
 *     its first touch on, for Linux may take the file's reference for it only after open.
 */
#include "fork.h"

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/hpheap.h>

#include "chunk.h"
#include "compat.h"
#include "view.h"

/**
 * hpheap_fork_place() - take note of where a view is mapped
 * @view: that of one process
 * @vma: a mapping of it that is being made; its mm's lock is held to be written
 */
void hpheap_fork_place(struct hpheap_view *view, const struct vm_area_struct *vma)
{
	unsigned long origin = vma->vm_start - (vma->vm_pgoff << PAGE_SHIFT);

	if (!view->placed)
		view->origin = origin;
	else if (view->origin != origin)
		view->scattered = true;
	view->placed = true;
}

/**
 * hpheap_fork_arm() - let a mapping be one of a view with shared chunks
 * @vma: its mm's lock is held to be written, or nobody else knows it yet
 * @armed: operations with which it does that
 * @forking: it is a child's that is being made
 */
void hpheap_fork_arm(struct vm_area_struct *vma, const struct vm_operations_struct *armed,
		     bool forking)
{
	struct hpheap_view *view = vma->vm_private_data;

	/* What mappings with page_mkwrite have: writing asks first. */
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags & ~VM_SHARED);
	vma->vm_ops = armed;
	refcount_inc(&view->users);
	atomic_long_inc(forking ? &view->pending : &view->arena->mappings);
}

/* Somebody touches the memory of a view: the fork that made it is over. */
void hpheap_fork_done(struct hpheap_view *view)
{
	if (unlikely(atomic_long_read(&view->pending)))
		atomic_long_add(atomic_long_xchg(&view->pending, 0), &view->arena->mappings);
}

/* All mappings of the forking process. */
static void arm_all(struct hpheap_view *view, const struct vm_operations_struct *armed)
{
	VMA_ITERATOR(vmi, view->mm, 0);
	struct vm_area_struct *vma;

	for_each_vma(vmi, vma) {
		if (vma->vm_private_data != view || !vma->vm_file ||
		    vma->vm_file->private_data != view->arena)
			continue;
		compat_vma_start_write(vma);
		if (!view->armed)
			hpheap_fork_arm(vma, armed, false);
	}
	view->armed = true;
}

/* The part of a view that is not shared yet loses its mappings; others come again. */
static void close_mappings(struct hpheap_view *view, struct address_space *mapping)
{
	unsigned int shift = hpheap_arena_chunk_shift(view->arena);
	unsigned long first, last;

	if (hpheap_view_find_private(view, &first, &last))
		unmap_mapping_range(mapping, (loff_t)first << shift,
				    (loff_t)(last - first + 1) << shift, 1);
}

/*
 * Is there I/O to pages of a chunk? The slot has a reference, and the caller; whose is
 * another one Linux does not say, before 6.5 also for O_DIRECT. A chunk that was shared can be
 * read only.
 */
static bool is_pinned(struct folio *folio)
{
	return folio_maybe_dma_pinned(folio) ||
	       (!hpheap_chunk_was_shared(folio) && folio_ref_count(folio) != 2);
}

/*
 * Gives the child one chunk; false: there is no memory for the copy of a pinned one. What is
 * marked may be taken from its owner at any time: for the child it is.
 */
static bool share(struct hpheap_view *view, struct hpheap_view *child, unsigned long index,
		  struct address_space *mapping)
{
	struct folio *folio = hpheap_view_get(view, index), *given = folio;
	u8 status;

	if (!folio)
		return true;
	folio_lock(folio);
	status = READ_ONCE(view->status[index]);
	if (!hpheap_view_holds(view, index, folio)) {
		given = NULL;
	} else if (status == HPHEAP_CHUNK_PURGEABLE) {
		WRITE_ONCE(child->status[index], HPHEAP_CHUNK_TAKEN);
		given = NULL;
	} else if (is_pinned(folio)) {
		given = hpheap_arena_copy(view->arena, folio);
		/* Linux copies page tables of small chunks. */
		hpheap_view_unmap(view, index, mapping);
	} else {
		hpheap_chunk_share(folio);
		folio_get(folio);
	}
	if (!IS_ERR_OR_NULL(given))
		hpheap_view_adopt(child, index, given, status);
	folio_unlock(folio);
	folio_put(folio);
	return !IS_ERR(given);
}

/**
 * hpheap_fork() - the view of a child
 * @view: the parent's
 * @vma: the child's mapping, being made
 * @armed: operations of mappings from now on
 *
 * Return: it, for this mapping to be armed with, and to be put; NULL without memory.
 */
struct hpheap_view *hpheap_fork(struct hpheap_view *view, struct vm_area_struct *vma,
				const struct vm_operations_struct *armed)
{
	struct address_space *mapping = vma->vm_file->f_mapping;
	struct hpheap_arena *arena = view->arena;
	struct hpheap_view *child = hpheap_view_find(arena, vma->vm_mm);
	unsigned long index;

	if (child)
		return child;
	child = hpheap_view_new(arena, view->nr_chunks, vma->vm_mm);
	if (!child) {
		/* Linux copies page tables of small chunks: there must be none. */
		unmap_mapping_range(mapping, (loff_t)vma->vm_pgoff << PAGE_SHIFT,
				    vma->vm_end - vma->vm_start, 1);
		return NULL;
	}
	child->armed = true;
	child->lost = view->lost;
	child->placed = view->placed;
	child->origin = view->origin;
	child->scattered = view->scattered;
	arm_all(view, armed);
	close_mappings(view, mapping);
	for (index = hpheap_view_next(view, 0, true); index < view->nr_chunks;
	     index = hpheap_view_next(view, index + 1, true)) {
		if (!share(view, child, index, mapping)) {
			child->lost = true;
			break;
		}
		cond_resched();
	}
	if (child->lost)
		unmap_mapping_range(mapping, 0, arena->bytes, 1);
	return child;
}

/*
 * Has a view no mapping of a chunk, which is locked, so that none comes? Core mm takes a
 * PMD away before it asks for what is to be written. Then other processes are left alone:
 * what is taken away by the file's offset is taken from them, too, to come again when they
 * touch it. A PMD that somebody else took away may still be known to a CPU.
 */
static bool is_unmapped(const struct hpheap_view *view, const struct vm_fault *vmf,
			struct folio *chunk)
{
	struct vm_area_struct *vma = vmf->vma;
	spinlock_t *lock;	/* of the table */
	bool is;

	if (view->scattered || folio_size(chunk) != hpheap_chunk_pmd_bytes() ||
	    !IS_ALIGNED(view->origin, folio_size(chunk)) || chunk->index < vma->vm_pgoff ||
	    chunk->index + folio_nr_pages(chunk) > vma->vm_pgoff + vma_pages(vma))
		return false;
	lock = pmd_lock(vma->vm_mm, vmf->pmd);
	is = pmd_none(*vmf->pmd) && !mm_tlb_flush_pending(vma->vm_mm);
	spin_unlock(lock);
	return is;
}

/**
 * hpheap_fork_own() - let the only view that has a chunk write to it, if nobody reads it
 * @view: the view
 * @index: of the slot
 * @folio: the chunk, locked, in that slot; the caller has one reference
 * @mapping: of the file, to lose its mappings
 *
 * Return: whether it is the view's own now.
 */
bool hpheap_fork_own(struct hpheap_view *view, unsigned long index, struct folio *folio,
		     struct address_space *mapping)
{
	if (!hpheap_chunk_was_shared(folio))
		return !folio->private;
	if (hpheap_chunk_is_shared(folio))
		return false;
	hpheap_view_unmap(view, index, mapping);
	if (folio_ref_count(folio) != 2)
		return false;
	hpheap_chunk_own(folio);
	return true;
}

/* The same in a fault; in page_mkwrite core mm has a reference, too. */
static bool own(struct hpheap_view *view, unsigned long index, struct folio *folio,
		const struct vm_fault *vmf)
{
	int known = 2 + (vmf->page && page_folio(vmf->page) == folio);
	bool is;

	folio_lock(folio);
	is = hpheap_view_holds(view, index, folio) && hpheap_chunk_was_shared(folio) &&
	     !hpheap_chunk_is_shared(folio);
	if (is) {
		if (!is_unmapped(view, vmf, folio))
			hpheap_view_unmap(view, index, vmf->vma->vm_file->f_mapping);
		is = folio_ref_count(folio) == known;
	}
	if (is)
		hpheap_chunk_own(folio);
	folio_unlock(folio);
	return is;
}

/*
 * The copy takes the place of the chunk, which loses its mappings in this view, and is freed
 * if that was the last to have it. False: the slot has another one meanwhile.
 */
static bool replace(struct hpheap_view *view, unsigned long index, struct folio *old,
		    struct folio *copy, const struct vm_fault *vmf)
{
	bool replaced, last = false;

	folio_lock(old);
	replaced = hpheap_view_holds(view, index, old) && hpheap_chunk_was_shared(old);
	if (replaced) {
		last = !hpheap_chunk_unshare(old);
		hpheap_view_replace(view, index, old, copy);
		if (!is_unmapped(view, vmf, old))
			hpheap_view_unmap(view, index, vmf->vma->vm_file->f_mapping);
	}
	folio_unlock(old);
	/* The slot's reference. */
	if (last)
		hpheap_arena_drop(view->arena, old);
	else if (replaced)
		folio_put(old);
	return replaced;
}

/**
 * hpheap_fork_copy() - the chunk of a slot, to be written to: a copy, if others have it
 * @view: the view
 * @index: of the slot
 * @vmf: the fault in which somebody wants to write there
 *
 * Return: the chunk with a reference of the caller's own, not locked; NULL: the slot
 * is empty now; -ENOMEM, -EHWPOISON, -EINTR killed.
 */
struct folio *hpheap_fork_copy(struct hpheap_view *view, unsigned long index,
			       const struct vm_fault *vmf)
{
	struct mutex *fill = &view->fill[index % HPHEAP_FILL_LOCKS];
	struct folio *old, *copy;

	if (mutex_lock_killable(fill))
		return ERR_PTR(-EINTR);
	old = hpheap_view_get(view, index);
	if (!old || !hpheap_chunk_was_shared(old) || own(view, index, old, vmf)) {
		mutex_unlock(fill);
		return old;
	}
	copy = hpheap_arena_copy(view->arena, old);
	if (IS_ERR(copy)) {
		/* The last other one may have gone meanwhile. */
		if (own(view, index, old, vmf))
			copy = old;
		else
			folio_put(old);
	} else {
		folio_get(copy);	/* before anybody can find it */
		if (replace(view, index, old, copy, vmf)) {
			folio_put(old);
		} else {
			folio_put(copy);
			hpheap_arena_drop(view->arena, copy);
			copy = old;
		}
	}
	mutex_unlock(fill);
	return copy;
}

/* Has no process a descriptor of the file? @others: what else has references to it. */
static bool has_no_descriptor(const struct hpheap_arena *arena, struct file *file, long others)
{
	return file_count(file) == atomic_long_read(&arena->mappings) + others;
}

/**
 * hpheap_fork_unmap() - a mapping of a view goes
 * @vma: an armed one
 *
 * The first view stays as long as the arena, which others may have. But when its process
 * has ended, or has neither a mapping nor a descriptor, nobody can reach what is in it.
 */
void hpheap_fork_unmap(struct vm_area_struct *vma)
{
	struct hpheap_view *view = vma->vm_private_data;
	struct hpheap_arena *arena = view->arena;

	if (view == arena->own && refcount_read(&view->users) == 2 &&
	    (!atomic_read(&view->mm->mm_users) || has_no_descriptor(arena, vma->vm_file, 0)))
		hpheap_view_clear(view);
	if (atomic_long_dec_if_positive(&view->pending) < 0)
		atomic_long_dec(&arena->mappings);
	hpheap_view_put(view);
}

/**
 * hpheap_fork_flush() - somebody closes a descriptor
 * @arena: the arena
 * @file: its file, which still counts the descriptor
 */
void hpheap_fork_flush(struct hpheap_arena *arena, struct file *file)
{
	struct hpheap_view *own = arena->own;

	if (own->armed && refcount_read(&own->users) == 1 &&
	    (!atomic_read(&own->mm->mm_users) || has_no_descriptor(arena, file, 1)))
		hpheap_view_clear(own);
}
