/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that work against each other for some seconds, and memory whose
 * right contents can be told from the offset alone. To be included after
 * arena.h.
 */
#ifndef SELFTESTS_ARENA_STRESS_H
#define SELFTESTS_ARENA_STRESS_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

/* What threads and processes of one test share. */
struct stress {
	atomic_bool stop;
	atomic_ulong steps;	/* done by all */
	atomic_int failed;
	char why[256];		/* the first failure */
};

/* HPHEAP_TEST_SECONDS lets a person stress for longer. */
static inline double stress_seconds(void)
{
	const char *text = getenv("HPHEAP_TEST_SECONDS");

	return text && atof(text) > 0 ? atof(text) : 4;
}

static inline struct stress *stress_new(void)
{
	void *p = mmap(NULL, sizeof(struct stress), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static inline void __attribute__((format(printf, 2, 3)))
stress_fail(struct stress *stress, const char *format, ...)
{
	va_list args;

	if (!atomic_fetch_add(&stress->failed, 1)) {
		va_start(args, format);
		vsnprintf(stress->why, sizeof(stress->why), format, args);
		va_end(args);
	}
	atomic_store(&stress->stop, true);
}

static inline bool stress_goes_on(struct stress *stress)
{
	atomic_fetch_add(&stress->steps, 1);
	return !atomic_load(&stress->stop);
}

/* Lets it go on for its time, or until the first failure. */
static inline void stress_run(struct stress *stress)
{
	double until = now() + stress_seconds();

	while (!atomic_load(&stress->stop) && now() < until)
		usleep(10000);
	atomic_store(&stress->stop, true);
}

/* xorshift: each thread its own state, never 0 */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The only word other than 0 that may ever be at this offset of the arena. */
static inline uint64_t pattern(uint64_t offset)
{
	return (offset + 1) * 0x9e3779b97f4a7c15ULL | 1;
}

static inline bool is_right(uint64_t word, uint64_t offset)
{
	return !word || word == pattern(offset);
}

/* The offset of the first wrong word; -1: all are right. */
static inline off_t first_wrong(const void *begin, size_t bytes)
{
	const uint64_t *word = begin;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i++)
		if (!is_right(word[i], i * sizeof(*word)))
			return i * sizeof(*word);
	return -1;
}

#endif /* SELFTESTS_ARENA_STRESS_H */
