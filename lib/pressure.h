/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_PRESSURE_H
#define HPH_PRESSURE_H

#include <stdint.h>

#include "os.h"

/* The system's, and that of the process's memory cgroup. */
#define HPH_TRIGGERS	2

/* All zeroes: nothing is watched. */
struct hph_pressure {
	unsigned int ms;	/* of stalls, in two seconds, that the triggers are set to */
	struct hph_os_file triggers[HPH_TRIGGERS];
	int64_t doubt;		/* a wait is remembered until then; 0: there is none */
	uint64_t reclaimed;	/* what the counters said at the last look since */
};

enum hph_pressed {
	HPH_CALM,
	HPH_STALLED,	/* threads had to wait; the next looks say whether memory was why */
	HPH_PRESSED,
};

/*
 * At @now, in nanoseconds. The first call, and one with another @ms, sets it up. May take
 * milliseconds: the kernel adds up the counters of a cgroup.
 */
enum hph_pressed hph_pressure_look(struct hph_pressure *pressure, unsigned int ms, int64_t now);
void hph_pressure_close(struct hph_pressure *pressure);

#endif /* HPH_PRESSURE_H */
