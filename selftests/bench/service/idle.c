// SPDX-License-Identifier: GPL-2.0-only
/*
 * A service that had much and has little: what it still holds when it has rested.
 *
 * Objects of 32 bytes to 16 KiB; seven of eight are freed, at random. A round is so many seconds
 * of rest; it writes the bytes that are resident, those that are live, and those of them that
 * are mapped by huge pages.
 */
#include "service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contestant.h"
#include "system.h"

#define LEAST	32u
#define MOST	((size_t)16 << 10)

static uint64_t random_state = 1, live, own;

static void prepare(size_t mib, bool by_hand)
{
	const size_t most = (mib << 20) / LEAST / 16;
	char **objects = (char **)service_huge(most * sizeof(*objects));
	size_t *sizes = (size_t *)service_huge(most * sizeof(*sizes)), count, i, used = 0;

	(void)by_hand;
	own = system_resident();
	for (count = 0; count < most && used < mib << 20; count++) {
		sizes[count] = service_size(&random_state, LEAST, MOST);
		objects[count] = memset(service_malloc(sizes[count]), 1, sizes[count]);
		used += sizes[count];
	}
	for (i = 0; i < count; i++) {
		if (service_random(&random_state) % 8)
			free(objects[i]);
		else
			live += sizes[i];
	}
}

static void run(uint64_t count)
{
	struct heap_pages pages;

	sleep((unsigned int)count);
	if (system_heap_pages(&pages))
		die("smaps");
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", system_resident() - own, live, pages.huge);
}

const struct measure idle_measure = { "idle", prepare, run };
