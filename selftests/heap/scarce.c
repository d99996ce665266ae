// SPDX-License-Identifier: GPL-2.0-only
/*
 * When memory is scarce: a limit of the memory cgroup and pressure on the system make a
 * heap give back what it would have kept for its next peak.
 */
#include "kselftest_harness.h"
#define TEST_SCAVENGER
#include "heap.h"
#include "../arena/system.h"
#include "../arena/cgroup.h"

#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#define LIMIT_UNITS	48u
#define HEAP_UNITS	32u

/* What its children do in them is all these are for. */
FIXTURE(scarce) {
	struct cgroup group, other;
	const char *missing;
};

FIXTURE_SETUP(scarce)
{
	self->missing = cgroup_new(&self->group, "scarce");
	if (!self->missing)
		ASSERT_EQ(NULL, cgroup_new(&self->other, "scarce-other"));
}

FIXTURE_TEARDOWN(scarce)
{
	if (!self->missing) {
		EXPECT_TRUE(cgroup_remove(&self->group));
		EXPECT_TRUE(cgroup_remove(&self->other));
	}
}

#define NEEDS_CGROUP() do {								\
	if (self->missing)								\
		SKIP(return, "%s", self->missing);					\
} while (0)

static void wait_ms(unsigned int ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

/*
 * For good. Where the system's huge pages are larger than units, khugepaged charges the group
 * for all of one while it makes one of pages that are charged already: 32 MiB of these limits.
 */
static int enter(const struct cgroup *group)
{
	if (!thp_is_a_unit() && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		return -1;
	return cgroup_enter(group);
}

/* By itself it would give back nothing in the time of a test. */
static bool be_slow(unsigned int pressure_ms)
{
	struct hpheap_policy policy = { .size = sizeof(policy) };

	if (hpheap_get_policy(&policy))
		return false;
	policy.window_ms = 600000;
	policy.cpu_permille = 500;
	policy.pressure_ms = pressure_ms;
	return !hpheap_set_policy(&policy);
}

/* A heap with one unit in use, and all others free. */
static struct hpheap *heap_at_rest(enum hpheap_backend backend)
{
	struct hpheap *heap = heap_on(backend);
	char *span = heap ? hpheap_span_alloc(heap, UNIT, UNIT, 0) : NULL;

	if (!span || hpheap_reserve(heap, (HEAP_UNITS - 1) * UNIT, HPHEAP_NODE_ANY))
		return NULL;
	memset(span, 1, UNIT);
	return heap;
}

struct part {
	const struct cgroup *group;
	enum hpheap_backend backend;
};

static bool is_nearly_full(const struct cgroup *group)
{
	return cgroup_current(group) > (long long)((LIMIT_UNITS - 2) * UNIT);
}

/* More and more of something else, until both would not fit. */
static int fill_up(void *arg)
{
	const struct part *part = arg;
	const size_t bytes = (LIMIT_UNITS - HEAP_UNITS / 2) * UNIT;
	const double end = now() + 120;
	struct hpheap *heap;
	char *other;
	size_t i;

	if (enter(part->group) || !be_slow(0))
		return 1;
	heap = heap_at_rest(part->backend);
	if (!heap)
		return 2;
	if (stats_of(heap).committed_bytes != HEAP_UNITS * UNIT)
		return 3;
	other = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* A huge page that the limit has no room for would count, though nobody needs it. */
	if (other == MAP_FAILED || (madvise(other, bytes, MADV_NOHUGEPAGE) && errno != EINVAL))
		return 4;
	/* At a pace at which the thread has its turn on a slow machine, too. */
	for (i = 0; i < bytes; i += 256 * KIB) {
		memset(other + i, 1, 256 * KIB);
		wait_ms(20);
		while (is_nearly_full(part->group) && now() < end)
			wait_ms(50);
	}
	return stats_of(heap).committed_bytes <= (HEAP_UNITS / 2 + 2) * UNIT ? 0 : 5;
}

static void expect_no_reclaim(struct __test_metadata *_metadata, const struct cgroup *group)
{
	EXPECT_EQ(0, cgroup_read(group, "memory.events", "max "));
	EXPECT_EQ(0, cgroup_read(group, "memory.events", "high "));
	EXPECT_EQ(0, cgroup_read(group, "memory.events", "oom "));
	EXPECT_EQ(0, cgroup_read(group, "memory.events", "oom_kill "));
}

TEST_F(scarce, a_cgroups_memory_max_is_kept_before_the_kernel_has_to)
{
	const struct part part = { &self->group, HPHEAP_BACKEND_THP };

	NEEDS_CGROUP();
	ASSERT_EQ(0, cgroup_limit(&self->group, LIMIT_UNITS * UNIT));
	EXPECT_EQ(0, in_child(fill_up, (void *)&part));
	expect_no_reclaim(_metadata, &self->group);
}

TEST_F(scarce, a_cgroups_memory_high_is_kept_before_the_kernel_has_to)
{
	const struct part part = { &self->group, HPHEAP_BACKEND_THP };
	char text[32];

	NEEDS_CGROUP();
	snprintf(text, sizeof(text), "%zu", LIMIT_UNITS * UNIT);
	ASSERT_EQ(0, cgroup_write(&self->group, "memory.high", text));
	EXPECT_EQ(0, in_child(fill_up, (void *)&part));
	expect_no_reclaim(_metadata, &self->group);
}

TEST_F(scarce, a_cgroups_limit_counts_what_the_device_gave)
{
	const struct part part = { &self->group, HPHEAP_BACKEND_DEVICE };
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_DEVICE);

	NEEDS_CGROUP();
	if (!heap)
		SKIP(return, "no device: %s", strerror(errno));
	hpheap_destroy(heap);
	ASSERT_EQ(0, cgroup_limit(&self->group, LIMIT_UNITS * UNIT));
	EXPECT_EQ(0, in_child(fill_up, (void *)&part));
	expect_no_reclaim(_metadata, &self->group);
}

static int rest_without_limit(void *arg)
{
	struct hpheap *heap;

	if (enter(arg) || !be_slow(0))
		return 1;
	heap = heap_at_rest(HPHEAP_BACKEND_THP);
	if (!heap)
		return 2;
	wait_ms(2000);
	return stats_of(heap).committed_bytes == HEAP_UNITS * UNIT ? 0 : 3;
}

TEST_F(scarce, far_from_a_limit_nothing_goes)
{
	NEEDS_CGROUP();
	ASSERT_EQ(0, cgroup_limit(&self->group, 4 * LIMIT_UNITS * UNIT));
	EXPECT_EQ(0, in_child(rest_without_limit, &self->group));
}

/* Needs again and again what the cgroup has no room for: it waits, until it is killed. */
static void press(const struct cgroup *group)
{
	const size_t bytes = 16 * MIB;
	char *memory;
	size_t i;

	if (!use_all_cpus() || cgroup_write(group, "memory.high", "4194304") ||
	    cgroup_enter(group))
		return;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return;
	for (;;) {
		for (i = 0; i < bytes; i += base_page())
			memory[i] = 1;
		if (madvise(memory, bytes, MADV_DONTNEED))
			return;
	}
}

/* The kernel's own word that threads wait: what the heap is told, too. */
static int open_trigger(void)
{
	static const char trigger[] = "some 50000 2000000";
	int fd = open("/proc/pressure/memory", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && write(fd, trigger, sizeof(trigger)) != sizeof(trigger)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Lets this process alone see @text where the kernel has @path; returns what is behind it. */
static int stand_in(const char *path, const char *text)
{
	char name[] = "/tmp/hpheap-test-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    mount(name, path, NULL, MS_BIND, NULL)) {
		close(fd);
		fd = -1;
	}
	unlink(name);
	return fd;
}

enum reclaims { NOTHING, OF_THE_SYSTEM, OF_THE_GROUP };

struct watch {
	const struct cgroup *group, *other;
	enum reclaims reclaims;
	bool unwatched;
};

/*
 * Waits there are, in another cgroup. Where the counters of what is reclaimed stand is this
 * test's to say: to bring a whole system so far would be hard on all else that runs there.
 */
static int wait_for_pressure(void *arg)
{
	const struct watch *watch = arg;
	const bool gives = watch->reclaims && !watch->unwatched;
	struct hpheap_policy policy = { .size = sizeof(policy) };
	struct pollfd told = { .events = POLLPRI };
	unsigned int waits = 0, scanned = 0;
	const double end = now() + 120;
	int counters, status, result = 0;
	struct hpheap *heap;
	char path[320], text[32];
	pid_t child;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 1;
	if (cgroup_enter(watch->group))
		return 2;
	snprintf(path, sizeof(path), "%s/memory.stat", watch->group->path);
	counters = stand_in(watch->reclaims == OF_THE_GROUP ? path : "/proc/vmstat",
			    "pgscan_direct 000");
	/* It looks once in a window, and needs what is free in none of them. */
	hpheap_get_policy(&policy);
	policy.window_ms = 200;
	policy.margin_units = HEAP_UNITS;
	policy.pressure_ms = watch->unwatched ? 0 : 50;
	told.fd = open_trigger();
	if (counters < 0 || told.fd < 0 || hpheap_set_policy(&policy))
		return 3;
	heap = heap_at_rest(HPHEAP_BACKEND_THP);
	if (!heap)
		return 4;
	child = fork();
	if (!child) {
		press(watch->other);
		_exit(1);
	}
	/* Slow machines give back slowly; what must stay, stays over some waits. */
	while ((gives || waits < 5) && now() < end && stats_of(heap).committed_bytes != UNIT) {
		poll(&told, 1, 100);
		waits += (told.revents & POLLPRI) != 0;
		scanned += watch->reclaims != NOTHING;
		snprintf(text, sizeof(text), "pgscan_direct %03u", scanned % 1000);
		if (pwrite(counters, text, strlen(text), 0) < 0)
			result = 5;
	}
	if (!waits)
		result = 6;
	if ((stats_of(heap).committed_bytes == UNIT) != gives)
		result = 7;
	if (kill(child, SIGKILL) || waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
		return 8;	/* It ended before. */
	return result;
}

static bool can_be_told(void)
{
	const int fd = open_trigger();

	return fd >= 0 && !close(fd);
}

#define EXPECT_PRESSURE(...) do {								\
	struct watch watch = { &self->group, &self->other, __VA_ARGS__ };		\
											\
	EXPECT_EQ(0, in_child(wait_for_pressure, &watch));				\
} while (0)

#define NEEDS_PRESSURE() do {								\
	NEEDS_CGROUP();									\
	if (!can_be_told())								\
		SKIP(return, "pressure cannot be watched: %s", strerror(errno));	\
} while (0)

TEST_F(scarce, pressure_of_the_system_takes_all_that_is_free)
{
	NEEDS_PRESSURE();
	EXPECT_PRESSURE(.reclaims = OF_THE_SYSTEM);
}

TEST_F(scarce, pressure_of_its_cgroup_takes_all_that_is_free)
{
	NEEDS_PRESSURE();
	EXPECT_PRESSURE(.reclaims = OF_THE_GROUP);
}

/* Those for huge pages, or at the limit of another cgroup. */
TEST_F(scarce, waits_without_pressure_take_nothing)
{
	NEEDS_PRESSURE();
	EXPECT_PRESSURE(.reclaims = NOTHING);
}

TEST_F(scarce, pressure_is_not_watched_unless_that_is_wanted)
{
	NEEDS_PRESSURE();
	EXPECT_PRESSURE(.reclaims = OF_THE_SYSTEM, .unwatched = true);
}

TEST_HARNESS_MAIN
