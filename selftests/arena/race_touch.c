// SPDX-License-Identifier: GPL-2.0-only
/*
 * Touches against punches and against each other. A mapping that outlives a
 * punch, or a chunk allocated twice, shows as two mappings that see different
 * memory.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "stress.h"

#define CHUNKS	8

FIXTURE(race) {
	struct stress *stress;
	size_t chunk;
	size_t bytes;
	int fd;
	char *map[2];
	atomic_int next_owner;
};

FIXTURE_VARIANT(race) {
	bool pmd;
};

FIXTURE_VARIANT_ADD(race, default_chunks) { .pmd = false };
FIXTURE_VARIANT_ADD(race, pmd_chunks) { .pmd = true };

FIXTURE_SETUP(race)
{
	self->stress = stress_new();
	self->chunk = variant->pmd ? pmd_chunk() : default_chunk();
	self->bytes = CHUNKS * self->chunk;
	self->fd = -EFBIG;
	if (!self->chunk || self->chunk > 64 * MIB)
		return;
	self->fd = create_arena(self->bytes, self->chunk, 0);
	self->map[0] = map_arena(self->fd, self->bytes);
	self->map[1] = map_arena(self->fd, self->bytes);
}

FIXTURE_TEARDOWN(race)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT || self->fd == -EFBIG)				\
		SKIP(return, "eight chunks of %zu MiB: %s", self->chunk >> 20,	\
		     why_not(self->fd));					\
	ASSERT_LE(0, self->fd);							\
	ASSERT_NE(MAP_FAILED, (void *)self->map[0]);				\
	ASSERT_NE(MAP_FAILED, (void *)self->map[1]);				\
	ASSERT_NE(NULL, self->stress);						\
} while (0)

#define EXPECT_NO_FAILURE() \
	EXPECT_EQ(0, self->stress->failed) { TH_LOG("%s", self->stress->why); }

/* Each chunk has one owner, who alone punches and writes it; others only read. */
static void *own_chunks(void *arg)
{
	FIXTURE_DATA(race) *self = arg;
	int owner = atomic_fetch_add(&self->next_owner, 1) & 1;
	uint64_t random = owner + 1, stamp = 1;

	while (stress_goes_on(self->stress)) {
		size_t index = next_random(&random) % (CHUNKS / 2) * 2 + owner;
		size_t offset = index * self->chunk + next_random(&random) % (self->chunk / 8) * 8;
		volatile uint64_t *a = (void *)(self->map[0] + offset);
		volatile uint64_t *b = (void *)(self->map[1] + offset);

		if (fallocate(self->fd, PUNCH, index * self->chunk, self->chunk))
			stress_fail(self->stress, "punch: %s", strerror(errno));
		if (next_random(&random) % 4 == 0)
			sched_yield();
		if (*a || *b)
			stress_fail(self->stress, "chunk %zu is not zero after a punch: %llx %llx",
				    index, (long long)*a, (long long)*b);
		*a = ++stamp;
		if (*b != stamp)
			stress_fail(self->stress, "chunk %zu differs between two mappings", index);
	}
	return NULL;
}

static void *read_chunks(void *arg)
{
	FIXTURE_DATA(race) *self = arg;
	uint64_t random = (uintptr_t)pthread_self() | 1;

	while (stress_goes_on(self->stress)) {
		size_t offset = next_random(&random) % self->bytes;

		(void)*(volatile char *)(self->map[offset & 1] + offset);
	}
	return NULL;
}

TEST_F(race, mappings_agree_while_chunks_are_punched_and_touched)
{
	pthread_t threads[4];
	pid_t reader;
	unsigned int i;

	NEEDS_ARENA();
	reader = fork();
	if (!reader) {
		read_chunks(self);
		_exit(0);
	}
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, i < 2 ? own_chunks : read_chunks,
					    self));
	stress_run(self->stress);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, wait_child(reader));
	EXPECT_NO_FAILURE();
}

#define THREADS	6

struct first_touch {
	FIXTURE_DATA(race) *self;
	pthread_barrier_t *barrier;
	unsigned int slot;
	int rounds;
};

/* All write their own byte into a fresh chunk at once; nobody's byte is lost. */
static void *touch_first(void *arg)
{
	struct first_touch *touch = arg;
	FIXTURE_DATA(race) *self = touch->self;
	size_t step = self->chunk / THREADS;
	char *map = self->map[touch->slot & 1];
	unsigned int i, other;
	int round;

	for (round = 0; round < touch->rounds; round++) {
		pthread_barrier_wait(touch->barrier);
		for (i = 0; i < CHUNKS; i++) {
			if (touch->slot == 0)	/* this one comes by another way */
				fallocate(self->fd, 0, i * self->chunk, 1);
			map[i * self->chunk + touch->slot * step] = round + 1;
		}
		pthread_barrier_wait(touch->barrier);
		for (i = 0; i < CHUNKS; i++)
			for (other = 0; other < THREADS; other++)
				if (self->map[0][i * self->chunk + other * step] != round + 1)
					stress_fail(self->stress, "a write of thread %u is lost",
						    other);
		pthread_barrier_wait(touch->barrier);
		if (touch->slot == 0 && fallocate(self->fd, PUNCH, 0, self->bytes))
			stress_fail(self->stress, "punch: %s", strerror(errno));
	}
	return NULL;
}

TEST_F(race, a_chunk_touched_first_by_many_is_one_chunk)
{
	struct first_touch touch[THREADS];
	pthread_barrier_t barrier;
	pthread_t threads[THREADS];
	unsigned int i;

	NEEDS_ARENA();
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (i = 0; i < THREADS; i++) {
		touch[i] = (struct first_touch){ self, &barrier, i, 20 };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, touch_first, &touch[i]));
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_NO_FAILURE();
	EXPECT_EQ(0, resident(self->fd));
}

static void *allocate_all(void *arg)
{
	FIXTURE_DATA(race) *self = arg;

	while (stress_goes_on(self->stress))
		if (fallocate(self->fd, 0, 0, self->bytes))
			stress_fail(self->stress, "fallocate: %s", strerror(errno));
	return NULL;
}

static void *punch_all(void *arg)
{
	FIXTURE_DATA(race) *self = arg;

	while (stress_goes_on(self->stress))
		if (madvise(self->map[0], self->bytes, MADV_REMOVE))
			stress_fail(self->stress, "MADV_REMOVE: %s", strerror(errno));
	return NULL;
}

TEST_F(race, allocating_and_punching_the_same_chunks_loses_none)
{
	long long allocated = counter("chunks_allocated"), released = counter("chunks_released");
	pthread_t threads[4];
	unsigned int i;

	NEEDS_ARENA();
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, i & 1 ? punch_all : allocate_all,
					    self));
	stress_run(self->stress);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	EXPECT_NO_FAILURE();
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->bytes));
	EXPECT_EQ(0, resident(self->fd));
	EXPECT_EQ(counter("chunks_allocated") - allocated, counter("chunks_released") - released);
}

TEST_HARNESS_MAIN
