// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hpheapctl run: an unchanged program on the heap of huge pages.
 *
 * The program takes hpheapctl's place, so that it is to all others as if it had been started
 * without: see observe.c for how its numbers are had all the same. Nothing is printed on
 * standard output, which is the program's.
 */
#include "ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "observe.h"
#include "preload.h"
#include "program.h"

/* Without the device nothing could be allocated, and the program would hardly tell why. */
static bool has_backend(void)
{
	const char *backend = secure_getenv("HPHEAP_BACKEND");
	static struct device device;
	bool usable;

	if (!backend || strcmp(backend, "device"))
		return true;
	device_open(&device);
	usable = device_usable(&device);
	if (!usable)
		complain("the device %s cannot be used (%s), and nothing else is allowed; "
			 "'hpheapctl doctor' tells more", device.name,
			 strerror(device.open_error ? device.open_error :
				  device.info_error ? device.info_error : EPROTO));
	device_close(&device);
	return usable;
}

/* Comes back only with the status that says why the program did not start. */
static int start(const char *path, char **argv, bool watched)
{
	int status;

	/* It has a slash: nothing is searched. What has no known format is the shell's. */
	execvp(path, argv);
	complain("%s: %s", path, strerror(errno));
	status = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
	if (watched)
		_exit(status);	/* nothing that wants to trace this process itself */
	return status;
}

int cmd_run(const struct options *options, int argc, char **argv)
{
	static char library[PATH_MAX], program[PATH_MAX];
	static struct elf_file elf;
	int status, error;

	if (!argc) {
		complain("run takes a program");
		return STATUS_USAGE;
	}
	if (!preload_find(options->library, library, &elf) || !has_backend())
		return STATUS_CANNOT_RUN;
	status = program_find(argv[0], program);
	if (!status)
		status = program_check(program, &elf);
	if (status)
		return status;
	error = preload_set(library);
	if (error) {
		complain("%s", strerror(-error));
		return STATUS_CANNOT_RUN;
	}
	return start(program, argv, options->stats && observe_end());
}
