// SPDX-License-Identifier: GPL-2.0-only
/* HPHEAP_IOC_INFO tells the truth about this system, and takes no nonsense. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

FIXTURE(info) {
	int dev;
	struct hpheap_info info;
};

FIXTURE_SETUP(info)
{
	self->dev = open_device();
	ASSERT_LE(0, self->dev);
	self->info = get_info();
}

FIXTURE_TEARDOWN(info)
{
	close(self->dev);
}

/* Errno of INFO with a structure of @size bytes, all zero but the first word. */
static int info_error(int dev, uint32_t size)
{
	uint32_t words[5000] = { size };

	return ioctl(dev, HPHEAP_IOC_INFO, words) ? errno : 0;
}

TEST_F(info, layout_is_the_published_one)
{
	EXPECT_EQ(328, sizeof(struct hpheap_info));
	EXPECT_EQ(160, sizeof(struct hpheap_create));
	EXPECT_EQ(32, sizeof(struct hpheap_extents));
	EXPECT_EQ(24, sizeof(struct hpheap_extent));
	EXPECT_EQ(HPHEAP_ABI_VERSION, self->info.abi_version);
	EXPECT_EQ(sizeof(struct hpheap_info), self->info.size);
}

TEST_F(info, base_page_is_that_of_sysconf)
{
	EXPECT_EQ(base_page(), self->info.base_page_bytes);
}

TEST_F(info, chunk_sizes_are_at_least_2_MiB_and_hold_the_default)
{
	EXPECT_NE(0, self->info.chunk_sizes);
	EXPECT_EQ(0, self->info.chunk_sizes & (2 * MIB - 1));
	EXPECT_EQ(2 * MIB, self->info.default_chunk_bytes);
	EXPECT_NE(0, self->info.chunk_sizes & self->info.default_chunk_bytes);
}

TEST_F(info, pmd_size_is_that_of_transparent_huge_pages)
{
	char text[64];

	if (read_file("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", text,
		      sizeof(text)) <= 0)
		SKIP(return, "this kernel does not tell its PMD size");
	EXPECT_EQ(strtoull(text, NULL, 10), self->info.pmd_bytes);
}

TEST_F(info, every_offered_chunk_size_can_be_created_and_no_other)
{
	unsigned int bit;
	int fd;

	for (bit = base_page() > 4096 ? 14 : 12; bit < 8 * sizeof(size_t) - 1; bit++) {
		fd = create_arena((size_t)1 << bit, (size_t)1 << bit, 0);
		if (fd == -EDQUOT || fd == -EFBIG)
			continue;
		if (self->info.chunk_sizes >> bit & 1) {
			EXPECT_LE(0, fd) { TH_LOG("2^%u bytes: %s", bit, strerror(-fd)); }
		} else {
			EXPECT_EQ(-EOPNOTSUPP, fd) { TH_LOG("2^%u bytes", bit); }
		}
		if (fd >= 0)
			close(fd);
	}
}

TEST_F(info, nodes_are_those_of_sysfs)
{
	static const struct { const char *path; size_t offset; } lists[] = {
		{ "/sys/devices/system/node/has_memory",
		  offsetof(struct hpheap_info, memory_nodes) },
		{ "/sys/devices/system/node/has_cpu",
		  offsetof(struct hpheap_info, cpu_nodes) },
	};
	unsigned int i, first, last;
	char text[4096], *p;

	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		uint64_t want[HPHEAP_NODE_WORDS] = { 0 };

		if (read_file(lists[i].path, text, sizeof(text)) <= 0)
			SKIP(return, "no %s: this kernel has no NUMA", lists[i].path);
		for (p = strtok(text, ",\n"); p; p = strtok(NULL, ",\n")) {
			if (sscanf(p, "%u-%u", &first, &last) != 2)
				last = first = atoi(p);
			for (; first <= last; first++)
				want[first / 64] |= 1ULL << first % 64;
		}
		EXPECT_EQ(0, memcmp(want, (char *)&self->info + lists[i].offset, sizeof(want))) {
			TH_LOG("differs from %s", lists[i].path);
		}
	}
}

