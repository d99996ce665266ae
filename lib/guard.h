/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_GUARD_H
#define HPH_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern uint32_t hph_guard_rate;	/* one in so many objects is guarded; 0: none, and no pool */

void hph_guard_start(uint32_t rate);
void *hph_guard_sample(size_t bytes, size_t align);
bool hph_guard_has(const void *object);
size_t hph_guard_size(const void *object);
void hph_guard_free(void *object);
void hph_guard_lock(void);
void hph_guard_unlock(void);

#endif /* HPH_GUARD_H */
