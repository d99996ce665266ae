/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_POOL_H
#define HPHEAP_POOL_H

#include <linux/types.h>

struct attribute_group;
struct folio;

int hpheap_pool_init(void);
void hpheap_pool_exit(void);

struct folio *hpheap_pool_take(unsigned int order, int node);
bool hpheap_pool_give(struct folio *folio);

extern const struct attribute_group hpheap_pool_group;

#endif /* HPHEAP_POOL_H */
