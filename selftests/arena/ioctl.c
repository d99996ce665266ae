// SPDX-License-Identifier: GPL-2.0-only
/* What the device and an arena answer to requests that are not theirs. */
#include "kselftest_harness.h"
#include "arena.h"

#include <grp.h>
#include <linux/fs.h>

FIXTURE(ioctl) {
	int dev;
	int arena;
	char arg[8192];
};

FIXTURE_SETUP(ioctl)
{
	self->dev = open_device();
	ASSERT_LE(0, self->dev);
	self->arena = create_arena(default_chunk(), 0, 0);
	memset(self->arg, 0, sizeof(self->arg));
}

FIXTURE_TEARDOWN(ioctl)
{
	close(self->arena);
	close(self->dev);
}

#define NEEDS_ARENA() do {							\
	if (self->arena == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow one chunk");	\
	ASSERT_LE(0, self->arena);						\
} while (0)

static int request_error(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) == -1 ? errno : 0;
}

TEST_F(ioctl, unknown_requests_on_the_device_are_ENOTTY)
{
	unsigned int nr;

	for (nr = 0; nr < 256; nr++) {
		if (nr == _IOC_NR(HPHEAP_IOC_INFO) || nr == _IOC_NR(HPHEAP_IOC_CREATE) ||
		    nr == _IOC_NR(HPHEAP_IOC_PURGEABLE))
			continue;
		EXPECT_EQ(ENOTTY, request_error(self->dev, _IO(HPHEAP_IOC_MAGIC, nr), self->arg)) {
			TH_LOG("request number %u", nr);
		}
	}
}

TEST_F(ioctl, unknown_requests_on_an_arena_are_ENOTTY)
{
	unsigned int nr;

	NEEDS_ARENA();
	for (nr = 0; nr < 256; nr++) {
		if (nr == _IOC_NR(HPHEAP_ARENA_EXTENTS) || nr == _IOC_NR(HPHEAP_ARENA_PURGEABLE))
			continue;
		EXPECT_EQ(ENOTTY,
			  request_error(self->arena, _IO(HPHEAP_IOC_MAGIC, nr), self->arg)) {
			TH_LOG("request number %u", nr);
		}
	}
}

/* The number, its direction and its magic are all part of a request. */
TEST_F(ioctl, near_misses_of_known_requests_are_ENOTTY)
{
	EXPECT_EQ(ENOTTY, request_error(self->dev, _IOWR(HPHEAP_IOC_MAGIC, 0x80,
							 struct hpheap_info), self->arg));
	EXPECT_EQ(ENOTTY, request_error(self->dev, _IO(HPHEAP_IOC_MAGIC + 1, 0x80), self->arg));
	EXPECT_EQ(ENOTTY, request_error(self->dev, _IO(0, 0x80), self->arg));
	EXPECT_EQ(ENOTTY, request_error(self->dev, 0xffffffff, self->arg));
	EXPECT_EQ(ENOTTY, request_error(self->dev, 0, self->arg));
}

TEST_F(ioctl, device_requests_on_an_arena_are_ENOTTY)
{
	struct hpheap_info info = { .size = sizeof(info) };
	struct hpheap_create arg = create_arg(default_chunk(), 0, 0);
	struct hpheap_purgeable purgeable = { .size = sizeof(purgeable) };

	NEEDS_ARENA();
	EXPECT_EQ(ENOTTY, request_error(self->arena, HPHEAP_IOC_INFO, &info));
	EXPECT_EQ(ENOTTY, request_error(self->arena, HPHEAP_IOC_CREATE, &arg));
	EXPECT_EQ(ENOTTY, request_error(self->arena, HPHEAP_IOC_PURGEABLE, &purgeable));
}

TEST_F(ioctl, arena_requests_on_the_device_are_ENOTTY)
{
	struct hpheap_extent extent;
	struct hpheap_extents arg = {
		.size = sizeof(arg), .extents = (uintptr_t)&extent, .count = 1,
	};
	struct hpheap_purgeable purgeable = { .size = sizeof(purgeable) };

	EXPECT_EQ(ENOTTY, request_error(self->dev, HPHEAP_ARENA_EXTENTS, &arg));
	EXPECT_EQ(ENOTTY, request_error(self->dev, HPHEAP_ARENA_PURGEABLE, &purgeable));
}

TEST_F(ioctl, requests_on_other_files_are_ENOTTY)
{
	struct hpheap_info info = { .size = sizeof(info) };
	struct hpheap_create arg = create_arg(default_chunk(), 0, 0);
	int other[3] = { open("/dev/null", O_RDWR), open("/proc/self/exe", O_RDONLY),
			 memfd_create("other", MFD_CLOEXEC) };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(other); i++) {
		ASSERT_LE(0, other[i]);
		EXPECT_EQ(ENOTTY, request_error(other[i], HPHEAP_IOC_INFO, &info));
		EXPECT_EQ(ENOTTY, request_error(other[i], HPHEAP_IOC_CREATE, &arg));
		close(other[i]);
	}
}

TEST_F(ioctl, requests_on_closed_descriptors_are_EBADF)
{
	struct hpheap_create arg = create_arg(default_chunk(), 0, 0);
	int dev = dup(self->dev), arena;

	NEEDS_ARENA();
	arena = dup(self->arena);
	close(dev);
	close(arena);
	EXPECT_EQ(EBADF, request_error(dev, HPHEAP_IOC_CREATE, &arg));
	EXPECT_EQ(EBADF, request_error(arena, HPHEAP_ARENA_EXTENTS, self->arg));
	EXPECT_EQ(-1, fallocate(arena, 0, 0, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, default_chunk(), RW, MAP_SHARED, arena, 0));
	EXPECT_EQ(EBADF, errno);
}

/* The VFS answers these itself, from the inode that the module made up. */
TEST_F(ioctl, requests_of_the_vfs_do_no_harm)
{
	int value = 0;

	NEEDS_ARENA();
	request_error(self->arena, FIGETBSZ, &value);
	EXPECT_NE(0, request_error(self->arena, FIBMAP, &value));
	EXPECT_EQ(0, request_error(self->arena, FIONREAD, &value));
	EXPECT_EQ(0, request_error(self->arena, FIOCLEX, NULL));
	EXPECT_NE(0, request_error(self->arena, FS_IOC_GETFLAGS, self->arg));
	EXPECT_NE(0, request_error(self->arena, FS_IOC_FSGETXATTR, self->arg));
	EXPECT_NE(0, request_error(self->arena, FICLONE, (void *)(long)self->arena));
	EXPECT_NE(0, request_error(self->arena, FIFREEZE, NULL));
	EXPECT_NE(0, request_error(self->arena, FITRIM, self->arg));
}

TEST_F(ioctl, device_has_neither_contents_nor_position_nor_mapping)
{
	EXPECT_EQ(-1, read(self->dev, self->arg, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->dev, self->arg, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, lseek(self->dev, 0, SEEK_END));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, default_chunk(), RW, MAP_SHARED, self->dev, 0));
	EXPECT_EQ(ENODEV, errno);
}

static int open_as_nobody(void *unused)
{
	(void)unused;
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534))
		return 255;
	return open_device() < 0 ? errno : 0;
}

TEST_F(ioctl, device_is_closed_to_users_outside_its_group)
{
	struct stat st;

	if (!is_root())
		SKIP(return, "only root can become nobody");
	ASSERT_EQ(0, stat(device_path(), &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0, st.st_mode & 0007) { TH_LOG("mode %o", st.st_mode & 0777); }
	EXPECT_EQ(EACCES, in_child(open_as_nobody, NULL));
}

TEST_HARNESS_MAIN
