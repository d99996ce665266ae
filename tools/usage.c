// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Looking for processes with heaps: see usage.h.
 */
#include "usage.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "heaps.h"
#include "root.h"
#include "text.h"

static bool in_ranges(const struct sums *sums, uint64_t address)
{
	size_t i;

	for (i = 0; i < sums->ranges; i++)
		if (address >= sums->range[i].first && address < sums->range[i].end)
			return true;
	return false;
}

/* "BEGIN-END ..." of a mapping, then lines "Name:   N kB". */
static void take_line(struct usage *usage, const struct sums *sums, const char *line, bool *ours)
{
	uint64_t begin, kib;
	char name[32];

	if (sscanf(line, "%31[A-Za-z_]: %" SCNu64 " kB", name, &kib) == 2) {
		if (*ours && !strcmp(name, "Rss"))
			usage->resident_bytes += kib << 10;
		else if (*ours && (!strcmp(name, "AnonHugePages") ||
				   !strcmp(name, "FilePmdMapped")))
			usage->huge_bytes += kib << 10;
	} else if (sscanf(line, "%" SCNx64 "-%*x ", &begin) == 1 && strchr(line, '-')) {
		*ours = in_ranges(sums, begin);
	}
}

static int read_smaps(struct usage *usage, const struct sums *sums)
{
	FILE *file = root_file("/proc/%d/smaps", usage->pid);
	char *line = NULL;
	bool ours = false;
	size_t room = 0;

	if (!file)
		return -errno;
	while (getline(&line, &room, file) > 0)
		take_line(usage, sums, line, &ours);
	free(line);
	fclose(file);
	return 0;
}

int usage_read(struct usage *usage, const struct target *target)
{
	struct sums sums;
	int error = sums_read(target, &sums);

	*usage = (struct usage){
		.pid = target->pid, .self = target->self[0], .rate = UNKNOWN,
		.heaps = sums.heaps, .backends = sums.backends,
		.live_bytes = sums.live, .free_bytes = sums.free,
		.committed_bytes = sums.committed, .peak_bytes = sums.peak,
		.purgeable_bytes = sums.purgeable, .scavenged_bytes = sums.scavenged,
	};
	memcpy(usage->command, target->command, sizeof(usage->command));
	make_printable(usage->command);
	if (!error && sums.heaps)
		error = read_smaps(usage, &sums);
	sums_release(&sums);
	return error;
}

static void take_process(struct usages *usages, const struct target *target)
{
	struct usage usage;
	int error = usage_read(&usage, target);

	if (!error && usage.heaps) {
		usages->usage = grow_array(usages->usage, usages->count, sizeof(usage));
		usages->usage[usages->count++] = usage;
	} else if (error && error != -ESRCH && error != -ENOENT) {
		usages->unclear++;
	}
}

static void look_into(pid_t pid, void *arg)
{
	struct usages *usages = arg;
	struct target target;
	int error = target_open(&target, pid);

	if (!error)
		take_process(usages, &target);
	else if (error == -EACCES)
		usages->hidden++;
	else if (error == -EPROTO)
		usages->foreign++;
	target_close(&target);
}

static int larger(const void *a, const void *b)
{
	const struct usage *x = a, *y = b;

	if (x->resident_bytes != y->resident_bytes)
		return x->resident_bytes < y->resident_bytes ? 1 : -1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

int usages_read(struct usages *usages)
{
	int error;

	*usages = (struct usages){ 0 };
	error = root_processes(look_into, usages);
	if (usages->count)
		qsort(usages->usage, usages->count, sizeof(*usages->usage), larger);
	return error;
}

void usages_release(struct usages *usages)
{
	free(usages->usage);
	*usages = (struct usages){ 0 };
}

static const struct usage *find(const struct usages *usages, const struct usage *wanted)
{
	size_t i;

	for (i = 0; i < usages->count; i++)
		if (usages->usage[i].pid == wanted->pid && usages->usage[i].self == wanted->self)
			return &usages->usage[i];
	return NULL;
}

/* What was scavenged goes with its heap: less than before is no rate. */
void usages_compare(struct usages *now, const struct usages *before, uint64_t ns)
{
	size_t i;

	for (i = 0; i < now->count && ns; i++) {
		struct usage *usage = &now->usage[i];
		const struct usage *last = find(before, usage);
		uint64_t bytes = 0;

		if (!last)
			continue;
		if (usage->scavenged_bytes > last->scavenged_bytes)
			bytes = usage->scavenged_bytes - last->scavenged_bytes;
		usage->rate = (uint64_t)((double)bytes * 1e9 / (double)ns);
	}
}
