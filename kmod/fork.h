/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_FORK_H
#define HPHEAP_FORK_H

#include <linux/mm_types.h>

struct hpheap_view;

struct hpheap_view *hpheap_fork(struct hpheap_view *view, struct vm_area_struct *vma,
				const struct vm_operations_struct *armed);
void hpheap_fork_arm(struct vm_area_struct *vma, const struct vm_operations_struct *armed);
struct folio *hpheap_fork_copy(struct hpheap_view *view, unsigned long index,
			       struct address_space *mapping);
void hpheap_fork_close(struct hpheap_view *view);

#endif /* HPHEAP_FORK_H */
