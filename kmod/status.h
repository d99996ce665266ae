/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_STATUS_H
#define HPHEAP_STATUS_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <linux/hpheap.h>

struct file;
struct vm_area_struct;

u8 *hpheap_status_alloc(unsigned long nr_chunks);
void hpheap_status_free(u8 *status);
bool hpheap_status_is_at(const struct file *file, unsigned long pgoff);
int hpheap_status_map(struct file *file, struct vm_area_struct *vma);

#endif /* HPHEAP_STATUS_H */
