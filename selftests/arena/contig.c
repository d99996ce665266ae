// SPDX-License-Identifier: GPL-2.0-only
/* HPHEAP_CREATE_CONTIG: the whole arena is one physical run, allocated at once. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

/* Returns the arena; -ENOMEM: there is no such run now, a legal answer. */
static int contig_arena(size_t bytes, size_t chunk)
{
	return create_arena(bytes, chunk, HPHEAP_CREATE_CONTIG);
}

#define NEW_RUN(fd, bytes, chunk) do {						\
	(fd) = contig_arena(bytes, chunk);					\
	if ((fd) == -ENOMEM || (fd) == -EDQUOT)					\
		SKIP(return, "no run of %llu MiB in chunks of %zu MiB: %s",	\
		     (unsigned long long)(bytes) >> 20, (size_t)(chunk) >> 20,	\
		     strerror(-(fd)));						\
	ASSERT_LE(0, fd) { TH_LOG("%s", strerror(-(fd))); }			\
} while (0)

static struct hpheap_extents first_extent(int fd, struct hpheap_extent *extent)
{
	struct hpheap_extents arg = {
		.size = sizeof(arg), .extents = (uintptr_t)extent, .count = 1,
	};

	memset(extent, 0, sizeof(*extent));
	if (ioctl(fd, HPHEAP_ARENA_EXTENTS, &arg))
		arg.count = 0;
	return arg;
}

TEST(one_extent_holds_64_MiB)
{
	size_t chunk, bytes = 64 * MIB;
	struct hpheap_extent extent;
	struct hpheap_extents arg;
	int fd;

	for_each_chunk_size(chunk) {
		if (chunk > bytes)
			break;
		NEW_RUN(fd, bytes, chunk);
		EXPECT_EQ(bytes, resident(fd));
		arg = first_extent(fd, &extent);
		EXPECT_EQ(1, arg.count);
		EXPECT_EQ(bytes, arg.start);
		EXPECT_EQ(0, extent.offset);
		EXPECT_EQ(bytes, extent.bytes);
		close(fd);
	}
}

TEST(frames_of_64_MiB_follow_each_other_in_pagemap)
{
	size_t chunk, bytes = 64 * MIB;
	char *p;
	int fd;

	if (!is_root())
		SKIP(return, "only root sees frame numbers in pagemap");
	for_each_chunk_size(chunk) {
		if (chunk > bytes)
			break;
		NEW_RUN(fd, bytes, chunk);
		MAP_ARENA(p, fd, bytes);
		ASSERT_EQ(0, madvise(p, bytes, MADV_POPULATE_WRITE));
		EXPECT_EQ(bytes / base_page(), adjacent_pages(p, bytes));
		munmap(p, bytes);
		close(fd);
	}
}

TEST(run_is_zero_on_one_node_and_mapped_huge)
{
	size_t chunk = default_chunk(), bytes = 16 * chunk, offset;
	char *p;
	int fd;

	NEW_RUN(fd, bytes, chunk);
	MAP_ARENA(p, fd, bytes);
	EXPECT_TRUE(is_zero(p, bytes));
	for (offset = 0; offset < bytes; offset += chunk)
		EXPECT_EQ(node_of(p), node_of(p + offset));
	if (is_pmd_chunk(chunk))
		EXPECT_EQ(bytes, pmd_mapped(p));
}

TEST(run_lies_on_the_node_it_is_bound_to)
{
	struct hpheap_info info = get_info();
	struct hpheap_extent extent;
	struct hpheap_create arg;
	int fd, node;

	for (node = 0; node < 64; node++) {
		if (!(info.memory_nodes[0] >> node & 1))
			continue;
		arg = create_arg(8 * info.default_chunk_bytes, 0, HPHEAP_CREATE_CONTIG);
		arg.policy = HPHEAP_POLICY_BIND;
		arg.nodemask[0] = 1ULL << node;
		fd = create(&arg);
		if (fd == -ENOMEM || fd == -EDQUOT)
			SKIP(return, "no run on node %d: %s", node, strerror(-fd));
		ASSERT_LE(0, fd);
		EXPECT_EQ(1, first_extent(fd, &extent).count);
		EXPECT_EQ(node, extent.node);
		EXPECT_EQ(arg.bytes, extent.bytes);
		close(fd);
	}
}

/* More than any node has in one run, less than all memory: never half an arena. */
TEST(run_that_cannot_be_is_ENOMEM_and_leaves_nothing)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * base_page() / 16 * 15;
	long long resident_before, arenas;
	size_t chunk = default_chunk();
	int fd;

	if (bytes > 8ULL << 30)
		SKIP(return, "the search would hold %llu GiB of memory for a while",
		     (unsigned long long)bytes >> 30);
	bytes &= -(uint64_t)chunk;
	resident_before = counter("resident_bytes");
	arenas = counter("arenas");
	fd = contig_arena(bytes, chunk);
	if (fd == -EDQUOT || fd == -ENOSPC)
		SKIP(return, "%s", strerror(-fd));
	EXPECT_EQ(-ENOMEM, fd);
	EXPECT_TRUE(eventually(counter("resident_bytes") == resident_before));
	EXPECT_EQ(arenas, counter("arenas"));
}

TEST(runs_come_and_go_without_wearing_memory_out)
{
	size_t chunk = default_chunk(), bytes = 64 * MIB;
	int fd, i;

	for (i = 0; i < 20; i++) {
		NEW_RUN(fd, bytes, chunk);
		close(fd);
	}
}

TEST(one_chunk_may_be_a_run)
{
	size_t chunk = default_chunk();
	struct hpheap_extent extent;
	int fd;

	NEW_RUN(fd, chunk, chunk);
	EXPECT_EQ(1, first_extent(fd, &extent).count);
	EXPECT_EQ(chunk, extent.bytes);
}

TEST_HARNESS_MAIN
