// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The histogram: see latency.h. Class 0 to 31 are those nanoseconds; above, the
 * highest set bit chooses a power of two and the five bits below it the step.
 */
#include "latency.h"

static unsigned int class_of(uint64_t ns)
{
	unsigned int shift;

	if (ns < LATENCY_STEPS)
		return (unsigned int)ns;
	shift = 63u - (unsigned int)__builtin_clzll(ns) - 5u;
	return shift * LATENCY_STEPS + (unsigned int)(ns >> shift);
}

/* The longest duration of a class. */
static uint64_t class_end(unsigned int class)
{
	unsigned int shift;

	if (class < 2 * LATENCY_STEPS)
		return class;
	shift = class / LATENCY_STEPS - 1;
	return ((uint64_t)(class % LATENCY_STEPS + LATENCY_STEPS + 1) << shift) - 1;
}

void latency_record(struct latency *latency, uint64_t ns)
{
	latency->classes[class_of(ns)]++;
	latency->count++;
	if (ns > latency->max)
		latency->max = ns;
}

void latency_merge(struct latency *into, const struct latency *from)
{
	unsigned int i;

	for (i = 0; i < LATENCY_CLASSES; i++)
		into->classes[i] += from->classes[i];
	into->count += from->count;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t latency_at(const struct latency *latency, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)latency->count), seen = 0;
	unsigned int i;

	if (wanted < latency->count)
		wanted++;
	for (i = 0; i < LATENCY_CLASSES; i++) {
		seen += latency->classes[i];
		if (seen >= wanted)
			return class_end(i) < latency->max ? class_end(i) : latency->max;
	}
	return latency->max;
}
