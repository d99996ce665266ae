// SPDX-License-Identifier: GPL-2.0-only
/*
 * extent MIB: what a span costs in a heap of so much memory.
 *
 * The heap has a backend of addresses without memory, so it can be as large as
 * one likes. It is sparse: of each four huge units two have a span in the middle
 * and one is free, so that both indexes of the heap have as many entries as they can
 * have. Reads numbers from standard input and answers each with the nanoseconds
 * that so many operations took; an operation frees one of WINDOW spans, chosen by
 * chance, and allocates another one, 8 KiB to 1 MiB by chance.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "heap.h"
#include "fake_backend.h"

#define WINDOW	64

static struct fake fake;
static struct hpheap *heap;
static void *spans[WINDOW];
static uint64_t state = 1;

static void *take(size_t bytes, size_t align)
{
	void *span = hpheap_span_alloc(heap, bytes, align, 0);

	if (!span || fake.wrong[0]) {
		fprintf(stderr, "extent: no %zu bytes: %s\n", bytes, fake.wrong);
		exit(1);
	}
	return span;
}

/* An octave is as likely as any other: 8 KiB to 1 MiB. */
static size_t random_size(void)
{
	const unsigned int octave = random_next(&state) % 7;

	return (((size_t)1 << octave) + random_next(&state) % ((size_t)1 << octave)) * PAGE;
}

static bool build(uint64_t mib)
{
	const struct hpheap_options options = { .backend = HPHEAP_BACKEND_THP };
	const uint64_t units = mib / (UNIT / MIB);
	const uint64_t low = (uint64_t)1 << 32;
	void **whole;
	uint64_t i;

	fake_init(&fake, low, low + 2 * mib * MIB + ((uint64_t)8 << 30), 4 * KIB, FAKE_UPWARD, 1);
	if (hph_heap_create(&options, &fake.ports[0].backend, 4 * KIB, &heap) ||
	    hpheap_reserve(heap, (size_t)(mib * MIB), HPHEAP_NODE_ANY))
		return false;
	whole = calloc(units, sizeof(*whole));
	if (!whole)
		return false;
	for (i = 0; i < units; i++)
		whole[i] = take(UNIT, UNIT);
	for (i = 0; i < units; i++)
		if (i % 4 != 3)
			hpheap_span_free(heap, whole[i]);
	for (i = 0; i < units / 2; i++)
		take(100 * PAGE, UNIT / 2);	/* one unit in two: its middle */
	free(whole);
	for (i = 0; i < WINDOW; i++)
		spans[i] = take(random_size(), 0);
	return true;
}

static uint64_t run(uint64_t ops)
{
	struct timespec begin, end;
	uint64_t i;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (i = 0; i < ops; i++) {
		void **span = &spans[random_next(&state) % WINDOW];

		hpheap_span_free(heap, *span);
		*span = take(random_size(), 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (uint64_t)(end.tv_sec - begin.tv_sec) * 1000000000 + (uint64_t)end.tv_nsec -
	       (uint64_t)begin.tv_nsec;
}

int main(int argc, char **argv)
{
	uint64_t ops;

	if (argc != 2 || strtoull(argv[1], NULL, 0) < 64) {
		fputs("usage: extent MIB, 64 or more\n", stderr);
		return 2;
	}
	if (!build(strtoull(argv[1], NULL, 0))) {
		fputs("extent: the heap cannot be built\n", stderr);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (scanf("%" SCNu64, &ops) == 1 && ops) {
		printf("%" PRIu64 "\n", run(ops));
		fflush(stdout);
	}
	return 0;
}
