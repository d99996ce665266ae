/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_SCAVENGER_H
#define HPH_SCAVENGER_H

#include <stdatomic.h>
#include <stdbool.h>

/* It is there, or shall not be: nothing is to be done. */
extern _Atomic bool hph_scavenger_settled;

void hph_scavenger_start(void);

/* Heaps have memory: whoever gets some for one says so. No lock is held. */
static inline void hph_scavenger_want(void)
{
	if (!atomic_load_explicit(&hph_scavenger_settled, memory_order_relaxed))
		hph_scavenger_start();
}

/* Is it there? Else what is left to it does not happen. */
bool hph_scavenger_runs(void);

/* A zone of so many used units gets some ahead while it grows. */
#define HPH_AHEAD_LEAST	8

/* A heap grows that should not have to: the thread is to see to it. No lock is held. */
void hph_scavenger_hurry(void);

/* Around fork(): behind the registry's lock, before those of the heaps. */
void hph_scavenger_before_fork(void);
void hph_scavenger_after_fork(bool in_child);

#endif /* HPH_SCAVENGER_H */
