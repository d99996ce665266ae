// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arenas that fork copies on write, a chunk at a time: what each process sees is its own.
 */
#include "kselftest_harness.h"
#include "cow.h"
#include "purgeable.h"

#include <spawn.h>
#include <sys/uio.h>

extern char **environ;

TEST_F(cow, child_sees_the_same_and_keeps_what_it_writes)
{
	NEEDS_CHUNKS();
	EXPECT_EQ(0, in_child(write_all, self));
	EXPECT_TRUE(are_all_as_they_were(self));
	EXPECT_LE(CHUNKS, COPIES());
	/* All the child's are gone; the last one was read, and is there. */
	EXPECT_EQ(self->bytes, get_info().resident_bytes);
}

static int look_when_told(void *arg)
{
	const struct other *other = arg;

	await(&other->go);
	return are_all_as_they_were(other->cow) ? 0 : 1;
}

TEST_F(cow, child_has_what_there_was_whatever_the_parent_writes_since)
{
	struct other other = { .cow = self };
	pid_t child;
	size_t i;

	NEEDS_CHUNKS();
	ASSERT_EQ(0, pipe(other.go.pipe));
	child = start_child(look_when_told, &other);
	for (i = 0; i < CHUNKS; i++)
		memset(chunk_at(self, i), 0x60, self->chunk);
	ring(&other.go);
	EXPECT_EQ(0, wait_child(child));
	for (i = 0; i < CHUNKS; i++)
		EXPECT_TRUE(is_full_of(self, i, 0x60));
}

/* Each generation writes one chunk and sees what the ones before it have written. */
static int generation(const FIXTURE_DATA(cow) *self, size_t n)
{
	size_t i;
	pid_t child;

	for (i = 0; i < CHUNKS - 1; i++)
		if (!is_full_of(self, i, i < n ? 0x70 + i : i + 1))
			return 1;
	if (n == CHUNKS - 1)
		return 0;
	memset(chunk_at(self, n), 0x70 + (int)n, self->chunk);
	child = fork();
	if (!child)
		_exit(generation(self, n + 1));
	if (wait_child(child))
		return 2;
	for (i = 0; i < CHUNKS - 1; i++)
		if (!is_full_of(self, i, i <= n ? 0x70 + i : i + 1))
			return 3;
	return 0;
}

static int first_generation(void *arg)
{
	return generation(arg, 0);
}

TEST_F(cow, grandchildren_have_what_their_parents_had)
{
	NEEDS_CHUNKS();
	EXPECT_EQ(0, in_child(first_generation, self));
	EXPECT_TRUE(are_all_as_they_were(self));
}

static int read_all(void *arg)
{
	return are_all_as_they_were(arg) ? 0 : 1;
}

TEST_F(cow, last_owner_writes_without_copying)
{
	size_t i;

	NEEDS_CHUNKS();
	*chunk_at(self, CHUNKS - 1) = 0;
	self->allocated = counter("chunks_allocated");
	EXPECT_EQ(0, in_child(read_all, self));
	for (i = 0; i < CHUNKS; i++)
		memset(chunk_at(self, i), 9, self->chunk);
	EXPECT_EQ(0, COPIES());
}

static int write_one(void *arg)
{
	const FIXTURE_DATA(cow) *self = arg;

	*chunk_at(self, 2) = 99;
	return counter("chunks_allocated") - self->allocated == 1 ? 0 : 1;
}

TEST_F(cow, one_write_copies_one_chunk)
{
	NEEDS_CHUNKS();
	EXPECT_EQ(0, in_child(write_one, self));
	EXPECT_EQ(1, COPIES());
}

static int is_huge_after_a_write(void *arg)
{
	const FIXTURE_DATA(cow) *self = arg;
	size_t i;

	for (i = 0; i < CHUNKS; i++)
		*chunk_at(self, i) = 1;
	return pmd_mapped(self->p) == (long long)self->bytes ? 0 : 1;
}

TEST_F(cow, chunks_stay_huge_on_both_sides)
{
	size_t i;

	NEEDS_CHUNKS();
	if (!is_pmd_chunk(self->chunk))
		SKIP(return, "a chunk is less than a PMD maps");
	EXPECT_EQ(0, in_child(is_huge_after_a_write, self));
	for (i = 0; i < CHUNKS; i++)
		*chunk_at(self, i) = 1;
	EXPECT_EQ(self->bytes, pmd_mapped(self->p));
}

static int keep_mappings(void *arg)
{
	const struct other *other = arg;
	const FIXTURE_DATA(cow) *self = other->cow;

	if (!are_all_as_they_were(self) || pmd_mapped(self->p) != (long long)self->bytes)
		return 1;
	ring(&other->done);
	await(&other->go);
	return pmd_mapped(self->p) == (long long)self->bytes ? 0 : 2;
}

static int do_nothing(void *unused)
{
	(void)unused;
	return 0;
}

