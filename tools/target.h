/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another process, as far as its heaps can be read from outside.
 *
 * The library publishes where its registry of heaps is (lib/publish.h). Its structures are
 * read through /proc/PID/mem: the descriptor stays with one process, whoever gets its number
 * later, and --root holds for it. Nothing is stopped: what changes meanwhile is seen
 * half changed, so nothing that is read is believed.
 */
#ifndef HPHEAPCTL_TARGET_H
#define HPHEAPCTL_TARGET_H

#include <stddef.h>

#include "root.h"

/* Copies of the library in one process. */
#define TARGET_LIBRARIES 8

struct target {
	pid_t pid;
	int mem;			/* open, or -1 */
	char command[COMMAND_BYTES];	/* as the process calls itself: any bytes */
	size_t libraries;
	uint64_t registry[TARGET_LIBRARIES];
	uint64_t self[TARGET_LIBRARIES];
	char version[17];		/* of a library that is not understood, */
	uint64_t layout;
	uint32_t word_bytes;
};

/*
 * 0, or a negative errno: ESRCH there is no such process; EACCES no rights; ENODATA it
 * has no heaps; EPROTO it has, and its library is none that we understand.
 */
int target_open(struct target *target, pid_t pid);
void target_close(struct target *target);

/* 0; ESRCH it has ended; EFAULT there is nothing to read (any more). */
int target_read(const struct target *target, uint64_t address, void *bytes, size_t count);

/* A line on stderr: why @error came of looking into a process. */
void target_complain(const struct target *target, int error);

#endif
