/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a service sees of its malloc(): one program, a measure to a file.
 *
 * All call malloc() and free() by name: which allocator that is, LD_PRELOAD decides. Where huge
 * pages laid by hand are the yardstick, the same measure runs on those.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct measure {
	const char *name;
	/* Before the first round: so many MiB of memory. */
	void (*prepare)(size_t mib, bool by_hand);
	/* @count of what it counts; writes one line of numbers. */
	void (*round)(uint64_t count);
};

extern const struct measure requests_measure, access_measure, touch_measure, large_measure,
			    idle_measure;

/* xorshift64*: a state of 0 is none. */
static inline uint64_t service_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * UINT64_C(0x2545f4914f6cdd1d)) >> 20;
}

/* Each doubling from @least to @most is as likely as the next, as sizes are in caches. */
size_t service_size(uint64_t *state, size_t least, size_t most);

void *service_malloc(size_t bytes);

/* Memory on huge pages, all of it there. */
char *service_huge(size_t bytes);

#endif
