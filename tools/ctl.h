/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the subcommands of hpheapctl share: their options and exit status.
 */
#ifndef HPHEAPCTL_CTL_H
#define HPHEAPCTL_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Exit status, as the manual has it. */
enum {
	STATUS_OK = 0,
	STATUS_FAILED = 1,	/* doctor: only the fallback works */
	STATUS_USAGE = 2,
	STATUS_NO_HUGE = 3,	/* doctor: not even the fallback gives huge pages */
	STATUS_BROKEN = 4,	/* output not written, or no memory: nothing is said */

	/* run, whose program has all others: as env(1) and others that start programs */
	STATUS_CANNOT_RUN = 125,
	STATUS_NOT_EXECUTABLE = 126,
	STATUS_NOT_FOUND = 127,
};

struct options {
	bool json;
	uint64_t size;		/* doctor: memory that the service wants */
	pid_t pid;		/* stat: only arenas of this process; 0: all */
	const char *output;	/* map: file to write; NULL: standard output */
	bool self;		/* map: of this very process */
	bool batch;		/* top: plain text */
	uint64_t delay_ms;	/* top: from one refresh to the next */
	uint64_t count;		/* top: refreshes; 0: until it is ended */
	bool stats;		/* run: print numbers at the end */
	const char *library;	/* run: that replaces malloc(); NULL: the one built with it */
};

typedef int command_fn(const struct options *options, int argc, char **argv);

command_fn cmd_info, cmd_doctor, cmd_load, cmd_unload, cmd_stat, cmd_map, cmd_top, cmd_run;

/* One line on stderr, with the program's name before it. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
