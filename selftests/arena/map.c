// SPDX-License-Identifier: GPL-2.0-only
/* mmap() of an arena: which mappings there are, where, and their ends. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <linux/userfaultfd.h>

FIXTURE(map) {
	size_t chunk;
	int fd;
};

FIXTURE_SETUP(map)
{
	self->chunk = default_chunk();
	self->fd = create_arena(4 * self->chunk, self->chunk, 0);
}

FIXTURE_TEARDOWN(map)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow four chunks");	\
	ASSERT_LE(0, self->fd);							\
} while (0)

TEST_F(map, private_is_EINVAL)
{
	NEEDS_ARENA();
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->chunk, RW, MAP_PRIVATE, self->fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->chunk, PROT_READ, MAP_PRIVATE, self->fd, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(map, executable_is_EPERM)
{
	NEEDS_ARENA();
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->chunk, PROT_READ | PROT_EXEC, MAP_SHARED,
				   self->fd, 0));
	EXPECT_EQ(EPERM, errno);
}

TEST_F(map, cannot_be_made_executable_later)
{
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, self->chunk);
	EXPECT_EQ(-1, mprotect(p, self->chunk, RW | PROT_EXEC));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(map, without_a_hint_begins_on_a_chunk)
{
	size_t chunk;
	char *p;
	int fd, i;

	for_each_chunk_size(chunk) {
		NEW_ARENA(fd, 2 * chunk, chunk, 0);
		for (i = 0; i < 10; i++) {
			/* an odd page in between: alignment by luck does not last */
			mmap(NULL, base_page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			p = map_arena(fd, i % 2 ? chunk : 2 * chunk);
			ASSERT_NE(MAP_FAILED, (void *)p);
			EXPECT_EQ(0, (uintptr_t)p % chunk) { TH_LOG("%zu: %p", chunk, p); }
		}
		close(fd);
	}
}

TEST_F(map, short_mappings_begin_on_a_chunk_too)
{
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, base_page());
	EXPECT_EQ(0, (uintptr_t)p % self->chunk);
}

TEST_F(map, at_an_offset_agrees_with_it_below_the_chunk)
{
	size_t page = base_page(), offsets[] = { page, self->chunk, self->chunk + 3 * page };
	unsigned int i;
	char *p;

	NEEDS_ARENA();
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		p = mmap(NULL, self->chunk, RW, MAP_SHARED, self->fd, offsets[i]);
		ASSERT_NE(MAP_FAILED, (void *)p);
		EXPECT_EQ(offsets[i] % self->chunk, (uintptr_t)p % self->chunk);
	}
}

TEST_F(map, free_hint_is_taken)
{
	char *room, *p;

	NEEDS_ARENA();
	room = mmap(NULL, 3 * self->chunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)room);
	ASSERT_EQ(0, munmap(room, 3 * self->chunk));
	p = mmap(room + base_page(), self->chunk, RW, MAP_SHARED, self->fd, 0);
	EXPECT_EQ(room + base_page(), p);
}

TEST_F(map, occupied_hint_leads_to_a_place_on_a_chunk)
{
	char *room, *p;

	NEEDS_ARENA();
	room = mmap(NULL, 3 * self->chunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)room);
	p = mmap(room + base_page(), self->chunk, RW, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(0, (uintptr_t)p % self->chunk);
}

TEST_F(map, fixed_address_is_obeyed)
{
	char *room, *p;

	NEEDS_ARENA();
	room = mmap(NULL, 3 * self->chunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)room);
	p = mmap(room + base_page(), self->chunk, RW, MAP_SHARED | MAP_FIXED, self->fd, 0);
	ASSERT_EQ(room + base_page(), p);
	ASSERT_EQ(0, touch_write(p, 1));
	ASSERT_EQ(0, touch_write(p + self->chunk - 1, 2));
}

TEST_F(map, longer_than_the_address_space_is_ENOMEM)
{
	NEEDS_ARENA();
	EXPECT_EQ(MAP_FAILED, mmap(NULL, SIZE_MAX & -self->chunk, RW, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 0, RW, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(map, past_the_end_is_SIGBUS_there_and_only_there)
{
	size_t size = 4 * self->chunk;
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, size + 2 * self->chunk);
	EXPECT_EQ(SIGBUS, touch_read(p + size));
	EXPECT_EQ(SIGBUS, touch_write(p + size, 1));
	EXPECT_EQ(SIGBUS, touch_write(p + size + 2 * self->chunk - 1, 1));
	EXPECT_EQ(BUS_ADRERR, fault_info.si_code);
	EXPECT_EQ(0, touch_write(p + size - 1, 7));
	EXPECT_EQ(0, touch_read(p));
	EXPECT_EQ(SIGBUS, touch_read(p + size));
	EXPECT_EQ(2 * self->chunk, resident(self->fd));
}

TEST_F(map, wholly_past_the_end_is_SIGBUS)
{
	char *p;

	NEEDS_ARENA();
	/* Where the arena ends its status is, for readers alone. */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->chunk, RW, MAP_SHARED, self->fd, 4 * self->chunk));
	p = mmap(NULL, self->chunk, RW, MAP_SHARED, self->fd, 5 * self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(SIGBUS, touch_read(p));
	munmap(p, self->chunk);
	/* the last page offset that the 64-bit file position can name */
	p = mmap(NULL, base_page(), RW, MAP_SHARED, self->fd,
		 INT64_MAX - 2 * base_page() + 1);
	if (p != MAP_FAILED)
		EXPECT_EQ(SIGBUS, touch_read(p));
	EXPECT_EQ(0, resident(self->fd));
}

/* A huge entry must not reach over the end of a mapping that covers it in part. */
TEST_F(map, of_part_of_a_chunk_ends_where_it_was_asked_to)
{
	size_t page = base_page();
	char *room, *p;

	NEEDS_ARENA();
	room = mmap(NULL, 3 * self->chunk, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)room);
	room = (char *)(((uintptr_t)room + self->chunk - 1) & -self->chunk);
	p = mmap(room + page, self->chunk - 2 * page, RW, MAP_SHARED | MAP_FIXED, self->fd, page);
	ASSERT_EQ(room + page, p);
	EXPECT_EQ(0, touch_write(p, 1));
	EXPECT_EQ(0, touch_write(p + self->chunk - 2 * page - 1, 1));
	EXPECT_EQ(SIGSEGV, touch_read(p - 1));
	EXPECT_EQ(SIGSEGV, touch_read(p + self->chunk - 2 * page));
}

