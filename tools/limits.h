/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of the calling process that decide how much memory an arena may have.
 */
#ifndef HPHEAPCTL_LIMITS_H
#define HPHEAPCTL_LIMITS_H

#include "root.h"

#define NO_LIMIT UINT64_MAX

struct limits {
	uint64_t memlock;	/* RLIMIT_MEMLOCK, soft; NO_LIMIT */
	uint64_t memlock_hard;
	bool ipc_lock;		/* CAP_IPC_LOCK: RLIMIT_MEMLOCK does not count */
	char cgroup[ROOT_PATH];	/* the memory cgroup, empty when there is none */
	uint64_t cgroup_max;	/* of it and those above, the limit that binds first; NO_LIMIT */
	uint64_t cgroup_used;	/* against that limit */
	bool container;		/* this process runs in one */
};

void limits_read(struct limits *limits);

/* Bytes that the memory cgroup still allows; NO_LIMIT. */
uint64_t limits_cgroup_room(const struct limits *limits);

#endif
