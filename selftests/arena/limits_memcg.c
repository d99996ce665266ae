// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory cgroup of an arena's creator pays for its chunks, whoever touches
 * them, and its limit holds: ENOMEM from a call, SIGBUS at a touch. What must
 * not happen is a fault that repeats for ever because nobody can be killed
 * (VM_FAULT_OOM of an order that the OOM killer does not look after): every
 * test here would run into its time limit.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "cgroup.h"

/* Each CPU that charges keeps up to 64 pages in stock. */
#define SLACK	(2 * 64 * base_page())

FIXTURE(memcg) {
	struct cgroup group;
	const char *missing;
	size_t chunk;
	uint64_t limit;
	int fd;
	char *p;
};

/* An arena of 64 chunks whose creator may have some 16. */
FIXTURE_SETUP(memcg)
{
	self->missing = cgroup_new(&self->group, "memcg");
	if (self->missing)
		return;
	self->chunk = default_chunk();
	ASSERT_EQ(0, cgroup_enter(&self->group));
	self->fd = create_arena(64 * self->chunk, self->chunk, 0);
	ASSERT_EQ(0, cgroup_leave());
	ASSERT_LE(0, self->fd);
	self->p = map_arena(self->fd, 64 * self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)self->p);
	self->limit = cgroup_current(&self->group) + 16 * self->chunk + SLACK;
}

FIXTURE_TEARDOWN(memcg)
{
	if (self->missing)
		return;
	munmap(self->p, 64 * self->chunk);
	close(self->fd);
	EXPECT_TRUE(cgroup_remove(&self->group));
}

#define NEEDS_CGROUP() do {							\
	if (self->missing)							\
		SKIP(return, "%s", self->missing);				\
} while (0)

#define EXPECT_NEAR(want, got) do {						\
	long long off = (long long)(got) - (long long)(want);			\
										\
	EXPECT_LE(-(long long)SLACK, off) { TH_LOG("%lld less", -off); }	\
	EXPECT_GE((long long)SLACK, off) { TH_LOG("%lld more", off); }		\
} while (0)

TEST_F(memcg, creator_pays_chunk_by_chunk)
{
	long long before;

	NEEDS_CGROUP();
	before = cgroup_current(&self->group);
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, 16 * self->chunk));
	EXPECT_NEAR(before + 16 * self->chunk, cgroup_current(&self->group));
	memset(self->p + 16 * self->chunk, 1, 8 * self->chunk);
	EXPECT_NEAR(before + 24 * self->chunk, cgroup_current(&self->group));
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, 12 * self->chunk));
	EXPECT_NEAR(before + 12 * self->chunk, cgroup_current(&self->group));
}

struct fill {
	const struct cgroup *group;
	char *p;
	size_t bytes;
};

static int enter_and_fill(void *arg)
{
	const struct fill *fill = arg;

	if (cgroup_enter(fill->group))
		return 1;
	memset(fill->p, 0x5a, fill->bytes);
	return cgroup_current(fill->group) >= (long long)fill->bytes ? 2 : 0;
}

TEST_F(memcg, creator_pays_for_what_a_process_of_another_cgroup_touches)
{
	struct cgroup other;
	struct fill fill = { &other, self->p, 16 * self->chunk };
	long long before;

	NEEDS_CGROUP();
	ASSERT_EQ(NULL, cgroup_new(&other, "other"));
	before = cgroup_current(&self->group);
	EXPECT_EQ(0, in_child(enter_and_fill, &fill));
	EXPECT_NEAR(before + 16 * self->chunk, cgroup_current(&self->group));
	EXPECT_TRUE(cgroup_remove(&other));
}

TEST_F(memcg, everything_is_uncharged_with_the_arena)
{
	long long before;

	NEEDS_CGROUP();
	before = cgroup_current(&self->group);
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, 8 * self->chunk));
	munmap(self->p, 64 * self->chunk);
	close(self->fd);
	self->fd = -1;
	EXPECT_TRUE(eventually(cgroup_current(&self->group) <= before + (long long)SLACK));
}

TEST_F(memcg, fallocate_at_the_limit_is_ENOMEM_and_allocates_nothing)
{
	NEEDS_CGROUP();
	ASSERT_EQ(0, cgroup_limit(&self->group, self->limit));
	memset(self->p, 0x5a, self->chunk);
	EXPECT_EQ(-1, fallocate(self->fd, 0, 0, 64 * self->chunk));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(self->chunk, resident(self->fd));
	EXPECT_EQ(NULL, not_all(self->p, self->chunk, 0x5a));
	EXPECT_EQ(0, fallocate(self->fd, 0, 0, 8 * self->chunk));
	EXPECT_EQ(8 * self->chunk, resident(self->fd));
}

TEST_F(memcg, populate_at_the_limit_is_ENOMEM)
{
	NEEDS_CGROUP();
	ASSERT_EQ(0, cgroup_limit(&self->group, self->limit));
	EXPECT_EQ(-1, madvise(self->p, 64 * self->chunk, MADV_POPULATE_WRITE));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, madvise(self->p, 64 * self->chunk, MADV_POPULATE_READ));
	EXPECT_EQ(ENOMEM, errno);
}

