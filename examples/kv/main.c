// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hpheap-kv: runs the store on hpheap and on plain malloc, each round in a
 * process of its own, and prints both side by side.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hpheap.h"
#include "report.h"
#include "run.h"
#include "system.h"
#include "text.h"

enum {
	STATUS_FAILED = 1,	/* wrong data, no memory, nothing to read */
	STATUS_USAGE = 2,
};

/* Where a Debian system has text: dictionary, package database, documentation, headers. */
static const char *const system_text[] = {
	"/usr/share/dict", "/var/lib/dpkg", "/usr/share/doc", "/usr/include",
	"/usr/share/perl", "/usr/lib/python3", "/usr/share", "/usr/src",
};

struct settings {
	struct run_options run;
	const struct memory *memory;	/* NULL: both */
	unsigned int rounds;
	unsigned int seconds;		/* after which no round begins */
	uint64_t limit;			/* bytes of text */
	bool only;			/* what the arguments name, not the system's text */
};

static void usage(FILE *stream)
{
	fprintf(stream,
"usage: hpheap-kv [OPTION]... [PATH]...\n"
"Loads text into an in-process key-value store, serves requests, deletes most of\n"
"it and gives memory back: on hpheap and on plain malloc, side by side.\n"
"Text comes from each PATH (file or folder), then from where the system has it.\n"
"\n"
"  -m, --memory=hpheap|malloc  one of them only\n"
"  -l, --limit=MIB             at most so much text (192)\n"
"  -n, --requests=N            in each round (2000000)\n"
"  -t, --threads=N             that send them (2)\n"
"  -r, --rounds=N              of each (5)\n"
"  -s, --seconds=N             begin no further round after so long (45)\n"
"  -p, --picture=FILE          writes one of hpheap's heap, as SVG, before memory goes back\n"
"  -o, --only                  nothing but the PATHs\n"
"  -q, --quiet                 no progress on stderr\n"
"      --damage                spoil a record: the run must fail (for tests)\n"
"  -h, --help\n"
"  -V, --version\n"
"\n"
"HPHEAP_BACKEND and the other variables of hpheap(7) say which memory hpheap takes.\n"
"Exit status: 0 all data were right, 1 not or no memory, 2 usage.\n");
}

static bool parse_number(const char *text, unsigned long max, unsigned int *number)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < 1 || value > max)
		return false;
	*number = (unsigned int)value;
	return true;
}

static bool parse_memory(const char *text, const struct memory **memory)
{
	if (!strcmp(text, "hpheap"))
		*memory = &memory_hpheap;
	else if (!strcmp(text, "malloc"))
		*memory = &memory_malloc;
	else
		return false;
	return true;
}

