/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the bench in the guests share. */
#ifndef SELFTESTS_BENCH_H
#define SELFTESTS_BENCH_H

#include <stddef.h>
#include <stdint.h>

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

_Noreturn void die(const char *what);

/* In nanoseconds, which are instructions; without what it costs to ask. */
uint64_t now(void);
uint64_t since(uint64_t begin);

int open_arena(size_t bytes, size_t unit, uint32_t flags);
char *map_aligned(size_t bytes, size_t align);

/* So many pages of @unit, or -1: the system has none of that size. */
int resize_hugetlb_pool(size_t unit, unsigned long pages);

/* forks.c: "@fork" and "@unmap" lines. */
void measure_forks(size_t unit, size_t chunk);

#endif /* SELFTESTS_BENCH_H */
