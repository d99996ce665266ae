// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a child of fork() has of a heap whose memory is the device's, where that is not copied:
 * nothing of it, or what is the parent's; and a heap that works, which says so. On the tests'
 * own device, a module that cannot copy: see fake_device.h.
 */
#include "kselftest_harness.h"
#include "fake_device.h"

static struct hpheap *lost_heap;
static char *lost_span;
static struct walk child_walk;
static int late[2];

static int without_device(void *arg)
{
	struct hpheap_stats stats = stats_of(lost_heap);
	char *span;

	if (!touch(lost_span) || !touch(lost_span + 3 * UNIT - 1))
		return 1;
	if (stats.device_bytes || stats.used_bytes)
		return 2;
	if (stats.used_bytes + stats.free_bytes != stats.committed_bytes)
		return 3;
	if (take_walk(lost_heap, &child_walk) || child_walk.spans != 1)
		return 7;
	span = hpheap_span_alloc(lost_heap, 2 * UNIT, 0, HPHEAP_SPAN_ZERO);
	if (!span || !is_zero(span, 2 * UNIT))
		return 4;
	memset(span, 9, 2 * UNIT);
	if (take_walk(lost_heap, &child_walk) || child_walk.spans != 2 ||
	    child_walk.bytes[HPHEAP_REGION_LOST] != 3 * UNIT + PAGE)
		return 8;
	hpheap_span_free(lost_heap, lost_span);
	hpheap_span_free(lost_heap, span);
	hpheap_scavenge(lost_heap, SIZE_MAX);
	stats = stats_of(lost_heap);
	if (stats.committed_bytes || stats.spans)
		return 5;
	/* The addresses of what was lost serve again. */
	span = hpheap_span_alloc(lost_heap, 6 * UNIT, 0, HPHEAP_SPAN_ZERO);
	if (!span || !is_zero(span, 6 * UNIT))
		return 6;
	return arg ? in_child(arg, NULL) : 0;
}

static int still_without(void *arg)
{
	(void)arg;
	hpheap_destroy(lost_heap);
	return 0;
}

