// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page whose memory has failed (as told by MADV_HWPOISON): touching it is
 * SIGBUS, not a kernel crash, the rest of its chunk stays usable, and the chunk
 * is never handed out again. Each test here costs the system a chunk of memory
 * until it boots again.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <sys/uio.h>

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

FIXTURE(poison) {
	size_t chunk;
	size_t page;
	int fd;
	char *p;
	char *other;
	char *victim;		/* the page in p */
	char *twin;		/* the same page in other */
	const char *missing;
	long long quarantined;
	uint64_t frame;		/* of the chunk */
	int node;
};

FIXTURE_VARIANT(poison) {
	bool pmd;
};

FIXTURE_VARIANT_ADD(poison, default_chunks) { .pmd = false };
FIXTURE_VARIANT_ADD(poison, pmd_chunks) { .pmd = true };

/* Chunk 1 of 3 has a bad page; mapping p was there before it went bad. */
FIXTURE_SETUP(poison)
{
	self->chunk = variant->pmd ? pmd_chunk() : default_chunk();
	self->page = base_page();
	self->quarantined = counter("quarantined_bytes");
	self->missing = NULL;
	self->fd = -1;
	if (!is_root()) {
		self->missing = "only root may poison memory";
		return;
	}
	if (!self->chunk || self->chunk > 64 * MIB) {
		self->missing = "chunks of this size are too much to lose";
		return;
	}
	self->fd = create_arena(3 * self->chunk, self->chunk, 0);
	ASSERT_LE(0, self->fd);
	self->p = map_arena(self->fd, 3 * self->chunk);
	self->other = map_arena(self->fd, 3 * self->chunk);
	memset(self->p, 0x5a, 3 * self->chunk);
	self->victim = self->p + self->chunk + 5 * self->page;
	self->twin = self->other + self->chunk + 5 * self->page;
	self->frame = frame(self->p + self->chunk);
	self->node = node_of(self->p + self->chunk);
	/*
	 * The kernel marks the page, then says that it could not do more for it
	 * (EBUSY, EHWPOISON, by version).
	 */
	if (madvise(self->victim, self->page, MADV_HWPOISON) &&
	    (errno == EINVAL || errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP))
		self->missing = "this kernel has no MADV_HWPOISON";
}

FIXTURE_TEARDOWN(poison)
{
	close(self->fd);
}

#define NEEDS_POISON() do {							\
	if (self->missing)							\
		SKIP(return, "%s", self->missing);				\
	ASSERT_NE(MAP_FAILED, (void *)self->p);					\
	ASSERT_NE(MAP_FAILED, (void *)self->other);				\
} while (0)

TEST_F(poison, touching_the_page_through_another_mapping_is_SIGBUS)
{
	NEEDS_POISON();
	EXPECT_EQ(SIGBUS, touch_read(self->twin));
	EXPECT_EQ(BUS_MCEERR_AR, fault_info.si_code);
	EXPECT_EQ(self->twin, fault_info.si_addr);
	EXPECT_EQ(SIGBUS, touch_write(self->twin + self->page - 1, 1));
}

TEST_F(poison, pages_beside_it_stay_usable)
{
	size_t before = self->chunk + 5 * self->page, after = before + self->page;

	NEEDS_POISON();
	EXPECT_EQ(NULL, not_all(self->other, before, 0x5a));
	EXPECT_EQ(NULL, not_all(self->other + after, 3 * self->chunk - after, 0x5a));
	EXPECT_EQ(0, touch_write(self->twin - 1, 1));
	EXPECT_EQ(0, touch_write(self->twin + self->page, 2));
	EXPECT_EQ(1, self->victim[-1]);
	EXPECT_EQ(2, self->victim[self->page]);
	/* and the page did not slip in with its neighbours */
	EXPECT_EQ(SIGBUS, touch_read(self->twin));
}

/* What is broken goes to nobody, and what was marked before is in use again when it is touched. */
TEST_F(poison, its_chunk_is_not_purgeable)
{
	struct hpheap_purgeable arg = {
		.size = sizeof(arg), .bytes = 3 * self->chunk,
	};
	const volatile uint8_t *status;

	NEEDS_POISON();
	status = mmap(NULL, 3, PROT_READ, MAP_SHARED, self->fd, 3 * self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)status);
	EXPECT_EQ(SIGBUS, touch_read(self->twin));
	EXPECT_EQ(HPHEAP_CHUNK_POISONED, status[1]);
	ASSERT_EQ(0, ioctl(self->fd, HPHEAP_ARENA_PURGEABLE, &arg));
	EXPECT_EQ(2, arg.chunks);
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, status[0]);
	EXPECT_EQ(HPHEAP_CHUNK_POISONED, status[1]);
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, status[2]);
	EXPECT_EQ(0, write_file("/proc/sys/vm/drop_caches", "2"));
	EXPECT_EQ(HPHEAP_CHUNK_TAKEN, status[0]);
	EXPECT_EQ(HPHEAP_CHUNK_POISONED, status[1]);
	EXPECT_EQ(NULL, not_all(self->victim - 5 * self->page, 5 * self->page, 0x5a));
	munmap((void *)status, 3);
}

