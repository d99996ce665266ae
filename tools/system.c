// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading the whole system once, for info and doctor.
 */
#include "system.h"

#include <unistd.h>

int system_read(struct system *system)
{
	int err;

	system->base_page = (uint64_t)sysconf(_SC_PAGESIZE);
	err = module_read(&system->module);
	if (err)
		return err;
	device_open(&system->device);
	system->chunk_bytes = device_usable(&system->device) ?
			      system->device.info.default_chunk_bytes : HUGE_UNIT;
	limits_read(&system->limits);
	thp_read(&system->thp);
	nodes_read(&system->nodes, system->base_page, system->chunk_bytes);
	return 0;
}

void system_release(struct system *system)
{
	device_close(&system->device);
}
