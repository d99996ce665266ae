// SPDX-License-Identifier: GPL-2.0-only
/*
 * A core dump leaves arenas out: it would allocate every chunk that nobody ever
 * touched. MADV_DODUMP puts a mapping in.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <sys/prctl.h>

#define PATTERN	"/proc/sys/kernel/core_pattern"
#define CHUNKS	8

static char original[256];
static pid_t first_process;

static void restore(void)
{
	if (getpid() == first_process)
		write_file(PATTERN, original);
}

static void __attribute__((constructor)) remember(void)
{
	first_process = getpid();
	if (is_root() && read_file(PATTERN, original, sizeof(original)) > 0)
		atexit(restore);
}

FIXTURE(coredump) {
	const char *missing;
	size_t chunk;
	int fd;
	char *p;
	char directory[64];
};

FIXTURE_SETUP(coredump)
{
	char pattern[128];

	/* MADV_DODUMP takes no VM_MIXEDMAP, which smaller chunks need before 6.18 */
	self->chunk = pmd_chunk() && pmd_chunk() <= 32 * MIB ? pmd_chunk() : default_chunk();
	self->missing = NULL;
	if (!is_root()) {
		self->missing = "only root may choose where core dumps go";
		return;
	}
	strcpy(self->directory, "/tmp/hpheap-core-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
	snprintf(pattern, sizeof(pattern), "%s/core", self->directory);
	if (write_file(PATTERN, pattern) || write_file("/proc/self/coredump_filter", "0x3f")) {
		self->missing = "this kernel writes no core dumps";
		return;
	}
	self->fd = create_arena(CHUNKS * self->chunk, self->chunk, 0);
	ASSERT_LE(0, self->fd);
	self->p = map_arena(self->fd, CHUNKS * self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)self->p);
	memset(self->p, 0x5a, self->chunk);
}

FIXTURE_TEARDOWN(coredump)
{
	if (!is_root())
		return;
	write_file(PATTERN, original);
	rmdir(self->directory);
	close(self->fd);
}

/* Size of what a crash in a child leaves behind; -1: nothing. */
static off_t crash(const char *directory)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	char path[128], by_pid[160];
	struct stat st;
	pid_t pid;

	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &limit);
		prctl(PR_SET_DUMPABLE, 1);
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
		_exit(0);
	}
	if (wait_child(pid) != 128 + SIGSEGV)
		return -1;
	snprintf(path, sizeof(path), "%s/core", directory);
	snprintf(by_pid, sizeof(by_pid), "%s.%d", path, pid);
	if (stat(path, &st) && stat(by_pid, &st))
		return -1;
	unlink(path);
	unlink(by_pid);
	return st.st_size;
}

TEST_F(coredump, leaves_the_arena_out_and_allocates_nothing)
{
	off_t size;

	if (self->missing)
		SKIP(return, "%s", self->missing);
	EXPECT_TRUE(has_vm_flag(self->p, "dd"));
	size = crash(self->directory);
	ASSERT_LT(0, size);
	EXPECT_GT(self->chunk, size);
	EXPECT_EQ(self->chunk, resident(self->fd));
}

TEST_F(coredump, holds_the_arena_when_that_is_asked_for)
{
	off_t size;

	if (self->missing)
		SKIP(return, "%s", self->missing);
	if (madvise(self->p, self->chunk, MADV_DODUMP)) {
		ASSERT_TRUE(has_vm_flag(self->p, "mm"));
		SKIP(return, "MADV_DODUMP is refused for chunks of base pages before Linux 6.18");
	}
	size = crash(self->directory);
	EXPECT_LE(self->chunk, size);
	EXPECT_GT(2 * self->chunk, size);
	EXPECT_EQ(self->chunk, resident(self->fd));
}

TEST_HARNESS_MAIN
