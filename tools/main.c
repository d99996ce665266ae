// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hpheapctl: look at, load and mend what hpheap needs from the system.
 *
 * The table of subcommands, their options and help. Each subcommand has a
 * file of its own; hpheapctl(1) is the manual.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "root.h"
#include "run.h"
#include "text.h"

/* What one device arena of the library takes. */
#define DEFAULT_SIZE ((uint64_t)64 << 20)
#define DEFAULT_DELAY_MS 2000
#define MAX_SIZE ((uint64_t)1 << 60)

struct command {
	const char *name;
	const char *arguments;	/* what follows the options, "" for nothing */
	/*
	 * The letters of those it takes besides -h and --root. A '+' in front: they end where its
	 * arguments begin, and --root is none of them.
	 */
	const char *options;
	const char *summary;
	const char *help;
	command_fn *run;
};

static const struct command commands[] = {
	{ "info", "", "j", "what this system offers",
	  "Prints the module, the device, chunk sizes, limits, huge page settings and\n"
	  "memory nodes of this system.\n"
	  "\n"
	  "Exit status: 0 printed; 2 wrong usage; 4 output not written.\n", cmd_info },
	{ "doctor", "", "js", "would the device be used here? if not, what mends it",
	  "Finds out, by doing it, whether a service started like this would get its\n"
	  "memory from the device; if not, names the one thing that is missing first and\n"
	  "the commands that mend it, and says what the fallback gives.\n"
	  "\n"
	  "Exit status: 0 the device is used; 1 only the fallback works; 2 wrong usage;\n"
	  "3 not even the fallback gives huge pages; 4 output not written.\n", cmd_doctor },
	{ "load", "[PARAMETER=VALUE]...", "", "load the module",
	  "Loads the module with the parameters given, such as max_bytes=8589934592 for at\n"
	  "most 8 GiB in all arenas. Parameters in /etc/modprobe.d count too.\n"
	  "\n"
	  "Exit status: 0 loaded, or was so already; 1 not loaded; 2 wrong usage.\n", cmd_load },
	{ "unload", "", "", "unload the module",
	  "Unloads the module. It stays while an arena lives: the processes that hold one\n"
	  "are named.\n"
	  "\n"
	  "Exit status: 0 unloaded, or was so already; 1 still loaded; 2 wrong usage.\n",
	  cmd_unload },
	{ "stat", "", "jp", "all arenas on the system, and who holds them",
	  "Lists every arena with its size, memory and the processes that have it open or\n"
	  "mapped, and the module's counters. Only root sees processes of other users.\n"
	  "\n"
	  "Exit status: 0 printed; 1 /proc, or the process asked for, cannot be looked into;\n"
	  "2 wrong usage; 4 output not written.\n",
	  cmd_stat },
	{ "map", "PID", "oS", "a picture of the heaps of a process",
	  "Draws the heaps that a process has with libhpheap, a cell for each huge unit of\n"
	  "2 MiB. It takes the process's own user, or root. Nothing is stopped for it: what\n"
	  "changes meanwhile may be drawn half changed.\n"
	  "\n"
	  "Exit status: 0 drawn; 1 no such process, no rights, or no heaps that this version\n"
	  "understands; 2 wrong usage; 4 output not written.\n", cmd_map },
	{ "top", "", "dnb", "processes with heaps and the device, live",
	  "Shows what the device has, and for each process with heaps: resident memory, live\n"
	  "and free bytes, purgeable bytes, share on huge pages, and how fast its scavenger\n"
	  "gives back. q or ^C ends it. Only root sees the processes of other users.\n"
	  "\n"
	  "Exit status: 0 ended; 1 /proc cannot be read; 2 wrong usage; 4 output not written.\n",
	  cmd_top },
	{ "run", "[--] PROGRAM [ARGUMENT]...", "+TY" RUN_SETTINGS,
	  "start a program, unchanged, with its malloc() on huge pages",
	  "Starts PROGRAM with libhpheap-malloc.so put in front of its libraries, so that its\n"
	  "malloc() takes memory from a heap of huge pages. It takes hpheapctl's place: its\n"
	  "signals, its input and output and its exit status are its own.\n"
	  "\n"
	  "Exit status: that of PROGRAM; 2 wrong usage; 125 the library cannot be put in front\n"
	  "of it, or is not there; 126 it cannot be executed; 127 it is not found.\n",
	  cmd_run },
};

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "root", required_argument, NULL, 'r' },
	{ "json", no_argument, NULL, 'j' },
	{ "size", required_argument, NULL, 's' },
	{ "pid", required_argument, NULL, 'p' },
	{ "output", required_argument, NULL, 'o' },
	{ "self", no_argument, NULL, 'S' },
	{ "delay", required_argument, NULL, 'd' },
	{ "count", required_argument, NULL, 'n' },
	{ "batch", no_argument, NULL, 'b' },
	{ "backend", required_argument, NULL, 'B' },
	{ "limit", required_argument, NULL, 'L' },
	{ "node", required_argument, NULL, 'N' },
	{ "fork", required_argument, NULL, 'K' },
	{ "efence", no_argument, NULL, 'E' },
	{ "scavenge", required_argument, NULL, 'G' },
	{ "stats", no_argument, NULL, 'T' },
	{ "library", required_argument, NULL, 'Y' },
	{ NULL, 0, NULL, 0 },
};

