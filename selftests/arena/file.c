// SPDX-License-Identifier: GPL-2.0-only
/* An arena is a regular file of fixed size, without contents to read. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>

FIXTURE(file) {
	size_t chunk;
	int fd;
};

FIXTURE_SETUP(file)
{
	self->chunk = default_chunk();
	self->fd = create_arena(4 * self->chunk, self->chunk, 0);
}

FIXTURE_TEARDOWN(file)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow four chunks");	\
	ASSERT_LE(0, self->fd);							\
} while (0)

TEST_F(file, is_regular_and_of_the_size_asked_for)
{
	struct stat st;

	NEEDS_ARENA();
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_TRUE(S_ISREG(st.st_mode));
	EXPECT_EQ(4 * self->chunk, st.st_size);
	EXPECT_EQ(self->chunk, st.st_blksize);
	EXPECT_EQ(geteuid(), st.st_uid);
	EXPECT_EQ(0, st.st_mode & 0077);
}

TEST_F(file, every_chunk_size_is_the_block_size_of_its_arena)
{
	struct stat st;
	size_t chunk;
	int fd;

	for_each_chunk_size(chunk) {
		NEW_ARENA(fd, chunk, chunk, 0);
		ASSERT_EQ(0, fstat(fd, &st));
		EXPECT_EQ(chunk, st.st_blksize);
		close(fd);
	}
}

TEST_F(file, blocks_are_what_is_resident)
{
	char *p;

	NEEDS_ARENA();
	EXPECT_EQ(0, resident(self->fd));
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, 2 * self->chunk));
	EXPECT_EQ(2 * self->chunk, resident(self->fd));
	MAP_ARENA(p, self->fd, 4 * self->chunk);
	ASSERT_EQ(0, touch_write(p + 3 * self->chunk, 1));
	EXPECT_EQ(3 * self->chunk, resident(self->fd));
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->chunk));
	EXPECT_EQ(2 * self->chunk, resident(self->fd));
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, 4 * self->chunk));
	EXPECT_EQ(0, resident(self->fd));
}

TEST_F(file, inode_is_its_own_and_shows_in_maps)
{
	char line[512], path[64];
	struct stat st, other;
	bool found = false;
	FILE *maps;
	char *p;
	int fd;

	NEEDS_ARENA();
	NEW_ARENA(fd, self->chunk, 0, 0);
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(0, fstat(fd, &other));
	EXPECT_EQ(st.st_dev, other.st_dev);
	EXPECT_NE(st.st_ino, other.st_ino);

	MAP_ARENA(p, self->fd, self->chunk);
	snprintf(path, sizeof(path), " %llu ", (unsigned long long)st.st_ino);
	maps = fopen("/proc/self/maps", "re");
	ASSERT_NE(NULL, maps);
	while (fgets(line, sizeof(line), maps))
		if (strtoull(line, NULL, 16) == (uintptr_t)p)
			found = strstr(line, path) && strstr(line, "/hpheap-arena");
	fclose(maps);
	EXPECT_TRUE(found);
}

TEST_F(file, name_says_what_it_is)
{
	char path[64], name[256] = "";

	NEEDS_ARENA();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	ASSERT_LT(0, readlink(path, name, sizeof(name) - 1));
	EXPECT_STREQ("/hpheap-arena (deleted)", name);
}

TEST_F(file, size_is_fixed)
{
	struct stat st;

	NEEDS_ARENA();
	EXPECT_EQ(-1, ftruncate(self->fd, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, ftruncate(self->fd, 8 * self->chunk));
	EXPECT_EQ(EPERM, errno);
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(4 * self->chunk, st.st_size);
}

TEST_F(file, mode_owner_and_times_are_fixed)
{
	NEEDS_ARENA();
	EXPECT_EQ(-1, fchmod(self->fd, 0666));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, fchown(self->fd, geteuid(), getegid()));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, futimens(self->fd, NULL));
	EXPECT_EQ(EPERM, errno);
}

TEST_F(file, read_and_write_are_EINVAL)
{
	char byte = 1;
	struct iovec iov = { &byte, 1 };

	NEEDS_ARENA();
	EXPECT_EQ(-1, read(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(-1, pwrite(self->fd, &byte, 1, 0));
	EXPECT_EQ(-1, readv(self->fd, &iov, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, writev(self->fd, &iov, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, resident(self->fd));
}

TEST_F(file, sendfile_splice_and_copy_find_nothing_to_move)
{
	int out = memfd_create("out", MFD_CLOEXEC), pipefd[2];

	NEEDS_ARENA();
	ASSERT_LE(0, out);
	ASSERT_EQ(0, pipe(pipefd));
	EXPECT_GE(0, sendfile(out, self->fd, NULL, 4096));
	EXPECT_GE(0, splice(self->fd, NULL, pipefd[1], NULL, 4096, SPLICE_F_NONBLOCK));
	EXPECT_GE(0, copy_file_range(self->fd, NULL, out, NULL, 4096, 0));
	EXPECT_EQ(0, resident(self->fd));
}

TEST_F(file, syncing_does_nothing_successfully)
{
	char *p;

	NEEDS_ARENA();
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(0, fdatasync(self->fd));
	MAP_ARENA(p, self->fd, self->chunk);
	ASSERT_EQ(0, touch_write(p, 1));
	EXPECT_EQ(0, msync(p, self->chunk, MS_SYNC));
	EXPECT_EQ(0, msync(p, self->chunk, MS_ASYNC));
	EXPECT_EQ(1, *p);
}

TEST_F(file, cannot_be_opened_again_through_proc)
{
	char path[64];
	char *p;

	NEEDS_ARENA();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	EXPECT_EQ(-1, open(path, O_RDWR));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, open(path, O_RDONLY));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, truncate(path, 0));

	MAP_ARENA(p, self->fd, self->chunk);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (long)p,
		 (long)(p + self->chunk));
	EXPECT_EQ(-1, open(path, O_RDWR));
	EXPECT_TRUE(errno == ENXIO || errno == EPERM || errno == ENOENT) {
		TH_LOG("%s: %s", path, strerror(errno));
	}
}

TEST_F(file, cannot_be_executed_or_linked)
{
	char *const none[] = { NULL };

	NEEDS_ARENA();
	EXPECT_EQ(-1, syscall(__NR_execveat, self->fd, "", none, none, AT_EMPTY_PATH));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, linkat(self->fd, "", AT_FDCWD, "hpheap-link", AT_EMPTY_PATH));
}

TEST_F(file, polling_seals_and_file_system_answer_as_for_any_file)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	struct statfs fs;

	NEEDS_ARENA();
	EXPECT_EQ(-1, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd, &event));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, fcntl(self->fd, F_ADD_SEALS, F_SEAL_GROW));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, fstatfs(self->fd, &fs));
}

TEST_HARNESS_MAIN
