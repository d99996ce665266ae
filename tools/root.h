/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading /proc, /sys, /dev and the module directory below one root.
 *
 * The root is "" for the running system; hpheapctl --root DIR looks at
 * another one: the tree of a container, or a tree made for a test.
 */
#ifndef HPHEAPCTL_ROOT_H
#define HPHEAPCTL_ROOT_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#define ROOT_PRINTF __attribute__((format(printf, 1, 2)))

/* Room for a line of text out of /proc or /sys, and for a path. */
#define ROOT_LINE	256
#define ROOT_PATH	(PATH_MAX + ROOT_LINE)

/* And for a process's name. */
#define COMMAND_BYTES	64

/* A file system root, "" for the running system's own. */
void root_set(const char *dir);
bool root_is_other(void);

/* The path of a file below the root; valid until the next call. */
const char *root_path(const char *format, ...) ROOT_PRINTF;

FILE *root_file(const char *format, ...) ROOT_PRINTF;
DIR *root_dir(const char *format, ...) ROOT_PRINTF;
bool root_exists(const char *format, ...) ROOT_PRINTF;

/* The first line of a file without its end; false with errno, @line empty. */
bool root_line(char line[ROOT_LINE], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A decimal number that is all of a file's first line. */
bool root_number(uint64_t *value, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The word in brackets of "always [madvise] never"; false when there is none. */
bool root_choice(char word[ROOT_LINE], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Visits every process of /proc; -errno when they cannot be listed. */
int root_processes(void (*visit)(pid_t pid, void *arg), void *arg);

/* What a process calls itself, out of its "comm": any bytes. Closes it; NULL is "". */
void take_command(FILE *comm, char command[COMMAND_BYTES]);

#endif
