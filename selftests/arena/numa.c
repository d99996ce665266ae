// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks lie on the nodes that the arena's policy names, whatever the policy
 * of the process, and stay there.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#define CHUNKS	8
#define MPOL_BIND_MODE	2
#define MPOL_MOVE	(1 << 1)
#define MPOL_STRICT	(1 << 0)

FIXTURE(numa) {
	struct hpheap_info info;
	size_t chunk;
	int node[64];
	int nodes;
	char *p;
	int fd;
};

FIXTURE_SETUP(numa)
{
	int node;

	self->info = get_info();
	self->chunk = self->info.default_chunk_bytes;
	self->nodes = 0;
	for (node = 0; node < 64; node++)
		if (self->info.memory_nodes[0] >> node & 1)
			self->node[self->nodes++] = node;
}

FIXTURE_TEARDOWN(numa)
{
}

#define NEEDS_NODES(count) do {							\
	if (self->nodes < (count))						\
		SKIP(return, "this system has %d nodes with memory", self->nodes); \
} while (0)

/* An arena of CHUNKS chunks, touched from the calling CPU. */
#define NEW_PLACED(mask, the_policy, the_flags) do {				\
	struct hpheap_create arg = create_arg(CHUNKS * self->chunk, 0, the_flags); \
										\
	arg.policy = the_policy;						\
	arg.nodemask[0] = mask;							\
	self->fd = create(&arg);						\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow eight chunks");	\
	ASSERT_LE(0, self->fd) { TH_LOG("%s", strerror(-self->fd)); }		\
	MAP_ARENA(self->p, self->fd, arg.bytes);				\
	ASSERT_EQ(0, madvise(self->p, arg.bytes, MADV_POPULATE_WRITE)) {	\
		TH_LOG("%s", strerror(errno));					\
	}									\
	memset(self->p, 1, arg.bytes);						\
} while (0)

#define DROP_ARENA() do {							\
	munmap(self->p, CHUNKS * self->chunk);					\
	close(self->fd);							\
} while (0)

/* The node of every chunk, as move_pages() tells it too. */
static int chunk_node(char *p, size_t chunk, int index)
{
	void *page = p + index * chunk + chunk / 2;
	int status = -1;

	if (syscall(__NR_move_pages, 0, 1UL, &page, NULL, &status, 0) ||
	    status != node_of(page))
		return -1;
	return status;
}

TEST_F(numa, bind_takes_the_node_it_names)
{
	int i, chunk;

	NEEDS_NODES(1);
	for (i = 0; i < self->nodes; i++) {
		NEW_PLACED(1ULL << self->node[i], HPHEAP_POLICY_BIND, 0);
		for (chunk = 0; chunk < CHUNKS; chunk++)
			EXPECT_EQ(self->node[i], chunk_node(self->p, self->chunk, chunk));
		DROP_ARENA();
	}
}

TEST_F(numa, preferred_takes_the_node_it_names)
{
	int i, chunk;

	NEEDS_NODES(2);
	for (i = 0; i < self->nodes; i++) {
		NEW_PLACED(1ULL << self->node[i], HPHEAP_POLICY_PREFERRED, 0);
		for (chunk = 0; chunk < CHUNKS; chunk++)
			EXPECT_EQ(self->node[i], chunk_node(self->p, self->chunk, chunk));
		DROP_ARENA();
	}
}

TEST_F(numa, interleave_goes_round_by_chunk_number)
{
	int chunk;

	NEEDS_NODES(2);
	NEW_PLACED(self->info.memory_nodes[0], HPHEAP_POLICY_INTERLEAVE, 0);
	for (chunk = 0; chunk < CHUNKS; chunk++)
		EXPECT_EQ(self->node[chunk % self->nodes],
			  chunk_node(self->p, self->chunk, chunk));
	DROP_ARENA();
}

