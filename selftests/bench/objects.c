// SPDX-License-Identifier: GPL-2.0-only
/*
 * What breathe.c and survive.c share as programs of `make bench`.
 */
#include "objects.h"

#include <inttypes.h>
#include <stdio.h>

#include "heap_objects.h"
#include "contestant.h"

void objects_open(const char *contestant, struct allocator *allocator)
{
	const struct contestant *who = contestant_open(contestant);

	allocator->alloc = who->alloc;
	allocator->free = who->free;
	if (who->number == CONTESTANT_HPHEAP)
		heap_objects_open(allocator, contestant_heap);
}

void objects_tell(const char *moment, const struct footprint *footprint)
{
	printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", moment,
	       footprint->resident, footprint->live, footprint->touched, footprint->huge);
	fflush(stdout);
}
