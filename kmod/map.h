/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_MAP_H
#define HPHEAP_MAP_H

#include <linux/types.h>

struct file;
struct vm_area_struct;

int hpheap_map(struct file *file, struct vm_area_struct *vma);
unsigned long hpheap_map_find(struct file *file, unsigned long addr, unsigned long len,
			      unsigned long pgoff, unsigned long flags);
struct file *hpheap_map_lookup(u64 addr, u64 bytes, bool write, u64 *offset);

#endif /* HPHEAP_MAP_H */
