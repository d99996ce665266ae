/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The library that takes the place of malloc() in a program: where it is, and LD_PRELOAD.
 */
#ifndef HPHEAPCTL_PRELOAD_H
#define HPHEAPCTL_PRELOAD_H

#include <limits.h>

#include "elf_file.h"

/*
 * @given: the file, or NULL: beside this program, as it was built, or where it is installed.
 * False after a complaint.
 */
bool preload_find(const char *given, char path[PATH_MAX], struct elf_file *library);

/* Before what LD_PRELOAD names already. 0, or a negative errno. */
int preload_set(const char *path);

#endif
