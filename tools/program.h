/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The program that run starts: where it is, and whether a library can be put in front of it.
 */
#ifndef HPHEAPCTL_PROGRAM_H
#define HPHEAPCTL_PROGRAM_H

#include <limits.h>

#include "elf_file.h"

/* Both return STATUS_OK, or the exit status that says why not, after a complaint. */

/* The file that @name means, as a shell finds it. */
int program_find(const char *name, char path[PATH_MAX]);

/* Does the loader heed LD_PRELOAD for it, and can it load a @library of that kind? */
int program_check(const char *path, const struct elf_file *library);

#endif
