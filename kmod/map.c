// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings: address, mmap() and page faults of an arena file.
 *
 * The fault hands core mm a locked page of the chunk; core mm then maps the
 * whole chunk with one PMD where chunk and PMD are of one size and the
 * mapping covers it. Smaller chunks are mapped here, all base pages at once,
 * which lets arm64 fold them into contiguous entries. Either way these are
 * ordinary pages of an ordinary shared file mapping: counted in RSS, pinnable,
 * and split or moved by core mm as it likes.
 */
#include "map.h"

#include <linux/align.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/page-flags.h>
#include <linux/pagemap.h>
#include <linux/hpheap.h>

#include "account.h"
#include "arena.h"
#include "compat.h"
#include "fork.h"
#include "purge.h"
#include "status.h"
#include "trace.h"
#include "view.h"

/*
 * VM_FAULT_OOM on a touch means: call the OOM killer, try again. For a chunk
 * the killer is never called, so that would go on for ever: a touch gets
 * SIGBUS. Who asks through the kernel (MADV_POPULATE_WRITE, mlock, a system
 * call's buffer) is told ENOMEM or EFAULT and not called again.
 */
static vm_fault_t fault_error(const struct vm_fault *vmf, int err)
{
	if (err == -ENOMEM && !(vmf->flags & FAULT_FLAG_USER))
		return VM_FAULT_OOM;
	return VM_FAULT_SIGBUS;
}

static int insert(struct vm_area_struct *vma, pgoff_t pgoff, struct page *page)
{
	unsigned long addr = vma->vm_start + ((pgoff - vma->vm_pgoff) << PAGE_SHIFT);
	int err = vm_insert_page(vma, addr, page);

	return err == -EBUSY ? 0 : err;	/* busy: mapped already */
}

/*
 * Maps what the VMA covers of a locked chunk smaller than a PMD, the page
 * that was touched first: of the others each may fail. Poisoned pages stay out.
 */
static vm_fault_t map_chunk(struct vm_fault *vmf, struct folio *folio)
{
	struct vm_area_struct *vma = vmf->vma;
	pgoff_t first = folio->index;
	pgoff_t begin = max(first, vma->vm_pgoff);
	pgoff_t end = min(first + folio_nr_pages(folio), vma->vm_pgoff + vma_pages(vma));
	struct page *page;
	pgoff_t pgoff;
	int err;

	err = insert(vma, vmf->pgoff, folio_page(folio, vmf->pgoff - first));
	for (pgoff = begin; pgoff < end && !err; pgoff++) {
		page = folio_page(folio, pgoff - first);
		if (pgoff == vmf->pgoff || PageHWPoison(page))
			continue;
		if (insert(vma, pgoff, page))
			break;
	}
	folio_unlock(folio);
	folio_put(folio);
	return err ? fault_error(vmf, err) : VM_FAULT_NOPAGE;
}

/* Maps the page that was touched, of a locked chunk with a broken one, and nothing else. */
static vm_fault_t map_alone(struct vm_fault *vmf, struct folio *folio)
{
	vm_fault_t result = compat_insert_page(vmf, vmf->page);

	folio_unlock(folio);
	folio_put(folio);
	return result & VM_FAULT_OOM ? fault_error(vmf, -ENOMEM) : result;
}

/* The slot's chunk; for who writes one that nobody else has. */
static struct folio *chunk_for(struct hpheap_view *view, unsigned long index,
			       struct vm_fault *vmf)
{
	struct folio *folio = hpheap_view_get_or_alloc(view, index);

	if (IS_ERR(folio) || !(vmf->flags & FAULT_FLAG_WRITE) ||
	    !hpheap_chunk_was_shared(folio))
		return folio;
	folio_put(folio);
	return hpheap_fork_copy(view, index, vmf);
}

