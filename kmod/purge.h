/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_PURGE_H
#define HPHEAP_PURGE_H

#include <linux/types.h>

struct file;
struct folio;
struct hpheap_purgeable;
struct hpheap_view;

int hpheap_purge_init(void);
void hpheap_purge_exit(void);

unsigned long hpheap_purge_keep(struct hpheap_view *view, unsigned long index,
				unsigned long end);
bool hpheap_purge_take(unsigned int order, int node);
bool hpheap_purge_unmark(struct hpheap_view *view, struct folio *folio);
void hpheap_purge_wait(struct hpheap_view *view);
void hpheap_purge_reuse(struct hpheap_view *view, struct folio *folio);
long hpheap_purge_ioctl(struct file *file, struct hpheap_purgeable __user *uarg);

#endif /* HPHEAP_PURGE_H */
