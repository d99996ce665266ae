// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module stays while an arena lives, in whatever form, and goes when none
 * does. It is loaded again from HPHEAP_MODULE, /hpheap.ko or by modprobe.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "stress.h"
#include "passing.h"

#include <sys/uio.h>

static const char *module_path(void)
{
	const char *path = getenv("HPHEAP_MODULE");

	if (path && *path)
		return path;
	return access("/hpheap.ko", R_OK) ? NULL : "/hpheap.ko";
}

/* 0 or errno; what rmmod does */
static int unload(void)
{
	return syscall(__NR_delete_module, "hpheap", O_NONBLOCK) ? errno : 0;
}

static struct stat device;

/* Loads the module; the device gets back the owner and mode that it had. */
static int load(void)
{
	const char *path = module_path();
	int fd, err = 0;

	if (path) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(__NR_finit_module, fd, "", 0) && errno != EEXIST))
			err = errno;
		close(fd);
	} else if (system("modprobe hpheap")) {
		err = ENOENT;
	}
	if (err || !eventually(!access(device_path(), F_OK)))
		return err ? err : ENODEV;
	if (chown(device_path(), device.st_uid, device.st_gid) ||
	    chmod(device_path(), device.st_mode & 0777))
		return errno;
	return 0;
}

FIXTURE(unload) {
	const char *missing;
	size_t chunk;
};

FIXTURE_SETUP(unload)
{
	self->chunk = default_chunk();
	self->missing = NULL;
	stat(device_path(), &device);
	if (!is_root())
		self->missing = "only root may unload a module";
	else if (access("/sys/module/hpheap/refcnt", R_OK))
		self->missing = "this kernel does not unload modules";
	else if (counter("arenas"))
		self->missing = "somebody else uses the module";
	else if (!module_path() && system("modinfo -n hpheap >/dev/null 2>&1"))
		self->missing = "hpheap.ko is not at hand to be loaded again (HPHEAP_MODULE)";
}

FIXTURE_TEARDOWN(unload)
{
	if (!self->missing)
		EXPECT_EQ(0, load());
}

#define NEEDS_MODULE() do {							\
	if (self->missing)							\
		SKIP(return, "%s", self->missing);				\
} while (0)

/* delete_module() says EAGAIN where rmmod says "in use". */
#define EXPECT_REFUSED() EXPECT_EQ(EAGAIN, unload())

TEST_F(unload, goes_when_unused_and_comes_again)
{
	int fd;

	NEEDS_MODULE();
	EXPECT_EQ(0, unload());
	EXPECT_EQ(-1, open_device());
	EXPECT_TRUE(eventually(access(device_path(), F_OK)));
	EXPECT_EQ(0, access("/proc/self", F_OK));
	ASSERT_EQ(0, load());
	NEW_ARENA(fd, self->chunk, 0, 0);
	close(fd);
}

TEST_F(unload, refused_while_the_device_is_open)
{
	int dev;

	NEEDS_MODULE();
	dev = open_device();
	ASSERT_LE(0, dev);
	EXPECT_REFUSED();
	close(dev);
	EXPECT_EQ(0, unload());
}

TEST_F(unload, refused_while_an_arena_is_open)
{
	int fd;

	NEEDS_MODULE();
	NEW_ARENA(fd, self->chunk, 0, 0);
	EXPECT_REFUSED();
	close(fd);
	EXPECT_TRUE(eventually(!unload()));
}

TEST_F(unload, refused_while_an_arena_is_mapped_only)
{
	char *p;
	int fd;

	NEEDS_MODULE();
	NEW_ARENA(fd, self->chunk, 0, 0);
	MAP_ARENA(p, fd, self->chunk);
	close(fd);
	EXPECT_REFUSED();
	EXPECT_EQ(0, touch_write(p, 1));
	EXPECT_REFUSED();
	munmap(p, self->chunk);
	EXPECT_TRUE(eventually(!unload()));
}

TEST_F(unload, refused_while_part_of_a_mapping_is_left)
{
	char *p;
	int fd;

	NEEDS_MODULE();
	NEW_ARENA(fd, self->chunk, 0, 0);
	MAP_ARENA(p, fd, self->chunk);
	close(fd);
	munmap(p, self->chunk - base_page());
	EXPECT_REFUSED();
	munmap(p + self->chunk - base_page(), base_page());
	EXPECT_TRUE(eventually(!unload()));
}

