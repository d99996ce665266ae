// SPDX-License-Identifier: GPL-2.0-only
/* The module parameter max_bytes bounds all arenas together. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

static char original[64];
static pid_t first_process;

static void restore(void)
{
	if (getpid() == first_process)
		write_file(MAX_BYTES_PARAMETER, original);
}

/* However a test ends, the limit is what it was. */
static void __attribute__((constructor)) remember(void)
{
	first_process = getpid();
	if (!is_root() || read_file(MAX_BYTES_PARAMETER, original, sizeof(original)) <= 0)
		return;
	atexit(restore);
}

static int set_max_bytes(uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	return write_file(MAX_BYTES_PARAMETER, text);
}

FIXTURE(limit) {
	uint64_t chunk;
	uint64_t used;
};

FIXTURE_SETUP(limit)
{
	self->chunk = default_chunk();
	self->used = get_info().reserved_bytes;
}

FIXTURE_TEARDOWN(limit)
{
	if (is_root())
		restore();
}

#define NEEDS_ROOT() do {							\
	if (!is_root())								\
		SKIP(return, "only root may change max_bytes");			\
} while (0)

TEST_F(limit, more_than_max_bytes_is_ENOSPC)
{
	int fd;

	NEEDS_ROOT();
	ASSERT_EQ(0, set_max_bytes(self->used + 3 * self->chunk));
	EXPECT_EQ(-ENOSPC, create_arena(4 * self->chunk, 0, 0));
	fd = create_arena(3 * self->chunk, 0, 0);
	EXPECT_LE(0, fd) { TH_LOG("exactly the limit: %s", strerror(-fd)); }
}

TEST_F(limit, arenas_add_up_and_give_back)
{
	int fd;

	NEEDS_ROOT();
	ASSERT_EQ(0, set_max_bytes(self->used + 3 * self->chunk));
	fd = create_arena(2 * self->chunk, 0, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOSPC, create_arena(2 * self->chunk, 0, 0));
	close(fd);
	EXPECT_TRUE(eventually((fd = create_arena(3 * self->chunk, 0, 0)) >= 0));
}

TEST_F(limit, info_tells_the_limit_and_what_is_used)
{
	struct hpheap_info info;
	int fd;

	NEEDS_ROOT();
	ASSERT_EQ(0, set_max_bytes(self->used + 3 * self->chunk));
	fd = create_arena(2 * self->chunk, 0, 0);
	ASSERT_LE(0, fd);
	info = get_info();
	EXPECT_EQ(self->used + 3 * self->chunk, info.max_bytes);
	EXPECT_EQ(self->used + 2 * self->chunk, info.reserved_bytes);
}

TEST_F(limit, zero_means_all_memory)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * base_page();
	int fd;

	NEEDS_ROOT();
	ASSERT_EQ(0, set_max_bytes(0));
	EXPECT_EQ(memory, get_info().max_bytes);
	fd = create_arena(2 * self->chunk, 0, 0);
	EXPECT_LE(0, fd);
	EXPECT_EQ(-ENOSPC, create_arena((memory - self->used) & -self->chunk, 0, 0));
}

TEST_F(limit, lowering_it_spares_arenas_that_live)
{
	char *p;
	int fd;

	NEEDS_ROOT();
	ASSERT_EQ(0, set_max_bytes(0));
	fd = create_arena(4 * self->chunk, 0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_max_bytes(1));
	EXPECT_EQ(-ENOSPC, create_arena(self->chunk, 0, 0));
	MAP_ARENA(p, fd, 4 * self->chunk);
	EXPECT_EQ(0, touch_write(p, 1));
	EXPECT_EQ(0, fallocate(fd, 0, 0, 4 * self->chunk));
}

TEST_F(limit, refusal_leaves_nothing_counted)
{
	long long arenas = counter("arenas");
	int i;

	NEEDS_ROOT();
	ASSERT_EQ(0, set_max_bytes(self->used + self->chunk));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(-ENOSPC, create_arena(2 * self->chunk, 0,
						i & 1 ? HPHEAP_CREATE_CONTIG : 0));
	EXPECT_EQ(self->used, get_info().reserved_bytes);
	EXPECT_EQ(arenas, counter("arenas"));
	EXPECT_LE(0, create_arena(self->chunk, 0, 0));
}

TEST_F(limit, nonsense_is_refused)
{
	NEEDS_ROOT();
	EXPECT_EQ(-EINVAL, write_file(MAX_BYTES_PARAMETER, "much"));
	EXPECT_EQ(-EINVAL, write_file(MAX_BYTES_PARAMETER, "-1"));
	EXPECT_EQ(-ERANGE, write_file(MAX_BYTES_PARAMETER, "99999999999999999999"));
}

TEST_F(limit, ordinary_users_may_read_it)
{
	struct stat st;

	ASSERT_EQ(0, stat(MAX_BYTES_PARAMETER, &st));
	EXPECT_EQ(0644, st.st_mode & 0777);
}

struct copies {
	char *p;
	size_t chunk;
};

static int copy_one_and_fail_to_copy_another(void *arg)
{
	const struct copies *copies = arg;

	if (touch_write(copies->p, 1))
		return 1;
	if (touch_write(copies->p + copies->chunk, 1) != SIGBUS)
		return 2;
	if (touch_write(copies->p, 2))
		return 3;
	return touch_read(copies->p + copies->chunk) ? 4 : 0;
}

/* What an arena that fork copies has beyond its size counts, as long as it is there. */
TEST_F(limit, copies_count)
{
	struct copies copies = { .chunk = self->chunk };
	const size_t bytes = 2 * self->chunk;
	int fd;

	NEEDS_ROOT();
	ASSERT_EQ(0, set_max_bytes(0));
	NEW_ARENA(fd, bytes, self->chunk, HPHEAP_CREATE_FORK_COW);
	MAP_ARENA(copies.p, fd, bytes);
	memset(copies.p, 5, bytes);
	ASSERT_EQ(0, set_max_bytes(self->used + bytes + self->chunk));
	EXPECT_EQ(0, in_child(copy_one_and_fail_to_copy_another, &copies));
	EXPECT_TRUE(eventually(counter("reserved_bytes") == (long long)(self->used + bytes)));
	EXPECT_EQ(0, in_child(copy_one_and_fail_to_copy_another, &copies));
	munmap(copies.p, bytes);
	close(fd);
	EXPECT_EQ(self->used, counter("reserved_bytes"));
}

TEST_HARNESS_MAIN
