// SPDX-License-Identifier: GPL-2.0-only
/*
 * NUMA balancing unmaps memory now and then to see who touches it. Chunks never
 * move, so for an arena that is a page fault for nothing, just where latency
 * counts: it must leave arenas alone. The same process samples anonymous
 * memory first, which shows that balancing is at work at all.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <sched.h>

#define SWITCH	"/proc/sys/kernel/numa_balancing"
#define DEBUG	"/sys/kernel/debug/sched/numa_balancing/"
#define BYTES	(32 * MIB)

static const struct {
	const char *path, *fast;
} settings[] = {
	{ SWITCH, "1" },
	{ DEBUG "scan_delay_ms", "10" },
	{ DEBUG "scan_period_min_ms", "10" },
	{ DEBUG "scan_period_max_ms", "20" },
};

static char original[ARRAY_SIZE(settings)][32];
static pid_t first_process;

static void restore(void)
{
	unsigned int i;

	if (getpid() != first_process)
		return;
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (original[i][0])
			write_file(settings[i].path, original[i]);
}

static void __attribute__((constructor)) remember(void)
{
	unsigned int i;

	first_process = getpid();
	if (!is_root())
		return;
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (read_file(settings[i].path, original[i], sizeof(original[i])) < 0)
			original[i][0] = 0;
	atexit(restore);
}

static long long sampled(void)
{
	return value_of("/proc/vmstat", "numa_pte_updates ");
}

/* Balancing counts the time that a process ran, not what passed meanwhile. */
static double ran(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/*
 * Touches memory from every CPU in turn until as many pages were sampled as it
 * has, *seconds at most; says how long that took and returns pages sampled.
 */
static long long touch_everywhere(volatile char *p, size_t bytes, double *seconds)
{
	long long before = sampled(), enough = bytes / base_page();
	double start = ran();
	cpu_set_t all, one;
	size_t offset;
	int cpu = 0;

	sched_getaffinity(0, sizeof(all), &all);
	while (ran() < start + *seconds && sampled() < before + enough) {
		cpu = (cpu + 1) % CPU_SETSIZE;
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		for (offset = 0; offset < bytes; offset += base_page())
			p[offset]++;
	}
	sched_setaffinity(0, sizeof(all), &all);
	*seconds = ran() - start;
	return sampled() - before;
}

/* A process of its own for each kind of memory: what it has, is sampled too. */
static int sample(char *p, size_t bytes, double *seconds)
{
	long long pages;

	memset(p, 1, bytes);
	pages = touch_everywhere(p, bytes, seconds);
	/* as many samples as the memory has pages: 100 */
	pages = pages * 100 / (long long)(bytes / base_page());
	return pages < 100 ? pages : 100;
}

TEST(arenas_are_left_alone)
{
	uint64_t nodes = get_info().memory_nodes[0];
	int fd, anonymous, arena;
	double *seconds;
	unsigned int i;
	pid_t pid;
	char *p;

	if (!is_root())
		SKIP(return, "only root may switch NUMA balancing on");
	if (access(SWITCH, W_OK))
		SKIP(return, "this kernel has no NUMA balancing");
	if (!(nodes & (nodes - 1)))
		SKIP(return, "this system has one node with memory");
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		write_file(settings[i].path, settings[i].fast);

	seconds = mmap(NULL, sizeof(*seconds), RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)seconds);
	*seconds = 60;
	pid = fork();
	if (!pid)
		_exit(sample(mmap(NULL, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), BYTES, seconds));
	anonymous = wait_child(pid);
	if (anonymous < 50)
		SKIP(return, "NUMA balancing sampled %d %% of anonymous memory only", anonymous);

	NEW_ARENA(fd, BYTES, 0, 0);
	MAP_ARENA(p, fd, BYTES);
	/* As long as that took, and some: however slow this system is. */
	*seconds = 2 + 1.5 * *seconds;
	pid = fork();
	if (!pid)
		_exit(sample(p, BYTES, seconds));
	arena = wait_child(pid);
	EXPECT_GT(20, arena) { TH_LOG("sampled %d %% of the arena", arena); }
}

TEST_HARNESS_MAIN
