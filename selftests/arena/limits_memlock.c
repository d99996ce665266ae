// SPDX-License-Identifier: GPL-2.0-only
/*
 * RLIMIT_MEMLOCK bounds what a user's arenas may hold together, in full at
 * create; root's CAP_IPC_LOCK lifts it. Run by root, everything here happens
 * in children with an uid that nobody else has.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <grp.h>

#define TEST_UID	61234

static int device = -1;
static size_t chunk;

/* The device is opened before the user changes: this is not about its mode. */
static int create_here(size_t chunks, uint32_t flags)
{
	struct hpheap_create arg = create_arg(chunks * chunk, 0, flags);

	return ioctl(device, HPHEAP_IOC_CREATE, &arg) ? -errno : arg.fd;
}

static void set_limit(uint64_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		abort();
	limit.rlim_cur = bytes;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		abort();
}

static void become_user(void)
{
	if (!is_root())
		return;
	if (setgroups(0, NULL) || setresgid(TEST_UID, TEST_UID, TEST_UID) ||
	    setresuid(TEST_UID, TEST_UID, TEST_UID))
		abort();
}

/* Runs a test's body as a user who may lock so many chunks; its exit status. */
#define AS_USER(chunks, body) ({						\
	pid_t pid;								\
										\
	fflush(NULL);								\
	device = open_device();							\
	pid = fork();								\
	if (!pid) {								\
		set_limit((chunks) * chunk);				\
		become_user();							\
		body;								\
		_exit(0);							\
	}									\
	close(device);								\
	wait_child(pid);							\
})

/* In the body: the exit status is the line where it went wrong, modulo 200. */
#define CHECK(condition) do {							\
	if (!(condition))							\
		_exit(__LINE__ % 200 + 1);					\
} while (0)

#define EXPECT_BODY(status) \
	EXPECT_EQ(0, status) { TH_LOG("failed near line %d modulo 200", (status) - 1); }

FIXTURE(memlock) {
	bool rich;
};

FIXTURE_SETUP(memlock)
{
	struct rlimit limit;

	chunk = default_chunk();
	getrlimit(RLIMIT_MEMLOCK, &limit);
	self->rich = is_root() || limit.rlim_max >= 8 * chunk;
}

FIXTURE_TEARDOWN(memlock)
{
}

#define NEEDS_RICH_USER() do {							\
	if (!self->rich)							\
		SKIP(return, "the hard RLIMIT_MEMLOCK allows less than eight chunks"); \
} while (0)

TEST_F(memlock, exactly_the_limit_is_allowed)
{
	int status;

	NEEDS_RICH_USER();
	status = AS_USER(4, CHECK(create_here(4, 0) >= 0));
	EXPECT_BODY(status);
}

TEST_F(memlock, one_chunk_more_is_EDQUOT_at_create)
{
	int status;

	NEEDS_RICH_USER();
	status = AS_USER(4, CHECK(create_here(5, 0) == -EDQUOT));
	EXPECT_BODY(status);
}

TEST_F(memlock, less_than_a_chunk_is_EDQUOT)
{
	int status;

	status = AS_USER(0, CHECK(create_here(1, 0) == -EDQUOT));
	EXPECT_BODY(status);
}

TEST_F(memlock, arenas_add_up)
{
	int status;

	NEEDS_RICH_USER();
	status = AS_USER(4, {
		CHECK(create_here(2, 0) >= 0);
		CHECK(create_here(2, 0) >= 0);
		CHECK(create_here(1, 0) == -EDQUOT);
	});
	EXPECT_BODY(status);
}

TEST_F(memlock, arenas_of_all_processes_of_a_user_add_up)
{
	int status;

	NEEDS_RICH_USER();
	status = AS_USER(4, {
		int fd = create_here(3, 0);
		pid_t child;

		CHECK(fd >= 0);
		child = fork();
		if (!child)
			_exit(create_here(2, 0) == -EDQUOT ? 0 : 1);
		CHECK(wait_child(child) == 0);
	});
	EXPECT_BODY(status);
}

TEST_F(memlock, the_whole_size_counts_though_nothing_is_resident)
{
	int status;

	NEEDS_RICH_USER();
	status = AS_USER(4, {
		int fd = create_here(4, 0);

		CHECK(fd >= 0 && resident(fd) == 0);
		CHECK(create_here(1, 0) == -EDQUOT);
		CHECK(!fallocate(fd, 0, 0, 4 * chunk));
		CHECK(!fallocate(fd, PUNCH, 0, 4 * chunk));
		CHECK(create_here(1, 0) == -EDQUOT);
	});
	EXPECT_BODY(status);
}

TEST_F(memlock, a_closed_arena_counts_no_longer)
{
	int status;

	NEEDS_RICH_USER();
	status = AS_USER(4, {
		int i;

		for (i = 0; i < 20; i++) {
			int fd = create_here(4, 0);

			CHECK(fd >= 0);
			close(fd);
		}
	});
	EXPECT_BODY(status);
}

TEST_F(memlock, a_mapped_arena_counts_until_it_is_unmapped)
{
	int status;

	NEEDS_RICH_USER();
	status = AS_USER(4, {
		int fd = create_here(4, 0);
		char *p = map_arena(fd, chunk);

		CHECK(p != MAP_FAILED);
		close(fd);
		CHECK(create_here(1, 0) == -EDQUOT);
		CHECK(!munmap(p, chunk));
		CHECK(create_here(4, 0) >= 0);
	});
	EXPECT_BODY(status);
}

TEST_F(memlock, a_killed_process_gives_its_charge_back)
{
	int status;

	NEEDS_RICH_USER();
	status = AS_USER(4, {
		int i;

		for (i = 0; i < 5; i++) {
			pid_t child = fork();
			int fd;

			if (!child) {
				CHECK(create_here(4, 0) >= 0);
				raise(SIGKILL);
			}
			CHECK(wait_child(child) == 128 + SIGKILL);
			CHECK(eventually((fd = create_here(4, 0)) >= 0));
			close(fd);
		}
	});
	EXPECT_BODY(status);
}

TEST_F(memlock, a_refused_contiguous_arena_charges_nothing)
{
	int status;

	NEEDS_RICH_USER();
	status = AS_USER(4, {
		CHECK(create_here(5, HPHEAP_CREATE_CONTIG) == -EDQUOT);
		CHECK(create_here(4, 0) >= 0);
	});
	EXPECT_BODY(status);
}

TEST_F(memlock, other_users_arenas_do_not_count)
{
	int fd, status;

	if (!is_root())
		SKIP(return, "only root can be several users");
	NEW_ARENA(fd, 8 * chunk, 0, 0);
	status = AS_USER(4, CHECK(create_here(4, 0) >= 0));
	EXPECT_BODY(status);
}

TEST_F(memlock, CAP_IPC_LOCK_is_exempt)
{
	int fd;

	if (!is_root())
		SKIP(return, "only root has CAP_IPC_LOCK");
	set_limit(0);
	fd = create_arena(8 * chunk, 0, 0);
	EXPECT_LE(0, fd) { TH_LOG("%s", strerror(-fd)); }
}

TEST_F(memlock, EDQUOT_leaves_nothing_counted_in_the_module)
{
	long long reserved = counter("reserved_bytes"), arenas = counter("arenas");
	int status;

	status = AS_USER(0, CHECK(create_here(1, 0) == -EDQUOT));
	EXPECT_BODY(status);
	EXPECT_TRUE(eventually(counter("reserved_bytes") == reserved &&
			       counter("arenas") == arenas));
}

TEST_HARNESS_MAIN
