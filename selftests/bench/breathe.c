// SPDX-License-Identifier: GPL-2.0-only
/*
 * breathe CONTESTANT SEED PEAK-MIB ROUNDS TURNS IDLE-SECONDS: what a service that breathes
 * has of memory, and what it costs it (breathing.c).
 *
 * Writes a line "MOMENT RESIDENT LIVE TOUCHED HUGE", in bytes, for each moment of each
 * round, and at the end "TIME REQUESTS NANOSECONDS FAULTS MEDIAN P999 MOST", the last three
 * in nanoseconds of a request, for steady times and for ramps. Between two rounds it waits
 * for a line, or the end of its input.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "breathing.h"
#include "objects.h"

#define SMALLEST	((size_t)64)
#define LARGEST		((size_t)4 << 20)

static void tell(const struct tide *tide, void *unused)
{
	(void)unused;
	objects_tell("top", &tide->top);
	objects_tell("low", &tide->low);
	objects_tell("idle", &tide->idle);
	objects_tell("full", &tide->full);
}

static void wait_for_a_line(void *unused)
{
	int read;

	(void)unused;
	do
		read = getchar();
	while (read != '\n' && read != EOF);
}

static void tell_traffic(const char *time, const struct traffic *traffic)
{
	printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
	       time, traffic->requests, traffic->ns, traffic->faults,
	       latency_at(&traffic->latency, 0.5), latency_at(&traffic->latency, 0.999),
	       traffic->latency.max);
}

int main(int argc, char **argv)
{
	static struct breath breath;
	struct breathing breathing = {
		.smallest = SMALLEST, .largest = LARGEST, .pause = wait_for_a_line,
	};
	struct allocator allocator;

	if (argc != 7) {
		fputs("usage: breathe CONTESTANT SEED PEAK-MIB ROUNDS TURNS IDLE-SECONDS\n",
		      stderr);
		return 2;
	}
	breathing.seed = strtoull(argv[2], NULL, 0);
	breathing.peak = strtoull(argv[3], NULL, 0) << 20;
	breathing.rounds = (unsigned int)strtoul(argv[4], NULL, 0);
	breathing.turns = (unsigned int)strtoul(argv[5], NULL, 0);
	breathing.idle_seconds = (unsigned int)strtoul(argv[6], NULL, 0);
	breathing.back_seconds = breathing.idle_seconds;
	objects_open(argv[1], &allocator);
	breathe(&breathing, &allocator, tell, NULL, &breath);
	tell_traffic("steady", &breath.steady);
	tell_traffic("ramp", &breath.ramp);
	return 0;
}
