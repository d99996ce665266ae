// SPDX-License-Identifier: GPL-2.0-only
/* /proc/PID/fdinfo of an arena says what it is and what it holds. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#define EXPECT_LINE(fd, key, value) do {					\
	char text[256] = "(no such line)";					\
										\
	fdinfo(fd, key, text, sizeof(text));					\
	EXPECT_STREQ(value, text) { TH_LOG("%s", key); }			\
} while (0)

TEST(tells_identity_size_and_chunk)
{
	size_t chunk = default_chunk();
	struct stat st;
	int fd;

	NEW_ARENA(fd, 3 * chunk, chunk, 0);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(st.st_ino, fdinfo_number(fd, "hpheap_id:"));
	EXPECT_EQ(3 * chunk, fdinfo_number(fd, "hpheap_size:"));
	EXPECT_EQ(chunk, fdinfo_number(fd, "hpheap_chunk:"));
	EXPECT_LINE(fd, "hpheap_policy:", "local");
	EXPECT_LINE(fd, "hpheap_nodes:", "");
	EXPECT_LINE(fd, "hpheap_flags:", "fork-share");
}

TEST(tells_policy_and_nodes)
{
	static const char * const names[] = { "local", "bind", "preferred", "interleave" };
	struct hpheap_info info = get_info();
	struct hpheap_create arg;
	unsigned int policy;
	char node[16];
	int fd;

	for (policy = HPHEAP_POLICY_BIND; policy <= HPHEAP_POLICY_INTERLEAVE; policy++) {
		arg = create_arg(info.default_chunk_bytes, 0, 0);
		arg.policy = policy;
		arg.nodemask[0] = info.memory_nodes[0] & -info.memory_nodes[0];
		if (!arg.nodemask[0])
			SKIP(return, "the first 64 nodes have no memory");
		fd = create(&arg);
		if (fd == -EDQUOT)
			SKIP(return, "RLIMIT_MEMLOCK does not allow three chunks");
		ASSERT_LE(0, fd);
		snprintf(node, sizeof(node), "%d", __builtin_ctzll(arg.nodemask[0]));
		EXPECT_LINE(fd, "hpheap_policy:", names[policy]);
		EXPECT_LINE(fd, "hpheap_nodes:", node);
		close(fd);
	}
}

TEST(tells_flags)
{
	size_t chunk = default_chunk();
	int fd;

	NEW_ARENA(fd, chunk, 0, HPHEAP_CREATE_FORK_NONE | HPHEAP_CREATE_STRICT_NODE);
	EXPECT_LINE(fd, "hpheap_flags:", "fork-none,strict-node");
	NEW_ARENA(fd, chunk, 0, HPHEAP_CREATE_FORK_SHARE | HPHEAP_CREATE_CONTIG);
	EXPECT_LINE(fd, "hpheap_flags:", "fork-share,contig");
	NEW_ARENA(fd, chunk, 0, HPHEAP_CREATE_FORK_COW);
	EXPECT_LINE(fd, "hpheap_flags:", "fork-cow");
}

TEST(follows_what_is_resident)
{
	size_t chunk = default_chunk();
	int fd;

	NEW_ARENA(fd, 4 * chunk, chunk, 0);
	EXPECT_EQ(0, fdinfo_number(fd, "hpheap_resident:"));
	ASSERT_EQ(0, fallocate(fd, 0, chunk, 2 * chunk));
	EXPECT_EQ(2 * chunk, fdinfo_number(fd, "hpheap_resident:"));
	ASSERT_EQ(0, fallocate(fd, PUNCH, 0, 2 * chunk));
	EXPECT_EQ(chunk, fdinfo_number(fd, "hpheap_resident:"));
}

TEST(nodes_add_up_to_what_is_resident)
{
	struct hpheap_info info = get_info();
	size_t chunk = info.default_chunk_bytes;
	long long sum = 0, bytes;
	char key[32];
	int fd, node;

	NEW_ARENA(fd, 4 * chunk, chunk, 0);
	EXPECT_EQ(-1, fdinfo_number(fd, "hpheap_node0:"));
	ASSERT_EQ(0, fallocate(fd, 0, 0, 4 * chunk));
	for (node = 0; node < HPHEAP_MAX_NODES; node++) {
		if (!(info.memory_nodes[node / 64] >> node % 64 & 1))
			continue;
		snprintf(key, sizeof(key), "hpheap_node%d:", node);
		bytes = fdinfo_number(fd, key);
		EXPECT_NE(0, bytes) { TH_LOG("%s is shown without memory", key); }
		sum += bytes > 0 ? bytes : 0;
	}
	EXPECT_EQ(4 * chunk, sum);
}

TEST_HARNESS_MAIN