TEST_F(info, max_bytes_is_the_module_parameter_or_all_memory)
{
	uint64_t limit = value_of(MAX_BYTES_PARAMETER, "");
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * base_page();

	EXPECT_EQ(limit ? limit : memory, self->info.max_bytes);
}

TEST_F(info, counts_follow_an_arena_of_ours)
{
	size_t chunk = self->info.default_chunk_bytes;
	struct hpheap_info info;
	int fd;

	NEW_ARENA(fd, 3 * chunk, chunk, 0);
	ASSERT_EQ(0, fallocate(fd, 0, chunk, chunk));
	info = get_info();
	EXPECT_LE(3 * chunk, info.reserved_bytes);
	EXPECT_LE(chunk, info.resident_bytes);
	EXPECT_LE(info.resident_bytes, info.reserved_bytes);
}

TEST_F(info, short_struct_is_EINVAL)
{
	EXPECT_EQ(EINVAL, info_error(self->dev, 0));
	EXPECT_EQ(EINVAL, info_error(self->dev, 7));
	EXPECT_EQ(EINVAL, info_error(self->dev, sizeof(struct hpheap_info) - 1));
}

TEST_F(info, longer_struct_with_zero_tail_is_taken)
{
	EXPECT_EQ(0, info_error(self->dev, sizeof(struct hpheap_info) + 8));
	EXPECT_EQ(0, info_error(self->dev, 4096));
}

TEST_F(info, struct_longer_than_a_page_is_E2BIG)
{
	EXPECT_EQ(E2BIG, info_error(self->dev, base_page() + 1));
	EXPECT_EQ(E2BIG, info_error(self->dev, UINT32_MAX));
}

TEST_F(info, non_zero_tail_is_E2BIG)
{
	struct { struct hpheap_info info; uint64_t tail; } arg = {
		.info.size = sizeof(arg), .tail = 1,
	};

	EXPECT_EQ(-1, ioctl(self->dev, HPHEAP_IOC_INFO, &arg));
	EXPECT_EQ(E2BIG, errno);
	arg.tail = 1ULL << 63;
	EXPECT_EQ(-1, ioctl(self->dev, HPHEAP_IOC_INFO, &arg));
	EXPECT_EQ(E2BIG, errno);
}

TEST_F(info, nothing_is_written_past_the_callers_struct)
{
	struct { struct hpheap_info info; char after[64]; } arg;

	memset(&arg, 0xa5, sizeof(arg));
	arg.info.size = sizeof(arg.info);
	arg.info.flags = 0;
	ASSERT_EQ(0, ioctl(self->dev, HPHEAP_IOC_INFO, &arg));
	EXPECT_EQ(NULL, not_all(arg.after, sizeof(arg.after), 0xa5));
}

TEST_F(info, unknown_flags_are_EINVAL)
{
	struct hpheap_info info = { .size = sizeof(info) };
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		info.flags = 1U << bit;
		EXPECT_EQ(-1, ioctl(self->dev, HPHEAP_IOC_INFO, &info));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(info, bad_pointer_is_EFAULT)
{
	size_t page = base_page();
	char *p = mmap(NULL, 2 * page, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct hpheap_info *torn, *ro;

	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(-1, ioctl(self->dev, HPHEAP_IOC_INFO, NULL));
	EXPECT_EQ(EFAULT, errno);

	torn = (struct hpheap_info *)(p + page - 16);
	torn->size = sizeof(*torn);
	ASSERT_EQ(0, mprotect(p + page, page, PROT_NONE));
	EXPECT_EQ(-1, ioctl(self->dev, HPHEAP_IOC_INFO, torn));
	EXPECT_EQ(EFAULT, errno);

	ro = (struct hpheap_info *)p;
	ro->size = sizeof(*ro);
	ASSERT_EQ(0, mprotect(p, page, PROT_READ));
	EXPECT_EQ(-1, ioctl(self->dev, HPHEAP_IOC_INFO, ro));
	EXPECT_EQ(EFAULT, errno);
}

TEST_HARNESS_MAIN
