// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fresh memory, 2 MiB at a time: what its first touch costs.
 *
 * A round is so many objects, each touched in every 4 KiB as soon as it is there; it writes
 * the nanoseconds for all. Then everything is freed and given back, for the next round to be fresh
 * again. By hand it is a mapping that may have huge pages, and touched.
 */
#include "service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "contestant.h"
#include "system.h"

#define HUGE	((size_t)2 << 20)

static const struct contestant *who;
static char **objects;
static size_t most;
static bool hand;

static void prepare(size_t mib, bool by_hand)
{
	who = contestant_open("malloc");
	most = mib / 2 ? mib / 2 : 1;
	objects = (char **)service_huge(most * sizeof(*objects));
	hand = by_hand;
}

static void touch(volatile char *memory)
{
	size_t offset;

	for (offset = 0; offset < HUGE; offset += 4096)
		memory[offset] = 1;
}

static char *map(uint64_t count)
{
	char *memory = mmap_take((count + 1) * HUGE);

	if (!memory)
		die("mmap");
	memory += -(uintptr_t)memory & (HUGE - 1);
	if (madvise(memory, count * HUGE, MADV_HUGEPAGE))
		die("madvise");
	return memory;
}

static void run(uint64_t count)
{
	uint64_t before, after, i;
	char *mapped = NULL;

	if (count > most)
		count = most;
	system_warm((count + 8) * HUGE);
	before = system_nanoseconds();
	if (hand)
		mapped = map(count);
	for (i = 0; i < count; i++) {
		objects[i] = hand ? mapped + i * HUGE : service_malloc(HUGE);
		touch(objects[i]);
	}
	after = system_nanoseconds();
	printf("%" PRIu64 "\n", after - before);
	if (hand && munmap(mapped, count * HUGE))
		die("munmap");
	for (i = 0; !hand && i < count; i++)
		free(objects[i]);
	who->give_back();
}

const struct measure touch_measure = { "touch", prepare, run };