TEST_F(memcg, touch_at_the_limit_is_SIGBUS)
{
	unsigned int i;

	NEEDS_CGROUP();
	ASSERT_EQ(0, cgroup_limit(&self->group, self->limit));
	for (i = 0; i < 64 && !touch_write(self->p + i * self->chunk, 1); i++)
		;
	ASSERT_LE(14, i);
	ASSERT_GE(17 + SLACK / self->chunk, i);
	EXPECT_EQ(SIGBUS, fault_info.si_signo);
	EXPECT_EQ(BUS_ADRERR, fault_info.si_code);
	EXPECT_EQ(SIGBUS, touch_read(self->p + 63 * self->chunk));
	EXPECT_EQ(0, touch_write(self->p, 2)) { TH_LOG("what is resident must stay usable"); }
}

TEST_F(memcg, system_calls_into_the_arena_at_the_limit_fail_and_end)
{
	int zero = open("/dev/zero", O_RDONLY);
	char *far = self->p + 40 * self->chunk;

	NEEDS_CGROUP();
	ASSERT_LE(0, zero);
	ASSERT_EQ(0, cgroup_limit(&self->group, self->limit));
	madvise(self->p, 64 * self->chunk, MADV_POPULATE_WRITE);
	EXPECT_EQ(-1, read(zero, far, 100));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, mlock(far, self->chunk));
	EXPECT_EQ(EAGAIN, errno) { TH_LOG("POSIX wants this of mlock()"); }
}

TEST_F(memcg, nobody_is_killed_and_the_limit_is_seen_in_events)
{
	NEEDS_CGROUP();
	ASSERT_EQ(0, cgroup_limit(&self->group, self->limit));
	EXPECT_EQ(SIGBUS, touch_read(self->p + 63 * self->chunk) ? SIGBUS :
		  madvise(self->p, 64 * self->chunk, MADV_POPULATE_WRITE) ? SIGBUS : 0);
	EXPECT_LT(0, cgroup_read(&self->group, "memory.events", "max "));
	EXPECT_EQ(0, cgroup_read(&self->group, "memory.events", "oom_kill "));
}

TEST_F(memcg, punching_makes_room_again)
{
	NEEDS_CGROUP();
	ASSERT_EQ(0, cgroup_limit(&self->group, self->limit));
	madvise(self->p, 64 * self->chunk, MADV_POPULATE_WRITE);
	ASSERT_EQ(SIGBUS, touch_write(self->p + 63 * self->chunk, 1));
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, 4 * self->chunk));
	EXPECT_EQ(0, touch_write(self->p + 63 * self->chunk, 1));
	EXPECT_EQ(0, fallocate(self->fd, 0, 62 * self->chunk, self->chunk));
}

TEST_F(memcg, a_contiguous_arena_over_the_limit_is_ENOMEM)
{
	struct hpheap_create arg;
	int error = 0, dev = open_device();

	NEEDS_CGROUP();
	ASSERT_EQ(0, cgroup_limit(&self->group, self->limit));
	arg = create_arg(32 * self->chunk, self->chunk, HPHEAP_CREATE_CONTIG);
	ASSERT_EQ(0, cgroup_enter(&self->group));
	if (ioctl(dev, HPHEAP_IOC_CREATE, &arg))
		error = errno;
	ASSERT_EQ(0, cgroup_leave());
	EXPECT_EQ(ENOMEM, error);
	EXPECT_TRUE(eventually(cgroup_current(&self->group) < (long long)(8 * self->chunk)));
}

static int run_into_the_limit(void *arg)
{
	FIXTURE_DATA(memcg) *self = arg;
	unsigned int i;

	for (i = 0; i < 64; i++)
		self->p[i * self->chunk] = 1;
	return 0;
}

TEST_F(memcg, an_unprepared_process_dies_of_SIGBUS_in_time)
{
	double begin = now();
	pid_t pid;

	NEEDS_CGROUP();
	ASSERT_EQ(0, cgroup_limit(&self->group, self->limit));
	pid = fork();
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		_exit(run_into_the_limit(self));
	}
	EXPECT_EQ(128 + SIGBUS, wait_child(pid));
	EXPECT_GT(60, now() - begin);
}

TEST(the_cgroup_of_an_arena_can_be_removed_and_the_arena_goes_on)
{
	size_t chunk = default_chunk();
	struct cgroup group;
	char *p;
	int fd;

	NEW_CGROUP(&group, "gone");
	ASSERT_EQ(0, cgroup_enter(&group));
	fd = create_arena(4 * chunk, chunk, 0);
	ASSERT_EQ(0, cgroup_leave());
	ASSERT_LE(0, fd);
	MAP_ARENA(p, fd, 4 * chunk);
	ASSERT_EQ(0, touch_write(p, 1));
	ASSERT_TRUE(cgroup_remove(&group));
	EXPECT_EQ(0, touch_write(p + chunk, 2));
	EXPECT_EQ(1, *p);
	EXPECT_EQ(0, fallocate(fd, PUNCH, 0, chunk));
}

TEST_HARNESS_MAIN
