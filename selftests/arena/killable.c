// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that work through many chunks end when their process is killed, in the
 * midst of it: counted by the chunks that they still did. Somebody else holds
 * the arena meanwhile, so that nothing is undone by the process's death.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <sys/sysinfo.h>

FIXTURE(killable) {
	size_t chunk;
	size_t bytes;
	long long chunks;
	int fd;
	char *p;
};

/* A third of the free memory, at most 768 MiB. */
FIXTURE_SETUP(killable)
{
	struct sysinfo info;

	sysinfo(&info);
	self->chunk = default_chunk();
	self->bytes = (uint64_t)info.freeram * info.mem_unit / 3;
	if (self->bytes > 768 * MIB)
		self->bytes = 768 * MIB;
	self->bytes -= self->bytes % self->chunk;
	self->chunks = self->bytes / self->chunk;
	self->fd = create_arena(self->bytes, 0, 0);
	self->p = map_arena(self->fd, self->bytes);
}

FIXTURE_TEARDOWN(killable)
{
	munmap(self->p, self->bytes);
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow %zu MiB", self->bytes >> 20); \
	ASSERT_LE(0, self->fd);							\
	ASSERT_NE(MAP_FAILED, (void *)self->p);					\
} while (0)

/*
 * Kills a child once the counter has moved; returns by how much it moved in
 * all, or -1 if the child had done its work before.
 */
static long long kill_midway(const char *name, void (*work)(void *), void *arg)
{
	long long before = counter(name);
	siginfo_t ended = { .si_pid = 0 };
	pid_t pid = fork();
	int status;

	if (!pid) {
		work(arg);
		_exit(0);
	}
	while (counter(name) == before && !ended.si_pid)
		waitid(P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT);
	kill(pid, SIGKILL);
	status = wait_child(pid);
	return status == 128 + SIGKILL ? counter(name) - before : -1;
}

static void allocate(void *arg)
{
	FIXTURE_DATA(killable) *self = arg;

	fallocate(self->fd, 0, 0, self->bytes);
}

static void populate(void *arg)
{
	FIXTURE_DATA(killable) *self = arg;

	madvise(self->p, self->bytes, MADV_POPULATE_WRITE);
}

static void punch(void *arg)
{
	FIXTURE_DATA(killable) *self = arg;

	fallocate(self->fd, PUNCH, 0, self->bytes);
}

/*
 * The kill may come too late, where CPUs run in turns always: several tries.
 * Killed with all chunks done every time, however, is not cut short.
 */
#define EXPECT_CUT_SHORT(name, work, again) do {				\
	long long done = -1, killed = -1;					\
	int tries;								\
										\
	for (tries = 0; tries < 20; tries++) {					\
		again;								\
		done = kill_midway(name, work, self);				\
		if (done > killed || (done > 0 && done < killed))		\
			killed = done;						\
		if (killed > 0 && killed < self->chunks)			\
			break;							\
	}									\
	if (killed < 0)								\
		SKIP(return, "%lld chunks are done before a kill can come", self->chunks); \
	EXPECT_LT(0, killed);							\
	EXPECT_GT(self->chunks, killed) {					\
		TH_LOG("all %lld chunks were done after all", self->chunks);	\
	}									\
} while (0)

TEST_F(killable, fallocate_ends_and_allocates_nothing)
{
	NEEDS_ARENA();
	EXPECT_CUT_SHORT("chunks_allocated", allocate,
			 fallocate(self->fd, PUNCH, 0, self->bytes));
	EXPECT_EQ(0, resident(self->fd));
}

TEST_F(killable, populate_ends)
{
	NEEDS_ARENA();
	EXPECT_CUT_SHORT("chunks_allocated", populate,
			 fallocate(self->fd, PUNCH, 0, self->bytes));
	EXPECT_GT(self->bytes, resident(self->fd));
}

TEST_F(killable, punch_ends)
{
	NEEDS_ARENA();
	if (fallocate(self->fd, 0, 0, self->bytes))
		SKIP(return, "no %zu MiB of memory", self->bytes >> 20);
	EXPECT_CUT_SHORT("chunks_released", punch, fallocate(self->fd, 0, 0, self->bytes));
}

/* The search for a run holds memory: killed, it gives all of it back. */
TEST_F(killable, the_search_for_a_run_ends_and_leaves_nothing)
{
	struct hpheap_create arg = create_arg(self->bytes, 0, HPHEAP_CREATE_CONTIG);
	long long arenas = counter("arenas"), was_resident = counter("resident_bytes");
	double begin;
	pid_t pid;
	int i;

	NEEDS_ARENA();
	for (i = 0; i < 10; i++) {
		pid = fork();
		if (!pid) {
			for (;;) {
				int fd = create(&arg);

				if (fd >= 0)
					close(fd);
				arg.fd = 0;
			}
		}
		usleep(10000 * i);
		begin = now();
		kill(pid, SIGKILL);
		EXPECT_EQ(128 + SIGKILL, wait_child(pid));
		EXPECT_GT(20, now() - begin);
	}
	EXPECT_TRUE(eventually(counter("arenas") == arenas));
	EXPECT_EQ(was_resident, counter("resident_bytes"));
}

TEST_HARNESS_MAIN
