// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hpheapctl top: what the device and the processes with heaps have, live.
 */
#include "ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "counters.h"
#include "screen.h"
#include "text.h"
#include "usage.h"

/* Lines of a refresh, as far as there is room for them. */
struct page {
	unsigned int rows, columns;	/* 0 rows: any number */
	unsigned int row;
};

static uint64_t nanoseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* One line, cut to the screen's width; the rest of what was there before goes. */
__attribute__((format(printf, 2, 3)))
static void print_line(struct page *page, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (!page->rows) {
		puts(line);
		return;
	}
	if (page->row == page->rows)
		return;
	/* No line's end behind the last: that would move all of them up. */
	printf("%s%.*s\033[K", page->row++ ? "\n" : "", (int)page->columns, line);
}

static struct size_text size_or_dash(uint64_t bytes)
{
	struct size_text dash = { "-" };

	return bytes == UNKNOWN ? dash : size_text(bytes);
}

static void print_pool(struct page *page)
{
	struct counter_nodes nodes;
	char line[400] = "";
	size_t i, length = 0;

	counter_nodes(&nodes);
	for (i = 0; i < nodes.count && length < sizeof(line) - 48; i++)
		length += (size_t)snprintf(line + length, sizeof(line) - length,
					   "%s node %" PRIu64 ": %s", i ? "," : ";",
					   nodes.node[i].node, size_text(nodes.node[i].bytes).text);
	print_line(page, "pool    %s%s; %s chunk%s came from it",
		   size_or_unknown(counter("pool_bytes")).text, line,
		   number_or_unknown(counter("pool_hits")).text, plural(counter("pool_hits"), "s"));
}

static void print_device(struct page *page)
{
	if (counter("arenas") == UNKNOWN) {
		print_line(page, "device  the module is not loaded");
		return;
	}
	print_line(page, "device  %" PRIu64 " arena%s: %s reserved, %s resident, %s purgeable",
		   counter("arenas"), plural(counter("arenas"), "s"),
		   size_or_unknown(counter("reserved_bytes")).text,
		   size_or_unknown(counter("resident_bytes")).text,
		   size_or_unknown(counter("purgeable_bytes")).text);
	if (counter("pool_bytes") != UNKNOWN)
		print_pool(page);
}

static void print_sums(struct page *page, const struct usages *usages)
{
	uint64_t heaps = 0, resident = 0, live = 0, spare = 0, huge = 0;
	size_t i;

	for (i = 0; i < usages->count; i++) {
		const struct usage *usage = &usages->usage[i];

		heaps += usage->heaps;
		resident += usage->resident_bytes;
		live += usage->live_bytes;
		spare += usage->free_bytes;
		huge += usage->huge_bytes;
	}
	print_line(page, "heaps   %" PRIu64 " in %zu process%s: %s resident, %s live, %s free, "
		   "%u %% huge", heaps, usages->count, plural(usages->count, "es"),
		   size_text(resident).text, size_text(live).text, size_text(spare).text,
		   percent(huge, resident));
	if (usages->hidden)
		print_line(page, "hidden  %" PRIu64 " process%s could not be looked into%s",
			   usages->hidden, plural(usages->hidden, "es"),
			   geteuid() ? "; root can" : "");
	if (usages->foreign)
		print_line(page, "hidden  %" PRIu64 " process%s with another version of the "
			   "library (hpheapctl map says which)", usages->foreign,
			   plural(usages->foreign, "es"));
	if (usages->unclear)
		print_line(page, "hidden  %" PRIu64 " process%s whose heaps changed too fast",
			   usages->unclear, plural(usages->unclear, "es"));
}

static void print_usage(struct page *page, const struct usage *usage)
{
	char rate[40] = "-", huge[16] = "-";

	if (usage->rate != UNKNOWN)
		snprintf(rate, sizeof(rate), "%s", size_text(usage->rate).text);
	if (usage->resident_bytes)
		snprintf(huge, sizeof(huge), "%u %%",
			 percent(usage->huge_bytes, usage->resident_bytes));
	print_line(page, "%8d %-15.15s %5" PRIu64 " %10s %10s %10s %10s %6s %10s", usage->pid,
		   usage->command, usage->heaps, size_text(usage->resident_bytes).text,
		   size_text(usage->live_bytes).text, size_text(usage->free_bytes).text,
		   size_or_dash(usage->purgeable_bytes).text, huge, rate);
}

static void print_time(struct page *page, const struct options *options)
{
	const time_t seconds = time(NULL);
	struct tm tm;
	char text[16] = "";

	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	print_line(page, "hpheapctl top  %s, every %" PRIu64 ".%" PRIu64 " s%s", text,
		   options->delay_ms / 1000, options->delay_ms % 1000 / 100,
		   page->rows ? "; q ends it" : "");
}

static void print_page(struct page *page, const struct usages *usages,
		       const struct options *options)
{
	size_t i, room;

	print_time(page, options);
	print_device(page);
	print_sums(page, usages);
	print_line(page, "%s", "");
	print_line(page, "%8s %-15s %5s %10s %10s %10s %10s %6s %10s", "PID", "NAME", "HEAPS",
		   "RESIDENT", "LIVE", "FREE", "PURGEABLE", "HUGE", "GIVEN/S");
	for (i = 0; i < usages->count; i++) {
		room = page->rows - page->row;
		if (page->rows && room <= 1 && usages->count - i > 1)
			break;
		print_usage(page, &usages->usage[i]);
	}
	if (i < usages->count)
		print_line(page, "and %zu more", usages->count - i);
}

static void refresh(const struct usages *usages, const struct options *options, bool terminal)
{
	struct page page = { 0 };

	if (terminal) {
		screen_size(&page.rows, &page.columns);
		fputs("\033[H", stdout);
	}
	print_page(&page, usages, options);
	fputs(terminal ? "\033[J" : "\n", stdout);
	fflush(stdout);
}

/* Until the time is over, or somebody ends it; meanwhile it is redrawn when need be. */
static bool wait_for_next(const struct usages *usages, const struct options *options,
			  bool terminal, uint64_t next)
{
	enum screen_event event;
	uint64_t now;

	do {
		now = nanoseconds();
		event = screen_wait(now < next ? next - now : 0);
		if (event == SCREEN_RESIZED)
			refresh(usages, options, terminal);
	} while (event == SCREEN_RESIZED);
	return event == SCREEN_TIME;
}

static int show(const struct options *options, bool terminal)
{
	struct usages before = { 0 }, now = { 0 };
	uint64_t time, last = 0, rounds = 0;
	bool go_on = true;
	int error;

	while (go_on) {
		error = usages_read(&now);
		if (error)
			break;
		time = nanoseconds();
		usages_compare(&now, &before, time - last);
		refresh(&now, options, terminal);
		usages_release(&before);
		before = now;
		last = time;
		go_on = !ferror(stdout) && ++rounds != options->count &&
			wait_for_next(&before, options, terminal,
				      time + options->delay_ms * 1000000);
	}
	usages_release(&before);
	return error;
}

int cmd_top(const struct options *options, int argc, char **argv)
{
	const bool terminal = !options->batch && isatty(STDOUT_FILENO);
	int error;

	(void)argc;
	(void)argv;
	screen_begin(terminal);
	error = show(options, terminal);
	screen_end();
	if (error)
		complain("cannot read /proc: %s", strerror(-error));
	return error ? STATUS_FAILED : STATUS_OK;
}
