/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One run of the store on one kind of memory, and what was measured.
 */
#ifndef KV_RUN_H
#define KV_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"
#include "store.h"
#include "text.h"

enum metric {
	GET_P50, GET_P99, GET_P999, GET_MAX,		/* ns */
	WRITE_P50, WRITE_P99, WRITE_P999, WRITE_MAX,
	REQUEST_RATE,					/* per second */
	REQUEST_CPU,					/* seconds of CPU time each */
	LOAD_SECONDS,					/* reserving included */
	LOAD_MINOR, LOAD_MAJOR, SERVE_MINOR, SERVE_MAJOR, /* page faults */
	HUGE_SHARE,					/* 0 to 1, after serving */
	DEVICE_BYTES,					/* after serving */
	LIVE_FULL, RESIDENT_FULL,			/* after serving */
	LIVE_SHRUNK, RESIDENT_SHRUNK,			/* most records deleted */
	RESIDENT_RETURNED,				/* and memory given back */
	RETURN_SECONDS,
	METRICS
};

struct run_options {
	const struct memory *memory;
	const struct text *text;
	unsigned int threads;
	unsigned int requests;
	const char *picture;	/* file for one of the memory, or NULL */
	bool damage;		/* make the run find a wrong text */
	bool quiet;		/* no progress */
};

struct run_result {
	struct memory_facts facts;	/* after serving */
	double metrics[METRICS];
};

#define RUN_MAX_ROUNDS	99u

/* Of all records, one in so many is kept when the store shrinks. */
#define RUN_KEEP	5u

/* 0, or -1 after a line on stderr. Progress goes there, too. */
int run_store(const struct run_options *options, struct run_result *result);

#endif
