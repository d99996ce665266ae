// SPDX-License-Identifier: GPL-2.0-only
/*
 * service MEASURE MIB [hand]: see service.h.
 *
 * Reads numbers from standard input, runs a round for each, and writes what it measured as one
 * line. A zero or the end of the input ends it.
 */
#define _GNU_SOURCE
#include "service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "contestant.h"

#define HUGE	((size_t)2 << 20)

static const struct measure *const measures[] = {
	&requests_measure, &access_measure, &touch_measure, &large_measure, &idle_measure,
};

size_t service_size(uint64_t *state, size_t least, size_t most)
{
	const unsigned int doublings = (unsigned int)(__builtin_ctzll(most) - __builtin_ctzll(least));
	const size_t base = least << service_random(state) % doublings;

	return base + service_random(state) % base;
}

void *service_malloc(size_t bytes)
{
	void *object = malloc(bytes);

	if (!object)
		die("malloc");
	return object;
}

char *service_huge(size_t bytes)
{
	char *memory = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	memory += -(uintptr_t)memory & (HUGE - 1);
	if (madvise(memory, bytes, MADV_HUGEPAGE))
		die("madvise");
	memset(memory, 0, bytes);
	return memory;
}

int main(int argc, char **argv)
{
	const struct measure *measure = NULL;
	uint64_t count;
	size_t i, mib;

	for (i = 0; argc > 2 && i < sizeof(measures) / sizeof(measures[0]); i++)
		if (!strcmp(argv[1], measures[i]->name))
			measure = measures[i];
	mib = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	if (!measure || !mib || argc > 4) {
		fprintf(stderr, "usage: service MEASURE MIB [hand]\n");
		return 2;
	}
	contestant_open("malloc");
	measure->prepare(mib, argc == 4);
	printf("ready\n");
	fflush(stdout);
	while (scanf("%" SCNu64, &count) == 1 && count) {
		measure->round(count);
		fflush(stdout);
	}
	return 0;
}
