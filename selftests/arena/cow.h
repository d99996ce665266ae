/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An arena that fork copies on write, for tests of what becomes of it, and processes that
 * tell each other when. To be included after kselftest_harness.h.
 */
#ifndef SELFTESTS_ARENA_COW_H
#define SELFTESTS_ARENA_COW_H

#include "arena.h"
#include "system.h"

#define CHUNKS	6

FIXTURE(cow) {
	size_t chunk, bytes;
	int fd;
	char *p;
	long long allocated;
	const char *missing;
};

FIXTURE_VARIANT(cow) {
	bool pmd;
};

FIXTURE_VARIANT_ADD(cow, default_chunks) { .pmd = false };
FIXTURE_VARIANT_ADD(cow, pmd_chunks) { .pmd = true };

/* Chunks full of their number plus 1, but for the last, which is not there. */
FIXTURE_SETUP(cow)
{
	size_t i;

	self->chunk = variant->pmd ? pmd_chunk() : default_chunk();
	self->fd = -1;
	self->missing = "chunks of this size are too much to copy";
	if (!self->chunk || self->chunk > 64 * MIB)
		return;
	self->missing = NULL;
	self->bytes = CHUNKS * self->chunk;
	NEW_ARENA(self->fd, self->bytes, self->chunk, HPHEAP_CREATE_FORK_COW);
	MAP_ARENA(self->p, self->fd, self->bytes);
	for (i = 0; i < CHUNKS - 1; i++)
		memset(self->p + i * self->chunk, i + 1, self->chunk);
	self->allocated = counter("chunks_allocated");
}

FIXTURE_TEARDOWN(cow)
{
	if (self->fd < 0)
		return;
	munmap(self->p, self->bytes);
	close(self->fd);
}

#define NEEDS_CHUNKS() do {							\
	if (self->missing)							\
		SKIP(return, "%s", self->missing);				\
} while (0)

#define COPIES() (counter("chunks_allocated") - self->allocated)

static inline char *chunk_at(const FIXTURE_DATA(cow) *self, size_t i)
{
	return self->p + i * self->chunk;
}

static inline bool is_full_of(const FIXTURE_DATA(cow) *self, size_t i, unsigned char value)
{
	return !not_all(chunk_at(self, i), self->chunk, value);
}

/* As the parent left them. */
static inline bool are_all_as_they_were(const FIXTURE_DATA(cow) *self)
{
	size_t i;

	for (i = 0; i < CHUNKS; i++)
		if (!is_full_of(self, i, i < CHUNKS - 1 ? i + 1 : 0))
			return false;
	return true;
}

static inline int write_all(void *arg)
{
	const FIXTURE_DATA(cow) *self = arg;
	size_t i;

	if (!are_all_as_they_were(self))
		return 1;
	for (i = 0; i < CHUNKS; i++)
		memset(chunk_at(self, i), 0x40 + (int)i, self->chunk);
	for (i = 0; i < CHUNKS; i++)
		if (!is_full_of(self, i, 0x40 + i))
			return 2;
	return 0;
}

/* Tells the parent something, or is told. */
struct bell {
	int pipe[2];
};

static inline void ring(const struct bell *bell)
{
	if (write(bell->pipe[1], "", 1) != 1)
		abort();
}

/* Once: who waits does not ring, so that he hears of it when nobody is left to do so. */
static inline void await(const struct bell *bell)
{
	char byte;

	close(bell->pipe[1]);
	if (read(bell->pipe[0], &byte, 1) != 1)
		_exit(99);
}

/* Another process, and an arena that it has. */
struct other {
	const FIXTURE_DATA(cow) *cow;
	struct bell go;		/* rung for it */
	struct bell done;	/* rung by it */
};

#endif /* SELFTESTS_ARENA_COW_H */
