// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that was page cache before keeps the old file offset in folio->index.
 * finish_fault() compares the offset with the arena's size and quietly maps
 * base pages when it seems to lie behind the end (mainline 6.18, stable
 * 6.12.95). So: fill free memory with the far end of a huge file, let it go,
 * and demand a PMD for every chunk made of that memory.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <sys/sysinfo.h>

#define FAR_OFF		(1ULL << 40)
#define MOST_BYTES	(256 * MIB)

static uint64_t free_bytes(void)
{
	struct sysinfo info;

	sysinfo(&info);
	return (uint64_t)info.freeram * info.mem_unit;
}

/* Page cache with large offsets comes and goes; returns its size or 0. */
static uint64_t churn_page_cache(void)
{
	uint64_t bytes = free_bytes() * 6 / 10, done;
	int file = memfd_create("churn", MFD_CLOEXEC);
	static char block[1 << 20];

	if (bytes > MOST_BYTES)
		bytes = MOST_BYTES;
	memset(block, 0xa5, sizeof(block));
	for (done = 0; done < bytes; done += sizeof(block))
		if (pwrite(file, block, sizeof(block), FAR_OFF + done) != sizeof(block))
			break;
	close(file);
	return done;
}

/* Huge pages in the file system of memfd would have the offset in the head page only. */
static uint64_t use_freed_page_cache(int *fd, char **p, size_t chunk)
{
	uint64_t bytes = churn_page_cache() / 2;

	bytes -= bytes % chunk;
	*fd = bytes ? create_arena(bytes, chunk, 0) : -ENOMEM;
	if (*fd < 0)
		return 0;
	*p = map_arena(*fd, bytes);
	return bytes;
}

TEST(chunks_of_former_page_cache_are_mapped_with_one_pmd)
{
	size_t chunk = pmd_chunk();
	uint64_t bytes, offset;
	char *p;
	int fd;

	if (!chunk || chunk > MOST_BYTES / 8)
		SKIP(return, "a PMD maps %zu MiB here, too much to churn", chunk >> 20);
	bytes = use_freed_page_cache(&fd, &p, chunk);
	if (fd == -EDQUOT)
		SKIP(return, "RLIMIT_MEMLOCK");
	ASSERT_LE(0, fd) { TH_LOG("%s", strerror(-fd)); }
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (offset = 0; offset < bytes; offset += chunk)
		if (touch_write(p + offset, 1))
			break;
	ASSERT_LT(0, offset);
	EXPECT_EQ(offset, pmd_mapped(p));
}

TEST(chunks_of_former_page_cache_are_zero)
{
	size_t chunk = default_chunk();
	uint64_t bytes, offset;
	char *p;
	int fd;

	bytes = use_freed_page_cache(&fd, &p, chunk);
	if (fd == -EDQUOT)
		SKIP(return, "RLIMIT_MEMLOCK");
	ASSERT_LE(0, fd) { TH_LOG("%s", strerror(-fd)); }
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (offset = 0; offset < bytes; offset += chunk) {
		if (touch_read(p + offset))
			break;
		ASSERT_TRUE(is_zero(p + offset, chunk)) {
			TH_LOG("chunk %llu holds what a file held",
			       (unsigned long long)(offset / chunk));
		}
	}
	EXPECT_LT(0, offset);
}

TEST_HARNESS_MAIN
