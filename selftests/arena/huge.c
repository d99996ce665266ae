// SPDX-License-Identifier: GPL-2.0-only
/*
 * One chunk is one physically contiguous block, and where it is as large as
 * what a PMD maps, one PMD: as smaps and pagemap tell it.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <sys/prctl.h>

FIXTURE(huge) {
	size_t chunk;
	int fd;
	char *p;
};

FIXTURE_SETUP(huge)
{
	self->chunk = pmd_chunk();
	self->fd = -1;
	if (!self->chunk || !(get_info().chunk_sizes & self->chunk))
		return;
	self->fd = create_arena(4 * self->chunk, self->chunk, 0);
	if (self->fd >= 0)
		self->p = map_arena(self->fd, 4 * self->chunk);
}

FIXTURE_TEARDOWN(huge)
{
	close(self->fd);
}

#define NEEDS_PMD_ARENA() do {							\
	if (!self->chunk)							\
		SKIP(return, "this system maps no huge pages");			\
	if (self->fd == -EDQUOT || self->fd == -EFBIG)				\
		SKIP(return, "four chunks of %zu MiB: %s", self->chunk >> 20,	\
		     why_not(self->fd));					\
	ASSERT_LE(0, self->fd);							\
	ASSERT_NE(MAP_FAILED, (void *)self->p);					\
} while (0)

/*
 * A touch may find no free block of half a gigabyte; that is the answer ENOMEM
 * of fallocate().
 */
#define HAVE_CHUNKS(bytes) do {							\
	NEEDS_PMD_ARENA();							\
	if (fallocate(self->fd, 0, 0, bytes)) {					\
		ASSERT_EQ(ENOMEM, errno);					\
		SKIP(return, "no memory for %llu chunks of %zu MiB",		\
		     (unsigned long long)(bytes) / self->chunk,			\
		     self->chunk >> 20);					\
	}									\
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, bytes));			\
} while (0)

TEST_F(huge, a_write_maps_the_chunk_with_one_pmd)
{
	HAVE_CHUNKS(2 * self->chunk);
	ASSERT_EQ(0, touch_write(self->p + 12345, 1));
	EXPECT_EQ(self->chunk, pmd_mapped(self->p));
	EXPECT_EQ(self->chunk, smaps_of(self->p, "Rss:"));
	ASSERT_EQ(0, touch_write(self->p + 2 * self->chunk - 1, 1));
	EXPECT_EQ(2 * self->chunk, pmd_mapped(self->p));
}

TEST_F(huge, a_read_maps_the_chunk_with_one_pmd)
{
	HAVE_CHUNKS(self->chunk);
	ASSERT_EQ(0, touch_read(self->p + self->chunk / 2));
	EXPECT_EQ(self->chunk, pmd_mapped(self->p));
}

TEST_F(huge, chunks_allocated_ahead_are_mapped_with_one_pmd)
{
	HAVE_CHUNKS(2 * self->chunk);
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, 2 * self->chunk));
	EXPECT_EQ(0, pmd_mapped(self->p));
	ASSERT_EQ(0, touch_read(self->p));
	ASSERT_EQ(0, touch_write(self->p + self->chunk, 1));
	EXPECT_EQ(2 * self->chunk, pmd_mapped(self->p));
}

TEST_F(huge, populated_chunks_are_mapped_with_one_pmd)
{
	HAVE_CHUNKS(2 * self->chunk);
	ASSERT_EQ(0, madvise(self->p, 2 * self->chunk, MADV_POPULATE_WRITE));
	EXPECT_EQ(2 * self->chunk, pmd_mapped(self->p));
}

TEST_F(huge, a_second_process_gets_its_own_pmd)
{
	pid_t pid;

	HAVE_CHUNKS(self->chunk);
	ASSERT_EQ(0, touch_write(self->p, 1));
	pid = fork();
	if (!pid) {
		if (touch_read(self->p))
			_exit(1);
		_exit(pmd_mapped(self->p) == (long long)self->chunk ? 0 : 2);
	}
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(huge, the_pmd_comes_back_after_a_punch)
{
	HAVE_CHUNKS(self->chunk);
	ASSERT_EQ(0, touch_write(self->p, 1));
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->chunk));
	EXPECT_EQ(0, pmd_mapped(self->p));
	ASSERT_EQ(0, touch_write(self->p, 1));
	EXPECT_EQ(self->chunk, pmd_mapped(self->p));
}

