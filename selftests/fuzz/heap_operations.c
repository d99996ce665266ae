// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer's bytes as operations on a heap: those of the model test, eight bytes
 * each; the first byte of all says in which world. For libFuzzer; what it finds
 * is made shorter and written as C, for selftests/heap/regressions.h. With
 * HEAP_EXPLAIN in the environment inputs are tried in a process of their own, so
 * that this is done for one that ends in a signal, too.
 */
#include <stdlib.h>

#include "lives.h"

#define MOST_OPERATIONS	4096

static const struct world_options *const worlds[] = {
	&fake_4k, &fake_16k, &fake_64k, &pieces_16k, &limited, &two_backends, &two_nodes, &fenced,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The shortest of lives like this that goes wrong. */
static void report(const struct life *life, const char *wrong)
{
	struct verdict verdict = { .step = life->count };

	snprintf(verdict.why, sizeof(verdict.why), "%s", wrong);
	explain(stderr, *life, &verdict);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct operation operations[MOST_OPERATIONS];
	static struct world world;
	struct life life = { .operations = operations, .seed = 1, .seconds = 60 };
	const char *wrong = NULL;
	size_t i;

	if (!size)
		return 0;
	life.options = worlds[data[0] % (sizeof(worlds) / sizeof(worlds[0]))];
	life.count = (size - 1) / OPERATION_BYTES;
	if (life.count > MOST_OPERATIONS)
		life.count = MOST_OPERATIONS;
	for (i = 0; i < life.count; i++)
		operations[i] = operation_of_bytes(data + 1 + i * OPERATION_BYTES,
						   &life.options->style);
	if (getenv("HEAP_EXPLAIN")) {
		struct verdict *verdict = new_verdict();

		life.check_every = 1;
		if (!try_life(&life, verdict))
			explain(stderr, life, verdict);
		return 0;
	}
	if (!world_init(&world, life.options, life.seed))
		abort();
	for (i = 0; i < life.count; i++) {
		wrong = world_step(&world, &operations[i]);
		if (!wrong && (i % 16 == 15 || i + 1 == life.count))
			wrong = world_check(&world);
		if (wrong)
			report(&life, wrong);
	}
	wrong = world_end(&world);
	if (wrong)
		report(&life, wrong);
	return 0;
}
