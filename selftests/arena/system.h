/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel tells about the module, a process and its mappings, below
 * /proc and /sys.
 */
#ifndef SELFTESTS_ARENA_SYSTEM_H
#define SELFTESTS_ARENA_SYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>

#define MAX_BYTES_PARAMETER "/sys/module/hpheap/parameters/max_bytes"

/* Waits for what happens soon but not at once. */
#define eventually(condition) ({						\
	double until = now() + 60;						\
	bool met;								\
	while (!(met = (condition)) && now() < until)				\
		usleep(20000);							\
	met;									\
})

/* Returns bytes read (the text ends in a NUL), or -errno. */
static inline ssize_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, total = 0;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, text + total, size - 1 - total)) > 0)
		total += n;
	close(fd);
	text[total] = 0;
	return n < 0 ? -errno : total;
}

/* Returns 0 or -errno. */
static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

/* A counter of the module; -1: not there. */
static inline long long counter(const char *name)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), "/sys/class/misc/hpheap/%s", name);
	return read_file(path, text, sizeof(text)) > 0 ? strtoll(text, NULL, 10) : -1;
}

/* The value after "KEY" on a line of its own in a /proc or cgroup file; -1: no such line. */
static inline long long value_of(const char *path, const char *key)
{
	char line[512];
	long long value = -1;
	FILE *file = fopen(path, "re");

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			value = strtoll(line + strlen(key), NULL, 10);
	fclose(file);
	return value;
}

/* The line of fdinfo that begins with @key, without it and the newline. */
static inline bool fdinfo(int fd, const char *key, char *text, size_t size)
{
	char path[64], line[512];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		found = true;
		line[strcspn(line, "\n")] = 0;
		snprintf(text, size, "%s", line + strlen(key) + strspn(line + strlen(key), "\t "));
	}
	fclose(file);
	return found;
}

static inline long long fdinfo_number(int fd, const char *key)
{
	char text[64];

	return fdinfo(fd, key, text, sizeof(text)) ? strtoll(text, NULL, 10) : -1;
}

/*
 * The line @key of smaps for the mapping around @addr, "VMAS" for the number
 * of mappings in [addr, addr + bytes). False: no such line.
 */
static inline bool smaps_line(const void *addr, const char *key, char *text, size_t size)
{
	uintptr_t begin, end;
	bool inside = false, found = false;
	char line[512];
	FILE *file = fopen("/proc/self/smaps", "re");

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
			inside = begin <= (uintptr_t)addr && (uintptr_t)addr < end;
		else if (inside && !strncmp(line, key, strlen(key))) {
			found = true;
			snprintf(text, size, "%s", line + strlen(key));
		}
	}
	fclose(file);
	return found;
}

static inline long long smaps_of(const void *addr, const char *key)
{
	char text[512];

	return smaps_line(addr, key, text, sizeof(text)) ? strtoll(text, NULL, 10) * 1024 : -1;
}

static inline long long pmd_mapped(const void *addr)
{
	return smaps_of(addr, "FilePmdMapped:");
}

/* Has the mapping this two-letter flag of VmFlags? */
static inline bool has_vm_flag(const void *addr, const char *flag)
{
	char text[512], word[8];

	snprintf(word, sizeof(word), " %s ", flag);
	if (!smaps_line(addr, "VmFlags:", text, sizeof(text)))
		return false;
	text[strcspn(text, "\n")] = ' ';
	return strstr(text, word);
}

static inline int mappings_in(const void *addr, size_t bytes)
{
	uintptr_t begin, end;
	char line[512];
	int count = 0;
	FILE *file = fopen("/proc/self/maps", "re");

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2 &&
		    begin < (uintptr_t)addr + bytes && end > (uintptr_t)addr)
			count++;
	fclose(file);
	return count;
}

#define PAGEMAP_PRESENT	(1ULL << 63)
#define PAGEMAP_PFN	((1ULL << 55) - 1)

/* The pagemap entry of an address; frame numbers in it are root's. */
static inline uint64_t pagemap(const void *addr)
{
	uint64_t entry = 0;
	long page = sysconf(_SC_PAGESIZE);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), (uint64_t)(uintptr_t)addr / page * sizeof(entry)) !=
	    sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

static inline bool is_present(const void *addr)
{
	return pagemap(addr) & PAGEMAP_PRESENT;
}

static inline uint64_t frame(const void *addr)
{
	return pagemap(addr) & PAGEMAP_PFN;
}

/*
 * Base pages from @begin on whose frames follow each other; less than the
 * range has where physical memory is not adjacent or a page is not mapped.
 */
static inline size_t adjacent_pages(const char *begin, size_t bytes)
{
	size_t page = sysconf(_SC_PAGESIZE), nr = bytes / page, i;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t *entry = calloc(nr, sizeof(*entry));
	ssize_t n = -1;

	if (fd >= 0 && entry)
		n = pread(fd, entry, nr * sizeof(*entry),
			  (uint64_t)(uintptr_t)begin / page * sizeof(*entry));
	for (i = 0; i < nr && n == (ssize_t)(nr * sizeof(*entry)); i++)
		if (!(entry[i] & PAGEMAP_PRESENT) || !(entry[i] & PAGEMAP_PFN) ||
		    (entry[i] & PAGEMAP_PFN) != (entry[0] & PAGEMAP_PFN) + i)
			break;
	free(entry);
	close(fd);
	return i;
}

#define MPOL_F_NODE_AND_ADDR 3

/* The node of the memory at an address that is mapped; -1: the kernel has no NUMA. */
static inline int node_of(const void *addr)
{
	int node = -1;

	if (syscall(__NR_get_mempolicy, &node, NULL, 0, addr, MPOL_F_NODE_AND_ADDR))
		return -1;
	return node;
}

/* On the first of its CPUs; -1: it has none. */
static inline int run_on_node(int node)
{
	char path[64], list[256];
	cpu_set_t set;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	if (read_file(path, list, sizeof(list)) <= 1)
		return -1;
	CPU_ZERO(&set);
	CPU_SET(atoi(list), &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

#endif /* SELFTESTS_ARENA_SYSTEM_H */