TEST_F(huge, the_pmd_comes_back_after_dontneed)
{
	HAVE_CHUNKS(self->chunk);
	ASSERT_EQ(0, touch_write(self->p, 1));
	ASSERT_EQ(0, madvise(self->p, self->chunk, MADV_DONTNEED));
	ASSERT_EQ(0, touch_write(self->p, 1));
	EXPECT_EQ(self->chunk, pmd_mapped(self->p));
}

/* What keeps the PMDs of a process with huge pages for advised memory only. */
TEST_F(huge, mappings_count_as_advised)
{
	NEEDS_PMD_ARENA();
	EXPECT_TRUE(has_vm_flag(self->p, "hg"));
}

/* An arena is asked for by name: settings for transparent huge pages do not count. */
TEST_F(huge, a_process_without_thp_except_advised_keeps_its_pmds)
{
	HAVE_CHUNKS(self->chunk);
	if (prctl(PR_SET_THP_DISABLE, 1, 2 /* PR_THP_DISABLE_EXCEPT_ADVISED */, 0, 0))
		SKIP(return, "this kernel has no PR_THP_DISABLE_EXCEPT_ADVISED");
	ASSERT_EQ(0, touch_write(self->p, 1));
	EXPECT_EQ(self->chunk, pmd_mapped(self->p));
}

TEST_F(huge, thp_switched_off_system_wide_does_not_cost_the_pmd)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	char old[64], *word;
	int touched;

	HAVE_CHUNKS(self->chunk);
	if (!is_root())
		SKIP(return, "only root may change %s", path);
	ASSERT_LT(0, read_file(path, old, sizeof(old)));
	word = strchr(old, '[') + 1;
	*strchr(word, ']') = 0;
	ASSERT_EQ(0, write_file(path, "never"));
	touched = touch_write(self->p, 1);
	ASSERT_EQ(0, write_file(path, word));
	ASSERT_EQ(0, touched);
	EXPECT_EQ(self->chunk, pmd_mapped(self->p));
}

TEST_F(huge, khugepaged_and_ksm_find_nothing_to_do)
{
	HAVE_CHUNKS(self->chunk);
	ASSERT_EQ(0, touch_write(self->p, 1));
	madvise(self->p, self->chunk, 25 /* MADV_COLLAPSE */);
	EXPECT_EQ(self->chunk, pmd_mapped(self->p));
	EXPECT_EQ(1, *self->p);
}

/* Of every size: whether by a PMD or by base pages, a touch maps the whole chunk. */
TEST(one_touch_maps_the_whole_chunk)
{
	size_t chunk, offset;
	char *p;
	int fd;

	for_each_chunk_size(chunk) {
		NEW_ARENA(fd, 2 * chunk, chunk, 0);
		MAP_ARENA(p, fd, 2 * chunk);
		ASSERT_EQ(0, touch_write(p + chunk / 2 + 1, 1));
		for (offset = 0; offset < chunk; offset += base_page())
			if (!is_present(p + offset))
				break;
		EXPECT_EQ(chunk, offset) { TH_LOG("of a chunk of %zu KiB", chunk >> 10); }
		EXPECT_FALSE(is_present(p + chunk));
		EXPECT_EQ(chunk, smaps_of(p, "Rss:"));
		munmap(p, 2 * chunk);
		close(fd);
	}
}

TEST(every_chunk_is_physically_contiguous_and_aligned)
{
	size_t chunk, i;
	char *p;
	int fd;

	if (!is_root())
		SKIP(return, "only root sees frame numbers in pagemap");
	for_each_chunk_size(chunk) {
		NEW_ARENA(fd, 4 * chunk, chunk, 0);
		MAP_ARENA(p, fd, 4 * chunk);
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, touch_write(p + i * chunk, 1));
			ASSERT_NE(0, frame(p + i * chunk));
			EXPECT_EQ(0, frame(p + i * chunk) % (chunk / base_page()));
			EXPECT_EQ(chunk / base_page(), adjacent_pages(p + i * chunk, chunk));
		}
		munmap(p, 4 * chunk);
		close(fd);
	}
}

TEST_HARNESS_MAIN
