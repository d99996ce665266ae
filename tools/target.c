// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Finding what the library published in a process: see target.h.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "publish.h"
#include "root.h"

/* A mapping that is no longer the library's page alone has grown to so many at most. */
#define MOST_PAGES	64

int target_read(const struct target *target, uint64_t address, void *bytes, size_t count)
{
	size_t done = 0;
	ssize_t got;

	if (address > INT64_MAX - count)
		return -EFAULT;
	while (done < count) {
		got = pread(target->mem, (char *)bytes + done, count - done,
			    (off_t)(address + done));
		if (got <= 0)
			return got ? -EFAULT : -ESRCH;
		done += (size_t)got;
	}
	return 0;
}

static void take_publication(struct target *target, const struct hph_publication *publication)
{
	if (publication->word_bytes == sizeof(void *) && publication->layout == HPH_LAYOUT) {
		if (target->libraries == TARGET_LIBRARIES)
			return;
		target->registry[target->libraries] = publication->registry;
		target->self[target->libraries++] = publication->self;
		return;
	}
	memcpy(target->version, publication->version, sizeof(publication->version));
	target->layout = publication->layout;
	target->word_bytes = publication->word_bytes;
}

/* "BEGIN-END r--p OFFSET MAJOR:MINOR INODE [NAME]": could it be the library's? */
static bool is_candidate(const char *line, uint64_t *begin, uint64_t *end)
{
	unsigned long long offset, inode;
	unsigned int major, minor;
	char flags[8];
	int length = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %llx %x:%x %llu%n", begin, end, flags,
		   &offset, &major, &minor, &inode, &length) != 7)
		return false;
	line += length;
	line += strspn(line, " ");
	return !strcmp(flags, "r--p") && !major && !minor && !inode && *end > *begin &&
	       (!*line || *line == '\n' || !strncmp(line, "[anon:hpheap]", 13));
}

/* The kernel may have joined it with a neighbour of the same kind. */
static void look_at_mapping(struct target *target, uint64_t begin, uint64_t end)
{
	struct hph_publication publication;
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned int pages;

	for (pages = 0; begin < end && pages < MOST_PAGES; begin += page, pages++)
		if (!target_read(target, begin, &publication, sizeof(publication)) &&
		    !memcmp(publication.magic, HPH_MAGIC, sizeof(publication.magic)) &&
		    publication.self == begin)
			take_publication(target, &publication);
}

static FILE *open_text(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (fd >= 0 && !file)
		close(fd);
	return file;
}

static int look_through(struct target *target, int dir)
{
	FILE *maps = open_text(dir, "maps");
	uint64_t begin, end;
	char *line = NULL;
	size_t room = 0;

	if (!maps)
		return -errno;
	while (getline(&line, &room, maps) > 0)
		if (is_candidate(line, &begin, &end))
			look_at_mapping(target, begin, end);
	free(line);
	fclose(maps);
	if (target->version[0] || target->layout)
		return -EPROTO;
	return target->libraries ? 0 : -ENODATA;
}

/* What a process that has just ended answers differs from file to file. */
static int plain_error(int error)
{
	switch (error) {
	case -ENOENT:
		return -ESRCH;
	case -EPERM:
		return -EACCES;
	default:
		return error;
	}
}

int target_open(struct target *target, pid_t pid)
{
	int dir = open(root_path("/proc/%d", pid), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error;

	*target = (struct target){ .pid = pid, .mem = -1 };
	if (dir < 0)
		return plain_error(-errno);
	take_command(open_text(dir, "comm"), target->command);
	target->mem = openat(dir, "mem", O_RDONLY | O_CLOEXEC);
	error = target->mem < 0 ? -errno : look_through(target, dir);
	close(dir);
	if (error)
		target_close(target);
	return plain_error(error);
}

void target_close(struct target *target)
{
	if (target->mem >= 0)
		close(target->mem);
	target->mem = -1;
}

static void complain_of_library(const struct target *target)
{
	if (target->word_bytes != sizeof(void *))
		complain("process %d is a %u-bit process: it takes a hpheapctl of %u bits",
			 target->pid, target->word_bytes * 8, target->word_bytes * 8);
	else
		complain("process %d has hpheap %.16s (layout %016" PRIx64 "), this is hpheapctl "
			 HPHEAPCTL_VERSION " (layout %016" PRIx64 "): use the one that came with "
			 "its library", target->pid, target->version, target->layout,
			 (uint64_t)HPH_LAYOUT);
}

void target_complain(const struct target *target, int error)
{
	switch (error) {
	case -ESRCH:
		complain("process %d: there is none, or it has just ended", target->pid);
		break;
	case -EACCES:
		complain("process %d: no right to read its memory; its user may, where "
			 "/proc/sys/kernel/yama/ptrace_scope is 0 or not there, and root",
			 target->pid);
		break;
	case -ENODATA:
		complain("process %d has no heap of hpheap", target->pid);
		break;
	case -EPROTO:
		complain_of_library(target);
		break;
	case -EFAULT:
		complain("process %d: what its heaps have written down makes no sense: they "
			 "changed too fast, or are damaged", target->pid);
		break;
	case -EFBIG:
		complain("process %d: its heaps have more addresses than can be drawn",
			 target->pid);
		break;
	default:
		complain("process %d: %s", target->pid, strerror(-error));
		break;
	}
}
