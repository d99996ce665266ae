/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory cgroups of a test's own, below the root of the version 2 hierarchy.
 * To be included after system.h.
 */
#ifndef SELFTESTS_ARENA_CGROUP_H
#define SELFTESTS_ARENA_CGROUP_H

#include <mntent.h>
#include <sys/stat.h>

struct cgroup {
	char path[256];
};

/* Where cgroup2 is mounted; NULL: nowhere. */
static inline const char *cgroup_root(void)
{
	static char root[128];
	struct mntent *entry;
	FILE *mounts;

	if (root[0])
		return root;
	mounts = setmntent("/proc/self/mounts", "re");
	while (mounts && (entry = getmntent(mounts)))
		if (!strcmp(entry->mnt_type, "cgroup2"))
			snprintf(root, sizeof(root), "%s", entry->mnt_dir);
	if (mounts)
		endmntent(mounts);
	return root[0] ? root : NULL;
}

static inline int cgroup_write(const struct cgroup *cgroup, const char *file, const char *text)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/%s", cgroup->path, file);
	return write_file(path, text);
}

/* A number of a file of the cgroup: its only one, or that of the line @key. */
static inline long long cgroup_read(const struct cgroup *cgroup, const char *file,
				    const char *key)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/%s", cgroup->path, file);
	return value_of(path, key);
}

/* Returns NULL, or why there can be none. */
static inline const char *cgroup_new(struct cgroup *cgroup, const char *name)
{
	char control[192];

	if (geteuid())
		return "only root may make a cgroup";
	if (!cgroup_root())
		return "no cgroup2 hierarchy is mounted";
	snprintf(control, sizeof(control), "%s/cgroup.subtree_control", cgroup_root());
	write_file(control, "+memory");
	snprintf(cgroup->path, sizeof(cgroup->path), "%s/hpheap-test-%s-%d", cgroup_root(), name,
		 getpid());
	if (mkdir(cgroup->path, 0755))
		return "a cgroup cannot be made";
	if (cgroup_read(cgroup, "memory.current", "") < 0) {
		rmdir(cgroup->path);
		return "the memory controller is not in the cgroup2 hierarchy";
	}
	return NULL;
}

/* For a test that needs one. */
#define NEW_CGROUP(cgroup, name) do {						\
	const char *why_none = cgroup_new(cgroup, name);			\
										\
	if (why_none)								\
		SKIP(return, "%s", why_none);					\
} while (0)

static inline int cgroup_enter(const struct cgroup *cgroup)
{
	return cgroup_write(cgroup, "cgroup.procs", "0");
}

static inline int cgroup_leave(void)
{
	struct cgroup root;

	snprintf(root.path, sizeof(root.path), "%s", cgroup_root());
	return cgroup_enter(&root);
}

static inline int cgroup_limit(const struct cgroup *cgroup, uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	return cgroup_write(cgroup, "memory.max", text);
}

static inline long long cgroup_current(const struct cgroup *cgroup)
{
	return cgroup_read(cgroup, "memory.current", "");
}

/* Processes that just ended keep it busy for a moment. */
static inline bool cgroup_remove(const struct cgroup *cgroup)
{
	return eventually(!rmdir(cgroup->path));
}

#endif /* SELFTESTS_ARENA_CGROUP_H */
