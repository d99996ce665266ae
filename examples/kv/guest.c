// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The store as a test, for a system that has little more than a kernel: loads
 * what text there is, serves, shrinks, and must get every record back. Where
 * the device can be opened, the memory must come from it, all of it. Output is
 * KTAP, the exit status that of a kselftest: 0 passed, 1 failed, 4 skipped.
 *
 *   kv-guest [PATH]...    files and folders with text
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"
#include "text.h"

#define LIMIT_BYTES	((uint64_t)24 << 20)
#define REQUESTS	20000u
#define STATUS_SKIPPED	4

/* A kernel's names are always there; the others where a system has them. */
static const char *const usual_text[] = {
	"/proc/kallsyms", "/proc/zoneinfo", "/proc/vmstat", "/proc/meminfo", "/init", "/etc",
};

static unsigned int number, failures;

static bool check(bool passed, const char *what)
{
	printf("%s %u %s\n", passed ? "ok" : "not ok", ++number, what);
	failures += !passed;
	return passed;
}

static const char *device_path(void)
{
	const char *path = getenv("HPHEAP_DEVICE");

	return path && *path ? path : "/dev/hpheap";
}

static bool device_opens(void)
{
	int fd = open(device_path(), O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/*
 * The usual text again and again until there is enough for a heap of some huge
 * pages: under one more name, a file's records have keys of their own.
 */
static void collect(struct text *text, char **paths)
{
	static const char slashes[] = "////////////////";
	char path[64];
	uint64_t before;
	size_t i, reads;

	for (i = 0; paths[i]; i++)
		text_add(text, paths[i], LIMIT_BYTES);
	for (reads = 0; reads < sizeof(slashes); reads++) {
		before = text->bytes;
		for (i = 0; i < sizeof(usual_text) / sizeof(*usual_text); i++) {
			snprintf(path, sizeof(path), "%.*s%s", (int)reads, slashes, usual_text[i]);
			text_add(text, path, LIMIT_BYTES);
		}
		if (text->full || text->bytes == before)
			break;
	}
	text_number(text);
}

static void check_backend(const struct run_result *result)
{
	const char *wanted = getenv("HPHEAP_BACKEND");
	const struct memory_facts *facts = &result->facts;

	printf("# backend %s: %s\n", facts->backend, facts->reason);
	if (!device_opens() || (wanted && strcmp(wanted, "auto") && strcmp(wanted, "device"))) {
		printf("ok %u memory_comes_from_the_device # SKIP %s cannot be opened or is not wanted\n",
		       ++number, device_path());
		return;
	}
	check(!strcmp(facts->backend, "device") && facts->device_bytes && !facts->fallback_bytes,
	      "memory_comes_from_the_device");
}

int main(int argc, char **argv)
{
	struct text text = { 0 };
	const struct run_options options = {
		.memory = &memory_hpheap, .text = &text, .threads = 2, .requests = REQUESTS,
		.quiet = true,
	};
	struct run_result result;
	const double *metrics = result.metrics;

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("TAP version 13");
	collect(&text, argv + 1);
	if (text.records < options.threads) {
		puts("1..0 # SKIP no text to read");
		return STATUS_SKIPPED;
	}
	puts("1..3");
	printf("# %u records, %llu KiB of %zu files\n", text.records,
	       (unsigned long long)(text.bytes >> 10), text.count);
	if (!check(!run_store(&options, &result), "every_record_is_right_to_the_end"))
		printf("Bail out! the store does not run\n");
	if (failures)
		return 1;
	check_backend(&result);
	printf("# resident KiB: %.0f with all records, %.0f after deleting most, %.0f given back\n",
	       metrics[RESIDENT_FULL] / 1024, metrics[RESIDENT_SHRUNK] / 1024,
	       metrics[RESIDENT_RETURNED] / 1024);
	check(metrics[RESIDENT_RETURNED] < metrics[RESIDENT_FULL],
	      "what_is_given_back_leaves_the_process");
	text_destroy(&text);
	printf("# Totals: pass:%u fail:%u xfail:0 xpass:0 skip:0 error:0\n", number - failures,
	       failures);
	return failures ? 1 : 0;
}
