// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hpheapctl map: a picture of the heaps of a process, as SVG, PNG or text.
 */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hpheap.h"
#include "map_text.h"
#include "output.h"
#include "text.h"

typedef int write_fn(const struct hph_picture *picture, FILE *file);

struct format {
	const char *suffix;
	write_fn *write;
};

static const struct format formats[] = {
	{ ".svg", hph_picture_svg },
	{ ".png", hph_picture_png },
	{ ".txt", map_text },
};

/* By the end of the file's name; NULL: it is none of them. */
static write_fn *format_of(const char *name)
{
	const char *suffix = strrchr(name, '.');
	size_t i;

	for (i = 0; suffix && i < sizeof(formats) / sizeof(*formats); i++)
		if (!strcmp(suffix, formats[i].suffix))
			return formats[i].write;
	return NULL;
}

/* A heap of our own, so that there is one: what units, legend and rights look like. */
static int make_heap(void)
{
	const struct hpheap_options own = { .size = sizeof(own) };
	struct hpheap *heap = hpheap_create(&own);

	if (heap && hpheap_span_alloc(heap, HPHEAP_HUGE_SIZE + HPHEAP_HUGE_SIZE / 3, 0, 0))
		return 0;
	complain("no heap can be made: %s", strerror(errno));
	return -1;
}

static int write_picture(const struct target *target, const struct heaps *heaps,
			 const struct options *options, write_fn *write)
{
	struct hph_picture picture = {
		.pid = target->pid, .heaps = heaps->heap, .count = heaps->count,
	};
	struct output output;
	int error;

	hph_picture_name(&picture, target->command);
	if (!options->output) {
		write(&picture, stdout);
		return STATUS_OK;	/* main() looks whether it came out */
	}
	error = output_open(&output, options->output);
	if (!error)
		error = output_close(&output, write(&picture, output.file));
	if (error)
		complain("cannot write %s: %s", options->output, strerror(-error));
	return error ? STATUS_BROKEN : STATUS_OK;
}

static int map_process(pid_t pid, const struct options *options, write_fn *write)
{
	struct target target;
	struct heaps heaps = { 0 };
	int error = target_open(&target, pid), status = STATUS_FAILED;

	if (!error)
		error = heaps_read(&target, &heaps);
	if (!error && !heaps.count)
		error = -ENODATA;	/* it had some */
	if (error)
		target_complain(&target, error);
	else
		status = write_picture(&target, &heaps, options, write);
	heaps_release(&heaps);
	target_close(&target);
	return status;
}

int cmd_map(const struct options *options, int argc, char **argv)
{
	write_fn *write = options->output ? format_of(options->output) : map_text;
	pid_t pid = getpid();

	if (options->self ? argc != 0 : argc != 1) {
		complain("map takes one process number, or --self");
		return STATUS_USAGE;
	}
	if (argc && !parse_pid(argv[0], &pid)) {
		complain("'%s' is no process number", argv[0]);
		return STATUS_USAGE;
	}
	if (!write) {
		complain("'%s' ends in none of .svg, .png and .txt", options->output);
		return STATUS_USAGE;
	}
	if (options->self && make_heap())
		return STATUS_FAILED;
	return map_process(pid, options, write);
}