static vm_fault_t fault_in(struct hpheap_view *view, struct vm_fault *vmf)
{
	unsigned long index = vmf->pgoff >> view->arena->supply.order;
	struct folio *folio;

	if (index >= view->nr_chunks || view->lost)
		return VM_FAULT_SIGBUS;
	hpheap_fork_done(view);

	folio = chunk_for(view, index, vmf);
	if (IS_ERR(folio))
		return fault_error(vmf, PTR_ERR(folio));
	if (!folio)
		return VM_FAULT_NOPAGE;

	folio_lock(folio);
	if (!hpheap_view_holds(view, index, folio)) {
		/* punched meanwhile: the touch comes again and finds a new chunk */
		folio_unlock(folio);
		folio_put(folio);
		return VM_FAULT_NOPAGE;
	}
	hpheap_purge_reuse(view, folio);
	vmf->page = folio_page(folio, vmf->pgoff - folio->index);
	if (unlikely(PageHWPoison(vmf->page))) {
		/*
		 * Core mm would look for its other mappings through
		 * folio->mapping, which a chunk does not have, and crash.
		 */
		hpheap_view_set_status(view, index, HPHEAP_CHUNK_POISONED);
		folio_unlock(folio);
		folio_put(folio);
		return VM_FAULT_HWPOISON;
	}
	if (view->status[index] != HPHEAP_CHUNK_POISONED)
		hpheap_view_set_status(view, index, HPHEAP_CHUNK_RESIDENT);
	atomic64_inc(&hpheap_counters.faults);
	if (vmf->vma->vm_flags & VM_MIXEDMAP)
		return map_chunk(vmf, folio);
	if (compat_fault_maps_broken(folio) && hpheap_chunk_has_poison(folio))
		return map_alone(vmf, folio);
	return VM_FAULT_LOCKED;
}

static vm_fault_t arena_fault(struct vm_fault *vmf)
{
	struct hpheap_view *view = vmf->vma->vm_private_data;
	vm_fault_t result = view ? fault_in(view, vmf) : VM_FAULT_SIGBUS;

	trace_hpheap_fault(view ? view->arena->id : 0, (u64)vmf->pgoff << PAGE_SHIFT,
			   vmf->flags & FAULT_FLAG_WRITE, (__force int)result);
	return result;
}

/*
 * Somebody wants to write to what was mapped to be read. Core mm does not say here whether
 * that is a touch: whoever asks is not called again (see fault_error()).
 */
static vm_fault_t arena_page_mkwrite(struct vm_fault *vmf)
{
	struct hpheap_view *view = vmf->vma->vm_private_data;
	struct folio *folio = page_folio(vmf->page);
	unsigned long index;
	bool stale;

	if (!view || view->lost)
		return VM_FAULT_SIGBUS;
	hpheap_fork_done(view);
	index = folio->index >> view->arena->supply.order;
	folio_lock(folio);
	stale = !hpheap_view_holds(view, index, folio);
	if (!stale && !hpheap_chunk_was_shared(folio))
		return VM_FAULT_LOCKED;
	folio_unlock(folio);
	if (stale) {
		hpheap_view_unmap(view, index, vmf->vma->vm_file->f_mapping);
		return VM_FAULT_NOPAGE;
	}
	folio = hpheap_fork_copy(view, index, vmf);
	if (IS_ERR(folio))
		return VM_FAULT_SIGBUS;
	if (folio)
		folio_put(folio);
	return VM_FAULT_NOPAGE;
}

static void arena_open(struct vm_area_struct *vma);

static void arena_close(struct vm_area_struct *vma)
{
	if (vma->vm_private_data)
		hpheap_fork_unmap(vma);
}

#ifdef CONFIG_NUMA
/*
 * No policy: chunks go where their arena wants them, whatever mbind() says of
 * the mapping. And NUMA balancing passes over mappings that answer so
 * (vma_policy_mof() in mm/mempolicy.c): it would unmap chunks now and then to
 * see who touches them, a page fault each, for a migration that cannot happen.
 */
static struct mempolicy *arena_get_policy(COMPAT_GET_POLICY_ARGS)
{
	return NULL;
}
#endif

/* Nothing that would keep mappings from being merged. */
static const struct vm_operations_struct arena_vm_ops = {
	.open = arena_open,
	.fault = arena_fault,
#ifdef CONFIG_NUMA
	.get_policy = arena_get_policy,
#endif
};

/* Of an arena that is copied on write, from the first fork on: see fork.c. */
static const struct vm_operations_struct armed_vm_ops = {
	.open = arena_open,
	.close = arena_close,
	.fault = arena_fault,
	.page_mkwrite = arena_page_mkwrite,
#ifdef CONFIG_NUMA
	.get_policy = arena_get_policy,
#endif
};

static bool is_arena(const struct vm_area_struct *vma)
{
	return vma->vm_ops == &arena_vm_ops || vma->vm_ops == &armed_vm_ops;
}

/* A mapping is there once more: split, moved, or that of a child. */
static void arena_open(struct vm_area_struct *vma)
{
	struct hpheap_view *view = vma->vm_private_data, *child;

	if (!view || !(view->arena->flags & HPHEAP_CREATE_FORK_COW))
		return;
	if (view->mm == vma->vm_mm) {
		hpheap_fork_place(view, vma);
		if (view->armed)
			hpheap_fork_arm(vma, &armed_vm_ops, false);
		return;
	}
	child = hpheap_fork(view, vma, &armed_vm_ops);
	vma->vm_private_data = child;
	vma->vm_ops = &armed_vm_ops;
	if (!child)
		return;
	hpheap_fork_arm(vma, &armed_vm_ops, true);
	hpheap_view_put(child);
}

