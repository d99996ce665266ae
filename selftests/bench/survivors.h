/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SURVIVORS_H
#define SURVIVORS_H

#include "records.h"

#define SURVIVORS_WAITS	8

/* Scattered survivors: see survivors.c. */
struct survivors {
	size_t bytes;		/* live before most of it is freed */
	size_t smallest, largest;
	uint64_t seed;
	unsigned int waits;	/* when the footprint is looked at, */
	unsigned int seconds[SURVIVORS_WAITS];	/* after the free, in order */
	unsigned int refilled_seconds;	/* that are waited at last */
	/* Each ends that sooner, or is NULL: see records_rest(). */
	records_enough enough, refilled;
};

struct survival {
	struct footprint top;	/* before */
	struct footprint now[SURVIVORS_WAITS];
	struct footprint refilled;
};

void survive(const struct survivors *survivors, const struct allocator *allocator,
	     struct survival *survival);

/* The part of the freed bytes that came back after the wait of this number. */
double survival_back(const struct survival *survival, unsigned int wait);

#endif
