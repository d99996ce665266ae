/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A histogram of durations: counts in classes that are 1/32 of a power of two
 * wide, so that a percentile is true to 3 % and recording costs next to
 * nothing. The longest duration is kept exactly.
 */
#ifndef KV_LATENCY_H
#define KV_LATENCY_H

#include <stdint.h>

#define LATENCY_STEPS	32u	/* classes to a power of two */
#define LATENCY_CLASSES	(60u * LATENCY_STEPS)

struct latency {
	uint64_t classes[LATENCY_CLASSES];
	uint64_t count;
	uint64_t max;
};

void latency_record(struct latency *latency, uint64_t ns);
void latency_merge(struct latency *into, const struct latency *from);
/* The duration that @share of all (0 to 1) do not exceed; 0: nothing recorded. */
uint64_t latency_at(const struct latency *latency, double share);

#endif
