// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool of zeroed chunks: it fills in the background, serves touches, takes chunks
 * back, and gives way when memory is short. All of it is root's to set.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "cgroup.h"
#include "steps.h"

#include <dirent.h>

#define PARAMETERS	"/sys/module/hpheap/parameters/"
#define CHUNKS		8

static int set(const char *parameter, uint64_t value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), PARAMETERS "%s", parameter);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return write_file(path, text);
}

/* What the pools of all nodes hold, by their own files. */
static long long sum_of_nodes(unsigned int *nodes)
{
	char name[300], text[64];
	struct dirent *entry;
	long long sum = 0;
	DIR *dir = opendir("/sys/class/misc/hpheap/pool");

	*nodes = 0;
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "node", 4))
			continue;
		snprintf(name, sizeof(name), "/sys/class/misc/hpheap/pool/%s", entry->d_name);
		if (read_file(name, text, sizeof(text)) > 0)
			sum += strtoll(text, NULL, 10);
		++*nodes;
	}
	if (dir)
		closedir(dir);
	return sum;
}

FIXTURE(pool) {
	const char *missing;
	size_t chunk, full;
	unsigned int nodes;
	long long hits;
};

/* A full one of so many chunks on each node. */
FIXTURE_SETUP(pool)
{
	self->missing = is_root() ? NULL : "only root may set the pool";
	if (self->missing)
		return;
	self->chunk = default_chunk();
	sum_of_nodes(&self->nodes);
	ASSERT_LT(0, self->nodes);
	self->full = self->nodes * CHUNKS * self->chunk;
	ASSERT_EQ(0, set("pool_rate", 1ULL << 40));
	ASSERT_EQ(0, set("pool_floor_bytes", 0));
	ASSERT_EQ(0, set("pool_bytes", CHUNKS * self->chunk));
	ASSERT_TRUE(eventually(counter("pool_bytes") == (long long)self->full)) {
		TH_LOG("%lld bytes", counter("pool_bytes"));
	}
	self->hits = counter("pool_hits");
}

FIXTURE_TEARDOWN(pool)
{
	if (self->missing)
		return;
	EXPECT_EQ(0, set("pool_bytes", 0));
	EXPECT_TRUE(eventually(counter("pool_bytes") == 0));
	EXPECT_EQ(0, set("pool_floor_bytes", 0));
	EXPECT_EQ(0, set("pool_rate", 256 * MIB));
}

#define NEEDS_ROOT() do {							\
	if (self->missing)							\
		SKIP(return, "%s", self->missing);				\
} while (0)

TEST_F(pool, is_full_on_each_node_and_of_no_arena)
{
	unsigned int nodes;

	NEEDS_ROOT();
	EXPECT_EQ(self->full, sum_of_nodes(&nodes));
	EXPECT_EQ(0, get_info().resident_bytes);
	EXPECT_EQ(0, get_info().reserved_bytes);
}

TEST_F(pool, serves_touches_with_zeroed_chunks_and_fills_again)
{
	size_t i;
	char *p;
	int fd;

	NEEDS_ROOT();
	NEW_ARENA(fd, CHUNKS * self->chunk, self->chunk, 0);
	MAP_ARENA(p, fd, CHUNKS * self->chunk);
	for (i = 0; i < CHUNKS; i++)
		EXPECT_TRUE(is_zero(p + i * self->chunk, self->chunk));
	EXPECT_LE(self->hits + 4, counter("pool_hits"));
	EXPECT_EQ(CHUNKS * self->chunk, get_info().resident_bytes);
	EXPECT_TRUE(eventually(counter("pool_bytes") == (long long)self->full));
	munmap(p, CHUNKS * self->chunk);
	close(fd);
}

