// SPDX-License-Identifier: GPL-2.0-only
/* Moving, growing and shrinking mappings of an arena. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

FIXTURE(mremap) {
	size_t chunk;
	size_t page;
	int fd;
	char *p;
	char *room;
};

FIXTURE_SETUP(mremap)
{
	size_t chunk = default_chunk();

	self->chunk = chunk;
	self->page = base_page();
	self->fd = create_arena(4 * chunk, chunk, 0);
	if (self->fd < 0)
		return;
	self->p = map_arena(self->fd, 4 * chunk);
	memset(self->p, 0x5a, 4 * chunk);
	self->room = mmap(NULL, 8 * chunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	self->room = (char *)(((uintptr_t)self->room + chunk - 1) & -chunk);
}

FIXTURE_TEARDOWN(mremap)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow four chunks");	\
	ASSERT_LE(0, self->fd);							\
	ASSERT_NE(MAP_FAILED, (void *)self->p);					\
} while (0)

static char *move(char *from, size_t bytes, char *to)
{
	return mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

TEST_F(mremap, aligned_move_keeps_contents_and_huge_entries)
{
	NEEDS_ARENA();
	ASSERT_EQ(self->room, move(self->p, 4 * self->chunk, self->room));
	if (is_pmd_chunk(self->chunk))
		EXPECT_EQ(4 * self->chunk, pmd_mapped(self->room));
	EXPECT_EQ(NULL, not_all(self->room, 4 * self->chunk, 0x5a));
	EXPECT_EQ(SIGSEGV, touch_read(self->p));
}

TEST_F(mremap, move_to_an_odd_address_keeps_contents)
{
	char *to = self->room + self->page;

	NEEDS_ARENA();
	ASSERT_EQ(to, move(self->p, 4 * self->chunk, to));
	EXPECT_EQ(NULL, not_all(to, 4 * self->chunk, 0x5a));
	to[0] = 1;
	to[4 * self->chunk - 1] = 2;
	MAP_ARENA(self->p, self->fd, 4 * self->chunk);
	EXPECT_EQ(1, self->p[0]);
	EXPECT_EQ(2, self->p[4 * self->chunk - 1]);
}

TEST_F(mremap, chunks_first_touched_at_an_odd_address_are_whole)
{
	char *to = self->room + 3 * self->page;

	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, 4 * self->chunk));
	ASSERT_EQ(to, move(self->p, 4 * self->chunk, to));
	memset(to, 0x66, 4 * self->chunk);
	MAP_ARENA(self->p, self->fd, 4 * self->chunk);
	EXPECT_EQ(NULL, not_all(self->p, 4 * self->chunk, 0x66));
}

TEST_F(mremap, punching_reaches_moved_mappings)
{
	char *to = self->room + self->page;

	NEEDS_ARENA();
	ASSERT_EQ(self->room + 4 * self->chunk,
		  move(self->p, self->chunk, self->room + 4 * self->chunk));
	ASSERT_EQ(to, move(self->p + self->chunk, self->chunk, to));
	EXPECT_EQ(0x5a, *to);
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, 2 * self->chunk));
	EXPECT_TRUE(is_zero(self->room + 4 * self->chunk, self->chunk));
	EXPECT_TRUE(is_zero(to, self->chunk));
	EXPECT_EQ(NULL, not_all(self->p + 2 * self->chunk, 2 * self->chunk, 0x5a));
}

TEST_F(mremap, moving_half_a_chunk_leaves_the_other_half)
{
	size_t half = self->chunk / 2;

	NEEDS_ARENA();
	ASSERT_EQ(self->room, move(self->p + half, half, self->room));
	EXPECT_EQ(NULL, not_all(self->room, half, 0x5a));
	EXPECT_EQ(NULL, not_all(self->p, half, 0x5a));
	EXPECT_EQ(SIGSEGV, touch_read(self->p + half));
	self->room[0] = 3;
	MAP_ARENA(self->p, self->fd, self->chunk);
	EXPECT_EQ(3, self->p[half]);
}

TEST_F(mremap, growing_is_possible_and_ends_with_the_arena)
{
	char *p, *grown;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, self->chunk);
	grown = mremap(p, self->chunk, 6 * self->chunk, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, (void *)grown);
	EXPECT_EQ(NULL, not_all(grown, 4 * self->chunk, 0x5a));
	EXPECT_EQ(SIGBUS, touch_read(grown + 4 * self->chunk));
}

TEST_F(mremap, shrinking_keeps_what_is_left)
{
	NEEDS_ARENA();
	ASSERT_EQ(self->p, mremap(self->p, 4 * self->chunk, self->chunk + self->page, 0));
	EXPECT_EQ(NULL, not_all(self->p, self->chunk + self->page, 0x5a));
	EXPECT_EQ(SIGSEGV, touch_read(self->p + self->chunk + self->page));
	EXPECT_EQ(4 * self->chunk, resident(self->fd));
}

/* An old size of 0 makes a second mapping of the same memory. */
TEST_F(mremap, duplicating_a_mapping_shares_the_memory)
{
	char *twin;

	NEEDS_ARENA();
	twin = mremap(self->p, 0, 4 * self->chunk, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, (void *)twin);
	self->p[self->chunk] = 9;
	EXPECT_EQ(9, twin[self->chunk]);
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, 4 * self->chunk));
	EXPECT_TRUE(is_zero(twin, 4 * self->chunk));
}

TEST_HARNESS_MAIN