TEST_F(numa, interleave_keeps_the_node_of_a_chunk_over_a_punch)
{
	int chunk;

	NEEDS_NODES(2);
	NEW_PLACED(self->info.memory_nodes[0], HPHEAP_POLICY_INTERLEAVE, 0);
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, CHUNKS * self->chunk));
	for (chunk = CHUNKS; chunk-- > 0;)
		ASSERT_EQ(0, touch_write(self->p + chunk * self->chunk, 1));
	for (chunk = 0; chunk < CHUNKS; chunk++)
		EXPECT_EQ(self->node[chunk % self->nodes], node_of(self->p + chunk * self->chunk));
	DROP_ARENA();
}

TEST_F(numa, local_takes_the_node_of_the_cpu_that_touches)
{
	int i, chunk;

	NEEDS_NODES(2);
	for (i = 0; i < self->nodes; i++) {
		if (run_on_node(self->node[i]))
			continue;
		NEW_PLACED(0, HPHEAP_POLICY_LOCAL, 0);
		for (chunk = 0; chunk < CHUNKS; chunk++)
			EXPECT_EQ(self->node[i], chunk_node(self->p, self->chunk, chunk));
		DROP_ARENA();
	}
}

/* Its nearest node with memory is local to it, and strictly so. */
TEST_F(numa, local_strict_works_on_a_cpu_whose_node_has_no_memory)
{
	uint64_t bare = self->info.cpu_nodes[0] & ~self->info.memory_nodes[0];
	int chunk, node;

	if (!bare)
		SKIP(return, "every node with CPUs has memory here");
	ASSERT_EQ(0, run_on_node(__builtin_ctzll(bare)));
	NEW_PLACED(0, HPHEAP_POLICY_LOCAL, HPHEAP_CREATE_STRICT_NODE);
	node = chunk_node(self->p, self->chunk, 0);
	EXPECT_TRUE(self->info.memory_nodes[0] >> node & 1);
	for (chunk = 1; chunk < CHUNKS; chunk++)
		EXPECT_EQ(node, chunk_node(self->p, self->chunk, chunk));
	DROP_ARENA();
}

TEST_F(numa, strict_node_goes_with_every_policy)
{
	uint32_t policy;
	int chunk;

	NEEDS_NODES(1);
	for (policy = HPHEAP_POLICY_BIND; policy <= HPHEAP_POLICY_INTERLEAVE; policy++) {
		NEW_PLACED(1ULL << self->node[0], policy, HPHEAP_CREATE_STRICT_NODE);
		for (chunk = 0; chunk < CHUNKS; chunk++)
			EXPECT_EQ(self->node[0], chunk_node(self->p, self->chunk, chunk));
		DROP_ARENA();
	}
}

TEST_F(numa, policy_of_the_process_does_not_count)
{
	unsigned long mask;
	int chunk;

	NEEDS_NODES(2);
	mask = 1UL << self->node[1];
	ASSERT_EQ(0, syscall(__NR_set_mempolicy, MPOL_BIND_MODE, &mask, 64UL));
	NEW_PLACED(1ULL << self->node[0], HPHEAP_POLICY_BIND, 0);
	for (chunk = 0; chunk < CHUNKS; chunk++)
		EXPECT_EQ(self->node[0], chunk_node(self->p, self->chunk, chunk));
	DROP_ARENA();
}

TEST_F(numa, nothing_moves_it_to_another_node)
{
	void *page;
	unsigned long mask;
	int target, status = -1;

	NEEDS_NODES(2);
	NEW_PLACED(1ULL << self->node[0], HPHEAP_POLICY_BIND, 0);
	page = self->p;
	target = self->node[1];
	mask = 1UL << target;
	syscall(__NR_move_pages, 0, 1UL, &page, &target, &status, MPOL_MOVE);
	EXPECT_GT(0, status);
	syscall(__NR_mbind, self->p, self->chunk, MPOL_BIND_MODE, &mask, 64UL,
		MPOL_MOVE | MPOL_STRICT);
	EXPECT_EQ(self->node[0], node_of(self->p));
	EXPECT_EQ(1, *self->p);
	/* not even what is allocated after that */
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, CHUNKS * self->chunk));
	ASSERT_EQ(0, touch_write(self->p, 1));
	EXPECT_EQ(self->node[0], node_of(self->p));
	DROP_ARENA();
}

