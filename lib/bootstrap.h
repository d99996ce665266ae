/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_BOOTSTRAP_H
#define HPH_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>

struct hpheap;

struct hpheap *hph_bootstrap_heap(bool *later);
void hph_bootstrap_making(bool is);
void *hph_bootstrap_alloc(size_t bytes, size_t align);
bool hph_bootstrap_has(const void *object);
size_t hph_bootstrap_size(const void *object);
void hph_bootstrap_lock(void);
void hph_bootstrap_unlock(void);

#endif /* HPH_BOOTSTRAP_H */
