/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_CGROUP_H
#define HPH_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How near the process's memory cgroup is to a limit. */
struct hph_cgroup {
	uint64_t excess;	/* bytes that should go, if there is less left than shall be */
	int64_t room;		/* bytes before that is so; INT64_MAX: there is no limit */
	bool near;		/* half of a limit is in use */
};

/* @headroom: of a limit, percent that shall be left. */
void hph_cgroup_read(struct hph_cgroup *cgroup, unsigned int headroom);

/* The path of a file of it; false: memory is not counted there, as at the system's root. */
bool hph_cgroup_file(char *path, size_t size, const char *name);

#endif /* HPH_CGROUP_H */
