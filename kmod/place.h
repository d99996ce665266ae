/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_PLACE_H
#define HPHEAP_PLACE_H

#include <linux/nodemask.h>
#include <linux/types.h>

/*
 * Where the chunks of an arena come from.
 * Invariant: nodes is empty for HPHEAP_POLICY_LOCAL and holds at least one
 * node for every other policy; all of them had memory at create.
 */
struct hpheap_place {
	u32 policy;		/* HPHEAP_POLICY_* */
	bool strict;		/* fail rather than fall back */
	nodemask_t nodes;
};

int hpheap_place_init(struct hpheap_place *place, u32 policy, bool strict,
		      const u64 *words);
u64 hpheap_place_bytes(const struct hpheap_place *place);
bool hpheap_place_may_fall_back(const struct hpheap_place *place);
void hpheap_place_candidates(const struct hpheap_place *place, unsigned long index,
			     nodemask_t *candidates);
int hpheap_place_take_nearest(nodemask_t *candidates);

#endif /* HPHEAP_PLACE_H */
