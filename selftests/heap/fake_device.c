// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device backend against a device of this test's own making: CREATE gives
 * a memfd, and refuses when the test says so. It stands beside device.c, which
 * runs on the real one: here everything can be refused at the right moment, on
 * every machine, with sanitizers. Linked with --wrap for ioctl and madvise.
 */
#include "kselftest_harness.h"
#include "heap.h"

#include <dirent.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/hpheap.h>

static struct {
	int info_errno;
	uint32_t abi_version;
	uint64_t chunk_sizes;
	uint64_t quota;		/* bytes that CREATE still gives */
	int quota_errno;
	int place_errno;	/* for all policies but LOCAL */
	int swap;		/* the next arena's number goes to this file at once */
	unsigned int fills;	/* so many fills from now on are refused */
	int fill_errno;
	unsigned int creates, refusals;
	struct hpheap_create last;
} fake;

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_madvise(void *addr, size_t bytes, int advice);
int __real_madvise(void *addr, size_t bytes, int advice);

static int fake_info(struct hpheap_info *info)
{
	if (fake.info_errno) {
		errno = fake.info_errno;
		return -1;
	}
	info->abi_version = fake.abi_version;
	info->base_page_bytes = (uint32_t)base_page();
	info->chunk_sizes = fake.chunk_sizes;
	return 0;
}

static int fake_create(struct hpheap_create *create)
{
	int error = 0;

	fake.last = *create;
	if (create->policy != HPHEAP_POLICY_LOCAL && fake.place_errno)
		error = fake.place_errno;
	else if (create->bytes > fake.quota)
		error = fake.quota_errno;
	if (error) {
		fake.refusals++;
		errno = error;
		return -1;
	}
	create->fd = memfd_create("arena", MFD_CLOEXEC);
	if (create->fd < 0 || ftruncate(create->fd, (off_t)create->bytes))
		abort();
	if (fake.swap > 0) {
		dup2(fake.swap, create->fd);
		fake.swap = 0;
	}
	fake.quota -= create->bytes;
	fake.creates++;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	(void)fd;
	switch (request) {
	case HPHEAP_IOC_INFO:
		return fake_info(arg);
	case HPHEAP_IOC_CREATE:
		return fake_create(arg);
	default:
		abort();
	}
}

int __wrap_madvise(void *addr, size_t bytes, int advice)
{
	if (advice != MADV_POPULATE_WRITE || !fake.fills)
		return __real_madvise(addr, bytes, advice);
	fake.fills--;
	errno = fake.fill_errno;
	return -1;
}

#define PATH_SIZE	64

FIXTURE(fake_device) {
	struct hpheap *heap;
	char path[PATH_SIZE];
};

/* A file that can be opened is all that a device needs here. */
FIXTURE_SETUP(fake_device)
{
	int fd;

	fake.abi_version = HPHEAP_ABI_VERSION;
	fake.chunk_sizes = UNIT | UNIT << 4;
	fake.quota = UINT64_MAX / 2;
	fake.quota_errno = ENOSPC;
	strcpy(self->path, "/tmp/hpheap-fake-XXXXXX");
	fd = mkstemp(self->path);
	ASSERT_LE(0, fd);
	close(fd);
	setenv("HPHEAP_DEVICE", self->path, 1);
	self->heap = hpheap_create(NULL);
	ASSERT_NE(NULL, self->heap);
}

FIXTURE_TEARDOWN(fake_device)
{
	hpheap_destroy(self->heap);
	unlink(self->path);
}

static unsigned int open_descriptors(void)
{
	unsigned int count = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

#define EXPECT_HELD(device_units, fallback_units) do {						const struct hpheap_stats held = stats_of(self->heap);					EXPECT_EQ((device_units) * UNIT, held.device_bytes);					EXPECT_EQ((fallback_units) * UNIT, held.fallback_bytes);				EXPECT_EQ(((device_units) + (fallback_units)) * UNIT, held.committed_bytes);		EXPECT_SOUND(self->heap);							} while (0)

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
	fake.fills = 0;
	span = hpheap_span_alloc(self->heap, 4 * UNIT, 0, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 4 * UNIT));
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

#define EXPECT_PASSED_OVER(error, why) do {							errno = 0;										EXPECT_EQ(NULL, hpheap_create(&options));						EXPECT_EQ(error, errno);								heap = hpheap_create(NULL);								ASSERT_NE(NULL, heap);									EXPECT_EQ(HPHEAP_BACKEND_THP, stats_of(heap).backend);					EXPECT_NE(NULL, strstr(stats_of(heap).backend_reason, why));				hpheap_destroy(heap);								} while (0)
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

static struct hpheap *lost_heap;
static char *lost_span;

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
	span = hpheap_span_alloc(lost_heap, 2 * UNIT, 0, HPHEAP_SPAN_ZERO);
	if (!span || !is_zero(span, 2 * UNIT))
		return 4;
	memset(span, 9, 2 * UNIT);
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
	hpheap_span_free(lost_heap, lost_span);
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

TEST_HARNESS_MAIN
