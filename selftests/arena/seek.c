// SPDX-License-Identifier: GPL-2.0-only
/*
 * lseek() on an arena: which chunks are resident. A file that can be sought
 * without an llseek operation of its own would crash the kernel.
 */
#include "kselftest_harness.h"
#include "arena.h"

FIXTURE(seek) {
	size_t chunk;
	off_t bytes;
	int fd;
};

/* Resident: chunks 1, 2 and 5 of 8. */
FIXTURE_SETUP(seek)
{
	self->chunk = default_chunk();
	self->bytes = 8 * self->chunk;
	self->fd = create_arena(self->bytes, self->chunk, 0);
	if (self->fd < 0)
		return;
	ASSERT_EQ(0, fallocate(self->fd, 0, self->chunk, 2 * self->chunk));
	ASSERT_EQ(0, fallocate(self->fd, 0, 5 * self->chunk, 1));
}

FIXTURE_TEARDOWN(seek)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow eight chunks");	\
	ASSERT_LE(0, self->fd);							\
} while (0)

#define EXPECT_SEEK(found, offset, whence) \
	EXPECT_EQ((off_t)(found), lseek(self->fd, offset, whence))

#define EXPECT_NOT_FOUND(error, offset, whence) do {				\
	EXPECT_EQ(-1, lseek(self->fd, offset, whence));				\
	EXPECT_EQ(error, errno);						\
} while (0)

TEST_F(seek, data_begins_at_resident_chunks)
{
	size_t chunk = self->chunk;

	NEEDS_ARENA();
	EXPECT_SEEK(chunk, 0, SEEK_DATA);
	EXPECT_SEEK(chunk, chunk - 1, SEEK_DATA);
	EXPECT_SEEK(chunk, chunk, SEEK_DATA);
	EXPECT_SEEK(5 * chunk, 3 * chunk, SEEK_DATA);
	EXPECT_SEEK(5 * chunk, 4 * chunk + 1, SEEK_DATA);
}

TEST_F(seek, data_inside_a_resident_chunk_is_where_one_asks)
{
	NEEDS_ARENA();
	EXPECT_SEEK(self->chunk + 1, self->chunk + 1, SEEK_DATA);
	EXPECT_SEEK(6 * self->chunk - 1, 6 * self->chunk - 1, SEEK_DATA);
}

TEST_F(seek, no_more_data_is_ENXIO)
{
	NEEDS_ARENA();
	EXPECT_NOT_FOUND(ENXIO, 6 * self->chunk, SEEK_DATA);
	EXPECT_NOT_FOUND(ENXIO, self->bytes - 1, SEEK_DATA);
}

TEST_F(seek, holes_begin_at_chunks_that_are_not_resident)
{
	size_t chunk = self->chunk;

	NEEDS_ARENA();
	EXPECT_SEEK(0, 0, SEEK_HOLE);
	EXPECT_SEEK(5, 5, SEEK_HOLE);
	EXPECT_SEEK(3 * chunk, chunk, SEEK_HOLE);
	EXPECT_SEEK(3 * chunk, 2 * chunk + 7, SEEK_HOLE);
	EXPECT_SEEK(6 * chunk, 5 * chunk, SEEK_HOLE);
	EXPECT_SEEK(6 * chunk + 9, 6 * chunk + 9, SEEK_HOLE);
}

TEST_F(seek, the_end_is_a_hole)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, 0, 6 * self->chunk, 2 * self->chunk));
	EXPECT_SEEK(self->bytes, 5 * self->chunk, SEEK_HOLE);
	EXPECT_SEEK(self->bytes, self->bytes - 1, SEEK_HOLE);
}

TEST_F(seek, outside_of_the_arena_is_ENXIO)
{
	off_t far[] = { self->bytes, self->bytes + 1, INT64_MAX, -1, INT64_MIN };
	unsigned int i;

	NEEDS_ARENA();
	for (i = 0; i < ARRAY_SIZE(far); i++) {
		EXPECT_NOT_FOUND(ENXIO, far[i], SEEK_DATA);
		EXPECT_NOT_FOUND(ENXIO, far[i], SEEK_HOLE);
	}
}

TEST_F(seek, punching_makes_holes)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, self->chunk, self->chunk));
	EXPECT_SEEK(2 * self->chunk, 0, SEEK_DATA);
	EXPECT_SEEK(self->chunk, self->chunk, SEEK_HOLE);
}

TEST_F(seek, a_walk_finds_every_resident_chunk_once)
{
	off_t data, hole = 0;
	uint64_t found = 0;

	NEEDS_ARENA();
	while ((data = lseek(self->fd, hole, SEEK_DATA)) >= 0) {
		hole = lseek(self->fd, data, SEEK_HOLE);
		ASSERT_LT(data, hole);
		found += hole - data;
	}
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(resident(self->fd), found);
}

TEST_F(seek, plain_seeks_stay_inside)
{
	NEEDS_ARENA();
	EXPECT_SEEK(self->bytes, 0, SEEK_END);
	EXPECT_SEEK(self->bytes - 1, -1, SEEK_END);
	EXPECT_SEEK(7, 7, SEEK_SET);
	EXPECT_SEEK(10, 3, SEEK_CUR);
	EXPECT_NOT_FOUND(EINVAL, self->bytes + 1, SEEK_SET);
	EXPECT_NOT_FOUND(EINVAL, -1, SEEK_SET);
	EXPECT_NOT_FOUND(EINVAL, 1, SEEK_END);
	EXPECT_NOT_FOUND(EINVAL, INT64_MAX, SEEK_CUR);
	EXPECT_NOT_FOUND(EINVAL, 0, 77);
}

TEST_F(seek, seeking_allocates_nothing)
{
	NEEDS_ARENA();
	lseek(self->fd, 0, SEEK_DATA);
	lseek(self->fd, 0, SEEK_HOLE);
	lseek(self->fd, 0, SEEK_END);
	EXPECT_EQ(3 * self->chunk, resident(self->fd));
}

TEST_HARNESS_MAIN