/* What was written must not be seen again, whoever's it was. */
TEST_F(pool, takes_back_what_it_gave_and_zeroes_it)
{
	int fd, round, i;
	char *p;

	NEEDS_ROOT();
	NEW_ARENA(fd, CHUNKS * self->chunk, self->chunk, 0);
	MAP_ARENA(p, fd, CHUNKS * self->chunk);
	for (round = 0; round < 20; round++) {
		ASSERT_TRUE(is_zero(p, CHUNKS * self->chunk));
		memset(p, round + 1, CHUNKS * self->chunk);
		/* The larger it may be, the more of these come back to it. */
		ASSERT_EQ(0, set("pool_bytes", (round % 4 + 1) * CHUNKS * self->chunk));
		for (i = 0; i < CHUNKS; i++)
			ASSERT_EQ(0, fallocate(fd, PUNCH, i * self->chunk, self->chunk));
	}
	munmap(p, CHUNKS * self->chunk);
	close(fd);
	EXPECT_LT(self->hits + 20, counter("pool_hits"));
}

TEST_F(pool, gives_way_when_memory_is_short_but_for_its_floor)
{
	long long held;

	NEEDS_ROOT();
	ASSERT_EQ(0, set("pool_floor_bytes", 3 * self->chunk));
	ASSERT_EQ(0, drop_slab());
	held = counter("pool_bytes");
	EXPECT_EQ(self->nodes * 3 * self->chunk, held);
	/* It does not take back at once what was needed elsewhere. */
	sleep(1);
	EXPECT_EQ(held, counter("pool_bytes"));
	ASSERT_EQ(0, set("pool_floor_bytes", 0));
	ASSERT_EQ(0, drop_slab());
	EXPECT_EQ(0, counter("pool_bytes"));
	EXPECT_TRUE(eventually(counter("pool_bytes") == (long long)self->full));
}

#define NEEDS_NODES() do {							\
	NEEDS_ROOT();								\
	if (self->nodes < 2)							\
		SKIP(return, "this system has one node with memory");		\
} while (0)

/* Memory for ever far is a worse bargain than zeroing. */
TEST_F(pool, of_a_node_far_away_comes_after_the_memory_of_one_near)
{
	const uint64_t nodes = get_info().memory_nodes[0];
	const int near = __builtin_ctzll(nodes);
	int first, fd, i;
	char *p;

	NEEDS_NODES();
	if (run_on_node(near))
		SKIP(return, "no CPU is on that node");
	ASSERT_EQ(0, set("pool_rate", 1));	/* Nothing comes any more. */
	first = create_bound(1ULL << near, 2 * CHUNKS * self->chunk, self->chunk, 0);
	ASSERT_LE(0, first);
	ASSERT_EQ(0, fallocate(first, 0, 0, 2 * CHUNKS * self->chunk));
	/* But for one that may have been on its way. */
	EXPECT_GE(((self->nodes - 1) * CHUNKS + 1) * self->chunk, counter("pool_bytes"));
	fd = create_bound(nodes, CHUNKS * self->chunk, self->chunk, 0);
	ASSERT_LE(0, fd);
	MAP_ARENA(p, fd, CHUNKS * self->chunk);
	memset(p, 1, CHUNKS * self->chunk);
	for (i = 0; i < CHUNKS; i++)
		EXPECT_EQ(near, node_of(p + i * self->chunk));
	munmap(p, CHUNKS * self->chunk);
	close(fd);
	close(first);
}

struct confined {
	struct cgroup group;
	size_t chunk;
	int node;
};

static int take_elsewhere(void *arg)
{
	const struct confined *it = arg;
	int fd;

	if (cgroup_enter(&it->group))
		return 1;
	fd = create_bound(1ULL << it->node, it->chunk, it->chunk, 0);
	if (fd < 0)
		return 2;
	return fallocate(fd, 0, 0, it->chunk) && errno == ENOMEM ? 0 : 3;
}

