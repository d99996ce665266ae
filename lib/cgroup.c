// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The memory cgroup (version 2) that the process is in, and those above it.
 *
 * Each has a limit at which the kernel slows the process down (memory.high) and one at
 * which it kills (memory.max); what is in use is memory.current, less the page cache
 * that nobody looked at for a while: that goes first and costs nothing. The narrowest
 * counts. All is read anew each time: limits change, and processes are moved.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "os.h"

#define PATH_BYTES	1024
#define TEXT_BYTES	8192	/* mount tables and statistics, as far as they are needed */

/* Where version 2 is mounted, without the last slash. */
static bool find_mount(char *path, size_t size)
{
	static const char usual[] = "/sys/fs/cgroup", unified[] = "/sys/fs/cgroup/unified";
	char text[64], file[64];
	size_t i;

	for (i = 0; i < 2; i++) {
		const char *mount = i ? unified : usual;

		snprintf(file, sizeof(file), "%s/cgroup.controllers", mount);
		if (hph_os_read_line(file, text, sizeof(text)))
			continue;
		snprintf(path, size, "%s", mount);
		return true;
	}
	return false;
}

/* The folder of the process's own cgroup; its first @mount bytes are where all begin. */
static bool find_folder(char *path, size_t size, size_t *mount)
{
	char text[TEXT_BYTES];
	const char *own;

	if (!find_mount(path, size) || hph_os_read_text("/proc/self/cgroup", text, sizeof(text)))
		return false;
	own = strncmp(text, "0::/", 4) ? strstr(text, "\n0::/") : text - 1;
	*mount = strlen(path);
	if (!own)
		return false;
	own += 4;
	snprintf(path + *mount, size - *mount, "%.*s", (int)strcspn(own, "\n"), own);
	if (path[strlen(path) - 1] == '/')
		path[strlen(path) - 1] = '\0';
	return true;
}

/* A number at the beginning of a text; false: there is none. */
static bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	*number = strtoull(text, &end, 10);
	return end != text;
}

/* A number of a cgroup's; false: it says "max", or nothing. */
static bool read_number(const char *folder, const char *name, uint64_t *number)
{
	char path[PATH_BYTES + 32], text[32];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return !hph_os_read_line(path, text, sizeof(text)) &&
	       parse_number(text, number);
}

static uint64_t inactive_file(const char *folder)
{
	char path[PATH_BYTES + 32], text[TEXT_BYTES];
	const char *line;
	uint64_t bytes;

	snprintf(path, sizeof(path), "%s/memory.stat", folder);
	if (hph_os_read_text(path, text, sizeof(text)))
		return 0;
	line = strstr(text, "\ninactive_file ");
	return line && parse_number(line + 15, &bytes) ? bytes : 0;
}

static void look_at(struct hph_cgroup *cgroup, const char *folder, unsigned int headroom)
{
	uint64_t limit = UINT64_MAX, left, high, used, cold;
	int64_t room;

	if (!read_number(folder, "memory.max", &limit))
		limit = UINT64_MAX;
	if (read_number(folder, "memory.high", &high) && high < limit)
		limit = high;
	if (limit >= INT64_MAX || !read_number(folder, "memory.current", &used))
		return;
	left = limit / 100 * headroom;
	limit -= left;
	/* What is cold takes longer to be told: asked for where it matters. */
	if (used > limit / 2) {
		cold = inactive_file(folder);
		used -= cold < used ? cold : used;
	}
	cgroup->near |= used > limit / 2;
	room = (int64_t)limit - (int64_t)used;
	if (room < cgroup->room)
		cgroup->room = room;
	/* As much again goes with it, so that the next look is not too late. */
	if (room < 0 && (uint64_t)-room + left > cgroup->excess)
		cgroup->excess = (uint64_t)-room + left;
}

void hph_cgroup_read(struct hph_cgroup *cgroup, unsigned int headroom)
{
	char path[PATH_BYTES];
	size_t mount;

	*cgroup = (struct hph_cgroup){ .room = INT64_MAX };
	if (!find_folder(path, sizeof(path), &mount))
		return;
	/* Where it begins is a limited cgroup, too, in a container. */
	for (;;) {
		look_at(cgroup, path, headroom);
		if (strlen(path) <= mount)
			break;
		*strrchr(path, '/') = '\0';
	}
}

bool hph_cgroup_file(char *path, size_t size, const char *name)
{
	char folder[PATH_BYTES];
	uint64_t used;
	size_t mount;

	if (!find_folder(folder, sizeof(folder), &mount) ||
	    !read_number(folder, "memory.current", &used))
		return false;
	return (size_t)snprintf(path, size, "%s/%s", folder, name) < size;
}
