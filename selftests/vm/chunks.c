// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints how many KiB of physical memory lie in blocks that look like chunks of
 * the module: compound pages of 2 MiB or more that are not the page cache's, no
 * process's, not the slab's or hugetlbfs's. A chunk that got lost stays in this
 * sum whatever the module counts, and kernels hardly make such blocks
 * themselves. Chunks with a poisoned page are left out: the module keeps them
 * back on purpose.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Bits of /proc/kpageflags. */
#define LRU		(1ULL << 5)
#define SLAB		(1ULL << 7)
#define ANON		(1ULL << 12)
#define HEAD		(1ULL << 15)
#define TAIL		(1ULL << 16)
#define HUGETLB		(1ULL << 17)
#define POISON		(1ULL << 19)
#define THP		(1ULL << 22)

#define OTHERS		(LRU | SLAB | ANON | HUGETLB | THP)
#define LEAST_KIB	2048

struct block {
	uint64_t pages;
	bool others;
	bool poisoned;
};

static uint64_t kib_of_page;

static uint64_t kib_lost(const struct block *block)
{
	uint64_t kib = block->pages * kib_of_page;

	return kib < LEAST_KIB || block->others || block->poisoned ? 0 : kib;
}

int main(void)
{
	static uint64_t flags[65536];
	struct block block = { 0 };
	uint64_t kib = 0;
	ssize_t n, i;
	int fd = open("/proc/kpageflags", O_RDONLY);

	kib_of_page = sysconf(_SC_PAGESIZE) / 1024;
	while (fd >= 0 && (n = read(fd, flags, sizeof(flags))) > 0) {
		for (i = 0; i < n / (ssize_t)sizeof(*flags); i++) {
			if (!(flags[i] & TAIL)) {
				kib += kib_lost(&block);
				memset(&block, 0, sizeof(block));
			}
			block.pages += flags[i] & (HEAD | TAIL) ? 1 : 0;
			block.others |= flags[i] & OTHERS;
			block.poisoned |= flags[i] & POISON;
		}
	}
	if (fd < 0 || n < 0) {
		fprintf(stderr, "chunks: /proc/kpageflags: %s\n", strerror(errno));
		return 1;
	}
	printf("%llu\n", (unsigned long long)(kib + kib_lost(&block)));
	return 0;
}
