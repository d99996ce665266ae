// SPDX-License-Identifier: GPL-2.0-only
/*
 * Heaps on a system with several nodes: each thread gets memory of its own.
 */
#include "kselftest_harness.h"
#define TEST_MAY_MOVE
#include "heap.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#define MPOL_NODE_OF_ADDRESS	3	/* MPOL_F_NODE | MPOL_F_ADDR */
#define MAX_CPUS		1024

/* The first CPU of a node; -1: it has none, or is not there. */
static int cpu_of(int node)
{
	char path[64];
	FILE *file;
	int cpu;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%d", &cpu) != 1)
		cpu = -1;
	fclose(file);
	return cpu;
}

static bool move_to(int node)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu_of(node), &cpus);
	return !sched_setaffinity(0, sizeof(cpus), &cpus);
}

static int node_of(const void *addr)
{
	int node;

	return syscall(__NR_get_mempolicy, &node, NULL, 0, addr, MPOL_NODE_OF_ADDRESS) ? -1 : node;
}

/* What a thread on a node does; it ends with what was wrong. */
struct visit {
	struct hpheap *heap;
	int node;
	char *free_this;
	char *not_this;
	char *spans[64];
};

static const char *take(struct visit *visit)
{
	static const size_t sizes[] = { PAGE, 5 * PAGE, 30 * PAGE, 60 * PAGE, 3 * MIB };
	size_t i;

	for (i = 0; i < 64; i++) {
		visit->spans[i] = hpheap_span_alloc(visit->heap, sizes[i % 5], 0, 0);
		if (!visit->spans[i])
			return "no memory";
		if (node_of(visit->spans[i]) != visit->node)
			return "memory of another node";
		if (visit->spans[i] == visit->not_this)
			return "a span that another node's thread had";
	}
	return NULL;
}

static void *visit_node(void *arg)
{
	struct visit *visit = arg;

	if (!move_to(visit->node))
		return "cannot move";
	if (visit->free_this)
		hpheap_span_free(visit->heap, visit->free_this);
	return (void *)(uintptr_t)take(visit);
}

/* Nothing is wrong, or it is said what. */
#define EXPECT_RIGHT(what) do {								\
	const char *wrong = what;							\
	EXPECT_EQ(NULL, wrong) { TH_LOG("%s", wrong); }					\
} while (0)

FIXTURE(numa) {
	struct hpheap *heap;
};
FIXTURE_VARIANT(numa) {
	enum hpheap_backend backend;
};
FIXTURE_VARIANT_ADD(numa, auto) { .backend = HPHEAP_BACKEND_AUTO };
FIXTURE_VARIANT_ADD(numa, thp) { .backend = HPHEAP_BACKEND_THP };
FIXTURE_SETUP(numa)
{
	self->heap = heap_on(variant->backend);
	ASSERT_NE(NULL, self->heap);
}
FIXTURE_TEARDOWN(numa)
{
	hpheap_destroy(self->heap);
}

static const char *on_node(struct visit *visit)
{
	pthread_t thread;
	void *wrong = "no thread";

	if (!pthread_create(&thread, NULL, visit_node, visit))
		pthread_join(thread, &wrong);
	return wrong;
}

#define NEEDS_TWO_NODES() do {							\
	if (cpu_of(0) < 0 || cpu_of(1) < 0)						\
		SKIP(return, "there are no two nodes with a CPU each");			\
} while (0)

TEST_F(numa, each_thread_gets_memory_of_its_node)
{
	struct visit visits[] = {
		{ .heap = self->heap, .node = 1 }, { .heap = self->heap, .node = 0 },
		{ .heap = self->heap, .node = 1 },
	};
	size_t i;

	NEEDS_TWO_NODES();
	for (i = 0; i < 3; i++)
		EXPECT_RIGHT(on_node(&visits[i]));
	EXPECT_SOUND(self->heap);
}

TEST_F(numa, a_thread_that_moves_gets_memory_of_where_it_is)
{
	struct visit visit = { .heap = self->heap, .node = 0 };

	NEEDS_TWO_NODES();
	ASSERT_TRUE(move_to(0));
	EXPECT_RIGHT(take(&visit));
	ASSERT_TRUE(move_to(1));
	visit.node = 1;
	/* What the thread still has in its cache may go first. */
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_RIGHT(take(&visit));
}

TEST_F(numa, what_another_nodes_thread_frees_goes_home)
{
	struct visit here = { .heap = self->heap, .node = 0 }, there = { .heap = self->heap, .node = 1 };
	size_t i;

	NEEDS_TWO_NODES();
	EXPECT_RIGHT(on_node(&here));
	for (i = 0; i < 5; i++) {
		there.free_this = there.not_this = here.spans[i];
		EXPECT_RIGHT(on_node(&there));
	}
	EXPECT_SOUND(self->heap);
}

TEST_F(numa, reserved_memory_of_a_node_serves_its_threads)
{
	struct visit visit = { .heap = self->heap, .node = 1 };
	uint64_t commits;

	NEEDS_TWO_NODES();
	ASSERT_TRUE(move_to(0));
	ASSERT_EQ(0, hpheap_reserve(self->heap, 64 * MIB, 1));
	commits = stats_of(self->heap).commit_calls;
	EXPECT_RIGHT(on_node(&visit));
	EXPECT_EQ(commits, stats_of(self->heap).commit_calls);
}

TEST_HARNESS_MAIN
