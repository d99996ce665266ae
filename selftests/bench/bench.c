// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to make 64 MiB usable, by each way Linux has; forks are in forks.c.
 *
 * Runs in a guest whose clock counts instructions (QEMU -icount shift=0: one
 * is a nanosecond), so what it prints as nanoseconds are instructions, the same
 * in every run on every machine. Each way is tried ROUNDS times after one round
 * that is not counted; per way and unit size one line comes out:
 *
 *   @bench WAY UNIT-BYTES UNITS PREPARE TOUCHES WORST
 *
 * PREPARE: allocating ahead, whole region; TOUCHES: one write to each unit (to
 * each base page for "base"); both from the round with the median sum.
 * WORST: the most that a single touch took in any round.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/hpheap.h>

#include "bench.h"

#define REGION	(64UL << 20)
#define ROUNDS	5

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct cost {
	uint64_t prepare;
	uint64_t touches;
	uint64_t worst;
};

static uint64_t clock_overhead = UINT64_MAX;

_Noreturn void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

uint64_t since(uint64_t begin)
{
	uint64_t ns = now() - begin;

	return ns < clock_overhead ? 0 : ns - clock_overhead;
}

static void measure_clock(void)
{
	uint64_t begin, ns;
	int i;

	for (i = 0; i < 1000; i++) {
		begin = now();
		ns = now() - begin;
		if (ns < clock_overhead)
			clock_overhead = ns;
	}
}

static void touch_each(char *region, size_t step, struct cost *cost)
{
	uint64_t begin, ns;
	size_t offset;

	for (offset = 0; offset < REGION; offset += step) {
		begin = now();
		*(volatile char *)(region + offset) = 1;
		ns = since(begin);
		cost->touches += ns;
		if (ns > cost->worst)
			cost->worst = ns;
	}
}

int open_arena(size_t bytes, size_t unit, uint32_t flags)
{
	struct hpheap_create arg = {
		.size = sizeof(arg), .bytes = bytes, .chunk_bytes = unit, .flags = flags,
	};
	int dev = open("/dev/hpheap", O_RDWR | O_CLOEXEC);

	if (dev < 0 || ioctl(dev, HPHEAP_IOC_CREATE, &arg))
		die("HPHEAP_IOC_CREATE");
	close(dev);
	return arg.fd;
}

static void unmap(char *region)
{
	if (munmap(region, REGION))
		die("munmap");
}

static void device(size_t unit, struct cost *cost, int populate, int allocate)
{
	int fd = open_arena(REGION, unit, 0);
	char *region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t begin;

	if (region == MAP_FAILED)
		die("mmap of an arena");
	begin = now();
	if (allocate && fallocate(fd, 0, 0, REGION))
		die("fallocate");
	if (populate && madvise(region, REGION, MADV_POPULATE_WRITE))
		die("MADV_POPULATE_WRITE");
	if (allocate || populate)
		cost->prepare = since(begin);
	touch_each(region, unit, cost);
	unmap(region);
	close(fd);
}

static void device_touch(size_t unit, struct cost *cost)
{
	device(unit, cost, 0, 0);
}

static void device_fallocate(size_t unit, struct cost *cost)
{
	device(unit, cost, 0, 1);
}

static void device_populate(size_t unit, struct cost *cost)
{
	device(unit, cost, 1, 0);
}

static void set_pool(const char *parameter, size_t bytes)
{
	char path[80];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/hpheap/parameters/%s", parameter);
	file = fopen(path, "w");
	if (!file || fprintf(file, "%zu", bytes) < 0 || fclose(file))
		die(parameter);
}

static size_t pooled(void)
{
	FILE *file = fopen("/sys/class/misc/hpheap/pool_bytes", "r");
	size_t bytes;

	if (!file || fscanf(file, "%zu", &bytes) != 1)
		die("pool_bytes");
	fclose(file);
	return bytes;
}

/* The pool zeroes in the background, where it costs the toucher nothing. */
static void device_pool(size_t unit, struct cost *cost)
{
	set_pool("pool_chunk_bytes", unit);
	set_pool("pool_bytes", REGION);
	while (pooled() < REGION)
		usleep(10000);
	device(unit, cost, 0, 0);
	set_pool("pool_bytes", 0);
	while (pooled())
		usleep(10000);
}

