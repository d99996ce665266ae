// SPDX-License-Identifier: GPL-2.0-only
/* Allocating ahead: fallocate() by chunks, MADV_POPULATE_WRITE with mapping. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

FIXTURE(populate) {
	size_t chunk;
	size_t bytes;
	int fd;
	char *p;
};

FIXTURE_SETUP(populate)
{
	self->chunk = default_chunk();
	self->bytes = 8 * self->chunk;
	self->fd = create_arena(self->bytes, self->chunk, 0);
	if (self->fd >= 0)
		self->p = map_arena(self->fd, self->bytes);
}

FIXTURE_TEARDOWN(populate)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow eight chunks");	\
	ASSERT_LE(0, self->fd);							\
	ASSERT_NE(MAP_FAILED, (void *)self->p);					\
} while (0)

TEST_F(populate, fallocate_makes_chunks_resident_and_maps_nothing)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, 0, 2 * self->chunk, 3 * self->chunk));
	EXPECT_EQ(3 * self->chunk, resident(self->fd));
	EXPECT_EQ(2 * self->chunk, data_at(self->fd, 0));
	EXPECT_EQ(0, smaps_of(self->p, "Rss:"));
}

TEST_F(populate, fallocate_rounds_outward_to_chunks)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, 1));
	EXPECT_EQ(self->chunk, resident(self->fd));
	ASSERT_EQ(0, fallocate(self->fd, 0, 2 * self->chunk - 1, 2));
	EXPECT_EQ(3 * self->chunk, resident(self->fd));
	ASSERT_EQ(0, fallocate(self->fd, 0, self->bytes - 1, 1));
	EXPECT_EQ(4 * self->chunk, resident(self->fd));
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, self->bytes));
	EXPECT_EQ(self->bytes, resident(self->fd));
}

TEST_F(populate, fallocate_with_keep_size_is_the_same)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_KEEP_SIZE, self->chunk, 1));
	EXPECT_EQ(self->chunk, resident(self->fd));
}

TEST_F(populate, fallocate_leaves_what_is_there_alone)
{
	long long allocated;

	NEEDS_ARENA();
	memset(self->p, 0x5a, 2 * self->chunk);
	allocated = counter("chunks_allocated");
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, self->bytes));
	EXPECT_EQ(NULL, not_all(self->p, 2 * self->chunk, 0x5a));
	EXPECT_TRUE(is_zero(self->p + 2 * self->chunk, self->bytes - 2 * self->chunk));
	EXPECT_LE(allocated + 6, counter("chunks_allocated"));
}

TEST_F(populate, fallocate_past_the_end_is_EFBIG_and_does_nothing)
{
	NEEDS_ARENA();
	EXPECT_EQ(-1, fallocate(self->fd, 0, 0, self->bytes + 1));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(-1, fallocate(self->fd, 0, self->bytes, 1));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(-1, fallocate(self->fd, 0, 1ULL << 62, self->chunk));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(0, resident(self->fd));
}

TEST_F(populate, ranges_that_overflow_are_refused)
{
	NEEDS_ARENA();
	EXPECT_EQ(-1, fallocate(self->fd, 0, INT64_MAX, 1));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(-1, fallocate(self->fd, 0, self->chunk, INT64_MAX));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(-1, fallocate(self->fd, 0, 0, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fallocate(self->fd, 0, -1, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, fallocate(self->fd, 0, 0, -1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, resident(self->fd));
}

TEST_F(populate, other_modes_of_fallocate_are_refused)
{
	static const int modes[] = {
		FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE, FALLOC_FL_INSERT_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_UNSHARE_RANGE, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE, 0x100, 1 << 30,
	};
	unsigned int i;

	NEEDS_ARENA();
	memset(self->p, 0x5a, self->chunk);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		EXPECT_EQ(-1, fallocate(self->fd, modes[i], 0, self->chunk));
		EXPECT_EQ(EOPNOTSUPP, errno) { TH_LOG("mode %#x", modes[i]); }
	}
	EXPECT_EQ(NULL, not_all(self->p, self->chunk, 0x5a));
}

TEST_F(populate, posix_fallocate_answers_the_same)
{
	NEEDS_ARENA();
	EXPECT_EQ(0, posix_fallocate(self->fd, 0, self->chunk));
	EXPECT_EQ(EFBIG, posix_fallocate(self->fd, 0, self->bytes + 1));
	EXPECT_EQ(self->chunk, resident(self->fd));
}

TEST_F(populate, populate_write_allocates_and_maps)
{
	long long faults;

	NEEDS_ARENA();
	ASSERT_EQ(0, madvise(self->p, 3 * self->chunk, MADV_POPULATE_WRITE));
	EXPECT_EQ(3 * self->chunk, resident(self->fd));
	EXPECT_EQ(3 * self->chunk, smaps_of(self->p, "Rss:"));
	faults = counter("faults");
	memset(self->p, 1, 3 * self->chunk);
	EXPECT_EQ(faults, counter("faults"));
}

TEST_F(populate, populate_takes_one_fault_a_chunk)
{
	long long faults = counter("faults");

	NEEDS_ARENA();
	ASSERT_EQ(0, madvise(self->p, self->bytes, MADV_POPULATE_WRITE));
	EXPECT_EQ(faults + 8, counter("faults"));
}

TEST_F(populate, populate_read_allocates_and_maps)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, madvise(self->p, self->chunk, MADV_POPULATE_READ));
	EXPECT_EQ(self->chunk, resident(self->fd));
	EXPECT_EQ(self->chunk, smaps_of(self->p, "Rss:"));
}

TEST_F(populate, map_populate_makes_all_of_it_resident)
{
	char *p;

	NEEDS_ARENA();
	p = mmap(NULL, self->bytes, RW, MAP_SHARED | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(self->bytes, resident(self->fd));
	EXPECT_EQ(self->bytes, smaps_of(p, "Rss:"));
}

TEST_F(populate, mlockall_for_the_future_makes_all_of_it_resident)
{
	char *p;

	NEEDS_ARENA();
	if (mlockall(MCL_FUTURE))
		SKIP(return, "mlockall: %s", strerror(errno));
	p = map_arena(self->fd, self->bytes);
	munlockall();
	if (p == MAP_FAILED && errno == EAGAIN)
		SKIP(return, "RLIMIT_MEMLOCK is used up");
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(self->bytes, resident(self->fd));
}

TEST_F(populate, populate_past_the_end_is_EFAULT)
{
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, self->bytes + self->chunk);
	EXPECT_EQ(-1, madvise(p, self->bytes + self->chunk, MADV_POPULATE_WRITE));
	EXPECT_EQ(EFAULT, errno);
}

/* What was allocated ahead costs a touch one fault a chunk, not one a page. */
TEST_F(populate, one_fault_maps_a_chunk_allocated_ahead)
{
	long long faults;
	size_t offset;

	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, self->bytes));
	faults = counter("faults");
	for (offset = 0; offset < self->bytes; offset += base_page())
		self->p[offset] = 1;
	EXPECT_EQ(faults + 8, counter("faults"));
}

TEST_HARNESS_MAIN
