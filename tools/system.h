/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that info and doctor know about this system.
 */
#ifndef HPHEAPCTL_SYSTEM_H
#define HPHEAPCTL_SYSTEM_H

#include "device.h"
#include "limits.h"
#include "module.h"
#include "nodes.h"
#include "thp.h"

/* The smallest chunk that any system has: what counts without a device to ask. */
#define HUGE_UNIT ((uint64_t)2 << 20)

#define SYSFS_DIR "/sys/class/misc/" HPHEAP_DEVICE_NAME
#define MAX_BYTES_PARAMETER "/sys/module/" HPHEAP_DEVICE_NAME "/parameters/max_bytes"

struct system {
	uint64_t base_page;
	uint64_t chunk_bytes;	/* the default chunk: what the library takes */
	struct module module;
	struct device device;
	struct limits limits;
	struct thp thp;
	struct nodes nodes;
};

/* Reads all; the device stays open until system_release(). 0 or a negative errno. */
int system_read(struct system *system);
void system_release(struct system *system);

#endif
