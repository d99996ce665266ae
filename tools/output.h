/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that is there whole or not at all.
 */
#ifndef HPHEAPCTL_OUTPUT_H
#define HPHEAPCTL_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct output {
	FILE *file;
	char path[PATH_MAX];
	char draft[PATH_MAX];	/* empty: what is there is no file, and written to directly */
};

/* 0 or a negative errno. */
int output_open(struct output *output, const char *path);

/* With @error 0 the file takes its name, else it goes. 0 or a negative errno, @error first. */
int output_close(struct output *output, int error);

#endif