/* An arena as large as a node, and nothing may be left of that node. */
static int overfill(struct hpheap_create *arg, size_t *taken, int *stray)
{
	int fd = create(arg), node = __builtin_ctzll(arg->nodemask[0]);
	char *p = fd < 0 ? MAP_FAILED : map_arena(fd, arg->bytes);
	size_t offset;
	int sig = 0;

	*taken = *stray = 0;
	if (p == MAP_FAILED)
		return fd < 0 ? fd : -ENOMEM;
	for (offset = 0; offset < arg->bytes && !sig && !*stray; offset += arg->chunk_bytes) {
		sig = touch_write(p + offset, 1);
		if (!sig) {
			*taken += arg->chunk_bytes;
			*stray += node_of(p + offset) != node;
		}
	}
	if (sig && !fallocate(fd, 0, 0, arg->bytes))
		sig = -EEXIST;
	munmap(p, arg->bytes);
	close(fd);
	return sig;
}

static uint64_t node_bytes(int node)
{
	char path[64], key[32];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	snprintf(key, sizeof(key), "Node %d MemTotal:", node);
	return value_of(path, key) * 1024;
}

/* On a node that others use least: the last. */
#define FULL_NODE_ARG(the_policy, the_flags) ({					\
	int last = self->node[self->nodes - 1];					\
	struct hpheap_create arg = create_arg(node_bytes(last) & -self->chunk,	\
					      self->chunk, the_flags);		\
										\
	arg.policy = the_policy;						\
	arg.nodemask[0] = 1ULL << last;						\
	arg;									\
})

/* Negative: no arena, for the reason given. */
#define OVERFILL(arg, taken, stray) ({						\
	int sig = overfill(&(arg), &(taken), &(stray));				\
										\
	if (sig == -EDQUOT)							\
		SKIP(return, "RLIMIT_MEMLOCK does not allow all of a node");	\
	sig;									\
})

#define NEEDS_SMALL_NODES() do {						\
	NEEDS_NODES(2);								\
	if (node_bytes(self->node[self->nodes - 1]) > 4ULL << 30)		\
		SKIP(return, "a node of %llu GiB would have to be filled",	\
		     (unsigned long long)node_bytes(self->node[self->nodes - 1]) >> 30); \
} while (0)

TEST_F(numa, bind_to_a_full_node_is_SIGBUS_and_ENOMEM_and_never_leaves_it)
{
	long long killed = value_of("/proc/vmstat", "oom_kill ");
	struct hpheap_create arg;
	size_t taken;
	int stray;

	NEEDS_SMALL_NODES();
	arg = FULL_NODE_ARG(HPHEAP_POLICY_BIND, 0);
	EXPECT_EQ(SIGBUS, OVERFILL(arg, taken, stray));
	EXPECT_EQ(0, stray);
	EXPECT_EQ(killed, value_of("/proc/vmstat", "oom_kill "));
	EXPECT_LT(arg.bytes / 4, taken);
}

TEST_F(numa, strict_preferred_never_leaves_the_node_either)
{
	struct hpheap_create arg;
	size_t taken;
	int stray;

	NEEDS_SMALL_NODES();
	arg = FULL_NODE_ARG(HPHEAP_POLICY_PREFERRED, HPHEAP_CREATE_STRICT_NODE);
	EXPECT_EQ(SIGBUS, OVERFILL(arg, taken, stray));
	EXPECT_EQ(0, stray);
}

TEST_F(numa, preferred_falls_back_when_the_node_is_full)
{
	struct hpheap_create arg;
	size_t taken;
	int stray;

	NEEDS_SMALL_NODES();
	arg = FULL_NODE_ARG(HPHEAP_POLICY_PREFERRED, 0);
	EXPECT_EQ(0, OVERFILL(arg, taken, stray));
	EXPECT_EQ(1, stray);
	EXPECT_LT(arg.bytes / 4, taken);
}

TEST_HARNESS_MAIN
