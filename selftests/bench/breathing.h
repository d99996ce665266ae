/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BREATHING_H
#define BREATHING_H

#include "latency.h"
#include "records.h"

/* A breathing service: see breathing.c. */
struct breathing {
	size_t peak;		/* live bytes at high tide */
	size_t smallest, largest;
	uint64_t seed;
	unsigned int rounds;
	unsigned int turns;	/* times that records are replaced at low tide, before the rest */
	unsigned int idle_seconds;
	unsigned int back_seconds;	/* that are waited when the load is back at last */
	/* Each ends that sooner, or is NULL: see records_rest(). */
	records_enough idle, back;
	void (*pause)(void *arg);	/* between two rounds, or NULL */
};

struct tide {
	struct footprint top, low, idle, full;
};

/* Requests of one kind of time. */
struct traffic {
	struct latency latency;
	uint64_t requests;
	uint64_t ns;
	uint64_t faults;	/* page faults of the thread that serves */
};

struct breath {
	struct traffic steady, ramp;
};

/* Calls @told after each round; its records live then. */
void breathe(const struct breathing *breathing, const struct allocator *allocator,
	     void (*told)(const struct tide *tide, void *arg), void *arg, struct breath *breath);

#endif
