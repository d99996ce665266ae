// SPDX-License-Identifier: GPL-2.0-only
/*
 * The status page: what each chunk of an arena is, one byte for each, for whoever
 * maps it. Reading it costs no system call and no lock.
 *
 * It lies behind the arena's end in the same file, in pages of its own. A byte is
 * true at the moment in which it is read: it is changed together with the slot, as
 * arena.h says (A3).
 */
#include "status.h"

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "arena.h"
#include "compat.h"
#include "view.h"

/* All chunks absent; NULL without memory. */
u8 *hpheap_status_alloc(unsigned long nr_chunks)
{
	return __vmalloc(PAGE_ALIGN(nr_chunks), GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
}

/* Pages that are mapped still stay until they are not. */
void hpheap_status_free(u8 *status)
{
	vfree(status);
}

/* Does a mapping at this offset, in base pages, show the status and not the memory? */
bool hpheap_status_is_at(const struct file *file, unsigned long pgoff)
{
	const struct hpheap_arena *arena = file->private_data;

	return pgoff == arena->bytes >> PAGE_SHIFT;
}

static vm_fault_t status_fault(struct vm_fault *vmf)
{
	const struct hpheap_arena *arena = vmf->vma->vm_file->private_data;
	unsigned long page = vmf->pgoff - (arena->bytes >> PAGE_SHIFT);
	struct hpheap_view *view;

	if (page >= PAGE_ALIGN(hpheap_arena_nr_chunks(arena)) >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	view = hpheap_view_find(vmf->vma->vm_file->private_data, vmf->vma->vm_mm);
	if (!view)
		return VM_FAULT_SIGBUS;
	vmf->page = vmalloc_to_page(view->status + (page << PAGE_SHIFT));
	get_page(vmf->page);
	hpheap_view_put(view);
	return 0;
}

static const struct vm_operations_struct status_vm_ops = {
	.fault = status_fault,
};

/**
 * hpheap_status_map() - mmap() of an arena's status
 * @file: the arena file
 * @vma: the new mapping, at the offset that hpheap_status_is_at() knows
 *
 * Return: 0; -EACCES if it is to be written, now or ever; -EINVAL not shared.
 */
int hpheap_status_map(struct file *file, struct vm_area_struct *vma)
{
	const struct hpheap_arena *arena = file->private_data;
	unsigned long flags = VM_DONTDUMP | VM_DONTEXPAND;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	if (arena->flags & HPHEAP_CREATE_FORK_NONE)
		flags |= VM_DONTCOPY;
	compat_vm_flags_mod(vma, flags, VM_MAYWRITE);
	vma->vm_ops = &status_vm_ops;
	return 0;
}
