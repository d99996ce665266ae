// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the kernel says: see system.h.
 */
#include "system.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

uint64_t system_nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct faults system_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct faults){ (uint64_t)usage.ru_minflt, (uint64_t)usage.ru_majflt };
}

static double seconds_of(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

double system_cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

uint64_t system_resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long resident = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &resident) != 1)
		resident = 0;
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Does the line begin a mapping of the heap: anonymous, brk, or an arena? */
static bool is_heap(const char *line)
{
	unsigned long long inode;
	char name[256] = "";

	if (sscanf(line, "%*s %*s %*s %*s %llu %255s", &inode, name) < 1)
		return false;
	if (strstr(name, "hpheap-arena"))
		return true;
	return !inode && (!*name || !strcmp(name, "[heap]") || !strncmp(name, "[anon", 5));
}

static uint64_t field(const char *line, const char *name)
{
	unsigned long long kib;
	size_t len = strlen(name);

	if (strncmp(line, name, len) || sscanf(line + len, "%llu", &kib) != 1)
		return 0;
	return (uint64_t)kib << 10;
}

int system_heap_pages(struct heap_pages *pages)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	char line[512];
	bool heap = false;

	*pages = (struct heap_pages){ 0, 0 };
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		/* Fields begin with a capital letter, mappings with an address. */
		if (line[0] < 'A' || line[0] > 'Z') {
			heap = is_heap(line);
			continue;
		}
		if (!heap)
			continue;
		pages->resident += field(line, "Rss:");
		pages->huge += field(line, "AnonHugePages:") + field(line, "FilePmdMapped:") +
			field(line, "ShmemPmdMapped:");
	}
	fclose(file);
	return 0;
}

void system_warm(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (p == MAP_FAILED)	/* then the run itself will tell */
		return;
	/* In huge pieces where it can be: in such the host takes it back, and hpheap asks. */
	madvise(p, bytes, MADV_HUGEPAGE);
	for (i = 0; i < bytes; i += 4096)
		*(volatile char *)(p + i) = 1;
	munmap(p, bytes);
}
