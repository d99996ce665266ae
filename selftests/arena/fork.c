// SPDX-License-Identifier: GPL-2.0-only
/* What a child gets of an arena. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#define SHARED_ARENA(fd, p, flags) do {						\
	NEW_ARENA(fd, 2 * default_chunk(), 0, flags);				\
	MAP_ARENA(p, fd, 2 * default_chunk());					\
} while (0)

static int read_byte(void *p)
{
	int sig = touch_read(p);

	return sig ? 100 + sig : *(char *)p;
}

static int write_byte(void *p)
{
	int sig = touch_write(p, 42);

	return sig ? 100 + sig : 0;
}

TEST(child_shares_the_memory_by_default)
{
	char *p;
	int fd;

	SHARED_ARENA(fd, p, 0);
	*p = 7;
	EXPECT_EQ(7, in_child(read_byte, p));
	EXPECT_EQ(0, in_child(write_byte, p));
	EXPECT_EQ(42, *p);
	EXPECT_EQ(0, in_child(write_byte, p + default_chunk()));
	EXPECT_EQ(42, p[default_chunk()]);
	EXPECT_EQ(2 * default_chunk(), resident(fd));
}

TEST(child_shares_the_memory_with_fork_share)
{
	char *p;
	int fd;

	SHARED_ARENA(fd, p, HPHEAP_CREATE_FORK_SHARE);
	EXPECT_EQ(0, in_child(write_byte, p));
	EXPECT_EQ(42, *p);
}

TEST(child_has_no_mapping_with_fork_none)
{
	char *p;
	int fd;

	SHARED_ARENA(fd, p, HPHEAP_CREATE_FORK_NONE);
	*p = 7;
	EXPECT_EQ(100 + SIGSEGV, in_child(read_byte, p));
	EXPECT_EQ(100 + SIGSEGV, in_child(write_byte, p));
	EXPECT_EQ(7, *p);
}

TEST(fork_none_holds_for_parts_of_a_split_mapping)
{
	char *p;
	int fd;

	SHARED_ARENA(fd, p, HPHEAP_CREATE_FORK_NONE);
	*p = 7;
	ASSERT_EQ(0, mprotect(p + default_chunk(), base_page(), PROT_READ));
	EXPECT_EQ(100 + SIGSEGV, in_child(read_byte, p));
	EXPECT_EQ(100 + SIGSEGV, in_child(read_byte, p + default_chunk()));
}

TEST(madvise_dofork_and_dontfork_decide_for_a_mapping)
{
	char *p;
	int fd;

	SHARED_ARENA(fd, p, HPHEAP_CREATE_FORK_NONE);
	*p = 7;
	ASSERT_EQ(0, madvise(p, 2 * default_chunk(), MADV_DOFORK));
	EXPECT_EQ(7, in_child(read_byte, p));
	ASSERT_EQ(0, madvise(p, 2 * default_chunk(), MADV_DONTFORK));
	EXPECT_EQ(100 + SIGSEGV, in_child(read_byte, p));
}

/* The parent's huge entries survive its children. */
TEST(parent_keeps_its_huge_mapping_over_many_forks)
{
	size_t chunk = default_chunk();
	char *p;
	int fd, i;

	SHARED_ARENA(fd, p, 0);
	*p = 7;
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, in_child(write_byte, p + 1 + i));
		ASSERT_EQ(42, p[1 + i]);
	}
	EXPECT_EQ(7, *p);
	EXPECT_EQ(chunk, smaps_of(p, "Rss:"));
	if (is_pmd_chunk(chunk))
		EXPECT_EQ(chunk, pmd_mapped(p));
}

TEST(grandchild_keeps_the_arena_alive)
{
	int fd, go[2], result[2];
	char *p, byte = 0;
	pid_t pid;

	SHARED_ARENA(fd, p, 0);
	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(result));
	*p = 7;
	pid = fork();
	if (!pid) {
		if (fork())
			_exit(0);
		close(fd);
		close(go[1]);
		if (read(go[0], &byte, 1) < 0)
			_exit(1);
		p[1] = p[0] + 1;
		if (write(result[1], p + 1, 1) != 1)
			_exit(1);
		_exit(0);
	}
	ASSERT_EQ(0, wait_child(pid));
	close(fd);
	ASSERT_EQ(0, munmap(p, 2 * default_chunk()));
	close(go[1]);
	ASSERT_EQ(1, read(result[0], &byte, 1));
	EXPECT_EQ(8, byte);
}

TEST_HARNESS_MAIN
