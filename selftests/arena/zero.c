// SPDX-License-Identifier: GPL-2.0-only
/* Memory is zero when it is first seen, whoever had it before: every byte. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <sys/sysinfo.h>

#define MOST_BYTES	(192 * MIB)

static uint64_t half_of_free_memory(void)
{
	struct sysinfo info;
	uint64_t bytes;

	sysinfo(&info);
	bytes = (uint64_t)info.freeram * info.mem_unit / 2;
	return bytes < MOST_BYTES ? bytes : MOST_BYTES;
}

/* Another process: fills memory of its own with a pattern and dies. */
static int dirty_memory(void *unused)
{
	uint64_t bytes = half_of_free_memory() * 3 / 2;
	char *p = mmap(NULL, bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	if (p == MAP_FAILED)
		return 1;
	madvise(p, bytes, MADV_HUGEPAGE);
	memset(p, 0xc3, bytes);
	return 0;
}

/* Another process: fills an arena with a pattern and dies. */
static int dirty_arena(void *chunk_size)
{
	size_t chunk = *(size_t *)chunk_size;
	uint64_t bytes = half_of_free_memory(), offset;
	char *p;
	int fd;

	bytes -= bytes % chunk;
	fd = create_arena(bytes, chunk, 0);
	p = fd < 0 ? MAP_FAILED : map_arena(fd, bytes);
	if (p == MAP_FAILED)
		return 1;
	for (offset = 0; offset < bytes && !touch_write(p + offset, 1); offset += chunk)
		memset(p + offset, 0xc3, chunk);
	return !offset;
}

/* Returns bytes seen zero, up to the first that are not or are not to be had. */
static uint64_t zero_bytes(char *p, uint64_t bytes, size_t chunk, bool *stale)
{
	uint64_t offset;

	*stale = false;
	for (offset = 0; offset < bytes; offset += chunk) {
		if (touch_read(p + offset))
			break;
		if (!is_zero(p + offset, chunk)) {
			*stale = true;
			break;
		}
	}
	return offset;
}

FIXTURE(zero) {
	uint64_t bytes;
};

FIXTURE_SETUP(zero)
{
	self->bytes = half_of_free_memory();
}

FIXTURE_TEARDOWN(zero)
{
}

#define EXPECT_ZERO_ARENA(chunk) do {						\
	uint64_t bytes = self->bytes - self->bytes % (chunk), seen;		\
	bool stale;								\
	char *p;								\
	int fd;									\
										\
	NEW_ARENA(fd, bytes, chunk, 0);						\
	MAP_ARENA(p, fd, bytes);						\
	seen = zero_bytes(p, bytes, chunk, &stale);				\
	EXPECT_FALSE(stale) {							\
		TH_LOG("chunk %llu of %zu KiB is not zero",			\
		       (unsigned long long)(seen / (chunk)), (size_t)(chunk) >> 10); \
	}									\
	EXPECT_LT(0, seen);							\
	munmap(p, bytes);							\
	close(fd);								\
} while (0)

TEST_F(zero, memory_that_a_process_filled_and_left)
{
	size_t chunk;

	for_each_chunk_size(chunk) {
		if (chunk > self->bytes)
			break;
		ASSERT_EQ(0, in_child(dirty_memory, NULL));
		EXPECT_ZERO_ARENA(chunk);
	}
}

TEST_F(zero, memory_that_an_arena_of_another_process_held)
{
	size_t chunk;

	for_each_chunk_size(chunk) {
		if (chunk > self->bytes)
			break;
		if (in_child(dirty_arena, &chunk))
			SKIP(return, "no arena of %llu MiB can be had",
			     (unsigned long long)(self->bytes >> 20));
		EXPECT_ZERO_ARENA(chunk);
	}
}

/* However a chunk comes to be, it is zero. */
TEST_F(zero, chunks_punched_and_had_again)
{
	size_t chunk = default_chunk();
	uint64_t bytes = 16 * chunk;
	int fd, way;
	char *p;

	NEW_ARENA(fd, bytes, chunk, 0);
	MAP_ARENA(p, fd, bytes);
	for (way = 0; way < 8; way++) {
		switch (way % 4) {
		case 1:
			ASSERT_EQ(0, fallocate(fd, 0, 0, bytes));
			break;
		case 2:
			ASSERT_EQ(0, madvise(p, bytes, MADV_POPULATE_WRITE));
			break;
		case 3:
			ASSERT_EQ(0, madvise(p, bytes, MADV_POPULATE_READ));
			break;
		}
		ASSERT_TRUE(is_zero(p, bytes)) { TH_LOG("round %d", way); }
		memset(p, 0xc3, bytes);
		ASSERT_EQ(0, way & 4 ? madvise(p, bytes, MADV_REMOVE) :
				       fallocate(fd, PUNCH, 0, bytes));
	}
}

TEST_F(zero, a_contiguous_run_of_dirtied_memory)
{
	size_t chunk = default_chunk(), bytes = 16 * chunk;
	char *p;
	int fd, i;

	ASSERT_EQ(0, in_child(dirty_memory, NULL));
	for (i = 0; i < 4; i++) {
		fd = create_arena(bytes, chunk, HPHEAP_CREATE_CONTIG);
		if (fd == -ENOMEM || fd == -EDQUOT)
			SKIP(return, "no run of %zu MiB: %s", bytes >> 20, strerror(-fd));
		ASSERT_LE(0, fd) { TH_LOG("%s", strerror(-fd)); }
		MAP_ARENA(p, fd, bytes);
		EXPECT_TRUE(is_zero(p, bytes));
		memset(p, 0xc3, bytes);
		munmap(p, bytes);
		close(fd);
	}
}

TEST_F(zero, the_system_calls_of_the_kernel_read_zeroes_too)
{
	size_t chunk = default_chunk();
	char *p, back[256];
	int fd, pipefd[2];

	NEW_ARENA(fd, chunk, chunk, 0);
	MAP_ARENA(p, fd, chunk);
	ASSERT_EQ(0, pipe(pipefd));
	memset(back, 1, sizeof(back));
	ASSERT_EQ(sizeof(back), write(pipefd[1], p + chunk / 2, sizeof(back)));
	ASSERT_EQ(sizeof(back), read(pipefd[0], back, sizeof(back)));
	EXPECT_TRUE(is_zero(back, sizeof(back)));
}

TEST_HARNESS_MAIN
