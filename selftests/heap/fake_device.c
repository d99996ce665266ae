// SPDX-License-Identifier: GPL-2.0-only
/* The device backend against the tests' own device: see fake_device.h. */
#include "kselftest_harness.h"
#include "fake_device.h"

#include <dirent.h>

static unsigned int open_descriptors(void)
{
	unsigned int count = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

TEST_F(fake_device, is_taken_when_it_can_be_opened)
{
	struct hpheap_stats stats;
	char *span = hpheap_span_alloc(self->heap, 2 * UNIT, 0, HPHEAP_SPAN_ZERO);

	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 2 * UNIT));
	memset(span, 1, 2 * UNIT);
	stats = stats_of(self->heap);
	EXPECT_EQ(HPHEAP_BACKEND_DEVICE, stats.backend);
	EXPECT_EQ(HPHEAP_BACKEND_AUTO, stats.backend_wanted);
	EXPECT_NE(NULL, strstr(stats.backend_reason, ": in use"));
	EXPECT_HELD(2, 0);
	hpheap_span_free(self->heap, span);
	EXPECT_EQ(2 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, resident_bytes(span, 2 * UNIT));
	span = hpheap_span_alloc(self->heap, 2 * UNIT, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 2 * UNIT));
	EXPECT_HELD(2, 0);
}

TEST_F(fake_device, is_asked_for_chunks_and_not_shared_with_children)
{
	ASSERT_EQ(0, hpheap_reserve(self->heap, UNIT, HPHEAP_NODE_ANY));
	EXPECT_EQ(sizeof(fake.last), fake.last.size);
	EXPECT_EQ(HPHEAP_CREATE_FORK_NONE, fake.last.flags);
	EXPECT_EQ(UNIT, fake.last.chunk_bytes);
	EXPECT_EQ(HPHEAP_POLICY_LOCAL, fake.last.policy);
}

TEST_F(fake_device, a_large_heap_is_few_arenas)
{
	int i;

	ASSERT_EQ(0, hpheap_reserve(self->heap, 256 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_GT(12, fake.creates);
	fake.creates = 0;
	for (i = 0; i < 80; i++)
		ASSERT_NE(NULL, hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0));
	EXPECT_GT(12, fake.creates);
	EXPECT_HELD(320, 0);
}

static void run_out(struct __test_metadata *_metadata, FIXTURE_DATA(fake_device) *self, int error)
{
	char *span;

	fake.quota = 3 * UNIT;
	fake.quota_errno = error;
	span = hpheap_span_alloc(self->heap, 8 * UNIT, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 8 * UNIT));
	memset(span, 1, 8 * UNIT);
	EXPECT_HELD(3, 5);
	EXPECT_EQ(5, stats_of(self->heap).fallback_units);
	EXPECT_EQ(error, stats_of(self->heap).fallback_errno);

	/* What fell back asks the device again the next time. */
	hpheap_span_free(self->heap, span);
	EXPECT_EQ(8 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_HELD(0, 0);
	fake.quota = 100 * UNIT;
	span = hpheap_span_alloc(self->heap, 8 * UNIT, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 8 * UNIT));
	EXPECT_HELD(8, 0);
	EXPECT_EQ(5, stats_of(self->heap).fallback_units);
}

TEST_F(fake_device, falls_back_unit_by_unit_at_the_modules_limit)
{
	run_out(_metadata, self, ENOSPC);
}

TEST_F(fake_device, falls_back_unit_by_unit_at_the_users_limit)
{
	run_out(_metadata, self, EDQUOT);
}

TEST_F(fake_device, falls_back_unit_by_unit_without_memory)
{
	run_out(_metadata, self, ENOMEM);
}

