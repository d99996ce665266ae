// SPDX-License-Identifier: GPL-2.0-only
/* Giving chunks back: whole ones only, from every mapping at once. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#define CHUNKS	8

FIXTURE(punch) {
	size_t chunk;
	size_t bytes;
	int fd;
	char *p;
};

FIXTURE_SETUP(punch)
{
	self->chunk = default_chunk();
	self->bytes = CHUNKS * self->chunk;
	self->fd = create_arena(self->bytes, self->chunk, 0);
	if (self->fd < 0)
		return;
	self->p = map_arena(self->fd, self->bytes);
	memset(self->p, 0x5a, self->bytes);
}

FIXTURE_TEARDOWN(punch)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow eight chunks");	\
	ASSERT_LE(0, self->fd);							\
	ASSERT_EQ(self->bytes, resident(self->fd));				\
} while (0)

/* Chunks that are gone, as a mask; contents of the others are checked. */
static unsigned int gone(int fd, char *p, size_t chunk)
{
	unsigned int mask = 0, i;

	for (i = 0; i < CHUNKS; i++) {
		if (lseek(fd, i * chunk, SEEK_DATA) != (off_t)(i * chunk))
			mask |= 1U << i;
		else if (not_all(p + i * chunk, chunk, 0x5a))
			mask |= 0x100U << i;
	}
	return mask;
}

#define EXPECT_GONE(mask) EXPECT_EQ(mask, gone(self->fd, self->p, self->chunk))

TEST_F(punch, aligned_range_goes_and_nothing_else)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 2 * self->chunk, 3 * self->chunk));
	EXPECT_GONE(0x1c);
	EXPECT_TRUE(is_zero(self->p + 2 * self->chunk, 3 * self->chunk));
}

TEST_F(punch, misaligned_range_is_rounded_inward)
{
	size_t chunk = self->chunk, page = base_page();

	NEEDS_ARENA();
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 1, self->chunk));
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, page, chunk));
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 0, chunk - 1));
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 0, 1));
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 1, 2 * chunk - 2));
	EXPECT_GONE(0);
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 1, 2 * chunk - 1));
	EXPECT_GONE(0x02);
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 3 * chunk - 1, 2 * chunk));
	EXPECT_GONE(0x0a);
}

TEST_F(punch, range_past_the_end_is_clipped)
{
	NEEDS_ARENA();
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, self->bytes, self->chunk));
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 1ULL << 60, self->chunk));
	EXPECT_GONE(0);
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 7 * self->chunk, 1ULL << 60));
	EXPECT_GONE(0x80);
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 6 * self->chunk, INT64_MAX - 6 * self->chunk));
	EXPECT_GONE(0xc0);
}

TEST_F(punch, nonsense_ranges_are_refused)
{
	NEEDS_ARENA();
	EXPECT_EQ(-1, fallocate(self->fd, PUNCH, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fallocate(self->fd, PUNCH, -1, self->chunk));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fallocate(self->fd, PUNCH, 0, -(off_t)self->chunk));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fallocate(self->fd, PUNCH, self->chunk, INT64_MAX));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_GONE(0);
}

TEST_F(punch, without_keep_size_is_EOPNOTSUPP)
{
	NEEDS_ARENA();
	EXPECT_EQ(-1, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE, 0, self->chunk));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_GONE(0);
}

TEST_F(punch, a_hole_can_be_punched_again)
{
	NEEDS_ARENA();
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 0, self->bytes));
	EXPECT_EQ(0, fallocate(self->fd, PUNCH, 0, self->bytes));
	EXPECT_EQ(0, resident(self->fd));
	EXPECT_TRUE(is_zero(self->p, self->bytes));
}

