/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All arenas that this user may see, and the processes that hold them.
 *
 * There is no list of arenas in the kernel: an arena is a file without a
 * name, so it is found where it is open (/proc/PID/fd, fdinfo) or mapped
 * (/proc/PID/maps). Processes of others are seen by root only.
 */
#ifndef HPHEAPCTL_ARENAS_H
#define HPHEAPCTL_ARENAS_H

#include "root.h"

/* A number that the kernel did not tell. */
#define UNKNOWN UINT64_MAX

struct holder {
	pid_t pid;
	uid_t uid;
	char command[COMMAND_BYTES];	/* as the process calls itself: any bytes */
	uint64_t descriptors;
	uint64_t mapped_bytes;
};

struct holders {
	size_t count;
	struct holder *holder;
};

/* Bytes of an arena on one node. */
struct share {
	uint64_t node;
	uint64_t bytes;
};

struct arena {
	uint64_t id;
	uint64_t bytes;
	uint64_t chunk_bytes;
	uint64_t resident_bytes;
	uint64_t purgeable_bytes;	/* of the resident ones */
	char *policy, *nodes, *flags;	/* NULL: only mapped, no descriptor seen */
	size_t shares;
	struct share *share;
	struct holders holders;
};

struct arenas {
	size_t count;
	struct arena **arena;		/* by id */
	void *tree;			/* the same, for tsearch() */
	struct holders device;		/* who has the device open */
	uint64_t processes;		/* looked into */
	uint64_t hidden;		/* not looked into for want of permission */
};

/*
 * Looks into process @pid, or into all when it is 0. 0 or a negative errno:
 * /proc cannot be read, or that one process cannot be looked into.
 */
int arenas_read(struct arenas *arenas, pid_t pid);
void arenas_release(struct arenas *arenas);

#endif
