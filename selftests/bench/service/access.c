// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random access to a large live heap: what huge pages are for.
 *
 * Objects of 64 bytes to 4 KiB fill it, in the order in which they come. One after the other is
 * read at random, each where the one before it says. A round is so many reads; it writes
 * nanoseconds for all. By hand the objects lie one behind the other on huge pages.
 */
#include "service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "system.h"

#define LEAST	64u
#define MOST	4096u

static uint64_t **objects;	/* on huge pages for all: it is not what is measured */
static uint64_t nr_objects, random_state = 1, position;

static void prepare(size_t mib, bool by_hand)
{
	const size_t bytes = mib << 20;
	char *memory = by_hand ? service_huge(bytes) : NULL;
	size_t used = 0, size;

	objects = (uint64_t **)service_huge(bytes / LEAST / 4 * sizeof(*objects));
	while (used + MOST <= bytes && nr_objects < bytes / LEAST / 4) {
		size = service_size(&random_state, LEAST, MOST) & ~(size_t)15;
		objects[nr_objects] = by_hand ? (uint64_t *)(memory + used) : service_malloc(size);
		memset(objects[nr_objects], 0, size);
		*objects[nr_objects++] = service_random(&random_state);
		used += size;
	}
}

static void run(uint64_t count)
{
	const uint64_t before = system_nanoseconds();
	uint64_t i;

	for (i = 0; i < count; i++)
		position = (*objects[position] + i * 0x9e3779b9) % nr_objects;
	printf("%" PRIu64 "\n", system_nanoseconds() - before);
}

const struct measure access_measure = { "access", prepare, run };