TEST_F(punch, every_mapping_loses_the_chunk)
{
	char *other, *ro;

	NEEDS_ARENA();
	MAP_ARENA(other, self->fd, self->bytes);
	ro = mmap(NULL, self->chunk, PROT_READ, MAP_SHARED, self->fd, 3 * self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)ro);
	ASSERT_EQ(0x5a, other[3 * self->chunk]);
	ASSERT_EQ(0x5a, ro[0]);
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 3 * self->chunk, self->chunk));
	EXPECT_FALSE(is_present(other + 3 * self->chunk));
	EXPECT_FALSE(is_present(ro));
	EXPECT_TRUE(is_zero(other + 3 * self->chunk, self->chunk));
	EXPECT_TRUE(is_zero(ro, self->chunk));
	self->p[3 * self->chunk] = 9;
	EXPECT_EQ(9, other[3 * self->chunk]);
	EXPECT_EQ(9, ro[0]);
}

TEST_F(punch, mappings_that_cover_part_of_the_chunk_lose_it_too)
{
	size_t page = base_page();
	char *part;

	NEEDS_ARENA();
	part = mmap(NULL, page, RW, MAP_SHARED, self->fd, self->chunk + 3 * page);
	ASSERT_NE(MAP_FAILED, (void *)part);
	ASSERT_EQ(0x5a, *part);
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, self->chunk, self->chunk));
	EXPECT_TRUE(is_zero(part, page));
	*part = 4;
	EXPECT_EQ(4, self->p[self->chunk + 3 * page]);
}

TEST_F(punch, a_child_loses_the_chunk_too)
{
	int ready[2], go[2];
	char byte = 0;
	pid_t pid;

	NEEDS_ARENA();
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		byte = self->p[0];
		if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(3);
		_exit(!is_zero(self->p, self->chunk));
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0x5a, byte);
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->chunk));
	ASSERT_EQ(1, write(go[1], &byte, 1));
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(punch, madv_remove_is_the_same)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, madvise(self->p + 2 * self->chunk, 2 * self->chunk, MADV_REMOVE));
	EXPECT_GONE(0x0c);
	ASSERT_EQ(0, madvise(self->p + 5 * self->chunk + base_page(), 2 * self->chunk,
			     MADV_REMOVE));
	EXPECT_GONE(0x4c);
	ASSERT_EQ(0, madvise(self->p, base_page(), MADV_REMOVE));
	EXPECT_GONE(0x4c);
}

TEST_F(punch, madv_remove_works_without_the_descriptor)
{
	NEEDS_ARENA();
	close(self->fd);
	ASSERT_EQ(0, madvise(self->p, self->bytes, MADV_REMOVE));
	EXPECT_TRUE(is_zero(self->p, self->bytes));
	self->fd = -1;
}

TEST_F(punch, locked_memory_goes_by_the_descriptor)
{
	NEEDS_ARENA();
	if (mlock(self->p, self->chunk)) {
		ASSERT_TRUE(errno == ENOMEM || errno == EPERM);
		SKIP(return, "RLIMIT_MEMLOCK is used up");
	}
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->chunk));
	EXPECT_GONE(0x01);
}

TEST_F(punch, chunks_of_a_contiguous_arena_stay)
{
	size_t bytes = 4 * self->chunk;
	char *p;
	int fd;

	NEEDS_ARENA();
	fd = create_arena(bytes, self->chunk, HPHEAP_CREATE_CONTIG);
	if (fd == -ENOMEM || fd == -EDQUOT)
		SKIP(return, "no run of four chunks: %s", strerror(-fd));
	ASSERT_LE(0, fd);
	MAP_ARENA(p, fd, bytes);
	memset(p, 0x77, bytes);
	EXPECT_EQ(-1, fallocate(fd, PUNCH, 0, self->chunk));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(-1, madvise(p, bytes, MADV_REMOVE));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(bytes, resident(fd));
	EXPECT_EQ(NULL, not_all(p, bytes, 0x77));
	EXPECT_EQ(0, fallocate(fd, 0, 0, bytes));
	EXPECT_EQ(NULL, not_all(p, bytes, 0x77));
}

TEST_F(punch, gives_the_memory_back_to_the_module)
{
	long long released = counter("chunks_released");

	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->bytes));
	EXPECT_LE(released + CHUNKS, counter("chunks_released"));
	EXPECT_EQ(0, resident(self->fd));
	EXPECT_EQ(0, smaps_of(self->p, "Rss:"));
}

TEST_HARNESS_MAIN
