// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Limits of the calling process: see limits.h.
 */
#include "limits.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool has_ipc_lock(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}

static uint64_t limit_of(rlim_t value)
{
	return value == RLIM_INFINITY ? NO_LIMIT : value;
}

uint64_t limits_cgroup_room(const struct limits *limits)
{
	if (limits->cgroup_max == NO_LIMIT)
		return NO_LIMIT;
	return limits->cgroup_used < limits->cgroup_max ?
	       limits->cgroup_max - limits->cgroup_used : 0;
}

/*
 * Version 2 says "max" for no limit, version 1 a number near 2^63. A limit
 * above what the machine can have is none.
 */
static void apply_cgroup(struct limits *limits, const char *dir, bool v2)
{
	uint64_t max, used = 0;

	if (!root_number(&max, "%s/%s", dir, v2 ? "memory.max" : "memory.limit_in_bytes") ||
	    max >> 62)
		return;
	root_number(&used, "%s/%s", dir, v2 ? "memory.current" : "memory.usage_in_bytes");
	if ((used < max ? max - used : 0) >= limits_cgroup_room(limits))
		return;
	limits->cgroup_max = max;
	limits->cgroup_used = used;
}

/* A cgroup is bound by its own limit and by those of all above it. */
static void read_cgroup(struct limits *limits, const char *mount, const char *name, bool v2)
{
	char dir[ROOT_PATH];
	size_t end = strlen(mount);

	if ((size_t)snprintf(dir, sizeof(dir), "%s%s", mount, name) >= sizeof(dir))
		return;
	for (;;) {
		char *slash;

		apply_cgroup(limits, dir, v2);
		slash = strrchr(dir + end, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

/* Lines "ID:CONTROLLERS:PATH"; version 2 is ID 0 without controllers. */
static void find_cgroup(struct limits *limits)
{
	FILE *file = root_file("/proc/self/cgroup");
	char line[ROOT_PATH], *controllers, *name;

	limits->cgroup_max = NO_LIMIT;
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		bool v2;

		line[strcspn(line, "\n")] = '\0';
		controllers = strchr(line, ':');
		name = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!name)
			continue;
		*name++ = '\0';
		controllers++;
		v2 = !*controllers;
		if (!v2 && strcmp(controllers, "memory"))
			continue;
		/* In a mixed system version 1 has the memory controller: it wins. */
		if (v2 && *limits->cgroup)
			continue;
		strcpy(limits->cgroup, name);
		read_cgroup(limits, v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory", name, v2);
	}
	fclose(file);
}

/* The marks that container managers leave (systemd's container interface, others' habits). */
static bool in_container(void)
{
	return root_exists("/run/systemd/container") ||
	       root_exists("/run/host/container-manager") ||
	       root_exists("/.dockerenv") || root_exists("/run/.containerenv");
}

void limits_read(struct limits *limits)
{
	struct rlimit memlock = { RLIM_INFINITY, RLIM_INFINITY };

	memset(limits, 0, sizeof(*limits));
	getrlimit(RLIMIT_MEMLOCK, &memlock);
	limits->memlock = limit_of(memlock.rlim_cur);
	limits->memlock_hard = limit_of(memlock.rlim_max);
	limits->ipc_lock = has_ipc_lock();
	limits->container = in_container();
	find_cgroup(limits);
}
