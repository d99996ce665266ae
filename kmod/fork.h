/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_FORK_H
#define HPHEAP_FORK_H

#include <linux/mm_types.h>

struct address_space;
struct file;
struct folio;
struct hpheap_arena;
struct hpheap_view;
struct vm_fault;

struct hpheap_view *hpheap_fork(struct hpheap_view *view, struct vm_area_struct *vma,
				const struct vm_operations_struct *armed);
void hpheap_fork_arm(struct vm_area_struct *vma, const struct vm_operations_struct *armed,
		     bool forking);
void hpheap_fork_done(struct hpheap_view *view);
bool hpheap_fork_own(struct hpheap_view *view, unsigned long index, struct folio *folio,
		     struct address_space *mapping);
void hpheap_fork_place(struct hpheap_view *view, const struct vm_area_struct *vma);
struct folio *hpheap_fork_copy(struct hpheap_view *view, unsigned long index,
			       const struct vm_fault *vmf);
void hpheap_fork_unmap(struct vm_area_struct *vma);
void hpheap_fork_flush(struct hpheap_arena *arena, struct file *file);

#endif /* HPHEAP_FORK_H */