static const struct option options[] = {
	{ "memory", required_argument, NULL, 'm' },
	{ "limit", required_argument, NULL, 'l' },
	{ "requests", required_argument, NULL, 'n' },
	{ "threads", required_argument, NULL, 't' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "seconds", required_argument, NULL, 's' },
	{ "picture", required_argument, NULL, 'p' },
	{ "only", no_argument, NULL, 'o' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "damage", no_argument, NULL, 'D' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* false: @option's value is wrong */
static bool set(struct settings *settings, int option, const char *value)
{
	unsigned int mib;

	switch (option) {
	case 'm':
		return parse_memory(value, &settings->memory);
	case 'l':
		if (!parse_number(value, sizeof(void *) == 8 ? 1 << 20 : 1 << 10, &mib))
			return false;
		settings->limit = (uint64_t)mib << 20;
		return true;
	case 'n':
		return parse_number(value, 1000000000, &settings->run.requests);
	case 't':
		return parse_number(value, 64, &settings->run.threads);
	case 'r':
		return parse_number(value, RUN_MAX_ROUNDS, &settings->rounds);
	case 's':
		return parse_number(value, 1000000, &settings->seconds);
	case 'p':
		settings->run.picture = value;
		return *value;
	case 'o':
		return settings->only = true;
	case 'q':
		return settings->run.quiet = true;
	default:
		return settings->run.damage = true;
	}
}

/* Returns an exit status, or -1 to go on. */
static int parse(struct settings *settings, int argc, char **argv)
{
	int option, which;

	while ((option = getopt_long(argc, argv, "m:l:n:t:r:s:p:oqhV", options, &which)) >= 0) {
		switch (option) {
		case 'h':
			usage(stdout);
			return fflush(stdout) ? STATUS_FAILED : 0;
		case 'V':
			printf("hpheap-kv %s\n", HPHEAP_VERSION);
			return fflush(stdout) ? STATUS_FAILED : 0;
		case '?':
			fprintf(stderr, "try hpheap-kv --help\n");
			return STATUS_USAGE;
		}
		if (!set(settings, option, optarg)) {
			fprintf(stderr, "hpheap-kv: -%c: wrong value '%s'; try --help\n", option,
				optarg);
			return STATUS_USAGE;
		}
	}
	if (settings->only && optind == argc) {
		fprintf(stderr, "hpheap-kv: --only needs a PATH; try --help\n");
		return STATUS_USAGE;
	}
	return -1;
}

static int add(const struct settings *settings, struct text *text, const char *path)
{
	uint64_t before = text->bytes;
	int ret = text_add(text, path, settings->limit);

	if (!settings->run.quiet && text->bytes > before)
		fprintf(stderr, "reading %s: %llu KiB of text\n", path,
			(unsigned long long)(text->bytes - before) >> 10);
	return ret;
}

static int collect(const struct settings *settings, char **paths, struct text *text)
{
	size_t i;
	int ret;

	for (; *paths; paths++) {
		ret = add(settings, text, *paths);
		if (ret) {
			fprintf(stderr, "hpheap-kv: %s: %s\n", *paths, strerror(-ret));
			return -1;
		}
	}
	/* Of the system's, what is there. */
	for (i = 0; i < sizeof(system_text) / sizeof(*system_text) && !settings->only; i++)
		add(settings, text, system_text[i]);
	text_number(text);
	if (text->records < settings->run.threads) {
		fprintf(stderr, "hpheap-kv: too little text: %u records\n", text->records);
		return -1;
	}
	return 0;
}

_Static_assert(sizeof(struct run_result) <= PIPE_BUF, "a result passes a pipe in one piece");

static _Noreturn void run_child(const struct run_options *run, int pipe)
{
	static struct run_result result;
	int ret = run_store(run, &result);

	if (!ret && write(pipe, &result, sizeof(result)) != (ssize_t)sizeof(result)) {
		perror("hpheap-kv: passing the result on");
		ret = -1;
	}
	_exit(ret ? STATUS_FAILED : 0);
}

/* A run in a process of its own. */
static int run_apart(const struct run_options *run, struct run_result *result)
{
	int ends[2], status;
	bool got;
	pid_t pid;

	if (pipe(ends)) {
		perror("hpheap-kv: pipe");
		return -1;
	}
	fflush(NULL);
	pid = fork();
	if (!pid) {
		close(ends[0]);
		run_child(run, ends[1]);
	}
	close(ends[1]);
	/* So small a message comes whole, or not at all. */
	got = pid > 0 && read(ends[0], result, sizeof(*result)) == (ssize_t)sizeof(*result);
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("hpheap-kv: process");
		return -1;
	}
	if (WIFSIGNALED(status))
		fprintf(stderr, "\nhpheap-kv: the run on %s ended by signal %d\n",
			run->memory->name, WTERMSIG(status));
	return got && WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

/* One round: each column once, neither always first. */
static int run_round(const struct settings *settings, struct report *report,
		     struct run_result results[][RUN_MAX_ROUNDS])
{
	struct run_options run = *report->options;
	unsigned int turn, round = report->rounds;

	for (turn = 0; turn < report->columns; turn++) {
		unsigned int column = (turn + round) % report->columns;

		run.memory = report->column[column].memory;
		if (!run.quiet)
			fprintf(stderr, "round %u of %u, %s:", round + 1, settings->rounds,
				run.memory->name);
		if (run_apart(&run, &results[column][round]))
			return -1;
	}
	report->rounds++;
	return 0;
}

static int run_rounds(const struct settings *settings)
{
	static struct run_result results[2][RUN_MAX_ROUNDS];
	const uint64_t begin = system_nanoseconds();
	const uint64_t most = (uint64_t)settings->seconds * 1000000000;
	struct report report = { .options = &settings->run, .columns = 2,
		.column = { { &memory_hpheap, results[0] }, { &memory_malloc, results[1] } } };

	if (settings->memory) {
		report.columns = 1;
		report.column[0].memory = settings->memory;
	}
	do {
		if (run_round(settings, &report, results))
			return -1;
	} while (report.rounds < settings->rounds && system_nanoseconds() - begin < most);
	if (report_print(&report)) {
		perror("hpheap-kv: report");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.run = { .threads = 2, .requests = 2000000 },
		.rounds = 5, .seconds = 45, .limit = (uint64_t)192 << 20,
	};
	struct text text = { 0 };
	int ret = parse(&settings, argc, argv);

	if (ret >= 0)
		return ret;
	settings.run.text = &text;
	ret = collect(&settings, argv + optind, &text) || run_rounds(&settings);
	text_destroy(&text);
	return ret ? STATUS_FAILED : 0;
}