/* CREATE asks for that; memfd cannot, so the test does it for the module. */
TEST_F(fake_device, does_not_go_to_children_and_their_heap_goes_on)
{
	lost_heap = self->heap;
	ASSERT_EQ(0, hpheap_reserve(self->heap, 8 * UNIT, HPHEAP_NODE_ANY));
	lost_span = hpheap_span_alloc(self->heap, 3 * UNIT + PAGE, UNIT, 0);
	ASSERT_NE(NULL, lost_span);
	memset(lost_span, 5, 3 * UNIT + PAGE);
	EXPECT_EQ(0, in_child(without_device, still_without));
	EXPECT_EQ(NULL, not_all(lost_span, 3 * UNIT + PAGE, 5));
	EXPECT_HELD(8, 0);
	hpheap_span_free(self->heap, lost_span);
	EXPECT_EQ(8 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
}

/* Of a heap that fell back in part the child keeps what is its own. */
static int half_without_device(void *arg)
{
	(void)arg;
	if (!touch(lost_span) || touch(lost_span + 3 * UNIT))
		return 1;
	if (lost_span[3 * UNIT] != 5 || stats_of(lost_heap).fallback_bytes != UNIT)
		return 2;
	if (take_walk(lost_heap, &child_walk) || child_walk.spans != 1 ||
	    child_walk.bytes[HPHEAP_REGION_LOST] != 3 * UNIT ||
	    child_walk.bytes[HPHEAP_REGION_SPAN] != PAGE)
		return 4;
	hpheap_span_free(lost_heap, lost_span);
	if (take_walk(lost_heap, &child_walk) || child_walk.spans)
		return 5;
	hpheap_scavenge(lost_heap, SIZE_MAX);
	return stats_of(lost_heap).committed_bytes ? 3 : 0;
}

TEST_F(fake_device, leaves_children_what_fell_back)
{
	lost_heap = self->heap;
	fake.quota = 3 * UNIT;
	lost_span = hpheap_span_alloc(self->heap, 3 * UNIT + PAGE, UNIT, 0);
	ASSERT_NE(NULL, lost_span);
	memset(lost_span, 5, 3 * UNIT + PAGE);
	EXPECT_HELD(3, 1);
	EXPECT_EQ(0, in_child(half_without_device, NULL));
	EXPECT_EQ(NULL, not_all(lost_span, 3 * UNIT + PAGE, 5));
}

static char *lost_objects[300];

/* Objects that are the parent's can be freed; what comes then is the child's own. */
static int objects_without_device(void *arg)
{
	char *objects[600];
	unsigned int i;

	(void)arg;
	if (!touch(lost_objects[0]))
		return 1;
	if (stats_of(lost_heap).slab_bytes || stats_of(lost_heap).object_bytes)
		return 5;
	for (i = 0; i < 600; i++) {
		objects[i] = hpheap_malloc_in(lost_heap, 100);
		if (!objects[i])
			return 2;
		memset(objects[i], (int)i, 100);
		if (i % 2)
			hpheap_free_in(lost_heap, lost_objects[i / 2]);
	}
	for (i = 0; i < 600; i++) {
		if (not_all(objects[i], 96, (unsigned char)i))
			return 3;
		hpheap_free_in(lost_heap, objects[i]);
	}
	hpheap_scavenge(lost_heap, SIZE_MAX);
	return stats_of(lost_heap).committed_bytes ? 4 : 0;
}

TEST_F(fake_device, objects_do_not_go_to_children_either)
{
	unsigned int i;

	lost_heap = self->heap;
	for (i = 0; i < 300; i++) {
		lost_objects[i] = hpheap_malloc_in(self->heap, 100);
		ASSERT_NE(NULL, lost_objects[i]);
		memset(lost_objects[i], 5, 100);
	}
	/* Some in the thread's cache, some in a slab. */
	for (i = 200; i < 300; i++)
		hpheap_free_in(self->heap, lost_objects[i]);
	for (i = 200; i < 300; i++)
		lost_objects[i] = NULL;
	EXPECT_EQ(0, in_child(objects_without_device, NULL));
	for (i = 0; i < 200; i++) {
		EXPECT_EQ(NULL, not_all(lost_objects[i], 96, 5));
		hpheap_free_in(self->heap, lost_objects[i]);
	}
}

static int free_half_lost(void *arg)
{
	const size_t bytes = 4 * UNIT;
	char *span;

	(void)arg;
	if (take_walk(lost_heap, &child_walk) || child_walk.bytes[HPHEAP_REGION_LOST] != 3 * UNIT)
		return 3;
	hpheap_span_free(lost_heap, lost_span);
	span = hpheap_span_alloc(lost_heap, bytes, 0, 0);
	if (!span)
		return 1;
	memset(span, 1, bytes);
	if (stats_of(lost_heap).used_bytes != bytes || stats_of(lost_heap).spans != 1)
		return 2;
	hpheap_span_free(lost_heap, span);
	return 0;
}

/* Its first unit fell back and is the child's; it would do for a thread's cache. */
TEST_F(fake_device, a_span_that_is_lost_in_part_is_not_used_again)
{
	lost_heap = self->heap;
	fake.fills = 1;
	fake.fill_errno = ENOMEM;
	lost_span = hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0);
	ASSERT_NE(NULL, lost_span);
	EXPECT_HELD(3, 1);
	EXPECT_EQ(0, in_child(free_half_lost, NULL));
}

