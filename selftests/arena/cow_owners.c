// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arenas that fork copies on write: who has something of one and until when, and who pays.
 */
#include "kselftest_harness.h"
#include "cow.h"
#include "cgroup.h"

/* Who has nothing of it gets nothing of it. */
static int map_without_a_view(void *arg)
{
	const FIXTURE_DATA(cow) *self = arg;

	munmap(self->p, self->bytes);
	if (mmap(NULL, self->bytes, RW, MAP_SHARED, self->fd, 0) != MAP_FAILED || errno != EPERM)
		return 1;
	if (!fallocate(self->fd, 0, 0, self->chunk) || errno != EPERM)
		return 2;
	return resident(self->fd) ? 3 : 0;
}

TEST_F(cow, process_that_gave_its_copy_up_has_none)
{
	NEEDS_CHUNKS();
	EXPECT_EQ(0, in_child(map_without_a_view, self));
	EXPECT_TRUE(are_all_as_they_were(self));
}

/* Makes an arena, and ends; its child goes on with it. */
static int leave_a_child_behind(void *arg)
{
	struct other *other = arg;
	FIXTURE_DATA(cow) own = *other->cow;
	size_t i;

	own.fd = create_arena(own.bytes, own.chunk, HPHEAP_CREATE_FORK_COW);
	own.p = map_arena(own.fd, own.bytes);
	for (i = 0; i < CHUNKS - 1; i++)
		memset(chunk_at(&own, i), (int)i + 1, own.chunk);
	if (!fork()) {
		await(&other->go);
		if (!write_all(&own))
			ring(&other->done);
		_exit(0);
	}
	return 0;
}

/* The child has its own, and no descriptor. */
static int keep_own(void *arg)
{
	const struct other *other = arg;
	const FIXTURE_DATA(cow) *own = other->cow;
	size_t i;

	close(own->fd);
	memset(own->p, 7, own->bytes);
	ring(&other->done);
	await(&other->go);
	for (i = 0; i < CHUNKS; i++)
		if (!is_full_of(own, i, 7))
			return 1;
	return 0;
}

static void give_up(struct __test_metadata *_metadata, const FIXTURE_DATA(cow) *self,
		    bool descriptor_first)
{
	const uint64_t before = get_info().resident_bytes;
	FIXTURE_DATA(cow) own = *self;
	struct other other = { .cow = &own };
	pid_t child;

	NEW_ARENA(own.fd, own.bytes, own.chunk, HPHEAP_CREATE_FORK_COW);
	MAP_ARENA(own.p, own.fd, own.bytes);
	memset(own.p, 1, own.bytes);
	ASSERT_EQ(0, pipe(other.done.pipe));
	ASSERT_EQ(0, pipe(other.go.pipe));
	child = start_child(keep_own, &other);
	await(&other.done);
	EXPECT_EQ(before + 2 * own.bytes, get_info().resident_bytes);
	if (descriptor_first)
		close(own.fd);
	munmap(own.p, own.bytes);
	if (!descriptor_first) {
		EXPECT_EQ(own.bytes, resident(own.fd));
		close(own.fd);
	}
	EXPECT_TRUE(eventually(get_info().resident_bytes == before + own.bytes));
	ring(&other.go);
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(eventually(get_info().resident_bytes == before));
}

TEST_F(cow, what_the_first_process_cannot_reach_any_more_is_gone)
{
	NEEDS_CHUNKS();
	give_up(_metadata, self, false);
	give_up(_metadata, self, true);
}

/* As a daemon begins: nobody else has the chunks any more. */
TEST_F(cow, chunks_of_a_process_that_has_ended_are_the_childs)
{
	struct other other = { .cow = self };
	const uint64_t before = get_info().resident_bytes;
	const long long arenas = counter("arenas");

	NEEDS_CHUNKS();
	ASSERT_EQ(0, pipe(other.go.pipe));
	ASSERT_EQ(0, pipe(other.done.pipe));
	EXPECT_EQ(0, in_child(leave_a_child_behind, &other));
	EXPECT_EQ(before + (CHUNKS - 1) * self->chunk, get_info().resident_bytes);
	self->allocated = counter("chunks_allocated");
	ring(&other.go);
	await(&other.done);		/* It saw what it should. */
	EXPECT_TRUE(eventually(counter("arenas") == arenas));
	EXPECT_EQ(1, COPIES());		/* the one that was not there */
	EXPECT_EQ(before, get_info().resident_bytes);
}

struct poor {
	const FIXTURE_DATA(cow) *cow;
	struct cgroup group;
};

static int write_and_pay(void *arg)
{
	const struct poor *poor = arg;
	const long long hits = counter("pool_hits");
	long long before;

	if (cgroup_enter(&poor->group) || touch_read(poor->cow->p))
		return 1;
	before = cgroup_current(&poor->group);
	memset(poor->cow->p, 1, 2 * poor->cow->chunk);
	/* Nobody pays for those of the pool. */
	return cgroup_current(&poor->group) - before <
	       (2 - (counter("pool_hits") - hits)) * (long long)poor->cow->chunk ? 2 : 0;
}

TEST_F(cow, copies_are_charged_to_who_makes_them)
{
	struct poor poor = { .cow = self };

	NEEDS_CHUNKS();
	NEW_CGROUP(&poor.group, "cow");
	EXPECT_EQ(0, in_child(write_and_pay, &poor));
	EXPECT_TRUE(cgroup_remove(&poor.group));
}

static int write_without_memory(void *arg)
{
	const struct poor *poor = arg;

	if (cgroup_enter(&poor->group))
		return 1;
	if (touch_read(poor->cow->p))
		return 2;
	return touch_write(poor->cow->p, 1) == SIGBUS ? 0 : 3;
}

TEST_F(cow, write_without_memory_is_the_writers_SIGBUS)
{
	struct poor poor = { .cow = self };

	NEEDS_CHUNKS();
	NEW_CGROUP(&poor.group, "cow");
	ASSERT_EQ(0, cgroup_limit(&poor.group, 1 * MIB));
	EXPECT_EQ(0, in_child(write_without_memory, &poor));
	EXPECT_TRUE(are_all_as_they_were(self));
	EXPECT_EQ(0, touch_write(self->p, 1));
	EXPECT_TRUE(cgroup_remove(&poor.group));
}

TEST_HARNESS_MAIN
