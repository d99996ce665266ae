// SPDX-License-Identifier: GPL-2.0-only
/* Counters below /sys/class/misc/hpheap: exact while nobody else uses the module. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

static const char * const names[] = {
	"arenas", "reserved_bytes", "resident_bytes", "quarantined_bytes",
	"chunks_allocated", "chunks_released", "alloc_failures", "faults",
	"purgeable_bytes", "chunks_marked", "chunks_reused", "chunks_taken",
	"pool_bytes", "pool_hits",
};

enum { ARENAS, RESERVED, RESIDENT, QUARANTINED, ALLOCATED, RELEASED, FAILURES, FAULTS,
       PURGEABLE, MARKED, REUSED, TAKEN, POOL, POOL_HITS, NR };

struct counts {
	long long of[NR];
};

static struct counts read_counts(void)
{
	struct counts counts;
	unsigned int i;

	for (i = 0; i < NR; i++)
		counts.of[i] = counter(names[i]);
	return counts;
}

#define EXPECT_CHANGE(which, before, change)					\
	EXPECT_EQ((before).of[which] + (long long)(change), counter(names[which])) { \
		TH_LOG("%s", names[which]);					\
	}

TEST(every_counter_can_be_read_by_all_and_written_by_nobody)
{
	char path[128];
	struct stat st;
	unsigned int i;

	for (i = 0; i < NR; i++) {
		snprintf(path, sizeof(path), "/sys/class/misc/hpheap/%s", names[i]);
		ASSERT_EQ(0, stat(path, &st)) { TH_LOG("%s", path); }
		EXPECT_EQ(0444, st.st_mode & 0777);
		EXPECT_LE(0, counter(names[i]));
	}
}

TEST(they_follow_the_life_of_an_arena)
{
	struct counts before = read_counts();
	long long chunk = default_chunk();
	char *p;
	int fd;

	NEW_ARENA(fd, 4 * chunk, chunk, 0);
	EXPECT_CHANGE(ARENAS, before, 1);
	EXPECT_CHANGE(RESERVED, before, 4 * chunk);
	EXPECT_CHANGE(RESIDENT, before, 0);

	ASSERT_EQ(0, fallocate(fd, 0, 0, 2 * chunk));
	EXPECT_CHANGE(RESIDENT, before, 2 * chunk);
	EXPECT_CHANGE(ALLOCATED, before, 2);
	EXPECT_CHANGE(FAULTS, before, 0);

	MAP_ARENA(p, fd, 4 * chunk);
	ASSERT_EQ(0, touch_write(p, 1));
	ASSERT_EQ(0, touch_write(p + 3 * chunk, 1));
	EXPECT_CHANGE(RESIDENT, before, 3 * chunk);
	EXPECT_CHANGE(ALLOCATED, before, 3);
	EXPECT_CHANGE(FAULTS, before, 2);

	ASSERT_EQ(0, fallocate(fd, PUNCH, 0, 2 * chunk));
	EXPECT_CHANGE(RESIDENT, before, chunk);
	EXPECT_CHANGE(RELEASED, before, 2);

	munmap(p, 4 * chunk);
	close(fd);
	EXPECT_TRUE(eventually(counter("arenas") == before.of[ARENAS]));
	EXPECT_CHANGE(RESERVED, before, 0);
	EXPECT_CHANGE(RESIDENT, before, 0);
	EXPECT_CHANGE(RELEASED, before, 3);
	EXPECT_CHANGE(QUARANTINED, before, 0);
	EXPECT_CHANGE(FAILURES, before, 0);
}

TEST(a_contiguous_arena_is_counted_by_its_chunks)
{
	struct counts before = read_counts();
	long long chunk = default_chunk();
	int fd;

	NEW_ARENA(fd, 8 * chunk, chunk, HPHEAP_CREATE_CONTIG);
	EXPECT_CHANGE(ALLOCATED, before, 8);
	EXPECT_CHANGE(RESIDENT, before, 8 * chunk);
	close(fd);
	EXPECT_TRUE(eventually(counter("resident_bytes") == before.of[RESIDENT]));
	EXPECT_CHANGE(RELEASED, before, 8);
}

TEST(they_count_the_death_of_a_process)
{
	struct counts before = read_counts();
	size_t chunk = default_chunk();
	int fd, i;
	pid_t pid;

	NEW_ARENA(fd, chunk, chunk, 0);
	close(fd);
	for (i = 0; i < 10; i++) {
		pid = fork();
		if (!pid) {
			fd = create_arena(4 * chunk, chunk, 0);
			if (fd >= 0)
				memset(map_arena(fd, 4 * chunk), 1, 4 * chunk);
			raise(SIGKILL);
		}
		EXPECT_EQ(128 + SIGKILL, wait_child(pid));
	}
	EXPECT_TRUE(eventually(counter("resident_bytes") == before.of[RESIDENT]));
	EXPECT_TRUE(eventually(counter("arenas") == before.of[ARENAS]));
	EXPECT_CHANGE(RESERVED, before, 0);
	EXPECT_EQ(counter("chunks_allocated") - before.of[ALLOCATED],
		  counter("chunks_released") - before.of[RELEASED]);
}

TEST(a_refused_fault_past_the_end_counts_no_fault)
{
	struct counts before;
	size_t chunk = default_chunk();
	char *p;
	int fd;

	NEW_ARENA(fd, chunk, chunk, 0);
	MAP_ARENA(p, fd, 2 * chunk);
	before = read_counts();
	EXPECT_EQ(SIGBUS, touch_read(p + chunk));
	EXPECT_CHANGE(FAULTS, before, 0);
	EXPECT_CHANGE(FAILURES, before, 0);
}

TEST_HARNESS_MAIN
