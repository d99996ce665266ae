// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory pressure: threads that have to wait for memory (PSI, Linux 4.20).
 *
 * The kernel is told how long a wait is of interest, watches, and remembers it until
 * it is asked. Such triggers need CAP_SYS_RESOURCE before Linux 6.4; where they cannot
 * be had there are none, and the limits of the cgroup are what is left to go by.
 */
#include "pressure.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"

#define PATH_BYTES	1200

static void open_trigger(struct hph_os_file *trigger, const char *path, unsigned int ms)
{
	char text[64];

	trigger->fd = -1;
	if (hph_os_file_open(trigger, path)) {
		trigger->fd = -1;
		return;
	}
	snprintf(text, sizeof(text), "some %u 2000000", ms * 1000);
	if (write(trigger->fd, text, strlen(text) + 1) < 0)
		hph_os_file_close(trigger);
}

static void set_up(struct hph_pressure *pressure, unsigned int ms)
{
	char path[PATH_BYTES];

	hph_pressure_close(pressure);
	pressure->ms = ms;
	if (!ms)
		return;
	open_trigger(&pressure->triggers[0], "/proc/pressure/memory", ms);
	pressure->triggers[1].fd = -1;
	if (hph_cgroup_pressure(path, sizeof(path)))
		open_trigger(&pressure->triggers[1], path, ms);
}

bool hph_pressure_rose(struct hph_pressure *pressure, unsigned int ms)
{
	struct pollfd polled[HPH_TRIGGERS];
	bool rose = false;
	unsigned int i;

	if (pressure->ms != ms)
		set_up(pressure, ms);
	if (!ms)
		return false;
	for (i = 0; i < HPH_TRIGGERS; i++) {
		struct hph_os_file *trigger = &pressure->triggers[i];

		/* Somebody may have closed it, and use the number. */
		if (trigger->fd >= 0 && !hph_os_file_valid(trigger))
			trigger->fd = -1;
		polled[i] = (struct pollfd){ .fd = trigger->fd, .events = POLLPRI };
	}
	if (poll(polled, HPH_TRIGGERS, 0) <= 0)
		return false;
	for (i = 0; i < HPH_TRIGGERS; i++) {
		rose |= (polled[i].revents & POLLPRI) != 0;
		/* Its cgroup is gone. */
		if (polled[i].revents & POLLERR && !(polled[i].revents & POLLPRI))
			hph_os_file_close(&pressure->triggers[i]);
	}
	return rose;
}

void hph_pressure_close(struct hph_pressure *pressure)
{
	unsigned int i;

	for (i = 0; pressure->ms && i < HPH_TRIGGERS; i++)
		if (pressure->triggers[i].fd >= 0)
			hph_os_file_close(&pressure->triggers[i]);
	pressure->ms = 0;
}
