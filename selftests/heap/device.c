// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library on the real device: in guests, and on any machine that has the
 * module loaded. As root all of it is tested, as a member of the device's group
 * what such a user may do.
 */
#include "kselftest_harness.h"
#include "regions.h"

#include <grp.h>
#include <sys/ioctl.h>
#include <linux/hpheap.h>

#include "../arena/system.h"

#define NOBODY		65534

static const char *device_path(void)
{
	const char *path = getenv("HPHEAP_DEVICE");

	return path && *path ? path : "/dev/hpheap";
}

/* Without the device there is nothing to test: 4 tells kselftest "skipped". */
__attribute__((constructor))
static void require_device(void)
{
	const int fd = open(device_path(), O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		printf("TAP version 13\n1..0 # SKIP %s: %s\n", device_path(), strerror(errno));
		exit(4);
	}
	close(fd);
}

static struct hpheap_info device_info(void)
{
	struct hpheap_info info = { .size = sizeof(info) };
	const int fd = open(device_path(), O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, HPHEAP_IOC_INFO, &info))
		abort();
	close(fd);
	return info;
}

/* The tests take less than this at any time. */
#define NEEDED	(24 * UNIT)

static bool may_have(size_t bytes)
{
	struct rlimit memlock;

	return !geteuid() || (!getrlimit(RLIMIT_MEMLOCK, &memlock) && memlock.rlim_cur >= bytes);
}

FIXTURE(device) {
	struct hpheap *heap;
};

FIXTURE_SETUP(device)
{
	self->heap = hpheap_create(NULL);
	ASSERT_NE(NULL, self->heap);
}

FIXTURE_TEARDOWN(device)
{
	hpheap_destroy(self->heap);
}

#define NEED_MEMLOCK() do {								\
	if (!may_have(NEEDED))								\
		SKIP(return, "RLIMIT_MEMLOCK does not allow %zu bytes", NEEDED);	\
} while (0)

/* All of it of the device, nothing fallen back. */
#define EXPECT_ON_DEVICE() do {								\
	const struct hpheap_stats on = stats_of(self->heap);				\
	EXPECT_EQ(on.committed_bytes, on.device_bytes);					\
	EXPECT_EQ(0, on.fallback_bytes);						\
	EXPECT_EQ(0, on.fallback_units) {						\
		TH_LOG("fell back: %s", strerror(on.fallback_errno));			\
	}										\
	EXPECT_SOUND(self->heap);							\
} while (0)

/*
 * Is a unit one physical piece, aligned? Frame numbers are root's; for others
 * they read as 0, and only presence can be told.
 */
static bool unit_is_huge(const char *unit)
{
	const size_t count = UNIT / base_page();
	uint64_t *entries = calloc(count, sizeof(*entries)), first;
	const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	const off_t offset = (off_t)((uintptr_t)unit / base_page() * sizeof(*entries));
	bool huge;
	size_t i;

	if (fd < 0 || !entries ||
	    pread(fd, entries, count * sizeof(*entries), offset) !=
	    (ssize_t)(count * sizeof(*entries)))
		abort();
	close(fd);
	first = entries[0] & PAGEMAP_PFN;
	huge = geteuid() ? true : first && first % count == 0;
	for (i = 0; i < count; i++) {
		huge = huge && entries[i] & PAGEMAP_PRESENT;
		huge = huge && (!first || (entries[i] & PAGEMAP_PFN) == first + i);
	}
	free(entries);
	return huge;
}

TEST_F(device, auto_takes_it_and_the_stats_say_so)
{
	struct hpheap_stats stats;
	char *span;

	NEED_MEMLOCK();
	span = hpheap_span_alloc(self->heap, 3 * UNIT, 0, 0);
	ASSERT_NE(NULL, span);
	memset(span, 1, 3 * UNIT);
	stats = stats_of(self->heap);
	EXPECT_EQ(HPHEAP_BACKEND_DEVICE, stats.backend);
	EXPECT_EQ(HPHEAP_BACKEND_AUTO, stats.backend_wanted);
	EXPECT_NE(NULL, strstr(stats.backend_reason, ": in use"));
	EXPECT_EQ(3 * UNIT, stats.device_bytes);
	EXPECT_EQ(base_page(), stats.base_page_bytes);
	EXPECT_ON_DEVICE();
}