TEST_F(fake_device, falls_back_where_an_arena_cannot_be_filled)
{
	char *span;

	fake.fills = 1;
	fake.fill_errno = ENOMEM;
	span = hpheap_span_alloc(self->heap, 4 * UNIT, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 4 * UNIT));
	memset(span, 1, 4 * UNIT);
	EXPECT_HELD(3, 1);
	EXPECT_EQ(1, stats_of(self->heap).fallback_units);
	EXPECT_EQ(ENOMEM, stats_of(self->heap).fallback_errno);
}

TEST_F(fake_device, keeps_nothing_of_a_span_that_cannot_be_filled_at_all)
{
	char *span;

	ASSERT_EQ(0, hpheap_reserve(self->heap, UNIT, HPHEAP_NODE_ANY));
	fake.fills = 1000;
	fake.fill_errno = ENOMEM;
	EXPECT_EQ(NULL, hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, hpheap_reserve(self->heap, 4 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_HELD(1, 0);
	EXPECT_EQ(UNIT, stats_of(self->heap).peak_committed_bytes);
	fake.fills = 0;
	span = hpheap_span_alloc(self->heap, 4 * UNIT, UNIT, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 4 * UNIT));
	EXPECT_EQ(0, stats_of(self->heap).fallback_bytes);
}

/* As daemons do it; then the numbers belong to a file of the program. */
static void close_all(int other)
{
	int fd;

	for (fd = 3; fd < 64; fd++)
		if (fd != other)
			dup2(other, fd);
}

TEST_F(fake_device, survives_a_program_that_closes_and_reuses_every_descriptor)
{
	const char text[] = "a file of the program";
	char *span = hpheap_span_alloc(self->heap, 2 * UNIT, 0, 0), *more, read_back[64] = "";
	int other = memfd_create("other", MFD_CLOEXEC), fd;

	ASSERT_NE(NULL, span);
	memset(span, 1, 2 * UNIT);
	ASSERT_EQ(sizeof(text), write(other, text, sizeof(text)));
	close_all(other);

	/* What is there works by address alone. */
	hpheap_span_free(self->heap, span);
	EXPECT_EQ(2 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	span = hpheap_span_alloc(self->heap, 2 * UNIT, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 2 * UNIT));
	EXPECT_EQ(0, stats_of(self->heap).device_lost);

	/* For more the device is opened anew. */
	more = hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0);
	ASSERT_NE(NULL, more);
	memset(more, 2, 4 * UNIT);
	EXPECT_HELD(6, 0);
	EXPECT_EQ(1, stats_of(self->heap).device_lost);
	EXPECT_EQ(NULL, not_all(span, 2 * UNIT, 0));

	hpheap_destroy(self->heap);
	for (fd = 3; fd < 64; fd++)
		EXPECT_EQ(sizeof(text), pread(fd, read_back, sizeof(read_back), 0));
	EXPECT_STREQ(text, read_back);
	self->heap = NULL;
}

TEST_F(fake_device, without_its_descriptor_and_its_path_leaves_the_heap_working)
{
	int other = open("/dev/null", O_RDWR | O_CLOEXEC);
	char *span = hpheap_span_alloc(self->heap, UNIT, 0, 0), *more;

	ASSERT_NE(NULL, span);
	close_all(other);
	unlink(self->path);
	more = hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0);
	ASSERT_NE(NULL, more);
	memset(more, 2, 4 * UNIT);
	EXPECT_HELD(1, 4);
	EXPECT_EQ(ENOENT, stats_of(self->heap).fallback_errno);
	EXPECT_EQ(1, stats_of(self->heap).device_lost);
	hpheap_span_free(self->heap, span);
	EXPECT_EQ(UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, resident_bytes(span, UNIT));
}

/* Another thread may get the number of an arena in the moment it is made. */
TEST_F(fake_device, never_keeps_a_foreign_file_in_the_heap)
{
	char *span;

	fake.swap = memfd_create("other", MFD_CLOEXEC);
	ASSERT_LE(0, fake.swap);
	span = hpheap_span_alloc(self->heap, UNIT, 0, 0);
	ASSERT_NE(NULL, span);
	memset(span, 1, UNIT);
	EXPECT_HELD(0, 1);
	EXPECT_EQ(EBADF, stats_of(self->heap).fallback_errno);
}

