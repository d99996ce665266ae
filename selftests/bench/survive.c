// SPDX-License-Identifier: GPL-2.0-only
/*
 * survive CONTESTANT SEED MIB SECONDS...: what scattered survivors keep (survivors.c).
 *
 * Writes a line "MOMENT RESIDENT LIVE TOUCHED HUGE", in bytes, for each moment: top, so many
 * seconds after most was freed, and three after it was refilled.
 */
#include <stdio.h>
#include <stdlib.h>

#include "objects.h"
#include "survivors.h"

#define SMALLEST	((size_t)256)
#define LARGEST		((size_t)64 << 10)
#define REFILLED_SECONDS	3

int main(int argc, char **argv)
{
	struct survivors survivors = {
		.smallest = SMALLEST, .largest = LARGEST, .refilled_seconds = REFILLED_SECONDS,
	};
	struct allocator allocator;
	struct survival survival;
	unsigned int i;

	if (argc < 5 || argc > 4 + SURVIVORS_WAITS) {
		fputs("usage: survive CONTESTANT SEED MIB SECONDS...\n", stderr);
		return 2;
	}
	survivors.seed = strtoull(argv[2], NULL, 0);
	survivors.bytes = strtoull(argv[3], NULL, 0) << 20;
	survivors.waits = (unsigned int)argc - 4;
	for (i = 0; i < survivors.waits; i++)
		survivors.seconds[i] = (unsigned int)strtoul(argv[4 + i], NULL, 0);
	objects_open(argv[1], &allocator);
	survive(&survivors, &allocator, &survival);
	objects_tell("top", &survival.top);
	for (i = 0; i < survivors.waits; i++)
		objects_tell(argv[4 + i], &survival.now[i]);
	objects_tell("refilled", &survival.refilled);
	return 0;
}
