/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the processes with heaps use, for top.
 */
#ifndef HPHEAPCTL_USAGE_H
#define HPHEAPCTL_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arenas.h"	/* UNKNOWN */
#include "target.h"

struct usage {
	pid_t pid;
	uint64_t self;		/* with the number it is the same process as before */
	char command[COMMAND_BYTES]; /* printable */
	uint64_t heaps;
	uint32_t backends;	/* bits: 1 << enum hpheap_backend */
	uint64_t live_bytes, free_bytes;
	uint64_t committed_bytes, peak_bytes;
	uint64_t resident_bytes, huge_bytes;	/* of the heaps' addresses */
	uint64_t purgeable_bytes;	/* if the system did not take it yet */
	uint64_t scavenged_bytes;	/* ever */
	uint64_t rate;			/* of it, in bytes per second; UNKNOWN: not yet */
};

struct usages {
	size_t count;
	struct usage *usage;		/* the largest first */
	uint64_t hidden;		/* processes that could not be looked into */
	uint64_t foreign;		/* with heaps of another version of the library */
	uint64_t unclear;		/* that changed too fast to be read */
};

/* Of one process; 0, or a negative errno. Without heaps the rest says nothing. */
int usage_read(struct usage *usage, const struct target *target);

/* 0, or a negative errno: /proc cannot be read. usages_release() in any case. */
int usages_read(struct usages *usages);
void usages_release(struct usages *usages);

/* Rates of @now, from @before, which was read @ns earlier. */
void usages_compare(struct usages *now, const struct usages *before, uint64_t ns);

#endif