TEST_F(poison, a_process_that_does_not_expect_it_dies_of_SIGBUS)
{
	pid_t pid;

	NEEDS_POISON();
	pid = fork();
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		(void)*(volatile char *)self->twin;
		_exit(0);
	}
	EXPECT_EQ(128 + SIGBUS, wait_child(pid));
}

TEST_F(poison, system_calls_that_need_the_page_fail)
{
	char copy[64];
	struct iovec local = { copy, sizeof(copy) }, remote = { self->twin, sizeof(copy) };
	int pipefd[2];

	NEEDS_POISON();
	ASSERT_EQ(0, pipe(pipefd));
	EXPECT_EQ(-1, write(pipefd[1], self->twin, sizeof(copy)));
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(-1, madvise(self->other + self->chunk, self->chunk, MADV_POPULATE_WRITE));
	EXPECT_TRUE(errno == EHWPOISON || errno == EFAULT) { TH_LOG("%s", strerror(errno)); }
}

/*
 * What was freed last on a node is handed out first: among the next 128 MiB of
 * that node the bad chunk would be found.
 */
static bool handed_out_again(size_t chunk, int node, uint64_t bad, size_t *seen)
{
	size_t bytes = 128 * MIB, offset;
	struct hpheap_create arg = create_arg(bytes, chunk, 0);
	bool found = false;
	char *p;
	int fd;

	if (node >= 0) {
		arg.policy = HPHEAP_POLICY_BIND;
		arg.nodemask[node / 64] = 1ULL << node % 64;
	}
	fd = create(&arg);
	p = map_arena(fd, bytes);
	for (offset = 0; offset < bytes && !found; offset += chunk) {
		if (touch_read(p + offset))
			break;
		found = frame(p + offset) == bad;
	}
	*seen = offset / chunk;
	munmap(p, bytes);
	close(fd);
	return found;
}

#define EXPECT_WITHDRAWN() do {							\
	size_t seen;								\
										\
	EXPECT_EQ(self->quarantined + (long long)self->chunk,			\
		  counter("quarantined_bytes"));				\
	EXPECT_FALSE(handed_out_again(self->chunk, self->node, self->frame, &seen));	\
	EXPECT_LT(0, seen);							\
} while (0)

TEST_F(poison, a_punched_chunk_is_withdrawn_and_the_arena_goes_on)
{
	NEEDS_POISON();
	ASSERT_NE(0, self->frame);
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, self->chunk, self->chunk));
	EXPECT_EQ(2 * self->chunk, resident(self->fd));
	EXPECT_WITHDRAWN();
	EXPECT_TRUE(is_zero(self->p + self->chunk, self->chunk));
	EXPECT_NE(self->frame, frame(self->p + self->chunk));
	EXPECT_EQ(0, touch_write(self->twin, 3));
	EXPECT_EQ(3, *self->victim);
}

TEST_F(poison, the_chunk_of_a_closed_arena_is_withdrawn)
{
	NEEDS_POISON();
	munmap(self->p, 3 * self->chunk);
	munmap(self->other, 3 * self->chunk);
	close(self->fd);
	self->fd = -1;
	EXPECT_TRUE(eventually(counter("quarantined_bytes") != self->quarantined));
	EXPECT_WITHDRAWN();
}

TEST_F(poison, the_chunk_of_a_killed_process_is_withdrawn)
{
	pid_t pid;

	NEEDS_POISON();
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	munmap(self->p, 3 * self->chunk);
	munmap(self->other, 3 * self->chunk);
	close(self->fd);
	self->fd = -1;
	kill(pid, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_child(pid));
	EXPECT_TRUE(eventually(counter("quarantined_bytes") != self->quarantined));
	EXPECT_WITHDRAWN();
}

TEST_F(poison, soft_offlining_a_page_does_no_harm)
{
	long long quarantined;

	NEEDS_POISON();
	quarantined = counter("quarantined_bytes");
	madvise(self->p + 2 * self->chunk, self->page, MADV_SOFT_OFFLINE);
	EXPECT_EQ(NULL, not_all(self->p + 2 * self->chunk, self->chunk, 0x5a));
	EXPECT_EQ(NULL, not_all(self->other + 2 * self->chunk, self->chunk, 0x5a));
	EXPECT_EQ(quarantined, counter("quarantined_bytes"));
}

TEST_HARNESS_MAIN
