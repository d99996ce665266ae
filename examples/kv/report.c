// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The report: one line for each metric, one column for each kind of memory,
 * medians over the rounds, and below it what the numbers do not say.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CELL_BYTES	24

static void format_time(char *cell, double ns)
{
	if (ns < 1e5)
		snprintf(cell, CELL_BYTES, "%.2f us", ns / 1e3);
	else if (ns < 1e9)
		snprintf(cell, CELL_BYTES, "%.2f ms", ns / 1e6);
	else
		snprintf(cell, CELL_BYTES, "%.2f s", ns / 1e9);
}

static void format_seconds(char *cell, double seconds)
{
	format_time(cell, seconds * 1e9);
}

static void format_bytes(char *cell, double bytes)
{
	snprintf(cell, CELL_BYTES, "%.1f MiB", bytes / (1 << 20));
}

static void format_share(char *cell, double share)
{
	snprintf(cell, CELL_BYTES, "%.1f %%", share * 100);
}

static void format_count(char *cell, double count)
{
	snprintf(cell, CELL_BYTES, "%.0f", count);
}

struct row {
	const char *head;	/* printed above */
	const char *label;
	enum metric metric;
	void (*format)(char *cell, double value);
};

static const struct row rows[] = {
	{ "latency of a get", "p50", GET_P50, format_time },
	{ NULL, "p99", GET_P99, format_time },
	{ NULL, "p99.9", GET_P999, format_time },
	{ NULL, "max", GET_MAX, format_time },
	{ "latency of a put or delete", "p50", WRITE_P50, format_time },
	{ NULL, "p99", WRITE_P99, format_time },
	{ NULL, "p99.9", WRITE_P999, format_time },
	{ NULL, "max", WRITE_MAX, format_time },
	{ "requests", "per second", REQUEST_RATE, format_count },
	{ NULL, "processor time each", REQUEST_CPU, format_seconds },
	{ "page faults", "loading, minor", LOAD_MINOR, format_count },
	{ NULL, "loading, major", LOAD_MAJOR, format_count },
	{ NULL, "serving, minor", SERVE_MINOR, format_count },
	{ NULL, "serving, major", SERVE_MAJOR, format_count },
	{ "huge pages", "share of the heap", HUGE_SHARE, format_share },
	{ NULL, "device chunks", DEVICE_BYTES, format_bytes },
	{ "resident memory of the process", "all records", RESIDENT_FULL, format_bytes },
	{ NULL, "most deleted", RESIDENT_SHRUNK, format_bytes },
	{ NULL, "given back", RESIDENT_RETURNED, format_bytes },
	{ "live records in it", "all records", LIVE_FULL, format_bytes },
	{ NULL, "most deleted", LIVE_SHRUNK, format_bytes },
	{ "duration", "loading", LOAD_SECONDS, format_seconds },
	{ NULL, "giving back", RETURN_SECONDS, format_seconds },
};

static int ascending(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(const struct report_column *column, unsigned int rounds, enum metric metric)
{
	double values[RUN_MAX_ROUNDS];
	unsigned int i;

	for (i = 0; i < rounds; i++)
		values[i] = column->results[i].metrics[metric];
	qsort(values, rounds, sizeof(*values), ascending);
	return (values[rounds / 2] + values[(rounds - 1) / 2]) / 2;
}

static void print_rows(const struct report *report)
{
	char cell[CELL_BYTES];
	unsigned int column;
	size_t i;

	printf("%-22s", "");
	for (column = 0; column < report->columns; column++)
		printf("%14s", report->column[column].memory->name);
	putchar('\n');
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].head)
			printf("%s\n", rows[i].head);
		printf("  %-20s", rows[i].label);
		for (column = 0; column < report->columns; column++) {
			rows[i].format(cell, median(&report->column[column], report->rounds,
						    rows[i].metric));
			printf("%14s", cell);
		}
		putchar('\n');
	}
}