/* Neither a copy nor a fork of chunks that are shared already is seen by anybody else. */
TEST_F(cow, what_another_process_does_takes_no_mapping_away)
{
	struct other other = { .cow = self };
	pid_t child;
	size_t i;

	NEEDS_CHUNKS();
	if (!is_pmd_chunk(self->chunk))
		SKIP(return, "a chunk is less than a PMD maps");
	*chunk_at(self, CHUNKS - 1) = 0;
	ASSERT_EQ(0, pipe(other.done.pipe));
	ASSERT_EQ(0, pipe(other.go.pipe));
	child = start_child(keep_mappings, &other);
	await(&other.done);
	EXPECT_TRUE(are_all_as_they_were(self));
	EXPECT_EQ(0, in_child(do_nothing, NULL));
	EXPECT_EQ(self->bytes, pmd_mapped(self->p));
	for (i = 0; i < CHUNKS; i++)
		*chunk_at(self, i) = 1;
	ring(&other.go);
	EXPECT_EQ(0, wait_child(child));
}

static int punch_two(void *arg)
{
	const FIXTURE_DATA(cow) *self = arg;
	struct hpheap_extent extent;
	struct hpheap_extents extents = {
		.size = sizeof(extents), .count = 1, .extents = (uintptr_t)&extent,
		.start = self->chunk,
	};

	if (fallocate(self->fd, PUNCH, self->chunk, 2 * self->chunk))
		return 1;
	if (resident(self->fd) != (CHUNKS - 3) * self->chunk)
		return 2;
	if (data_at(self->fd, self->chunk) != (off_t)(3 * self->chunk))
		return 3;
	if (ioctl(self->fd, HPHEAP_ARENA_EXTENTS, &extents) || extents.count != 1 ||
	    extent.offset != 3 * self->chunk)
		return 4;
	if (!is_full_of(self, 1, 0) || !is_full_of(self, 2, 0) || !is_full_of(self, 3, 4))
		return 5;
	return 0;
}

TEST_F(cow, file_tells_each_process_of_its_own)
{
	NEEDS_CHUNKS();
	EXPECT_EQ(0, in_child(punch_two, self));
	EXPECT_EQ((CHUNKS - 1) * self->chunk, resident(self->fd));
	EXPECT_EQ(self->chunk, data_at(self->fd, self->chunk));
	EXPECT_TRUE(are_all_as_they_were(self));
}

struct status {
	const FIXTURE_DATA(cow) *cow;
	const volatile uint8_t *bytes;
	const volatile uint8_t *late;
};

static int look_at_status(void *arg)
{
	const struct status *status = arg;
	const FIXTURE_DATA(cow) *self = status->cow;

	if (status->bytes[0] != HPHEAP_CHUNK_RESIDENT ||
	    status->late[CHUNKS - 1] != HPHEAP_CHUNK_ABSENT)
		return 1;
	*chunk_at(self, CHUNKS - 1) = 1;
	if (fallocate(self->fd, PUNCH, 0, self->chunk))
		return 2;
	return status->bytes[0] == HPHEAP_CHUNK_ABSENT && status->late[0] == HPHEAP_CHUNK_ABSENT &&
	       status->bytes[CHUNKS - 1] == HPHEAP_CHUNK_RESIDENT ? 0 : 3;
}

TEST_F(cow, status_is_that_of_the_process)
{
	struct status status = { .cow = self };

	NEEDS_CHUNKS();
	status.bytes = map_status(self->fd, self->bytes, self->chunk);
	status.late = map_status(self->fd, self->bytes, self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)status.bytes);
	ASSERT_NE(MAP_FAILED, (void *)status.late);
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, status.bytes[0]);
	EXPECT_EQ(0, in_child(look_at_status, &status));
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, status.bytes[0]);
	EXPECT_EQ(HPHEAP_CHUNK_ABSENT, status.bytes[CHUNKS - 1]);
}

static int mark_two(void *arg)
{
	const FIXTURE_DATA(cow) *self = arg;

	if (mark(self->fd, 0, 2 * self->chunk) != 2)
		return 1;
	return is_full_of(self, 0, 0) && is_full_of(self, 2, 3) ? 0 : 2;
}

static int find_two_gone(void *arg)
{
	const FIXTURE_DATA(cow) *self = arg;

	return is_full_of(self, 0, 0) && is_full_of(self, 1, 0) && is_full_of(self, 2, 3) ? 0 : 1;
}

/* What another process uses is no loss to memory: it is taken from who marks it at once. */
TEST_F(cow, marks_are_those_of_the_process)
{
	NEEDS_CHUNKS();
	EXPECT_EQ(0, in_child(mark_two, self));
	EXPECT_TRUE(are_all_as_they_were(self));
	EXPECT_EQ(2, mark(self->fd, 0, 2 * self->chunk));
	EXPECT_EQ(0, in_child(find_two_gone, self));
	EXPECT_TRUE(is_full_of(self, 0, 1));
	EXPECT_TRUE(is_full_of(self, 1, 2));
}

struct lender {
	const FIXTURE_DATA(cow) *cow;
	int pipe[2];
};

static int lend_and_give_up(void *arg)
{
	const struct lender *lender = arg;
	const FIXTURE_DATA(cow) *self = lender->cow;
	struct iovec iov = { self->p, 64 };

	if (vmsplice(lender->pipe[1], &iov, 1, 0) != 64)
		return 1;
	return fallocate(self->fd, PUNCH, 0, self->chunk) ? 2 : 0;
}

