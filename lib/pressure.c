// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory pressure: threads have to wait for memory (PSI, Linux 4.20) because there is little.
 *
 * The kernel is told how long a wait is of interest, watches, and remembers it until
 * it is asked. Such triggers need CAP_SYS_RESOURCE before Linux 6.4; where they cannot
 * be had there are none, and the limits of the cgroup are what is left to go by.
 *
 * Threads also wait where memory is plenty: for huge pages, while others are moved out of the
 * way (mm/compaction.c), and in other cgroups, at their limits. What a heap gave back for
 * that it would have to fetch again, and wait the same way. So a wait is pressure only if pages are
 * being looked for to be reclaimed at that time: in the whole system (Linux leaves out of these
 * numbers of /proc/vmstat what it does for a cgroup's limit, mm/vmscan.c), or of the
 * process's own cgroup.
 */
#include "pressure.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"

#define PATH_BYTES	1200
#define TEXT_BYTES	8192	/* all counters of a system, or of a cgroup */

/* For so long a wait is remembered: the kernel tells of one that lasts as often. */
#define DOUBT_NS	INT64_C(2000000000)

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
	if (hph_cgroup_file(path, sizeof(path), "memory.pressure"))
		open_trigger(&pressure->triggers[1], path, ms);
}

/* Did threads wait since the last call? */
static bool has_stalled(struct hph_pressure *pressure)
{
	struct pollfd polled[HPH_TRIGGERS];
	bool stalled = false;
	unsigned int i;

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
		stalled |= (polled[i].revents & POLLPRI) != 0;
		/* Its cgroup is gone. */
		if (polled[i].revents & POLLERR && !(polled[i].revents & POLLPRI))
			hph_os_file_close(&pressure->triggers[i]);
	}
	return stalled;
}

/* The sum of what a file of counters says of pages looked at, and threads that did so. */
static uint64_t reclaimed_in(const char *path)
{
	static const char *const names[] = {
		"pgscan ", "pgscan_kswapd ", "pgscan_direct ", "allocstall",
	};
	char text[TEXT_BYTES];
	uint64_t sum = 0;
	const char *line;
	size_t i;

	if (hph_os_read_text(path, text, sizeof(text)))
		return 0;
	for (line = text; *line; line += strcspn(line, "\n"), line += *line != '\0')
		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strncmp(line, names[i], strlen(names[i])))
				sum += strtoull(line + strcspn(line, " \n"), NULL, 10);
	return sum;
}

static uint64_t reclaimed(void)
{
	char path[PATH_BYTES];
	uint64_t sum = reclaimed_in("/proc/vmstat");

	if (hph_cgroup_file(path, sizeof(path), "memory.stat"))
		sum += reclaimed_in(path);
	return sum;
}

enum hph_pressed hph_pressure_look(struct hph_pressure *pressure, unsigned int ms, int64_t now)
{
	bool doubted, stalled;
	uint64_t count;

	if (pressure->ms != ms)
		set_up(pressure, ms);
	if (!ms)
		return HPH_CALM;
	doubted = pressure->doubt != 0;
	stalled = has_stalled(pressure);
	if (!doubted && !stalled)
		return HPH_CALM;
	count = reclaimed();
	if (doubted && count > pressure->reclaimed) {
		pressure->doubt = 0;
		return HPH_PRESSED;
	}
	pressure->reclaimed = count;
	if (stalled)
		pressure->doubt = now + DOUBT_NS;
	else if (now > pressure->doubt)
		pressure->doubt = 0;
	return pressure->doubt ? HPH_STALLED : HPH_CALM;
}

void hph_pressure_close(struct hph_pressure *pressure)
{
	unsigned int i;

	for (i = 0; pressure->ms && i < HPH_TRIGGERS; i++)
		if (pressure->triggers[i].fd >= 0)
			hph_os_file_close(&pressure->triggers[i]);
	pressure->ms = 0;
	pressure->doubt = 0;
}
