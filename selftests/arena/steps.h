/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Steps that threads repeat at once, on one arena whose every word follows from its
 * offset. To be included after arena.h and system.h.
 */
#ifndef SELFTESTS_ARENA_STEPS_H
#define SELFTESTS_ARENA_STEPS_H

#include "purgeable.h"
#include "stress.h"

/* The arena, as a step finds it. */
static struct {
	struct stress *stress;
	size_t chunk;
	size_t bytes;
	int fd;
	char *map;
} the;

typedef void (*step_fn)(uint64_t *random);

static inline void check_word(const char *map, size_t offset)
{
	uint64_t word = *(volatile const uint64_t *)(map + offset);

	if (!is_right(word, offset))
		stress_fail(the.stress, "foreign word %llx at offset %#zx of process %d",
			    (long long)word, offset, getpid());
}

static inline size_t random_offset(uint64_t *random)
{
	return next_random(random) % (the.bytes / 8) * 8;
}

/* Reads words of a mapping, and writes half of them. */
static inline void touch_some(char *map, uint64_t *random, int count)
{
	size_t offset;

	while (count--) {
		offset = random_offset(random);
		check_word(map, offset);
		if (next_random(random) & 1)
			*(volatile uint64_t *)(map + offset) = pattern(offset);
	}
}

static inline void touch_word(uint64_t *random)
{
	touch_some(the.map, random, 1);
}

/* Makes a chunk purgeable, or keeps it, by the arena's descriptor or the mapping. */
static inline void mark_some(uint64_t *random)
{
	size_t offset = next_random(random) % (the.bytes / the.chunk) * the.chunk;
	uint32_t flags = next_random(random) % 4 ? 0 : HPHEAP_PURGEABLE_KEEP;
	long result;

	if (next_random(random) & 1)
		result = purge(the.fd, offset, the.chunk, flags);
	else
		result = purge_at(the.map + offset, the.chunk, flags);
	if (result < 0 && result != -ENOMEM)
		stress_fail(the.stress, "mark: %s", strerror(-result));
}

/* Has the kernel take what is purgeable, where that can be asked for. */
static inline void take_some(uint64_t *random)
{
	(void)random;
	if (is_root())
		drop_slab();
	usleep(5000);
}

static inline void *repeat(void *step)
{
	uint64_t random = (uintptr_t)pthread_self() | 1;

	while (stress_goes_on(the.stress))
		(*(const step_fn *)step)(&random);
	return NULL;
}

/* A thread for each, until the time is over or one has failed. */
static inline void run_steps(const step_fn *steps, size_t count)
{
	pthread_t *threads = calloc(count, sizeof(*threads));
	size_t i, begun;
	int error;

	if (!threads)
		stress_fail(the.stress, "no memory");
	for (begun = 0; threads && begun < count; begun++) {
		error = pthread_create(&threads[begun], NULL, repeat, (void *)&steps[begun]);
		if (error) {
			stress_fail(the.stress, "pthread_create: %s", strerror(error));
			break;
		}
	}
	stress_run(the.stress);
	for (i = 0; i < begun; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

#endif /* SELFTESTS_ARENA_STEPS_H */
