// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writing a file under another name first: see output.h.
 */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As open() would have made it. */
static void set_mode(int fd)
{
	const mode_t mask = umask(0);

	umask(mask);
	fchmod(fd, 0666 & ~mask);
}

static int open_draft(struct output *output)
{
	const int length = snprintf(output->draft, sizeof(output->draft), "%s.XXXXXX",
				    output->path);
	int fd, error;

	if (length >= (int)sizeof(output->draft))
		return -ENAMETOOLONG;
	fd = mkstemp(output->draft);
	if (fd < 0)
		return -errno;
	set_mode(fd);
	output->file = fdopen(fd, "w");
	if (output->file)
		return 0;
	error = -errno;
	close(fd);
	unlink(output->draft);
	return error;
}

int output_open(struct output *output, const char *path)
{
	struct stat st;

	*output = (struct output){ 0 };
	if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
		output->file = fopen(path, "we");
		return output->file ? 0 : -errno;
	}
	/* Where a link leads, so that the link stays. */
	if (!realpath(path, output->path)) {
		if (strlen(path) >= sizeof(output->path))
			return -ENAMETOOLONG;
		strcpy(output->path, path);
	}
	return open_draft(output);
}

int output_close(struct output *output, int error)
{
	if (fclose(output->file) && !error)
		error = -errno;
	if (!*output->draft)
		return error;
	if (!error && rename(output->draft, output->path))
		error = -errno;
	if (error)
		unlink(output->draft);
	return error;
}
