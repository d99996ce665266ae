// SPDX-License-Identifier: GPL-2.0-only
/* HPHEAP_ARENA_EXTENTS: the layout of an arena, in runs and without addresses. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#define CHUNKS	8

FIXTURE(extents) {
	size_t chunk;
	uint64_t bytes;
	int fd;
	struct hpheap_extent list[CHUNKS + 1];
	struct hpheap_extents arg;
};

FIXTURE_SETUP(extents)
{
	self->chunk = default_chunk();
	self->bytes = CHUNKS * self->chunk;
	self->fd = create_arena(self->bytes, self->chunk, 0);
	memset(self->list, 0xff, sizeof(self->list));
	self->arg = (struct hpheap_extents){
		.size = sizeof(self->arg), .extents = (uintptr_t)self->list, .count = CHUNKS,
	};
}

FIXTURE_TEARDOWN(extents)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow eight chunks");	\
	ASSERT_LE(0, self->fd);							\
} while (0)

static int get_extents(int fd, struct hpheap_extents *arg)
{
	return ioctl(fd, HPHEAP_ARENA_EXTENTS, arg) ? errno : 0;
}

TEST_F(extents, empty_arena_has_none)
{
	NEEDS_ARENA();
	ASSERT_EQ(0, get_extents(self->fd, &self->arg));
	EXPECT_EQ(0, self->arg.count);
	EXPECT_EQ(self->bytes, self->arg.start);
	EXPECT_EQ(UINT64_MAX, self->list[0].offset);
}

TEST_F(extents, every_resident_byte_is_in_exactly_one)
{
	uint64_t sum = 0, end = 0;
	unsigned int i;

	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, 3 * self->chunk));
	ASSERT_EQ(0, fallocate(self->fd, 0, 5 * self->chunk, 2 * self->chunk));
	ASSERT_EQ(0, get_extents(self->fd, &self->arg));
	EXPECT_EQ(self->bytes, self->arg.start);
	ASSERT_LE(2, self->arg.count);
	ASSERT_GE(5, self->arg.count);
	for (i = 0; i < self->arg.count; i++) {
		struct hpheap_extent *extent = &self->list[i];

		EXPECT_LE(end, extent->offset);
		EXPECT_NE(0, extent->bytes);
		EXPECT_EQ(0, extent->offset % self->chunk);
		EXPECT_EQ(0, extent->bytes % self->chunk);
		EXPECT_EQ(0, extent->flags);
		EXPECT_EQ(extent->offset, data_at(self->fd, extent->offset));
		EXPECT_LE(extent->offset + extent->bytes,
			  lseek(self->fd, extent->offset, SEEK_HOLE));
		end = extent->offset + extent->bytes;
		sum += extent->bytes;
	}
	EXPECT_EQ(5 * self->chunk, sum);
	EXPECT_EQ(UINT64_MAX, self->list[self->arg.count].offset);
}

TEST_F(extents, one_entry_at_a_time_gives_the_same_list)
{
	struct hpheap_extent all[CHUNKS], one;
	struct hpheap_extents arg;
	unsigned int i = 0;
	uint32_t count;

	NEEDS_ARENA();
	ASSERT_EQ(0, fallocate(self->fd, 0, self->chunk, 2 * self->chunk));
	ASSERT_EQ(0, fallocate(self->fd, 0, 4 * self->chunk, self->chunk));
	ASSERT_EQ(0, fallocate(self->fd, 0, 7 * self->chunk, self->chunk));
	ASSERT_EQ(0, get_extents(self->fd, &self->arg));
	count = self->arg.count;
	memcpy(all, self->list, sizeof(all));

	arg = (struct hpheap_extents){ .size = sizeof(arg), .extents = (uintptr_t)&one };
	do {
		arg.count = 1;
		ASSERT_EQ(0, get_extents(self->fd, &arg));
		if (!arg.count)
			break;
		ASSERT_GT(count, i);
		EXPECT_EQ(0, memcmp(&all[i], &one, sizeof(one)));
		i++;
	} while (arg.start < self->bytes);
	EXPECT_EQ(count, i);
	EXPECT_EQ(self->bytes, arg.start);
}

TEST_F(extents, they_say_the_node_of_their_memory)
{
	unsigned int i;
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, self->bytes);
	ASSERT_EQ(0, madvise(p, self->bytes, MADV_POPULATE_WRITE));
	if (node_of(p) < 0)
		SKIP(return, "this kernel does not tell nodes: %s", strerror(errno));
	ASSERT_EQ(0, get_extents(self->fd, &self->arg));
	for (i = 0; i < self->arg.count; i++)
		EXPECT_EQ(self->list[i].node, node_of(p + self->list[i].offset));
}

TEST_F(extents, they_break_where_physical_memory_does)
{
	unsigned int i;
	size_t page = base_page();
	char *p;

	NEEDS_ARENA();
	if (!is_root())
		SKIP(return, "only root sees frame numbers in pagemap");
	MAP_ARENA(p, self->fd, self->bytes);
	/* backwards, so that something is likely not to follow its neighbour */
	for (i = CHUNKS; i-- > 0;)
		ASSERT_EQ(0, touch_write(p + i * self->chunk, 1));
	ASSERT_EQ(0, get_extents(self->fd, &self->arg));
	for (i = 0; i < self->arg.count; i++) {
		struct hpheap_extent *extent = &self->list[i];
		char *begin = p + extent->offset, *next = begin + extent->bytes;

		EXPECT_EQ(extent->bytes / page, adjacent_pages(begin, extent->bytes));
		if (i + 1 < self->arg.count && extent->node == extent[1].node)
			EXPECT_NE(frame(next - page) + 1, frame(next));
	}
}