TEST_F(pool, gives_nothing_of_a_node_that_the_cpuset_does_not_have)
{
	const uint64_t nodes = get_info().memory_nodes[0];
	struct confined it = { .chunk = self->chunk, .node = 63 - __builtin_clzll(nodes) };
	char near[16], control[192];

	NEEDS_NODES();
	NEW_CGROUP(&it.group, "cpuset");
	snprintf(control, sizeof(control), "%s/cgroup.subtree_control", cgroup_root());
	write_file(control, "+cpuset");
	snprintf(near, sizeof(near), "%d", __builtin_ctzll(nodes));
	if (cgroup_write(&it.group, "cpuset.mems", near)) {
		cgroup_remove(&it.group);
		SKIP(return, "this kernel has no cpuset");
	}
	EXPECT_EQ(0, in_child(take_elsewhere, &it));
	EXPECT_EQ(self->full, counter("pool_bytes"));
	EXPECT_TRUE(cgroup_remove(&it.group));
}

TEST_F(pool, shrinks_and_grows_as_it_is_told)
{
	NEEDS_ROOT();
	ASSERT_EQ(0, set("pool_bytes", 2 * self->chunk));
	EXPECT_TRUE(eventually(counter("pool_bytes") ==
			       (long long)(self->nodes * 2 * self->chunk)));
	ASSERT_EQ(0, set("pool_bytes", 4 * self->chunk + base_page()));
	EXPECT_TRUE(eventually(counter("pool_bytes") ==
			       (long long)(self->nodes * 4 * self->chunk)));
}

TEST_F(pool, is_filled_no_faster_than_its_rate)
{
	double begin;

	NEEDS_ROOT();
	ASSERT_EQ(0, set("pool_bytes", 0));
	ASSERT_TRUE(eventually(counter("pool_bytes") == 0));
	ASSERT_EQ(0, set("pool_rate", 4 * self->chunk));
	begin = now();
	ASSERT_EQ(0, set("pool_bytes", CHUNKS * self->chunk));
	ASSERT_TRUE(eventually(counter("pool_bytes") == (long long)self->full));
	EXPECT_LE(1.0, now() - begin);
}

TEST_F(pool, takes_nothing_that_a_cgroup_is_charged_for)
{
	struct cgroup group;
	long long current;
	size_t stock;
	char *p;
	int fd;

	NEEDS_ROOT();
	NEW_CGROUP(&group, "pool");
	ASSERT_EQ(0, set("pool_bytes", 0));
	ASSERT_TRUE(eventually(counter("pool_bytes") == 0));
	ASSERT_EQ(0, cgroup_enter(&group));
	fd = create_arena(CHUNKS * self->chunk, self->chunk, 0);
	ASSERT_EQ(0, cgroup_leave());
	p = map_arena(fd, CHUNKS * self->chunk);
	memset(p, 1, CHUNKS * self->chunk);
	current = cgroup_current(&group);
	EXPECT_LE((long long)(CHUNKS * self->chunk), current);
	ASSERT_EQ(0, set("pool_rate", 1));	/* Nothing comes but what is given. */
	ASSERT_EQ(0, set("pool_bytes", 4 * CHUNKS * self->chunk));
	ASSERT_EQ(0, fallocate(fd, PUNCH, 0, CHUNKS * self->chunk));
	/* Each CPU may keep up to 64 pages of it in stock, which count as used. */
	stock = sysconf(_SC_NPROCESSORS_ONLN) * 64 * base_page();
	EXPECT_GE(current - (long long)(CHUNKS * self->chunk - stock), cgroup_current(&group));
	EXPECT_GE(2 * self->nodes * self->chunk, counter("pool_bytes"));
	munmap(p, CHUNKS * self->chunk);
	close(fd);
	EXPECT_TRUE(cgroup_remove(&group));
}

/* Who has pages pinned may write to them still. */
TEST_F(pool, takes_nothing_that_somebody_has_pinned)
{
	struct iovec vec;
	char *p, read_back[16];
	int fd, end[2];

	NEEDS_ROOT();
	NEW_ARENA(fd, self->chunk, self->chunk, 0);
	MAP_ARENA(p, fd, self->chunk);
	memset(p, 7, self->chunk);
	ASSERT_LT(self->hits, counter("pool_hits"));
	vec = (struct iovec){ .iov_base = p, .iov_len = base_page() };
	ASSERT_EQ(0, pipe(end));
	ASSERT_EQ(base_page(), vmsplice(end[1], &vec, 1, 0));
	ASSERT_EQ(0, set("pool_bytes", 4 * CHUNKS * self->chunk));
	ASSERT_EQ(0, fallocate(fd, PUNCH, 0, self->chunk));
	ASSERT_TRUE(eventually(counter("pool_bytes") == (long long)(4 * self->full)));
	ASSERT_EQ(sizeof(read_back), read(end[0], read_back, sizeof(read_back)));
	EXPECT_EQ(7, read_back[0]);
	close(end[0]);
	close(end[1]);
	munmap(p, self->chunk);
	close(fd);
}

