/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The report that a person reads.
 */
#ifndef KV_REPORT_H
#define KV_REPORT_H

#include "run.h"

struct report_column {
	const struct memory *memory;
	const struct run_result *results;	/* one for each round */
};

struct report {
	const struct run_options *options;
	unsigned int rounds;
	unsigned int columns;
	struct report_column column[2];
};

/* On stdout. 0, or -1 when it could not be written. */
int report_print(const struct report *report);

#endif