TEST_F(device, spans_lie_in_huge_chunks)
{
	const size_t bytes = 8 * UNIT;
	size_t offset;
	char *span;

	NEED_MEMLOCK();
	span = hpheap_span_alloc(self->heap, bytes, 0, 0);
	ASSERT_NE(NULL, span);
	EXPECT_ON_DEVICE();
	for (offset = 0; offset < bytes; offset += UNIT)
		EXPECT_TRUE(unit_is_huge(span + offset));
	memset(span, 1, bytes);
	for (offset = 0; offset < bytes; offset += UNIT)
		EXPECT_TRUE(unit_is_huge(span + offset));
	/* Where a chunk is what one PMD maps, smaps counts it. */
	if (device_info().pmd_bytes == UNIT)
		EXPECT_EQ(bytes, smaps_bytes(span, bytes, "FilePmdMapped:"));
}

TEST_F(device, memory_is_there_before_it_is_touched)
{
	char *span;

	NEED_MEMLOCK();
	span = hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0);
	ASSERT_NE(NULL, span);
	EXPECT_EQ(4 * UNIT, smaps_bytes(span, 4 * UNIT, "Rss:"));
}

TEST_F(device, spans_are_zero_where_that_was_asked)
{
	char *span;
	int i;

	NEED_MEMLOCK();
	for (i = 0; i < 3; i++) {
		span = hpheap_span_alloc(self->heap, 4 * UNIT + PAGE, 0, HPHEAP_SPAN_ZERO);
		ASSERT_NE(NULL, span);
		EXPECT_TRUE(is_zero(span, 4 * UNIT + PAGE));
		memset(span, 0xa5, 4 * UNIT + PAGE);
		hpheap_span_free(self->heap, span);
		if (i)
			EXPECT_EQ(5 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	}
	EXPECT_ON_DEVICE();
}

/* Advice for a part of a span splits its mapping, and outlives the span. */
TEST_F(device, spans_are_zero_where_a_mapping_was_split)
{
	char *span;

	NEED_MEMLOCK();
	span = hpheap_span_alloc(self->heap, UNIT, UNIT, 0);
	ASSERT_NE(NULL, span);
	memset(span, 0xa5, UNIT);
	ASSERT_EQ(0, madvise(span + UNIT / 4, UNIT / 4, MADV_RANDOM));
	hpheap_span_free(self->heap, span);
	EXPECT_EQ(UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	span = hpheap_span_alloc(self->heap, UNIT, UNIT, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, UNIT));
	EXPECT_SOUND(self->heap);
}

TEST_F(device, released_chunks_go_back_to_the_system)
{
	char *span, *kept;

	NEED_MEMLOCK();
	span = hpheap_span_alloc(self->heap, 6 * UNIT, 0, 0);
	kept = hpheap_span_alloc(self->heap, UNIT, 0, 0);
	ASSERT_NE(NULL, span);
	ASSERT_NE(NULL, kept);
	memset(span, 1, 6 * UNIT);
	memset(kept, 2, UNIT);
	hpheap_span_free(self->heap, span);
	EXPECT_EQ(6 * UNIT, resident_bytes(span, 6 * UNIT));
	EXPECT_EQ(6 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, resident_bytes(span, 6 * UNIT));
	EXPECT_EQ(NULL, not_all(kept, UNIT, 2));
	EXPECT_EQ(UNIT, stats_of(self->heap).device_bytes);
	EXPECT_ON_DEVICE();
}

TEST_F(device, base_aligned_spans_share_no_base_page)
{
	char *before, *span, *behind;
	size_t bytes;

	NEED_MEMLOCK();
	before = hpheap_span_alloc(self->heap, PAGE, 0, 0);
	span = hpheap_span_alloc(self->heap, 1, 0, HPHEAP_SPAN_BASE_ALIGNED);
	behind = hpheap_span_alloc(self->heap, PAGE, 0, 0);
	ASSERT_NE(NULL, before);
	ASSERT_NE(NULL, span);
	ASSERT_NE(NULL, behind);
	bytes = hpheap_span_size(self->heap, span);
	EXPECT_EQ(0, (uintptr_t)span % base_page());
	EXPECT_EQ(0, bytes % base_page());
	*before = *behind = 7;
	ASSERT_EQ(0, mprotect(span, bytes, PROT_NONE));
	EXPECT_EQ(7, *before + *behind - 7);
	EXPECT_EQ(SIGSEGV, touch(span));
	ASSERT_EQ(0, mprotect(span, bytes, PROT_READ | PROT_WRITE));
}

/* An ordinary user, with so much of RLIMIT_MEMLOCK; the device is open since before. */
static bool become_limited(size_t bytes)
{
	const struct rlimit memlock = { .rlim_cur = bytes, .rlim_max = bytes };

	if (setrlimit(RLIMIT_MEMLOCK, &memlock))
		return false;
	return geteuid() || (!setgroups(0, NULL) && !setgid(NOBODY) && !setuid(NOBODY));
}

static int run_out(void *arg)
{
	struct hpheap *heap = hpheap_create(NULL);
	struct hpheap_stats stats;
	char *span;

	(void)arg;
	/* What an arena is charged beyond its size is not this test's business. */
	if (!heap || !become_limited(5 * UNIT))
		return 1;
	span = hpheap_span_alloc(heap, 12 * UNIT, 0, HPHEAP_SPAN_ZERO);
	if (!span || !is_zero(span, 12 * UNIT))
		return 2;
	memset(span, 1, 12 * UNIT);
	stats = stats_of(heap);
	if (stats.backend != HPHEAP_BACKEND_DEVICE || stats.committed_bytes != 12 * UNIT)
		return 3;
	if (stats.device_bytes < UNIT || stats.device_bytes > 5 * UNIT)
		return 4;
	if (stats.device_bytes + stats.fallback_bytes != 12 * UNIT ||
	    stats.fallback_units != stats.fallback_bytes / UNIT)
		return 5;
	if (stats.fallback_errno != EDQUOT)
		return 6;
	if (not_all(span, 12 * UNIT, 1))
		return 7;
	hpheap_span_free(heap, span);
	if (hpheap_scavenge(heap, SIZE_MAX) != 12 * UNIT)
		return 8;
	hpheap_destroy(heap);
	return 0;
}

TEST_F(device, that_runs_out_falls_back_chunk_by_chunk_and_is_counted)
{
	EXPECT_EQ(0, in_child(run_out, NULL));
}

static int grow_without_privileges(void *arg)
{
	struct hpheap *heap = hpheap_create(NULL);
	char *span;

	(void)arg;
	if (!heap || !become_limited(NEEDED))
		return 1;
	span = hpheap_span_alloc(heap, 2 * UNIT, 0, 0);
	if (!span)
		return 2;
	memset(span, 1, 2 * UNIT);
	return stats_of(heap).device_bytes == 2 * UNIT ? 0 : 3;
}

TEST_F(device, a_heap_made_with_privileges_grows_without_them)
{
	if (geteuid())
		SKIP(return, "needs root, to give it up");
	EXPECT_EQ(0, in_child(grow_without_privileges, NULL));
}

TEST_F(device, survives_a_program_that_closes_and_reuses_every_descriptor)
{
	char *span, *more;
	int fd, null;

	NEED_MEMLOCK();
	span = hpheap_span_alloc(self->heap, 3 * UNIT, 0, 0);
	ASSERT_NE(NULL, span);
	memset(span, 1, 3 * UNIT);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, null);
	for (fd = 3; fd < 64; fd++)
		if (fd != null)
			dup2(null, fd);

	EXPECT_EQ(NULL, not_all(span, 3 * UNIT, 1));
	hpheap_span_free(self->heap, span);
	EXPECT_EQ(3 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, resident_bytes(span, 3 * UNIT));
	span = hpheap_span_alloc(self->heap, 3 * UNIT, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 3 * UNIT));
	EXPECT_EQ(0, stats_of(self->heap).device_lost);

	more = hpheap_span_alloc(self->heap, 5 * UNIT, 0, 0);
	ASSERT_NE(NULL, more);
	memset(more, 2, 5 * UNIT);
	EXPECT_EQ(1, stats_of(self->heap).device_lost);
	EXPECT_EQ(8 * UNIT, stats_of(self->heap).device_bytes);
	EXPECT_ON_DEVICE();
}

