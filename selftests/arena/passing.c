// SPDX-License-Identifier: GPL-2.0-only
/* Sharing an arena with other processes by its descriptor. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "passing.h"

#include <grp.h>

FIXTURE(passing) {
	size_t chunk;
	int fd;
	int pair[2];
};

FIXTURE_SETUP(passing)
{
	self->chunk = default_chunk();
	self->fd = create_arena(2 * self->chunk, 0, HPHEAP_CREATE_FORK_NONE);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, self->pair));
}

FIXTURE_TEARDOWN(passing)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow two chunks");	\
	ASSERT_LE(0, self->fd);							\
} while (0)

/* A process that gets the arena through the socket and works with it. */
static int use_passed(int socket, size_t chunk)
{
	int fd = take_fd(socket);
	char *p;

	if (fd < 0)
		return 1;
	p = map_arena(fd, 2 * chunk);
	if (p == MAP_FAILED)
		return 2;
	if (*p != 7 || touch_write(p + chunk, 8))
		return 3;
	if (fallocate(fd, PUNCH, 0, chunk) || *p)
		return 4;
	return 0;
}

TEST_F(passing, another_process_shares_the_memory)
{
	char *p;
	pid_t pid;

	NEEDS_ARENA();
	pid = fork();
	if (!pid) {
		close(self->fd);
		_exit(use_passed(self->pair[1], self->chunk));
	}
	MAP_ARENA(p, self->fd, 2 * self->chunk);
	*p = 7;
	ASSERT_EQ(0, pass_fd(self->pair[0], self->fd));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(8, p[self->chunk]);
	EXPECT_EQ(0, *p);
}

TEST_F(passing, a_user_who_may_not_open_the_device_can_use_what_it_is_given)
{
	char *p;
	pid_t pid;

	NEEDS_ARENA();
	if (!is_root())
		SKIP(return, "only root can become nobody");
	pid = fork();
	if (!pid) {
		close(self->fd);
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534) || open_device() >= 0)
			_exit(100);
		_exit(use_passed(self->pair[1], self->chunk));
	}
	MAP_ARENA(p, self->fd, 2 * self->chunk);
	*p = 7;
	ASSERT_EQ(0, pass_fd(self->pair[0], self->fd));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(8, p[self->chunk]);
}

TEST_F(passing, the_arena_outlives_the_process_that_made_it)
{
	char *p;
	pid_t pid;
	int fd;

	NEEDS_ARENA();
	pid = fork();
	if (!pid) {
		fd = create_arena(2 * self->chunk, 0, 0);
		p = map_arena(fd, 2 * self->chunk);
		memset(p, 0x6b, 2 * self->chunk);
		if (pass_fd(self->pair[1], fd))
			_exit(1);
		raise(SIGKILL);
	}
	ASSERT_EQ(128 + SIGKILL, wait_child(pid));	/* or nothing will come */
	fd = take_fd(self->pair[0]);
	ASSERT_LE(0, fd);
	MAP_ARENA(p, fd, 2 * self->chunk);
	EXPECT_EQ(NULL, not_all(p, 2 * self->chunk, 0x6b));
}

TEST_F(passing, a_descriptor_that_nobody_takes_frees_the_arena)
{
	long long arenas;
	int fd;

	NEEDS_ARENA();
	arenas = counter("arenas");
	NEW_ARENA(fd, self->chunk, 0, 0);
	ASSERT_EQ(0, pass_fd(self->pair[0], fd));
	close(fd);
	EXPECT_EQ(arenas + 1, counter("arenas"));
	close(self->pair[0]);
	close(self->pair[1]);
	EXPECT_TRUE(eventually(counter("arenas") == arenas));
}

TEST_F(passing, the_descriptor_is_closed_by_exec)
{
	char *const argv[] = { "/proc/self/exe", "--hpheap-fd-check", NULL };
	char number[16];
	pid_t pid;

	NEEDS_ARENA();
	snprintf(number, sizeof(number), "%d", self->fd);
	pid = fork();
	if (!pid) {
		setenv("HPHEAP_TEST_FD", number, 1);
		execv("/proc/self/exe", argv);
		_exit(100);
	}
	EXPECT_EQ(0, wait_child(pid));
}

/* This program, called by itself: is the descriptor still there? */
static void __attribute__((constructor)) check_inherited_fd(void)
{
	const char *number = getenv("HPHEAP_TEST_FD");

	if (number)
		_exit(fcntl(atoi(number), F_GETFD) == -1 && errno == EBADF ? 0 : 1);
}

TEST_HARNESS_MAIN
