/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_CONTIG_H
#define HPHEAP_CONTIG_H

#include <linux/list.h>

struct hpheap_supply;

int hpheap_contig_alloc(const struct hpheap_supply *supply, unsigned long nr,
			struct list_head *run);

#endif /* HPHEAP_CONTIG_H */