static char *lost_span;
static struct hpheap *lost_heap;

static int without_device(void *arg)
{
	char *span;

	(void)arg;
	if (touch(lost_span) != SIGSEGV || touch(lost_span + 3 * UNIT) != SIGSEGV)
		return 1;
	if (stats_of(lost_heap).device_bytes || stats_of(lost_heap).used_bytes)
		return 2;
	span = hpheap_span_alloc(lost_heap, 2 * UNIT, 0, HPHEAP_SPAN_ZERO);
	if (!span || !is_zero(span, 2 * UNIT))
		return 3;
	if (stats_of(lost_heap).device_bytes != 2 * UNIT)
		return 4;
	memset(span, 9, 2 * UNIT);
	hpheap_span_free(lost_heap, lost_span);
	hpheap_span_free(lost_heap, span);
	hpheap_scavenge(lost_heap, SIZE_MAX);
	if (stats_of(lost_heap).committed_bytes)
		return 5;
	return stats_of(lost_heap).spans ? 6 : 0;
}

TEST(memory_stays_with_the_parent_where_that_is_wanted_and_the_childs_heap_goes_on)
{
	NEED_MEMLOCK();
	setenv("HPHEAP_FORK", "none", 1);
	lost_heap = hpheap_create(NULL);
	ASSERT_NE(NULL, lost_heap);
	lost_span = hpheap_span_alloc(lost_heap, 3 * UNIT + PAGE, 0, 0);
	ASSERT_NE(NULL, lost_span);
	memset(lost_span, 5, 3 * UNIT + PAGE);
	EXPECT_EQ(0, in_child(without_device, NULL));
	EXPECT_EQ(NULL, not_all(lost_span, 3 * UNIT + PAGE, 5));
	EXPECT_EQ(4 * UNIT, stats_of(lost_heap).device_bytes);
	EXPECT_SOUND(lost_heap);
	hpheap_destroy(lost_heap);
}