static int addresses_are_taken(void *arg)
{
	void *mine = mmap(lost_span, UNIT, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	(void)arg;
	return mine == MAP_FAILED && errno == EEXIST ? 0 : 1;
}

TEST_F(fake_device, fenced_addresses_stay_so_in_children)
{
	const struct hpheap_options options = { .flags = HPHEAP_EFENCE };

	lost_heap = hpheap_create(&options);
	ASSERT_NE(NULL, lost_heap);
	ASSERT_EQ(HPHEAP_BACKEND_DEVICE, stats_of(lost_heap).backend);
	lost_span = hpheap_span_alloc(lost_heap, UNIT, UNIT, 0);
	ASSERT_NE(NULL, lost_span);
	ASSERT_EQ(0, __real_madvise(lost_span, UNIT, MADV_DONTFORK));	/* as the module's are */
	hpheap_span_free(lost_heap, lost_span);
	EXPECT_EQ(0, addresses_are_taken(NULL));
	EXPECT_EQ(0, in_child(addresses_are_taken, NULL));
	hpheap_destroy(lost_heap);
}

static int fence_what_is_lost(void *arg)
{
	char *own;

	(void)arg;
	if (take_walk(lost_heap, &child_walk) || child_walk.spans != 1)
		return 1;
	hpheap_span_free(lost_heap, lost_span);
	if (take_walk(lost_heap, &child_walk) || child_walk.spans)
		return 2;
	own = hpheap_span_alloc(lost_heap, UNIT + PAGE, 0, HPHEAP_SPAN_ZERO);
	if (!own || !is_zero(own, UNIT + PAGE) || take_walk(lost_heap, &child_walk))
		return 3;
	hpheap_span_free(lost_heap, own);
	return take_walk(lost_heap, &child_walk) ? 4 : 0;
}

TEST_F(fake_device, children_fence_what_they_lost)
{
	const struct hpheap_options options = { .flags = HPHEAP_EFENCE };
	char *other;

	lost_heap = hpheap_create(&options);
	ASSERT_NE(NULL, lost_heap);
	fake.quota = 2 * UNIT;
	lost_span = hpheap_span_alloc(lost_heap, 3 * UNIT + PAGE, UNIT, 0);
	other = hpheap_span_alloc(lost_heap, PAGE, 0, 0);
	ASSERT_TRUE(lost_span && other);
	ASSERT_EQ(2 * UNIT, stats_of(lost_heap).device_bytes);
	hpheap_span_free(lost_heap, other);
	EXPECT_EQ(0, in_child(fence_what_is_lost, NULL));
	EXPECT_EQ(NULL, take_walk(lost_heap, &child_walk));
	hpheap_destroy(lost_heap);
}

static struct hpheap *heap_with_fork(enum hpheap_fork fork)
{
	const struct hpheap_options options = { .fork = fork };

	return hpheap_create(&options);
}

/* A module that knows no better; and what is wanted goes before what it can do. */
TEST_F(fake_device, is_asked_for_what_a_child_shall_have)
{
	static const struct {
		enum hpheap_fork fork;
		bool copies;
		uint32_t flags;
	} cases[] = {
		{ HPHEAP_FORK_AUTO, false, HPHEAP_CREATE_FORK_NONE },
		{ HPHEAP_FORK_AUTO, true, HPHEAP_CREATE_FORK_COW },
		{ HPHEAP_FORK_COW, true, HPHEAP_CREATE_FORK_COW },
		{ HPHEAP_FORK_SHARE, true, HPHEAP_CREATE_FORK_SHARE },
		{ HPHEAP_FORK_NONE, true, HPHEAP_CREATE_FORK_NONE },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.features = cases[i].copies ? HPHEAP_FEATURE_FORK_COW : 0;
		lost_heap = heap_with_fork(cases[i].fork);
		ASSERT_NE(NULL, lost_heap);
		ASSERT_NE(NULL, hpheap_span_alloc(lost_heap, PAGE, 0, 0));
		EXPECT_EQ(cases[i].flags, fake.last.flags);
		hpheap_destroy(lost_heap);
	}
}

TEST_F(fake_device, sharing_needs_it)
{
	struct hpheap_options options = { .fork = HPHEAP_FORK_SHARE };
	char *span;

	options.backend = HPHEAP_BACKEND_THP;
	EXPECT_EQ(NULL, hpheap_create(&options));
	EXPECT_EQ(EOPNOTSUPP, errno);
	options.backend = HPHEAP_BACKEND_AUTO;
	fake.info_errno = ENOTTY;
	EXPECT_EQ(NULL, hpheap_create(&options));
	EXPECT_EQ(ENODEV, errno);
	fake.info_errno = 0;
	options.fork = HPHEAP_FORK_NONE + 1;
	EXPECT_EQ(NULL, hpheap_create(&options));
	EXPECT_EQ(EINVAL, errno);
	options.fork = HPHEAP_FORK_SHARE;
	options.padding = 1;
	EXPECT_EQ(NULL, hpheap_create(&options));
	EXPECT_EQ(EINVAL, errno);

	/* What is not the device's would not be shared: there is none of it. */
	lost_heap = heap_with_fork(HPHEAP_FORK_SHARE);
	ASSERT_NE(NULL, lost_heap);
	fake.quota = 2 * UNIT;
	span = hpheap_span_alloc(lost_heap, 2 * UNIT, 0, 0);
	EXPECT_NE(NULL, span);
	EXPECT_EQ(NULL, hpheap_span_alloc(lost_heap, PAGE, 0, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(0, stats_of(lost_heap).fallback_bytes);
	hpheap_destroy(lost_heap);
}

#define SMALL	300		/* more small spans than a unit has room for */

static char *small_spans[SMALL];

/* Its own spans are elsewhere, whatever it frees; the parent's show what each of them writes. */
static int use_what_is_shared(void *arg)
{
	const uintptr_t begin = (uintptr_t)lost_span;
	size_t i;

	(void)arg;
	if (lost_span[0] != 5 || take_walk(lost_heap, &child_walk) ||
	    child_walk.bytes[HPHEAP_REGION_LOST] != 3 * UNIT + PAGE + SMALL * PAGE)
		return 1;
	lost_span[1] = 6;
	small_spans[0][0] = 7;
	for (i = 1; i < SMALL; i += 2)
		hpheap_span_free(lost_heap, small_spans[i]);
	hpheap_span_free(lost_heap, lost_span);
	for (i = 1; i < SMALL; i += 2) {
		small_spans[i] = hpheap_span_alloc(lost_heap, PAGE, 0, HPHEAP_SPAN_ZERO);
		if (!small_spans[i] || !is_zero(small_spans[i], PAGE))
			return 2;
		memset(small_spans[i], 9, PAGE);
	}
	for (i = 0; i < 4; i++) {
		char *span = hpheap_span_alloc(lost_heap, UNIT, 0, HPHEAP_SPAN_ZERO);

		if (!span || !is_zero(span, UNIT))
			return 3;
		if ((uintptr_t)span - begin < 3 * UNIT + PAGE)
			return 4;
		memset(span, 9, UNIT);
	}
	hpheap_scavenge(lost_heap, SIZE_MAX);
	return take_walk(lost_heap, &child_walk) ? 5 : 0;
}

TEST_F(fake_device, shared_spans_are_the_parents_and_seen_by_both)
{
	size_t i;

	lost_heap = heap_with_fork(HPHEAP_FORK_SHARE);
	ASSERT_NE(NULL, lost_heap);
	ASSERT_EQ(0, hpheap_reserve(lost_heap, 8 * UNIT, HPHEAP_NODE_ANY));
	lost_span = hpheap_span_alloc(lost_heap, 3 * UNIT + PAGE, UNIT, 0);
	ASSERT_NE(NULL, lost_span);
	memset(lost_span, 5, 3 * UNIT + PAGE);
	for (i = 0; i < SMALL; i++) {
		small_spans[i] = hpheap_span_alloc(lost_heap, PAGE, 0, 0);
		ASSERT_NE(NULL, small_spans[i]);
		memset(small_spans[i], 1, PAGE);
	}
	EXPECT_EQ(0, in_child(use_what_is_shared, NULL));
	EXPECT_EQ(6, lost_span[1]);
	EXPECT_EQ(7, small_spans[0][0]);
	for (i = 1; i < SMALL; i++)
		EXPECT_EQ(NULL, not_all(small_spans[i], PAGE, 1));
	EXPECT_EQ(NULL, not_all(lost_span + PAGE, 3 * UNIT, 5));
	/* What was free the child did not touch either. */
	for (i = 0; i < 4; i++) {
		char *span = hpheap_span_alloc(lost_heap, UNIT, 0, HPHEAP_SPAN_ZERO);

		ASSERT_NE(NULL, span);
		EXPECT_TRUE(is_zero(span, UNIT));
	}
	EXPECT_SOUND(lost_heap);
	hpheap_destroy(lost_heap);
}

/* The child still has the span that its parent frees and gives back. */
static int write_late(void *arg)
{
	char byte;

	(void)arg;
	close(late[1]);
	if (read(late[0], &byte, 1))
		return 1;
	memset(lost_span, 9, UNIT);
	return 0;
}

TEST_F(fake_device, what_a_child_wrote_since_is_not_taken_for_zeroes)
{
	pid_t child;
	int status;

	lost_heap = heap_with_fork(HPHEAP_FORK_SHARE);
	ASSERT_NE(NULL, lost_heap);
	lost_span = hpheap_span_alloc(lost_heap, UNIT, UNIT, 0);
	ASSERT_NE(NULL, lost_span);
	ASSERT_EQ(0, pipe(late));
	child = fork();
	if (!child)
		_exit(write_late(NULL));
	hpheap_span_free(lost_heap, lost_span);
	EXPECT_EQ(UNIT, hpheap_scavenge(lost_heap, SIZE_MAX));
	close(late[1]);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(lost_span, hpheap_span_alloc(lost_heap, UNIT, UNIT, HPHEAP_SPAN_ZERO));
	EXPECT_TRUE(is_zero(lost_span, UNIT));
	hpheap_destroy(lost_heap);
}

TEST_HARNESS_MAIN
