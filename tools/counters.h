/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The module's own numbers, in /sys/class/misc/hpheap.
 */
#ifndef HPHEAPCTL_COUNTERS_H
#define HPHEAPCTL_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "arenas.h"	/* UNKNOWN */
#include "nodes.h"	/* MAX_NODES */
#include "text.h"

/* UNKNOWN: it is not there, or no number. */
uint64_t counter(const char *name);

/* For people; UNKNOWN is "?". */
struct size_text size_or_unknown(uint64_t bytes);
struct size_text number_or_unknown(uint64_t number);

/* What the pool holds, by node. */
struct counter_nodes {
	size_t count;
	struct share node[MAX_NODES];
};

void counter_nodes(struct counter_nodes *nodes);

#endif
