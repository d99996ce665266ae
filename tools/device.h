/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /dev/hpheap: its node, what it offers, and a proof that it gives memory.
 */
#ifndef HPHEAPCTL_DEVICE_H
#define HPHEAPCTL_DEVICE_H

#include "root.h"

#include <linux/hpheap.h>

struct device {
	const char *name;	/* path as the library takes it, without the root */
	char path[ROOT_PATH];	/* with the root */
	bool node;		/* the path exists */
	struct stat st;		/* of it */
	int fd;			/* open, or -1 */
	int open_error;		/* errno of open(), or 0 */
	int info_error;		/* errno of INFO, or 0 */
	struct hpheap_info info; /* valid when the device is open and info_error is 0 */
};

/* Looks at and opens the device that HPHEAP_DEVICE names, as the library does. */
void device_open(struct device *device);
void device_close(struct device *device);
bool device_usable(const struct device *device);

enum proof_step {
	PROOF_CREATE,		/* an arena of the asked size */
	PROOF_ALLOCATE,		/* its first chunk */
	PROOF_MAP,
	PROOF_TOUCH,		/* contents are zero and keep what is written */
	PROOF_HUGE,		/* smaps and EXTENTS say that the chunk is one piece */
	PROOF_DONE,
};

struct proof {
	enum proof_step step;	/* the one that failed, or PROOF_DONE */
	int error;		/* its errno, or 0 when the result is what is wrong */
	uint64_t arena_bytes;
	uint64_t chunk_bytes;
	uint64_t mapped_huge;	/* bytes of it that smaps calls PMD-mapped */
	uint32_t node;		/* where it lies */
};

/* Makes an arena of about @bytes, takes one chunk of it and gives all back. */
void device_prove(const struct device *device, uint64_t bytes, struct proof *proof);

/* The "Name:   N kB" of our mapping that @address is in, as bytes. */
bool smaps_bytes(const void *address, const char *name, uint64_t *bytes);

#endif
