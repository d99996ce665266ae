/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The heaps of another process: their sums, and their cells for a picture.
 */
#ifndef HPHEAPCTL_HEAPS_H
#define HPHEAPCTL_HEAPS_H

#include "picture.h"
#include "target.h"

/* All heaps of a process, for a picture. */
struct heaps {
	size_t count;
	struct hph_picture_heap *heap;
};

/*
 * 0, or a negative errno: ESRCH, EFAULT as target_read(); EFBIG there is more than fits a
 * picture. Whatever is returned, heaps_release() frees it.
 */
int heaps_read(const struct target *target, struct heaps *heaps);
void heaps_release(struct heaps *heaps);

/* Where heaps have addresses. */
struct range {
	uint64_t first, end;
};

/* What the heaps of a process have, in bytes. */
struct sums {
	uint64_t heaps;
	uint32_t backends;	/* bits: 1 << enum hpheap_backend */
	uint64_t live, free;
	uint64_t committed;
	uint64_t peak;		/* of it: the sum of the heaps' own */
	uint64_t purgeable;	/* if the system did not take it yet */
	uint64_t scavenged;	/* ever */
	size_t caches;		/* of threads, looked at */
	size_t ranges;
	struct range *range;	/* by address for each heap */
};

int sums_read(const struct target *target, struct sums *sums);
void sums_release(struct sums *sums);

#endif