TEST_F(pool, can_be_for_chunks_of_any_size)
{
	const size_t chunk = next_chunk_size(self->chunk);
	char *p;
	int fd;

	NEEDS_ROOT();
	if (!chunk)
		SKIP(return, "this system has one chunk size only");
	ASSERT_EQ(0, set("pool_chunk_bytes", chunk));
	/* More than it ever held of the others: on the way it is never as much by chance. */
	ASSERT_EQ(0, set("pool_bytes", CHUNKS * chunk));
	ASSERT_TRUE(eventually(counter("pool_bytes") ==
			       (long long)(self->nodes * CHUNKS * chunk)));
	NEW_ARENA(fd, self->chunk, self->chunk, 0);
	ASSERT_EQ(0, fallocate(fd, 0, 0, self->chunk));
	EXPECT_EQ(self->hits, counter("pool_hits"));
	close(fd);
	NEW_ARENA(fd, chunk, chunk, 0);
	MAP_ARENA(p, fd, chunk);
	EXPECT_TRUE(is_zero(p, chunk));
	EXPECT_EQ(self->hits + 1, counter("pool_hits"));
	munmap(p, chunk);
	close(fd);
	ASSERT_EQ(0, set("pool_chunk_bytes", self->chunk));
	EXPECT_EQ(0, set("pool_bytes", CHUNKS * self->chunk));
	EXPECT_TRUE(eventually(counter("pool_bytes") == (long long)self->full));
}

TEST_F(pool, knows_what_is_no_number)
{
	NEEDS_ROOT();
	EXPECT_EQ(-EINVAL, set("pool_chunk_bytes", 0));
	EXPECT_EQ(-EINVAL, set("pool_chunk_bytes", 3 * MIB));
	EXPECT_EQ(-EINVAL, set("pool_chunk_bytes", base_page()));
	EXPECT_EQ(-EINVAL, write_file(PARAMETERS "pool_chunk_bytes", "large"));
	EXPECT_EQ(-EINVAL, write_file(PARAMETERS "pool_bytes", "much"));
	EXPECT_EQ(-EINVAL, write_file(PARAMETERS "pool_bytes", "-1"));
}

static void punch(uint64_t *random)
{
	if (fallocate(the.fd, PUNCH, next_random(random) % CHUNKS * the.chunk, the.chunk))
		stress_fail(the.stress, "punch: %s", strerror(errno));
}

static void resize(uint64_t *random)
{
	set("pool_bytes", next_random(random) % 32 * the.chunk);
	usleep(20000);
}

static void press(uint64_t *random)
{
	(void)random;
	drop_slab();
	usleep(200000);
}

TEST_F(pool, is_right_whatever_happens_at_once)
{
	static const step_fn steps[] = {
		touch_word, touch_word, punch, punch, resize, press,
	};

	NEEDS_ROOT();
	the.stress = stress_new();
	the.chunk = self->chunk;
	the.bytes = CHUNKS * self->chunk;
	NEW_ARENA(the.fd, the.bytes, the.chunk, 0);
	MAP_ARENA(the.map, the.fd, the.bytes);
	run_steps(steps, ARRAY_SIZE(steps));
	EXPECT_EQ(0, the.stress->failed) { TH_LOG("%s", the.stress->why); }
	EXPECT_EQ(-1, first_wrong(the.map, the.bytes));
	munmap(the.map, the.bytes);
	close(the.fd);
}

TEST_HARNESS_MAIN
