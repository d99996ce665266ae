/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A terminal as a screen that is drawn anew now and then, and left as it was.
 */
#ifndef HPHEAPCTL_SCREEN_H
#define HPHEAPCTL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

enum screen_event {
	SCREEN_TIME,		/* the time is over */
	SCREEN_RESIZED,
	SCREEN_END,		/* q, ^C, or who else wants an end */
};

/* Without @terminal it only waits, and signals end it. False: no terminal that works. */
bool screen_begin(bool terminal);
void screen_end(void);

/* Rows and columns, at least 1. */
void screen_size(unsigned int *rows, unsigned int *columns);

enum screen_event screen_wait(uint64_t ns);

#endif
