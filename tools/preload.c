// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Finding the library for LD_PRELOAD: see preload.h.
 */
#include "preload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define NAME		"libhpheap-malloc.so"
#define INSTALLED	HPHEAPCTL_LIBDIR "/" NAME

/* The folder of this program; false: it cannot be known. */
static bool own_folder(char folder[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX);

	if (length <= 0 || length == PATH_MAX)
		return false;
	while (length && folder[length] != '/')
		length--;
	folder[length] = '\0';
	return true;
}

/* @sub: below this program's folder. */
static bool find_near(const char *sub, char path[PATH_MAX])
{
	char folder[PATH_MAX], near[PATH_MAX];

	return own_folder(folder) &&
	       snprintf(near, sizeof(near), "%s/%s" NAME, folder, sub) < (int)sizeof(near) &&
	       realpath(near, path);
}

/* Where it was built; where both were installed, or moved to; where it was to be installed. */
static bool find(const char *given, char path[PATH_MAX])
{
	char folder[PATH_MAX];

	if (given) {
		if (realpath(given, path))
			return true;
		complain("%s: %s", given, strerror(errno));
		return false;
	}
	if (find_near("", path) || find_near("../lib/", path) || realpath(INSTALLED, path))
		return true;
	if (!own_folder(folder))
		strcpy(folder, "(hpheapctl's own folder)");
	complain("there is no %s/" NAME ", no %s/../lib/" NAME " and no " INSTALLED
		 "; --library tells where it is", folder, folder);
	return false;
}

bool preload_find(const char *given, char path[PATH_MAX], struct elf_file *library)
{
	int error;

	if (!find(given, path))
		return false;
	/* They end a name in LD_PRELOAD, or begin something that the loader replaces. */
	if (strpbrk(path, " :$")) {
		complain("'%s': LD_PRELOAD takes no name with a space, ':' or '$'", path);
		return false;
	}
	error = elf_read(path, library);
	if (error && error != -ENOEXEC && error != -EBADMSG) {
		complain("%s: %s", path, strerror(-error));
		return false;
	}
	if (error || library->type != ET_DYN) {
		complain("%s is no library that this system could load", path);
		return false;
	}
	return true;
}

int preload_set(const char *path)
{
	const char *before = getenv("LD_PRELOAD");
	char *list;
	int error;

	if (!before || !*before)
		return setenv("LD_PRELOAD", path, true) ? -errno : 0;
	if (asprintf(&list, "%s:%s", path, before) < 0)
		return -ENOMEM;
	error = setenv("LD_PRELOAD", list, true) ? -errno : 0;
	free(list);
	return error;
}