/* Anonymous memory at a multiple of @align. */
char *map_aligned(size_t bytes, size_t align)
{
	char *wide = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (wide == MAP_FAILED)
		die("mmap");
	before = -(uintptr_t)wide & (align - 1);
	if (before)
		munmap(wide, before);
	if (before < align)
		munmap(wide + before + bytes, align - before);
	return wide + before;
}

static void thp(size_t unit, struct cost *cost)
{
	char *region = map_aligned(REGION, unit);

	if (madvise(region, REGION, MADV_HUGEPAGE))
		die("MADV_HUGEPAGE");
	touch_each(region, unit, cost);
	unmap(region);
}

static void base(size_t unit, struct cost *cost)
{
	char *region = map_aligned(REGION, unit);

	if (madvise(region, REGION, MADV_NOHUGEPAGE))
		die("MADV_NOHUGEPAGE");
	touch_each(region, sysconf(_SC_PAGESIZE), cost);
	unmap(region);
}

/* The pool is the administrator's to fill and costs nothing here. */
static void hugetlb(size_t unit, struct cost *cost)
{
	int size = __builtin_ctzl(unit) << MAP_HUGE_SHIFT;
	char *region = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | size, -1, 0);

	if (region == MAP_FAILED)
		die("mmap of hugetlbfs");
	touch_each(region, unit, cost);
	unmap(region);
}

int resize_hugetlb_pool(size_t unit, unsigned long pages)
{
	char path[128];
	unsigned long got = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%zukB/nr_hugepages",
		 unit >> 10);
	file = fopen(path, "r+");
	if (!file)
		return -1;
	fprintf(file, "%lu", pages);
	rewind(file);
	if (fscanf(file, "%lu", &got) != 1 || got != pages)
		die("filling the hugetlbfs pool");
	fclose(file);
	return 0;
}

static int by_sum(const void *a, const void *b)
{
	const struct cost *x = a, *y = b;
	uint64_t x_sum = x->prepare + x->touches, y_sum = y->prepare + y->touches;

	return (x_sum > y_sum) - (x_sum < y_sum);
}

static void run(const char *way, void (*fn)(size_t, struct cost *), size_t unit)
{
	struct cost costs[ROUNDS + 1] = { 0 };
	uint64_t worst = 0;
	int i;

	for (i = 0; i <= ROUNDS; i++) {
		fn(unit, &costs[i]);
		if (i && costs[i].worst > worst)
			worst = costs[i].worst;
	}
	qsort(costs + 1, ROUNDS, sizeof(costs[0]), by_sum);
	printf("@bench %s %zu %zu %llu %llu %llu\n", way, unit, REGION / unit,
	       (unsigned long long)costs[1 + ROUNDS / 2].prepare,
	       (unsigned long long)costs[1 + ROUNDS / 2].touches, (unsigned long long)worst);
}

static void run_device(size_t unit)
{
	run("device", device_touch, unit);
	run("device-fallocate", device_fallocate, unit);
	run("device-populate", device_populate, unit);
	if (resize_hugetlb_pool(unit, REGION / unit))
		return;
	run("hugetlbfs", hugetlb, unit);
	resize_hugetlb_pool(unit, 0);
}

int main(void)
{
	struct hpheap_info info = { .size = sizeof(info) };
	int dev = open("/dev/hpheap", O_RDWR | O_CLOEXEC);

	if (dev < 0 || ioctl(dev, HPHEAP_IOC_INFO, &info))
		die("HPHEAP_IOC_INFO");
	close(dev);
	measure_clock();
	run_device(info.pmd_bytes);
	if (info.default_chunk_bytes != info.pmd_bytes)
		run_device(info.default_chunk_bytes);
	run("thp", thp, info.pmd_bytes);
	run("base", base, info.pmd_bytes);
	measure_forks(info.pmd_bytes, info.default_chunk_bytes);
	/* Last: it changes what the page allocator has ready for the others. */
	run("device-pool", device_pool, info.pmd_bytes);
	if (info.default_chunk_bytes != info.pmd_bytes)
		run("device-pool", device_pool, info.default_chunk_bytes);
	return 0;
}
