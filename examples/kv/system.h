/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel says about this process, and about the machine's memory.
 */
#ifndef KV_SYSTEM_H
#define KV_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

struct faults {
	uint64_t minor;
	uint64_t major;
};

/* What of a process's heap is in memory, by /proc/self/smaps. */
struct heap_pages {
	uint64_t resident;	/* bytes of anonymous memory and of arenas */
	uint64_t huge;		/* of them mapped by one huge entry each */
};

uint64_t system_nanoseconds(void);
struct faults system_faults(void);
/* Of this process, in user space and in the kernel. */
double system_cpu_seconds(void);
uint64_t system_resident(void);
/* 0 or -errno */
int system_heap_pages(struct heap_pages *pages);

/*
 * Makes the machine have so many bytes of free memory at hand. On a virtual
 * machine the host takes free memory back after seconds, and the next touch
 * then waits for the host: that would be measured, instead of the program.
 */
void system_warm(size_t bytes);

#endif
