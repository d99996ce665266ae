// SPDX-License-Identifier: GPL-2.0-only
/* The status: what each chunk is, one byte for each, in memory that is only read. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "purgeable.h"

#define CHUNKS	6

FIXTURE(status) {
	size_t chunk, bytes;
	int fd;
	char *p;
	const volatile uint8_t *status;
};

FIXTURE_SETUP(status)
{
	self->chunk = default_chunk();
	self->bytes = CHUNKS * self->chunk;
	NEW_ARENA(self->fd, self->bytes, self->chunk, 0);
	MAP_ARENA(self->p, self->fd, self->bytes);
	self->status = map_status(self->fd, self->bytes, self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)self->status);
}

FIXTURE_TEARDOWN(status)
{
	munmap((void *)self->status, CHUNKS);
	munmap(self->p, self->bytes);
	close(self->fd);
}

static bool all_are(const volatile uint8_t *status, uint8_t value)
{
	size_t i;

	for (i = 0; i < base_page(); i++)
		if (status[i] != (i < CHUNKS ? value : HPHEAP_CHUNK_ABSENT))
			return false;
	return true;
}

TEST_F(status, is_announced)
{
	EXPECT_TRUE(get_info().features & HPHEAP_FEATURE_STATUS);
}

TEST_F(status, follows_the_life_of_a_chunk)
{
	EXPECT_TRUE(all_are(self->status, HPHEAP_CHUNK_ABSENT));
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, self->bytes));
	EXPECT_TRUE(all_are(self->status, HPHEAP_CHUNK_ZEROED));
	ASSERT_EQ(0, touch_read(self->p + 2 * self->chunk));
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, self->status[2]);
	EXPECT_EQ(HPHEAP_CHUNK_ZEROED, self->status[1]);
	EXPECT_EQ(HPHEAP_CHUNK_ZEROED, self->status[3]);
	ASSERT_EQ(0, madvise(self->p, self->bytes, MADV_POPULATE_WRITE));
	EXPECT_TRUE(all_are(self->status, HPHEAP_CHUNK_RESIDENT));
	ASSERT_EQ(CHUNKS, mark(self->fd, 0, self->bytes));
	EXPECT_TRUE(all_are(self->status, HPHEAP_CHUNK_PURGEABLE));
	ASSERT_EQ(0, keep(self->fd, 0, self->bytes));
	EXPECT_TRUE(all_are(self->status, HPHEAP_CHUNK_RESIDENT));
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->bytes));
	EXPECT_TRUE(all_are(self->status, HPHEAP_CHUNK_ABSENT));
	ASSERT_EQ(0, touch_write(self->p + self->chunk, 1));
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, self->status[1]);
	EXPECT_EQ(HPHEAP_CHUNK_ABSENT, self->status[0]);
}

TEST_F(status, knows_what_a_contiguous_arena_has)
{
	const volatile uint8_t *status;
	int fd;

	NEW_ARENA(fd, 2 * self->chunk, self->chunk, HPHEAP_CREATE_CONTIG);
	status = map_status(fd, 2 * self->chunk, self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)status);
	EXPECT_EQ(HPHEAP_CHUNK_ZEROED, status[0]);
	EXPECT_EQ(HPHEAP_CHUNK_ZEROED, status[1]);
	munmap((void *)status, 2);
	close(fd);
}

TEST_F(status, is_seen_by_whoever_maps_it_as_long_as_that)
{
	const volatile uint8_t *other = map_status(self->fd, self->bytes, self->chunk);

	ASSERT_NE(MAP_FAILED, (void *)other);
	munmap((void *)self->status, CHUNKS);
	close(self->fd);
	ASSERT_EQ(0, touch_write(self->p + 5 * self->chunk, 1));
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, other[5]);
	munmap(self->p, self->bytes);
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, other[5]);
	self->status = other;
	self->p = MAP_FAILED;
	self->fd = -1;
}

TEST_F(status, cannot_be_written)
{
	EXPECT_EQ(MAP_FAILED, mmap(NULL, CHUNKS, RW, MAP_SHARED, self->fd, self->bytes));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, CHUNKS, PROT_READ, MAP_PRIVATE, self->fd, self->bytes));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, mprotect((void *)self->status, base_page(), RW));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, madvise((void *)self->status, base_page(), MADV_REMOVE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(SIGSEGV, touch_write((char *)self->status, 1));
	EXPECT_EQ(-1, madvise((void *)self->status, base_page(), MADV_POPULATE_WRITE));
	EXPECT_TRUE(all_are(self->status, HPHEAP_CHUNK_ABSENT));
}

/* An arena's own pages follow where the status ends, or begin before it: neither is there. */
TEST_F(status, has_no_more_bytes_than_the_arena_has_chunks)
{
	const size_t page = base_page();
	char *more = mmap(NULL, 3 * page, PROT_READ, MAP_SHARED, self->fd, self->bytes);
	char *across = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, self->fd, self->bytes - page);

	ASSERT_NE(MAP_FAILED, (void *)more);
	ASSERT_NE(MAP_FAILED, (void *)across);
	EXPECT_EQ(0, touch_read(more));
	EXPECT_EQ(SIGBUS, touch_read(more + page));
	EXPECT_EQ(0, touch_read(across));
	EXPECT_EQ(SIGBUS, touch_read(across + page));
	munmap(more, 3 * page);
	munmap(across, 2 * page);
}

TEST_F(status, comes_again_when_its_pages_are_dropped)
{
	ASSERT_EQ(0, touch_write(self->p, 1));
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, self->status[0]);
	ASSERT_EQ(0, madvise((void *)self->status, base_page(), MADV_DONTNEED));
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, self->status[0]);
	ASSERT_EQ(0, madvise((void *)self->status, base_page(), MADV_POPULATE_READ));
}

static int read_status(void *arg)
{
	return touch_read(arg);
}

TEST_F(status, goes_to_children_as_the_arena_does)
{
	const volatile uint8_t *none;
	int fd;

	EXPECT_EQ(0, in_child(read_status, (void *)self->status));
	NEW_ARENA(fd, self->bytes, self->chunk, HPHEAP_CREATE_FORK_NONE);
	none = map_status(fd, self->bytes, self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)none);
	EXPECT_EQ(0, touch_read((char *)none));
	EXPECT_EQ(SIGSEGV, in_child(read_status, (void *)none));
	munmap((void *)none, CHUNKS);
	close(fd);
}

TEST_HARNESS_MAIN