TEST_F(extents, start_must_be_a_chunk_of_the_arena)
{
	NEEDS_ARENA();
	self->arg.start = 1;
	EXPECT_EQ(EINVAL, get_extents(self->fd, &self->arg));
	self->arg.start = base_page();
	EXPECT_EQ(EINVAL, get_extents(self->fd, &self->arg));
	self->arg.start = self->bytes + self->chunk;
	EXPECT_EQ(EINVAL, get_extents(self->fd, &self->arg));
	self->arg.start = -(uint64_t)self->chunk;
	EXPECT_EQ(EINVAL, get_extents(self->fd, &self->arg));
	self->arg.start = self->bytes;
	EXPECT_EQ(0, get_extents(self->fd, &self->arg));
	EXPECT_EQ(0, self->arg.count);
}

TEST_F(extents, no_room_is_EINVAL)
{
	NEEDS_ARENA();
	self->arg.count = 0;
	EXPECT_EQ(EINVAL, get_extents(self->fd, &self->arg));
}

TEST_F(extents, unknown_flags_and_padding_are_EINVAL)
{
	unsigned int bit;

	NEEDS_ARENA();
	for (bit = 0; bit < 32; bit++) {
		self->arg.flags = 1U << bit;
		EXPECT_EQ(EINVAL, get_extents(self->fd, &self->arg));
		self->arg.flags = 0;
		self->arg.pad = 1U << bit;
		EXPECT_EQ(EINVAL, get_extents(self->fd, &self->arg));
		self->arg.pad = 0;
	}
}

TEST_F(extents, short_struct_is_EINVAL)
{
	NEEDS_ARENA();
	self->arg.size = 0;
	EXPECT_EQ(EINVAL, get_extents(self->fd, &self->arg));
	self->arg.size = sizeof(self->arg) - 1;
	EXPECT_EQ(EINVAL, get_extents(self->fd, &self->arg));
}

TEST_F(extents, longer_struct_must_end_in_zeroes)
{
	struct { struct hpheap_extents arg; uint64_t tail; char rest[70000]; } longer = { 0 };

	NEEDS_ARENA();
	longer.arg = self->arg;
	longer.arg.size = sizeof(longer.arg) + sizeof(longer.tail);
	EXPECT_EQ(0, get_extents(self->fd, &longer.arg));
	longer.arg = self->arg;
	longer.arg.size = sizeof(longer.arg) + sizeof(longer.tail);
	longer.tail = 1;
	EXPECT_EQ(E2BIG, get_extents(self->fd, &longer.arg));
	longer.tail = 0;
	longer.arg.size = base_page() + 1;
	EXPECT_EQ(E2BIG, get_extents(self->fd, &longer.arg));
	longer.arg.size = UINT32_MAX;
	EXPECT_EQ(E2BIG, get_extents(self->fd, &longer.arg));
}

TEST_F(extents, bad_pointers_are_EFAULT)
{
	NEEDS_ARENA();
	EXPECT_EQ(EFAULT, get_extents(self->fd, NULL));
	self->arg.extents = 0;
	EXPECT_EQ(0, get_extents(self->fd, &self->arg)) { TH_LOG("nothing to be written"); }
	ASSERT_EQ(0, fallocate(self->fd, 0, 0, 1));
	self->arg.start = 0;
	self->arg.count = 1;
	EXPECT_EQ(EFAULT, get_extents(self->fd, &self->arg));
	self->arg.extents = UINT64_MAX - 7;
	EXPECT_EQ(EFAULT, get_extents(self->fd, &self->arg));
}

/* The list is written by the kernel into memory that the same arena backs. */
TEST_F(extents, they_can_be_written_into_the_arena_itself)
{
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, self->bytes);
	ASSERT_EQ(0, fallocate(self->fd, 0, self->chunk, self->chunk));
	self->arg.extents = (uintptr_t)p;
	ASSERT_EQ(0, get_extents(self->fd, &self->arg));
	EXPECT_EQ(self->chunk, ((struct hpheap_extent *)p)->offset);
}

TEST_HARNESS_MAIN