/* Who has the chunk alone since writes elsewhere as long as somebody else has pages of it. */
TEST_F(cow, pages_in_a_pipe_do_not_show_what_another_process_writes)
{
	struct lender lender = { .cow = self };
	char lent[64];

	NEEDS_CHUNKS();
	ASSERT_EQ(0, pipe(lender.pipe));
	ASSERT_EQ(0, in_child(lend_and_give_up, &lender));
	memset(self->p, 0x77, self->chunk);
	ASSERT_EQ(64, read(lender.pipe[0], lent, 64));
	EXPECT_EQ(NULL, not_all(lent, 64, 1));
	EXPECT_TRUE(is_full_of(self, 0, 0x77));
	EXPECT_EQ(1, COPIES());
}

/* A chunk lies in two tables. The first half is there already when the other is written to. */
static int write_askew(void *arg)
{
	volatile char *p = arg;
	const size_t last = default_chunk() - base_page();

	alarm(60);
	if (p[0] != 1)
		return 1;
	p[last] = 2;
	if (p[0] != 1 || p[last] != 2)
		return 2;
	/* Frame numbers are root's. */
	if (frame((char *)p) && frame((char *)p + last) - frame((char *)p) != last / base_page())
		return 3;
	p[0] = 3;
	return p[0] == 3 && p[last] == 2 ? 0 : 4;
}

TEST_F(cow, mappings_that_are_not_aligned_are_copied_whole)
{
	char *room, *p;
	int fd;

	NEEDS_CHUNKS();
	if (self->chunk != default_chunk())
		SKIP(return, "chunks of one size are enough");
	room = mmap(NULL, 4 * self->chunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)room);
	p = room + (-(uintptr_t)room & (self->chunk - 1)) + base_page();
	/* The only mapping there ever was. */
	NEW_ARENA(fd, self->chunk, self->chunk, HPHEAP_CREATE_FORK_COW);
	ASSERT_EQ(p, mmap(p, self->chunk, RW, MAP_SHARED | MAP_FIXED, fd, 0));
	memset(p, 1, self->chunk);
	EXPECT_EQ(0, in_child(write_askew, p));
	EXPECT_EQ(0, write_askew(p));
	munmap(room, 4 * self->chunk);
	close(fd);
}

static int write_through_another_mapping(void *arg)
{
	const FIXTURE_DATA(cow) *self = arg;
	char *other = map_arena(self->fd, self->bytes);

	if (other == MAP_FAILED || other[0] != 1 || self->p[0] != 1)
		return 1;
	other[0] = 33;
	if (self->p[0] != 33)
		return 2;
	self->p[self->chunk] = 34;
	if (other[self->chunk] != 34)
		return 3;
	/* In pieces, and elsewhere. */
	if (mprotect(self->p + self->chunk, self->chunk, PROT_READ) ||
	    mremap(self->p + 2 * self->chunk, self->chunk, self->chunk, MREMAP_MAYMOVE) == MAP_FAILED ||
	    munmap(self->p, self->chunk))
		return 4;
	other[self->chunk + 1] = 35;
	return self->p[self->chunk + 1] == 35 && other[0] == 33 ? 0 : 5;
}

TEST_F(cow, all_mappings_of_a_process_show_the_same)
{
	NEEDS_CHUNKS();
	EXPECT_EQ(0, in_child(write_through_another_mapping, self));
	EXPECT_TRUE(are_all_as_they_were(self));
	EXPECT_EQ(0, write_through_another_mapping(self));
}

TEST_F(cow, vfork_copies_nothing)
{
	char *argv[] = { (char *)"true", NULL };
	pid_t child;

	NEEDS_CHUNKS();
	child = vfork();
	if (!child)
		_exit(0);
	EXPECT_EQ(0, wait_child(child));
	if (!posix_spawn(&child, "/bin/true", NULL, NULL, argv, environ))
		wait_child(child);
	memset(self->p, 5, self->chunk);
	EXPECT_EQ(0, COPIES());
	EXPECT_EQ(0, mappings_in(self->p, self->bytes) - 1);
}

TEST_F(cow, goes_with_what_it_can_go_with)
{
	struct hpheap_create arg = create_arg(self->chunk, self->chunk, HPHEAP_CREATE_FORK_COW);

	NEEDS_CHUNKS();
	EXPECT_TRUE(get_info().features & HPHEAP_FEATURE_FORK_COW);
	arg.flags = HPHEAP_CREATE_FORK_COW | HPHEAP_CREATE_FORK_NONE;
	EXPECT_EQ(-EINVAL, create(&arg));
	arg.flags = HPHEAP_CREATE_FORK_COW | HPHEAP_CREATE_FORK_SHARE;
	EXPECT_EQ(-EINVAL, create(&arg));
	arg.flags = HPHEAP_CREATE_FORK_COW | HPHEAP_CREATE_CONTIG;
	EXPECT_EQ(-EINVAL, create(&arg));
}

TEST_HARNESS_MAIN