static int write_as_child(void *arg)
{
	char *span;

	(void)arg;
	if (not_all(lost_span, 3 * UNIT + PAGE, 5))
		return 1;
	lost_span[3 * UNIT] = 6;
	hpheap_span_free(lost_heap, lost_span);
	span = hpheap_span_alloc(lost_heap, 4 * UNIT, 0, HPHEAP_SPAN_ZERO);
	if (!span || !is_zero(span, 4 * UNIT))
		return 2;
	memset(span, 9, 4 * UNIT);
	return stats_of(lost_heap).device_bytes == 4 * UNIT ? 0 : 3;
}

TEST(memory_is_shared_with_children_where_that_is_wanted)
{
	const struct hpheap_options options = { .fork = HPHEAP_FORK_SHARE };

	NEED_MEMLOCK();
	lost_heap = hpheap_create(&options);
	ASSERT_NE(NULL, lost_heap);
	lost_span = hpheap_span_alloc(lost_heap, 3 * UNIT + PAGE, 0, 0);
	ASSERT_NE(NULL, lost_span);
	memset(lost_span, 5, 3 * UNIT + PAGE);
	EXPECT_EQ(0, in_child(write_as_child, NULL));
	EXPECT_EQ(6, lost_span[3 * UNIT]);
	lost_span[3 * UNIT] = 5;
	EXPECT_EQ(NULL, not_all(lost_span, 3 * UNIT + PAGE, 5));
	EXPECT_SOUND(lost_heap);
	hpheap_destroy(lost_heap);
}

static int do_nothing(void *unused)
{
	(void)unused;
	return 0;
}

/* A unit that is closed has to be opened for a moment to be given back, before Linux 6.7. */
TEST(spans_are_fenced_after_a_fork_too)
{
	const struct hpheap_options options = { .flags = HPHEAP_EFENCE };

	NEED_MEMLOCK();
	lost_heap = hpheap_create(&options);
	ASSERT_NE(NULL, lost_heap);
	lost_span = hpheap_span_alloc(lost_heap, 3 * UNIT, UNIT, 0);
	ASSERT_NE(NULL, lost_span);
	memset(lost_span, 5, 3 * UNIT);
	EXPECT_EQ(0, in_child(do_nothing, NULL));
	hpheap_span_free(lost_heap, lost_span);
	EXPECT_EQ(SIGSEGV, touch(lost_span));
	EXPECT_EQ(SIGSEGV, touch(lost_span + UNIT + PAGE));
	EXPECT_EQ(SIGSEGV, touch(lost_span + 3 * UNIT - 1));
	hpheap_destroy(lost_heap);
}