#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

void complain(const char *format, ...)
{
	va_list args;

	fputs("hpheapctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	putc('\n', stderr);
}

static void help_all(void)
{
	size_t i;

	fputs("Usage: hpheapctl COMMAND [OPTION]...\n"
	      "Look at, load and mend what hpheap, a heap of huge pages, needs.\n\n", stdout);
	for (i = 0; i < N_COMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\n"
	      "  --help     this text; hpheapctl COMMAND --help tells of one command\n"
	      "  --version  print the version\n"
	      "\n"
	      "The exit status is 2 for wrong usage, 4 when output could not be written;\n"
	      "the help of each command has the others. hpheapctl(1) is the manual.\n", stdout);
}

static bool ends_at_argument(const struct command *command)
{
	return *command->options == '+';
}

static void help_run(void)
{
	puts("      --backend=BACKEND  auto, device, thp or small\n"
	     "      --limit=SIZE    most memory: bytes, or with K, M, G, T\n"
	     "      --node=NODE     local, interleave, or the number of a memory node\n"
	     "      --fork=WAY      what a child has of the device's memory: cow, share, none\n"
	     "      --efence        a use of freed memory is a SIGSEGV at once\n"
	     "      --scavenge=POLICY  on, off, or NAME=NUMBER,... as in hpheap_set_policy(3)\n"
	     "      --stats         print on standard error what its heaps held at its end\n"
	     "      --library=FILE  this libhpheap-malloc.so, not that of hpheapctl's release");
}

static void help_command(const struct command *command)
{
	printf("Usage: hpheapctl %s [OPTION]...%s%s\n\n%s\n", command->name,
	       *command->arguments ? " " : "", command->arguments, command->help);
	if (strchr(command->options, 'j'))
		puts("  -j, --json      print JSON");
	if (strchr(command->options, 'p'))
		puts("  -p, --pid=PID   only arenas that this process holds");
	if (strchr(command->options, 's'))
		puts("  -s, --size=SIZE memory that the service wants: bytes, or with K, M, G, T;\n"
		     "                  64M when not given");
	if (strchr(command->options, 'o'))
		puts("  -o, --output=FILE  where to: FILE.svg, FILE.png or FILE.txt; without it\n"
		     "                  text on standard output\n"
		     "      --self      instead of PID: hpheapctl itself, with a small heap made\n"
		     "                  for it, to see what a picture looks like");
	if (strchr(command->options, 'd'))
		puts("  -d, --delay=SECONDS  from one refresh to the next, such as 0.5; 2 when\n"
		     "                  not given\n"
		     "  -n, --count=N   end after so many refreshes\n"
		     "  -b, --batch     plain text, all processes, no keys: for a pipe or a file");
	if (ends_at_argument(command))
		help_run();
	else
		puts("      --root=DIR  take /proc, /sys, /dev, /etc and /lib/modules from below "
		     "DIR");
	puts("  -h, --help      this text");
}

static int usage_error(const struct command *command)
{
	fprintf(stderr, "Try 'hpheapctl %s%s--help'.\n", command ? command->name : "",
		command ? " " : "");
	return STATUS_USAGE;
}

/* One option that @command takes; false after a complaint. */
static bool take_option(int letter, struct options *options)
{
	switch (letter) {
	case 'j':
		options->json = true;
		return true;
	case 'r':
		root_set(optarg);
		return true;
	case 's':
		if (parse_size(optarg, &options->size) && options->size &&
		    options->size <= MAX_SIZE)
			return true;
		complain("'%s' is no size: a number of bytes, or one with K, M, G or T", optarg);
		return false;
	case 'p':
		if (parse_pid(optarg, &options->pid))
			return true;
		complain("'%s' is no process number", optarg);
		return false;
	case 'o':
		options->output = optarg;
		return true;
	case 'S':
		return options->self = true;
	case 'b':
		return options->batch = true;
	case 'd':
		if (parse_seconds(optarg, &options->delay_ms))
			return true;
		complain("'%s' is no number of seconds from 0.1 to 86400", optarg);
		return false;
	case 'T':
		return options->stats = true;
	case 'Y':
		options->library = optarg;
		return true;
	case 'E':
		return run_setting(letter, "1");
	case 'n':
		if (parse_count(optarg, &options->count))
			return true;
		complain("'%s' is no number of refreshes", optarg);
		return false;
	default:
		return run_setting(letter, optarg);
	}
}

/* As it is written in full. */
static const char *option_name(int letter)
{
	const struct option *option = long_options;

	while (option->name && option->val != letter)
		option++;
	return option->name ? option->name : "?";
}

static bool takes(const struct command *command, int letter)
{
	return letter == 'r' ? !ends_at_argument(command) :
			       strchr(command->options, letter) != NULL;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct options options = { .size = DEFAULT_SIZE, .delay_ms = DEFAULT_DELAY_MS };
	const char *letters = ends_at_argument(command) ? "+h" : "hjs:p:o:d:n:b";
	int letter, status;

	optind = 0;
	while ((letter = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		if (letter == 'h') {
			help_command(command);
			return STATUS_OK;
		}
		if (letter == '?')
			return usage_error(command);
		if (!takes(command, letter)) {
			complain("%s takes no option '--%s'", command->name, option_name(letter));
			return usage_error(command);
		}
		if (!take_option(letter, &options))
			return usage_error(command);
	}
	if (optind < argc && !*command->arguments) {
		complain("%s takes no argument '%s'", command->name, argv[optind]);
		return usage_error(command);
	}
	status = command->run(&options, argc - optind, argv + optind);
	return status == STATUS_USAGE ? usage_error(command) : status;
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* Options before the command, then the command. */
static int run(int argc, char **argv)
{
	const struct command *command;
	int letter;

	while ((letter = getopt_long(argc, argv, "+hV", long_options, NULL)) != -1) {
		switch (letter) {
		case 'h':
			help_all();
			return STATUS_OK;
		case 'V':
			puts("hpheapctl " HPHEAPCTL_VERSION);
			return STATUS_OK;
		case '?':
			return usage_error(NULL);
		default:
			complain("an option of a command stands behind its name");
			return usage_error(NULL);
		}
	}
	if (optind >= argc) {
		complain("no command given");
		return usage_error(NULL);
	}
	command = find_command(argv[optind]);
	if (!command) {
		complain("there is no command '%s'", argv[optind]);
		return usage_error(NULL);
	}
	argv[optind] = argv[0];		/* getopt_long() puts it before what it complains about */
	return run_command(command, argc - optind, argv + optind);
}

/* What we open must not get the number of a closed standard stream. */
static void fill_standard_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDONLY);
}

int main(int argc, char **argv)
{
	int status;

	fill_standard_streams();
	status = run(argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		complain("cannot write the output: %s", strerror(errno));
		return STATUS_BROKEN;
	}
	return status;
}
