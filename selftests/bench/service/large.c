// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large objects that come and go: 1 to 32 MiB, sixteen at a time, of which each is written in
 * one byte of every 4 KiB, of every fourth object only the first eighth.
 *
 * A round is so many of them; it writes the nanoseconds for all, the bytes that are resident then,
 * and those that were written to.
 */
#include "service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "contestant.h"
#include "system.h"

#define LIVE	16u

static char *objects[LIVE];
static size_t written[LIVE];
static uint64_t random_state = 1, own;

static void replace(unsigned int slot)
{
	const size_t bytes = service_size(&random_state, (size_t)1 << 20, (size_t)32 << 20);
	size_t offset;

	free(objects[slot]);
	objects[slot] = service_malloc(bytes);
	written[slot] = service_random(&random_state) % 4 ? bytes : bytes / 8;
	for (offset = 0; offset < written[slot]; offset += 4096)
		((volatile char *)objects[slot])[offset] = 1;
}

static void prepare(size_t mib, bool by_hand)
{
	unsigned int i;

	(void)by_hand;
	system_warm(mib << 20);
	own = system_resident();
	for (i = 0; i < LIVE; i++)
		replace(i);
}

static void run(uint64_t count)
{
	uint64_t before = system_nanoseconds(), took, i, live = 0;

	for (i = 0; i < count; i++)
		replace((unsigned int)(service_random(&random_state) % LIVE));
	took = system_nanoseconds() - before;
	for (i = 0; i < LIVE; i++)
		live += written[i];
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", took, system_resident() - own, live);
}

const struct measure large_measure = { "large", prepare, run };
