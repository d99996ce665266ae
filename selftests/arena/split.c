// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings that are cut inside a chunk, and made whole again. The chunk keeps
 * its contents always; its huge entry comes back when the mapping is one again,
 * which it can only become if the module set no flag that forbids merging.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

FIXTURE(split) {
	size_t chunk;
	size_t page;
	int fd;
	char *p;
};

FIXTURE_VARIANT(split) {
	bool pmd;
};

FIXTURE_VARIANT_ADD(split, default_chunks) { .pmd = false };
FIXTURE_VARIANT_ADD(split, pmd_chunks) { .pmd = true };

FIXTURE_SETUP(split)
{
	self->chunk = variant->pmd ? pmd_chunk() : default_chunk();
	self->page = base_page();
	self->fd = -EFBIG;
	if (!self->chunk || self->chunk > 64 * MIB)
		return;
	self->fd = create_arena(4 * self->chunk, self->chunk, 0);
	if (self->fd < 0)
		return;
	self->p = map_arena(self->fd, 4 * self->chunk);
	memset(self->p, 0x5a, 4 * self->chunk);
}

FIXTURE_TEARDOWN(split)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT || self->fd == -EFBIG)				\
		SKIP(return, "four chunks of %zu MiB: %s", self->chunk >> 20,	\
		     why_not(self->fd));					\
	ASSERT_LE(0, self->fd);							\
	ASSERT_NE(MAP_FAILED, (void *)self->p);					\
} while (0)

#define EXPECT_INTACT() EXPECT_EQ(NULL, not_all(self->p, 4 * self->chunk, 0x5a))

#define ONLY_PMD_CHUNKS()							\
	if (!is_pmd_chunk(self->chunk))						\
		SKIP(return, "chunks of %zu MiB have no huge entry here", self->chunk >> 20)

TEST_F(split, mprotect_of_part_of_a_chunk_binds_that_part)
{
	char *middle = self->p + self->chunk + 5 * self->page;

	NEEDS_ARENA();
	ASSERT_EQ(0, mprotect(middle, self->page, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch_write(middle, 1));
	EXPECT_EQ(0, touch_write(middle - 1, 0x5a));
	EXPECT_EQ(0, touch_write(middle + self->page, 0x5a));
	ASSERT_EQ(0, mprotect(middle, self->page, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch_read(middle));
	ASSERT_EQ(0, mprotect(middle, self->page, RW));
	EXPECT_INTACT();
}

TEST_F(split, only_the_split_chunk_loses_its_huge_entry)
{
	NEEDS_ARENA();
	ONLY_PMD_CHUNKS();
	ASSERT_EQ(4 * self->chunk, pmd_mapped(self->p));
	ASSERT_EQ(0, mprotect(self->p + self->chunk, self->page, PROT_READ));
	EXPECT_EQ(self->chunk, pmd_mapped(self->p));
	EXPECT_EQ(2 * self->chunk, pmd_mapped(self->p + 2 * self->chunk));
	EXPECT_INTACT();
}

TEST_F(split, a_repaired_mapping_is_one_again_and_huge_at_the_next_touch)
{
	NEEDS_ARENA();
	ONLY_PMD_CHUNKS();
	ASSERT_EQ(0, mprotect(self->p + self->chunk + self->page, self->page, PROT_NONE));
	EXPECT_EQ(3, mappings_in(self->p, 4 * self->chunk));
	ASSERT_EQ(0, mprotect(self->p + self->chunk + self->page, self->page, RW));
	EXPECT_EQ(1, mappings_in(self->p, 4 * self->chunk));
	ASSERT_EQ(0, touch_write(self->p + self->chunk, 0x5a));
	EXPECT_EQ(4 * self->chunk, pmd_mapped(self->p));
	EXPECT_INTACT();
}

/* Base pages were mapped meanwhile: mapping the chunk over itself mends that. */
TEST_F(split, mapping_a_chunk_over_itself_brings_the_huge_entry_back)
{
	char *at = self->p + self->chunk;

	NEEDS_ARENA();
	ONLY_PMD_CHUNKS();
	ASSERT_EQ(0, mprotect(at, self->page, PROT_READ));
	EXPECT_EQ(NULL, not_all(at, self->chunk, 0x5a));
	ASSERT_EQ(0, mprotect(at, self->page, RW));
	ASSERT_EQ(at, mmap(at, self->chunk, RW, MAP_SHARED | MAP_FIXED, self->fd, self->chunk));
	ASSERT_EQ(0, touch_write(at, 0x5a));
	/* a kernel may leave the mappings unmerged: look at this chunk's own */
	EXPECT_EQ(mappings_in(self->p, 4 * self->chunk) == 1 ? 4 * self->chunk : self->chunk,
		  pmd_mapped(at));
	EXPECT_INTACT();
}

TEST_F(split, munmap_of_part_of_a_chunk_leaves_the_rest)
{
	char *hole = self->p + 2 * self->chunk + self->chunk / 2;

	NEEDS_ARENA();
	ASSERT_EQ(0, munmap(hole, self->page));
	EXPECT_EQ(SIGSEGV, touch_read(hole));
	EXPECT_EQ(NULL, not_all(self->p, hole - self->p, 0x5a));
	EXPECT_EQ(NULL, not_all(hole + self->page,
				self->p + 4 * self->chunk - hole - self->page, 0x5a));
	EXPECT_EQ(4 * self->chunk, resident(self->fd));
	ASSERT_EQ(hole, mmap(hole, self->page, RW, MAP_SHARED | MAP_FIXED, self->fd,
			     hole - self->p));
	EXPECT_INTACT();
}

TEST_F(split, touching_a_chunk_first_through_split_mappings_allocates_it_once)
{
	char *at = self->p + self->chunk;

	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, 4 * self->chunk));
	ASSERT_EQ(0, mprotect(at + self->page, self->page, PROT_READ));
	EXPECT_EQ(0, touch_write(at, 1));
	EXPECT_EQ(0, touch_read(at + self->page));
	EXPECT_EQ(0, touch_write(at + self->chunk - 1, 2));
	EXPECT_EQ(self->chunk, resident(self->fd));
	EXPECT_EQ(0, at[self->page]);
	EXPECT_TRUE(is_zero(at + self->page, self->chunk - 2 * self->page));
}

TEST_F(split, punching_reaches_split_mappings)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, mprotect(self->p + self->page, self->page, PROT_READ));
	EXPECT_INTACT();
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->chunk));
	EXPECT_TRUE(is_zero(self->p, self->chunk));
	EXPECT_EQ(NULL, not_all(self->p + self->chunk, 3 * self->chunk, 0x5a));
}

TEST_F(split, advice_on_part_of_a_chunk_keeps_its_contents)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, madvise(self->p + self->page, self->page, MADV_DONTNEED));
	EXPECT_INTACT();
	madvise(self->p + self->page, self->page, MADV_NOHUGEPAGE);
	EXPECT_INTACT();
	madvise(self->p, self->chunk, MADV_HUGEPAGE);
	EXPECT_INTACT();
	ASSERT_EQ(0, madvise(self->p + self->page, self->page, MADV_DONTFORK));
	EXPECT_INTACT();
}

TEST_HARNESS_MAIN