TEST_F(map, read_only_reads_zeroes_and_refuses_writes)
{
	char *p;

	NEEDS_ARENA();
	p = mmap(NULL, self->chunk, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_TRUE(is_zero(p, self->chunk));
	EXPECT_EQ(SIGSEGV, touch_write(p, 1));
	ASSERT_EQ(0, mprotect(p, self->chunk, RW));
	EXPECT_EQ(0, touch_write(p, 1));
}

TEST_F(map, two_mappings_show_the_same_memory)
{
	char *a, *b;

	NEEDS_ARENA();
	MAP_ARENA(a, self->fd, 4 * self->chunk);
	MAP_ARENA(b, self->fd, 4 * self->chunk);
	a[0] = 1;
	b[4 * self->chunk - 1] = 2;
	EXPECT_EQ(1, b[0]);
	EXPECT_EQ(2, a[4 * self->chunk - 1]);
	EXPECT_EQ(2 * self->chunk, resident(self->fd));
}

TEST_F(map, outlives_the_descriptor)
{
	long long arenas = counter("arenas");
	int fd;
	char *p;

	NEW_ARENA(fd, self->chunk, 0, 0);
	MAP_ARENA(p, fd, self->chunk);
	close(fd);
	EXPECT_EQ(0, touch_write(p, 5));
	EXPECT_EQ(5, *p);
	ASSERT_EQ(0, munmap(p, self->chunk));
	EXPECT_TRUE(eventually(counter("arenas") <= arenas));
}

TEST_F(map, contents_outlive_the_mapping)
{
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, self->chunk);
	memset(p, 0x5a, self->chunk);
	ASSERT_EQ(0, munmap(p, self->chunk));
	EXPECT_EQ(SIGSEGV, touch_read(p));
	MAP_ARENA(p, self->fd, self->chunk);
	EXPECT_EQ(NULL, not_all(p, self->chunk, 0x5a));
}

TEST_F(map, dontneed_keeps_the_contents)
{
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, self->chunk);
	memset(p, 0x5a, self->chunk);
	EXPECT_EQ(0, madvise(p, self->chunk, MADV_DONTNEED));
	EXPECT_EQ(NULL, not_all(p, self->chunk, 0x5a));
}

TEST_F(map, advice_that_makes_no_sense_does_no_harm)
{
	static const int advice[] = { MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED,
				      MADV_MERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, 25 };
	unsigned int i;
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, 2 * self->chunk);
	memset(p, 0x5a, self->chunk);
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		madvise(p, 2 * self->chunk, advice[i]);
		EXPECT_EQ(NULL, not_all(p, self->chunk, 0x5a)) { TH_LOG("advice %d", advice[i]); }
	}
	EXPECT_TRUE(is_zero(p + self->chunk, self->chunk));
}

TEST_F(map, mlock_makes_it_resident)
{
	char *p;

	NEEDS_ARENA();
	MAP_ARENA(p, self->fd, self->chunk);
	if (mlock(p, self->chunk)) {
		ASSERT_TRUE(errno == ENOMEM || errno == EPERM);
		SKIP(return, "RLIMIT_MEMLOCK is used up: %s", strerror(errno));
	}
	EXPECT_EQ(self->chunk, resident(self->fd));
	/* smaller chunks are VM_MIXEDMAP before 6.18, which mlock() does not count */
	if (is_pmd_chunk(self->chunk))
		EXPECT_TRUE(has_vm_flag(p, "lo"));
	EXPECT_EQ(0, munlock(p, self->chunk));
}

TEST_F(map, userfaultfd_does_not_take_it)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register arg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	char *p;

	NEEDS_ARENA();
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		SKIP(return, "userfaultfd: %s", strerror(errno));
	MAP_ARENA(p, self->fd, self->chunk);
	arg.range.start = (uintptr_t)p;
	arg.range.len = self->chunk;
	EXPECT_EQ(-1, ioctl(uffd, UFFDIO_REGISTER, &arg));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