/**
 * hpheap_map() - mmap() of an arena
 * @file: the arena file
 * @vma: the new mapping
 *
 * As with other files it may reach past the end; a touch there is SIGBUS. What
 * begins at the end shows the arena's status.
 *
 * Not dumped: a core dump would fill the arena. VM_HUGEPAGE keeps the PMDs of
 * a process that switched huge pages off except where advised.
 *
 * Neither VM_DONTEXPAND nor, on chunks of PMD size, VM_MIXEDMAP: VMAs with
 * these never merge again, and a split would cost the PMD for ever. (Armed ones never
 * merge anyway.) vm_insert_page() needs VM_MIXEDMAP.
 */
int hpheap_map(struct file *file, struct vm_area_struct *vma)
{
	const struct hpheap_arena *arena = file->private_data;
	unsigned long flags = VM_DONTDUMP | VM_HUGEPAGE;
	struct hpheap_view *view;

	if (hpheap_status_is_at(file, vma->vm_pgoff))
		return hpheap_status_map(file, vma);
	if (!(vma->vm_flags & (VM_SHARED | VM_MAYSHARE)))
		return -EINVAL;
	if (arena->flags & HPHEAP_CREATE_FORK_NONE)
		flags |= VM_DONTCOPY;
	if (!COMPAT_FAULT_MAPS_FOLIO &&
	    hpheap_arena_chunk_bytes(arena) != hpheap_chunk_pmd_bytes())
		flags |= VM_MIXEDMAP;
	compat_vm_flags_mod(vma, flags, 0);
	vma->vm_ops = &arena_vm_ops;
	vma->vm_private_data = arena->own;
	if (!(arena->flags & HPHEAP_CREATE_FORK_COW))
		return 0;
	view = hpheap_view_find(file->private_data, vma->vm_mm);
	if (!view)
		return -EPERM;
	vma->vm_private_data = view;
	hpheap_fork_place(view, vma);
	if (view->armed) {
		compat_vm_flags_mod(vma, COMPAT_NEVER_MERGED, 0);
		hpheap_fork_arm(vma, &armed_vm_ops, false);
	}
	hpheap_view_put(view);
	return 0;
}

/**
 * hpheap_map_lookup() - the arena that the calling process has mapped somewhere
 * @addr: an address
 * @bytes: as far as it must be mapped, in one mapping
 * @write: the caller must be able to write there
 * @offset: out: of the address in the file
 *
 * Return: the file, with a reference; -EINVAL if there is none; -EACCES if it is
 * mapped, but not to be written, with @write.
 */
struct file *hpheap_map_lookup(u64 addr, u64 bytes, bool write, u64 *offset)
{
	struct file *file = ERR_PTR(-EINVAL);
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	if (addr != (unsigned long)addr || bytes != (unsigned long)bytes)
		return file;
	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (vma && is_arena(vma) && bytes <= vma->vm_end - addr) {
		file = ERR_PTR(-EACCES);
		if (!write || vma->vm_flags & VM_WRITE)
			file = get_file(vma->vm_file);
		*offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) + (addr - vma->vm_start);
	}
	mmap_read_unlock(mm);
	return file;
}

/**
 * hpheap_map_find() - where to map an arena
 * @file: the arena file
 * @addr: the caller's hint, or 0
 * @len: length of the mapping
 * @pgoff: its offset in the file, in base pages
 * @flags: MAP_*
 *
 * Addresses and file offsets agree in the bits below the chunk size, so that
 * huge entries fit. thp_get_unmapped_area() promises that for the PMD size
 * alone, and only to lengths above it: look for a chunk more and round. A
 * caller's hint is taken as it is, if it is free.
 *
 * Return: the address or an error.
 */
unsigned long hpheap_map_find(struct file *file, unsigned long addr, unsigned long len,
			      unsigned long pgoff, unsigned long flags)
{
	u64 chunk = hpheap_arena_chunk_bytes(file->private_data);
	unsigned long found, offset = pgoff << PAGE_SHIFT;

	if (addr || flags & MAP_FIXED) {
		found = thp_get_unmapped_area(file, addr, len, pgoff, flags);
		if (found == addr || flags & MAP_FIXED)
			return found;
	}
	if (len + chunk > len) {
		found = thp_get_unmapped_area(file, 0, len + chunk, pgoff, flags);
		if (!IS_ERR_VALUE(found))
			return found + ((offset - found) & (chunk - 1));
	}
	return thp_get_unmapped_area(file, 0, len, pgoff, flags);
}