TEST_F(unload, refused_while_a_descriptor_is_under_way_in_a_socket)
{
	int fd, pair[2];

	NEEDS_MODULE();
	NEW_ARENA(fd, self->chunk, 0, 0);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	ASSERT_EQ(0, pass_fd(pair[0], fd));
	close(fd);
	EXPECT_REFUSED();
	close(pair[0]);
	close(pair[1]);
	EXPECT_TRUE(eventually(!unload()));
}

TEST_F(unload, each_of_many_arenas_holds_it)
{
	int fd[10];
	unsigned int i;

	NEEDS_MODULE();
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		NEW_ARENA(fd[i], self->chunk, 0, 0);
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		EXPECT_REFUSED();
		close(fd[i]);
	}
	EXPECT_TRUE(eventually(!unload()));
}

TEST_F(unload, refused_calls_hold_nothing)
{
	struct hpheap_create arg;
	int i;

	NEEDS_MODULE();
	for (i = 0; i < 10; i++) {
		arg = create_arg(1ULL << 50, 0, 0);
		EXPECT_EQ(-EFBIG, create(&arg));
		arg = create_arg(self->chunk, 0, 1U << 31);
		EXPECT_EQ(-EINVAL, create(&arg));
	}
	EXPECT_EQ(0, unload());
}

TEST_F(unload, a_killed_process_holds_nothing)
{
	int i, fd;
	pid_t pid;

	NEEDS_MODULE();
	for (i = 0; i < 10; i++) {
		pid = fork();
		if (!pid) {
			fd = create_arena(4 * self->chunk, 0, 0);
			memset(map_arena(fd, 4 * self->chunk), 1, 4 * self->chunk);
			raise(SIGKILL);
		}
		ASSERT_EQ(128 + SIGKILL, wait_child(pid));
		EXPECT_TRUE(eventually(!unload()));
		ASSERT_EQ(0, load());
	}
}

/* The pages are the system's own; what a pipe holds needs no module. */
TEST_F(unload, pages_in_a_pipe_outlive_the_module)
{
	struct iovec iov;
	char copy[256], *p;
	int fd, pipefd[2];

	NEEDS_MODULE();
	ASSERT_EQ(0, pipe(pipefd));
	NEW_ARENA(fd, self->chunk, 0, 0);
	MAP_ARENA(p, fd, self->chunk);
	memset(p, 0x77, self->chunk);
	iov = (struct iovec){ p + base_page(), sizeof(copy) };
	ASSERT_EQ(sizeof(copy), vmsplice(pipefd[1], &iov, 1, 0));
	munmap(p, self->chunk);
	close(fd);
	EXPECT_TRUE(eventually(!unload()));
	ASSERT_EQ(sizeof(copy), read(pipefd[0], copy, sizeof(copy)));
	EXPECT_EQ(NULL, not_all(copy, sizeof(copy), 0x77));
}

/*
 * Rests twice as long as it worked: then two of these leave the module unused
 * for four ninths of the time, on a machine however slow.
 */
static void *use_module(void *arg)
{
	struct stress *stress = arg;
	double begin;
	int dev, fd;
	char *p;

	while (stress_goes_on(stress)) {
		struct hpheap_create create = create_arg(2 * MIB, 0, 0);

		begin = now();
		dev = open_device();
		if (dev < 0)
			continue;	/* it is not loaded just now */
		if (!ioctl(dev, HPHEAP_IOC_CREATE, &create)) {
			fd = create.fd;
			p = map_arena(fd, 2 * MIB);
			close(fd);
			if (p == MAP_FAILED || touch_write(p, 1))
				stress_fail(stress, "an arena does not work");
			munmap(p, 2 * MIB);
		}
		close(dev);
		usleep(2e6 * (now() - begin));
	}
	return NULL;
}

TEST_F(unload, unloading_races_with_arenas_that_come_and_go)
{
	struct stress *stress = stress_new();
	double until = now() + stress_seconds();
	unsigned int i, unloaded = 0;
	pthread_t threads[2];

	NEEDS_MODULE();
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, use_module, stress));
	while (now() < until && !stress->stop) {
		if (!unload()) {
			unloaded++;
			usleep(1000);
			load();
		}
	}
	stress->stop = true;
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, stress->failed) { TH_LOG("%s", stress->why); }
	EXPECT_LT(0, unloaded);
	EXPECT_TRUE(eventually(!unload()));
}

TEST_HARNESS_MAIN