/* The word in brackets of the kernel's THP setting. */
static void read_thp(char word[16])
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");

	snprintf(word, 16, "not there");
	if (!file)
		return;
	if (fscanf(file, "%*[^[][%15[^]]", word) != 1)
		snprintf(word, 16, "unknown");
	fclose(file);
}

static void print_head(const struct report *report)
{
	const struct text *text = report->options->text;
	double load = 0;
	char thp[16];
	struct utsname name;

	uname(&name);
	read_thp(thp);
	getloadavg(&load, 1);
	printf("\nhpheap-kv: an in-process key-value store on huge pages\n\n"
	       "%u records of real text, %.1f MiB of %zu files; %u requests from %u threads\n"
	       "(3 of 4 are gets; popularity like Zipf's, exponent 0.8); %u %s\n",
	       text->records, (double)text->bytes / (1 << 20), text->count,
	       report->options->requests, report->options->threads,
	       report->rounds, report->rounds == 1 ? "round" : "rounds, medians");
	printf("Linux %s %s, base page %ld KiB, transparent huge pages: %s; %ld CPUs, load %.1f\n\n",
	       name.release, name.machine, sysconf(_SC_PAGESIZE) >> 10, thp,
	       sysconf(_SC_NPROCESSORS_ONLN), load);
}

static void print_backends(const struct report *report)
{
	unsigned int column;

	printf("\nwhere the memory came from\n");
	for (column = 0; column < report->columns; column++) {
		const struct report_column *c = &report->column[column];
		const struct memory_facts *facts = &c->results[report->rounds - 1].facts;

		printf("  %s: %s (%s)\n", c->memory->name, facts->backend, facts->reason);
		if (facts->fallback_bytes)
			printf("  %.1f MiB of it fell back: the device had no more\n",
			       (double)facts->fallback_bytes / (1 << 20));
	}
}

static void print_picture(const struct report *report)
{
	unsigned int column;

	for (column = 0; column < report->columns && report->options->picture; column++)
		if (report->column[column].memory->draw)
			printf("\na picture of the heap with most records deleted, before memory "
			       "was given back\n  %s (for a browser)\n",
			       report->options->picture);
}

static void print_limits(const struct report *report)
{
	puts("\nhow to read it\n"
	     "  Each round is a process of its own, in turn. Free memory is touched before it: what a\n"
	     "  host has taken back would be measured otherwise. The store is the same code in each\n"
	     "  column and asks for blocks of 64 KiB and its index; a program that allocates record by\n"
	     "  record would see other numbers, on either. What the texts need is reserved on hpheap\n"
	     "  before they are loaded; malloc cannot be told. Loading includes that.\n"
	     "  A latency is the time of one call as its caller sees it, the clock's included. p50 to\n"
	     "  p99.9 are true to 3 %; max, and requests per second, are what the machine's other work\n"
	     "  makes of them. Processor time includes the clients, who choose, check and time requests.\n"
	     "  Share of the heap: what smaps shows as mapped huge, of anonymous memory and arenas.\n"
	     "  Device chunks that take many entries (2 MiB where base pages are 16 or 64 KiB on arm64)\n"
	     "  do not show there, only in the line below.");
	printf("  Most deleted: %u of %u records, after which the store moves the others together.\n"
	       "  Given back: by hpheap_scavenge() and malloc_trim(). Resident is the whole process, the\n"
	       "  clients and their %.1f MiB of checksums as well.\n"
	       "  Every answer was checked, and every record after serving and at the end.\n",
	       RUN_KEEP - 1, RUN_KEEP,
	       report->options->text->records * sizeof(uint64_t) / (double)(1 << 20));
}

int report_print(const struct report *report)
{
	print_head(report);
	print_rows(report);
	print_backends(report);
	print_picture(report);
	print_limits(report);
	return fflush(stdout) || ferror(stdout) ? -1 : 0;
}
