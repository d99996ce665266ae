/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_PRESSURE_H
#define HPH_PRESSURE_H

#include "os.h"

/* The system's, and that of the process's memory cgroup. */
#define HPH_TRIGGERS	2

/* All zeroes: nothing is watched. */
struct hph_pressure {
	unsigned int ms;	/* of stalls, in two seconds, that the triggers are set to */
	struct hph_os_file triggers[HPH_TRIGGERS];
};

/* Was there some since the last call? The first one, and one with another @ms, sets it up. */
bool hph_pressure_rose(struct hph_pressure *pressure, unsigned int ms);
void hph_pressure_close(struct hph_pressure *pressure);

#endif /* HPH_PRESSURE_H */