/* Of the whole process. */
static int mappings(void)
{
	return mappings_in(NULL, SIZE_MAX);
}

/* Those of an arena that was copied never become one again, and a process may have so many. */
TEST_F(device, mappings_do_not_become_more_and_more_after_a_fork)
{
	char *spans[16];
	int before;
	size_t i;

	NEED_MEMLOCK();
	for (i = 0; i < 16; i++) {
		spans[i] = hpheap_span_alloc(self->heap, UNIT, 0, 0);
		ASSERT_NE(NULL, spans[i]);
		*spans[i] = 1;
	}
	EXPECT_EQ(0, in_child(do_nothing, NULL));
	before = mappings();
	for (i = 0; i < 16; i += 2)
		hpheap_span_free(self->heap, spans[i]);
	EXPECT_EQ(8 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_GE(before + 2, mappings());
	for (i = 0; i < 16; i += 2) {
		spans[i] = hpheap_span_alloc(self->heap, UNIT, 0, HPHEAP_SPAN_ZERO);
		ASSERT_NE(NULL, spans[i]);
		EXPECT_TRUE(is_zero(spans[i], UNIT));
	}
	EXPECT_GE(before + 2, mappings());
	EXPECT_ON_DEVICE();
}

/* Neither what had no memory at the fork, nor what comes from the device behind it. */
TEST_F(device, units_without_memory_are_one_mapping_at_a_fork_and_stay_it)
{
	char *spans[16];
	int before;
	size_t i;
	char *grown;

	NEED_MEMLOCK();
	ASSERT_EQ(0, hpheap_reserve(self->heap, 16 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_EQ(16 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, in_child(do_nothing, NULL));
	before = mappings();
	for (i = 0; i < 16; i++) {
		spans[i] = hpheap_span_alloc(self->heap, UNIT, 0, HPHEAP_SPAN_ZERO);
		ASSERT_NE(NULL, spans[i]);
		memset(spans[i], 1, UNIT);
	}
	EXPECT_GE(before + 2, mappings());
	grown = hpheap_span_alloc(self->heap, 5 * UNIT, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, grown);
	EXPECT_TRUE(is_zero(grown, 5 * UNIT));
	EXPECT_GE(before + 4, mappings());
	EXPECT_ON_DEVICE();
}

/* Nodes with memory, at most two of them. */
static int two_nodes(unsigned int nodes[2])
{
	const struct hpheap_info info = device_info();
	unsigned int node;
	int count = 0;

	for (node = 0; node < HPHEAP_MAX_NODES && count < 2; node++)
		if (info.memory_nodes[node / 64] >> node % 64 & 1)
			nodes[count++] = node;
	return count;
}

struct reserved {
	int node;
	char *memory;
};

static int find_free(const struct hpheap_region *region, void *arg)
{
	struct reserved *reserved = arg;

	if (region->kind != HPHEAP_REGION_FREE || region->node != reserved->node ||
	    region->bytes < 4 * UNIT)
		return 0;
	reserved->memory = (char *)region->address;
	return 1;
}

TEST_F(device, reserve_takes_memory_of_the_node_that_was_asked_for)
{
	struct reserved reserved;
	unsigned int nodes[2];
	int count, i;

	NEED_MEMLOCK();
	count = two_nodes(nodes);
	for (i = 0; i < count; i++) {
		reserved.node = (int)nodes[i];
		ASSERT_EQ(0, hpheap_reserve(self->heap, 4 * UNIT, reserved.node));
		ASSERT_EQ(1, hpheap_walk(self->heap, find_free, &reserved, NULL));
		EXPECT_EQ(reserved.node, node_of(reserved.memory));
		EXPECT_EQ(reserved.node, node_of(reserved.memory + 3 * UNIT));
	}
	EXPECT_EQ(0, stats_of(self->heap).placement_errno);
	EXPECT_ON_DEVICE();
}

TEST_F(device, free_huge_bytes_are_exactly_what_is_resident)
{
	size_t units;
	char *span;

	NEED_MEMLOCK();
	ASSERT_EQ(0, hpheap_reserve(self->heap, 9 * UNIT, HPHEAP_NODE_ANY));
	span = hpheap_span_alloc(self->heap, UNIT, UNIT, 0);
	ASSERT_NE(NULL, span);
	for (units = 8; units; units -= 2) {
		EXPECT_STREQ("", wrong_of_free_units(self->heap, units));
		/* And nothing but these and the span. */
		EXPECT_EQ((units + 1) * UNIT, smaps_bytes(span, 9 * UNIT, "Rss:"));
		EXPECT_EQ(2 * UNIT, hpheap_scavenge(self->heap, 2 * UNIT));
	}
	EXPECT_ON_DEVICE();
}

TEST_F(device, an_interleaved_heap_takes_units_of_all_nodes_in_turn)
{
	const struct hpheap_options options = { .placement = HPHEAP_PLACE_INTERLEAVE };
	struct hpheap *heap;
	unsigned int nodes[2], on[2] = { 0, 0 };
	int count, i, node;
	char *span;

	NEED_MEMLOCK();
	count = two_nodes(nodes);
	heap = hpheap_create(&options);
	ASSERT_NE(NULL, heap);
	/* Singly and together. */
	for (i = 0; i < 4; i++) {
		span = hpheap_span_alloc(heap, UNIT, 0, 0);
		ASSERT_NE(NULL, span);
		node = node_of(span);
		on[count > 1 && node == (int)nodes[1]]++;
	}
	span = hpheap_span_alloc(heap, 8 * UNIT, 0, 0);
	ASSERT_NE(NULL, span);
	for (i = 0; i < 8; i++) {
		node = node_of(span + (size_t)i * UNIT);
		on[count > 1 && node == (int)nodes[1]]++;
	}
	if (count > 1) {
		EXPECT_LE(5, on[0]);
		EXPECT_LE(5, on[1]);
	}
	EXPECT_EQ(12, on[0] + on[1]);
	EXPECT_EQ(12 * UNIT, stats_of(heap).device_bytes);
	hpheap_destroy(heap);
}

static int locked(void *arg)
{
	struct hpheap *heap = hpheap_create(NULL);
	char *span;

	(void)arg;
	if (!heap)
		return 1;
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return errno == EPERM || errno == ENOMEM ? 100 : 2;
	span = hpheap_span_alloc(heap, 4 * UNIT, 0, HPHEAP_SPAN_ZERO);
	if (!span || !is_zero(span, 4 * UNIT) || stats_of(heap).device_bytes != 4 * UNIT)
		return 3;
	memset(span, 1, 4 * UNIT);
	hpheap_span_free(heap, span);
	if (hpheap_scavenge(heap, SIZE_MAX) != 4 * UNIT || resident_bytes(span, 4 * UNIT))
		return 4;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) || resident_bytes(span, 4 * UNIT))
		return 6;
	span = hpheap_span_alloc(heap, 4 * UNIT, 0, HPHEAP_SPAN_ZERO);
	return span && is_zero(span, 4 * UNIT) ? 0 : 5;
}

TEST_F(device, works_in_a_program_that_locks_its_memory)
{
	int result;

	NEED_MEMLOCK();
	result = in_child(locked, NULL);
	if (result == 100)
		SKIP(return, "this user may not lock so much memory");
	EXPECT_EQ(0, result);
}

TEST_F(device, destroying_a_heap_gives_everything_back)
{
	const uint64_t reserved = device_info().reserved_bytes;
	struct hpheap *heap;
	int i;

	NEED_MEMLOCK();
	if (reserved)
		SKIP(return, "somebody else uses the device");
	for (i = 0; i < 20; i++) {
		heap = hpheap_create(NULL);
		ASSERT_NE(NULL, heap);
		ASSERT_NE(NULL, hpheap_span_alloc(heap, 5 * UNIT, 0, 0));
		ASSERT_EQ(0, hpheap_reserve(heap, 3 * UNIT, HPHEAP_NODE_ANY));
		EXPECT_LE(8 * UNIT, device_info().reserved_bytes);
		hpheap_destroy(heap);
		EXPECT_EQ(0, device_info().reserved_bytes);
		EXPECT_EQ(0, device_info().resident_bytes);
	}
}

TEST_HARNESS_MAIN
