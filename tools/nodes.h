/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory nodes: which there are, what they have, what is free in one piece.
 *
 * Node numbers may have holes, a node may lack memory or CPUs.
 */
#ifndef HPHEAPCTL_NODES_H
#define HPHEAPCTL_NODES_H

#include "root.h"

#define MAX_NODES 1024	/* the kernel's own limit */

struct node {
	unsigned int id;
	bool memory;			/* has some */
	uint64_t total_bytes;
	uint64_t free_bytes;
	uint64_t huge_bytes;		/* free, in whole chunks */
	char cpus[ROOT_LINE];		/* "0-3,8"; empty when it has none */
	bool allowed;			/* our cpuset lets us take its memory */
};

struct nodes {
	unsigned int count;
	bool policy;			/* memory policy calls work (libnuma) */
	struct node node[MAX_NODES];
};

/* @chunk_bytes: what huge_bytes counts in. */
void nodes_read(struct nodes *nodes, uint64_t base_page, uint64_t chunk_bytes);

/* Free bytes in whole chunks of all allowed nodes. */
uint64_t nodes_huge_bytes(const struct nodes *nodes);

#endif