TEST_F(fake_device, costs_one_descriptor)
{
	unsigned int before;

	hpheap_destroy(self->heap);
	before = open_descriptors();
	self->heap = hpheap_create(NULL);
	ASSERT_NE(NULL, self->heap);
	ASSERT_EQ(0, hpheap_reserve(self->heap, 20 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_EQ(before + 1, open_descriptors());
	hpheap_destroy(self->heap);
	EXPECT_EQ(before, open_descriptors());
	self->heap = NULL;
}

TEST_F(fake_device, does_not_take_the_number_of_a_standard_stream)
{
	const int out = dup(STDOUT_FILENO);
	struct hpheap *heap;

	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	heap = hpheap_create(NULL);
	EXPECT_EQ(-1, fcntl(STDIN_FILENO, F_GETFD));
	EXPECT_EQ(-1, fcntl(STDOUT_FILENO, F_GETFD));
	dup2(out, STDOUT_FILENO);
	ASSERT_NE(NULL, heap);
	EXPECT_EQ(HPHEAP_BACKEND_DEVICE, stats_of(heap).backend);
	hpheap_destroy(heap);
}

TEST_F(fake_device, that_cannot_be_used_is_passed_over_with_the_reason)
{
	const struct hpheap_options options = { .backend = HPHEAP_BACKEND_DEVICE };
	const unsigned int before = open_descriptors();
	struct hpheap *heap;

#define EXPECT_PASSED_OVER(error, why) do {						\
	errno = 0;									\
	EXPECT_EQ(NULL, hpheap_create(&options));					\
	EXPECT_EQ(error, errno);							\
	heap = hpheap_create(NULL);							\
	ASSERT_NE(NULL, heap);								\
	EXPECT_EQ(HPHEAP_BACKEND_THP, stats_of(heap).backend);				\
	EXPECT_NE(NULL, strstr(stats_of(heap).backend_reason, why));			\
	hpheap_destroy(heap);								\
} while (0)
	fake.abi_version = HPHEAP_ABI_VERSION + 1;
	EXPECT_PASSED_OVER(EPROTO, "ABI version");
	fake.abi_version = HPHEAP_ABI_VERSION;
	fake.chunk_sizes = UNIT << 4;
	EXPECT_PASSED_OVER(EOPNOTSUPP, "no chunks of 2 MiB");
	fake.info_errno = ENOTTY;
	EXPECT_PASSED_OVER(ENODEV, "no hpheap device");
	unlink(self->path);
	EXPECT_PASSED_OVER(ENOENT, "not loaded");
	EXPECT_EQ(before, open_descriptors());
}

TEST_F(fake_device, gives_memory_of_the_node_that_was_asked_for)
{
	ASSERT_EQ(0, hpheap_reserve(self->heap, 3 * UNIT, 0));
	EXPECT_EQ(HPHEAP_POLICY_PREFERRED, fake.last.policy);
	EXPECT_EQ(1, fake.last.nodemask[0]);
	EXPECT_EQ(0, stats_of(self->heap).placement_errno);
	EXPECT_HELD(3, 0);

	/* Empty units that were of another wish are made anew. */
	hpheap_scavenge(self->heap, SIZE_MAX);
	fake.creates = 0;
	ASSERT_EQ(0, hpheap_reserve(self->heap, 3 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_LE(1, fake.creates);
	EXPECT_EQ(HPHEAP_POLICY_LOCAL, fake.last.policy);
	EXPECT_HELD(3, 0);
}

TEST_F(fake_device, gives_any_node_where_the_module_refuses_one_and_says_so)
{
	fake.place_errno = ENXIO;
	ASSERT_EQ(0, hpheap_reserve(self->heap, 3 * UNIT, 0));
	EXPECT_EQ(HPHEAP_POLICY_LOCAL, fake.last.policy);
	EXPECT_EQ(ENXIO, stats_of(self->heap).placement_errno);
	EXPECT_HELD(3, 0);
}

TEST_F(fake_device, and_what_fell_back_are_told_apart_with_their_node)
{
	static struct walk walk;
	size_t i;

	fake.fills = 1;
	fake.fill_errno = ENOMEM;
	ASSERT_EQ(0, hpheap_reserve(self->heap, 4 * UNIT, 0));
	ASSERT_EQ(NULL, take_walk(self->heap, &walk));
	EXPECT_EQ(3 * UNIT, walk.backends[HPHEAP_BACKEND_DEVICE]);
	EXPECT_EQ(UNIT, walk.backends[HPHEAP_BACKEND_THP]);
	for (i = 0; i < walk.count; i++)
		EXPECT_EQ(walk.regions[i].kind == HPHEAP_REGION_EMPTY ? HPHEAP_NODE_ANY : 0,
			  walk.regions[i].node);
}

/* What is attached counts somewhere. */
TEST_F(fake_device, is_not_asked_for_more_than_the_limit)
{
	const struct hpheap_options options = { .limit_bytes = 40 * UNIT };
	struct hpheap *heap = hpheap_create(&options);
	size_t i;

	ASSERT_NE(NULL, heap);
	fake.quota = 40 * UNIT;
	fake.refusals = 0;
	for (i = 0; i < 40; i++)
		ASSERT_NE(NULL, hpheap_span_alloc(heap, UNIT, 0, 0));
	EXPECT_EQ(0, fake.refusals);
	EXPECT_EQ(0, fake.quota);
	hpheap_destroy(heap);
}

/* An arena is charged whole: only what the span lies in is one. */
TEST_F(fake_device, room_for_an_alignment_is_not_attached)
{
	const uint64_t before = fake.quota;

	ASSERT_NE(NULL, hpheap_span_alloc(self->heap, UNIT, 16 * UNIT, 0));
	EXPECT_EQ(UNIT, before - fake.quota);
	ASSERT_NE(NULL, hpheap_span_alloc(self->heap, 4 * UNIT, 0, 0));
	EXPECT_EQ(5 * UNIT, before - fake.quota);
	EXPECT_SOUND(self->heap);
}

/* What cannot be fenced off might be used again: there is nothing more, then. */
TEST_F(fake_device, a_span_that_cannot_be_fenced_is_the_last)
{
	const struct hpheap_options options = { .flags = HPHEAP_EFENCE };
	struct hpheap *heap = hpheap_create(&options);
	char *first, *second;

	ASSERT_NE(NULL, heap);
	first = hpheap_span_alloc(heap, PAGE, 0, 0);
	second = hpheap_span_alloc(heap, PAGE, 0, 0);
	ASSERT_TRUE(first && second);
	fake.forbid_error = -ENOMEM;
	hpheap_span_free(heap, first);
	fake.forbid_error = 0;
	EXPECT_EQ(NULL, hpheap_span_alloc(heap, PAGE, 0, 0));
	EXPECT_EQ(ENOMEM, errno);
	*second = 1;
	hpheap_span_free(heap, second);
	EXPECT_SOUND(heap);
	hpheap_destroy(heap);
}

/* Programs write over their environment, to show a title. */
TEST_F(fake_device, its_path_is_read_once)
{
	char *text = getenv("HPHEAP_DEVICE");
	struct hpheap *heap;

	memset(text, 'x', strlen(text));
	heap = hpheap_create(NULL);
	ASSERT_NE(NULL, heap);
	EXPECT_EQ(HPHEAP_BACKEND_DEVICE, stats_of(heap).backend);
	hpheap_destroy(heap);
}

TEST_HARNESS_MAIN
