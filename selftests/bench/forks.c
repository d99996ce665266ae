// SPDX-License-Identifier: GPL-2.0-only
/*
 * What fork() of a heap of 1 GiB costs, and the first write afterwards, by each way Linux has.
 *
 * The child waits until the parent has written to WRITES units, one byte each: what a
 * service that forks snapshots of itself pays. One line for each way:
 *
 *   @fork WAY UNIT-BYTES FORK WRITE WORST
 *
 * FORK: until the parent goes on; WRITE: the median of the writes; WORST: the dearest.
 *
 * And, of the device, what Linux takes for no more than removing the mappings of that heap,
 * below which no fork can be in which the parent loses them:
 *
 *   @unmap UNIT-BYTES COST
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/hpheap.h>

#include "bench.h"

#define HEAP	(1UL << 30)
#define WRITES	9

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static pid_t start_child(int *wake)
{
	int ends[2];
	pid_t child;
	char byte;

	if (pipe(ends))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	close(ends[0]);
	*wake = ends[1];
	return child;
}

static void touch_all(char *heap)
{
	size_t offset;

	for (offset = 0; offset < HEAP; offset += sysconf(_SC_PAGESIZE))
		*(volatile char *)(heap + offset) = 1;
}

static void measure(const char *way, size_t unit, char *heap)
{
	uint64_t begin, forked, writes[WRITES];
	int wake, i, status;
	pid_t child;

	touch_all(heap);
	begin = now();
	child = start_child(&wake);
	forked = since(begin);
	for (i = 0; i < WRITES; i++) {
		begin = now();
		*(volatile char *)(heap + i * unit) = 2;
		writes[i] = since(begin);
	}
	close(wake);
	if (waitpid(child, &status, 0) != child || status)
		die("the child");
	qsort(writes, WRITES, sizeof(writes[0]), by_size);
	printf("@fork %s %zu %llu %llu %llu\n", way, unit, (unsigned long long)forked,
	       (unsigned long long)writes[WRITES / 2], (unsigned long long)writes[WRITES - 1]);
	munmap(heap, HEAP);
}

static void measure_device(size_t chunk)
{
	int fd = open_arena(HEAP, chunk, HPHEAP_CREATE_FORK_COW);
	char *heap = mmap(NULL, HEAP, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t begin;

	close(fd);
	if (heap == MAP_FAILED)
		die("mmap of an arena");
	touch_all(heap);
	begin = now();
	if (madvise(heap, HEAP, MADV_DONTNEED))
		die("MADV_DONTNEED");
	printf("@unmap %zu %llu\n", chunk, (unsigned long long)since(begin));
	measure("device", chunk, heap);
}

static void measure_anonymous(const char *way, size_t unit, int advice)
{
	char *heap = map_aligned(HEAP, unit);

	if (madvise(heap, HEAP, advice))
		die("madvise");
	measure(way, unit, heap);
}

static void measure_hugetlb(size_t unit)
{
	char *heap;

	if (resize_hugetlb_pool(unit, HEAP / unit + WRITES))
		return;
	heap = mmap(NULL, HEAP, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		    __builtin_ctzl(unit) << MAP_HUGE_SHIFT, -1, 0);
	if (heap == MAP_FAILED)
		die("mmap of hugetlbfs");
	measure("hugetlbfs", unit, heap);
	resize_hugetlb_pool(unit, 0);
}

void measure_forks(size_t unit, size_t chunk)
{
	measure_device(unit);
	if (chunk != unit)
		measure_device(chunk);
	measure_hugetlb(unit);
	measure_anonymous("thp", unit, MADV_HUGEPAGE);
	measure_anonymous("base", unit, MADV_NOHUGEPAGE);
}
