// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Watching a process until its end: see observe.h.
 *
 * The process stays what it was to all others: it starts the program in its own place, and who
 * watches is a grandchild of it, which it never hears of. So nobody has to pass on signals,
 * stops or an exit status, and a watcher that is killed leaves the program running.
 *
 * The watcher traces only the first thread, and has it stopped only by a signal to it, at exec
 * and when it ends. Then the memory is still there; whoever waits for the process waits until
 * the watcher has said what was in it.
 */
#include "observe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include "hpheap.h"
#include "picture.h"
#include "text.h"
#include "usage.h"

static void print_backends(const struct usage *usage)
{
	uint32_t backend;
	const char *separator = "  backend     ";

	for (backend = HPHEAP_BACKEND_DEVICE; backend <= HPHEAP_BACKEND_SMALL; backend++) {
		if (!(usage->backends & 1u << backend))
			continue;
		fprintf(stderr, "%s%s", separator, hph_backend_name(backend));
		separator = ", ";
	}
	putc('\n', stderr);
}

static void print_usage(const struct usage *usage)
{
	fprintf(stderr, "hpheapctl: %s (process %d) at its end, %" PRIu64 " heap%s:\n",
		usage->command, usage->pid, usage->heaps, plural(usage->heaps, "s"));
	print_backends(usage);
	fprintf(stderr, "  peak        %s\n", size_text(usage->peak_bytes).text);
	fprintf(stderr, "  committed   %s\n", size_text(usage->committed_bytes).text);
	fprintf(stderr, "  live        %s\n", size_text(usage->live_bytes).text);
	fprintf(stderr, "  resident    %s\n", size_text(usage->resident_bytes).text);
	fprintf(stderr, "  huge pages  %u %%\n", percent(usage->huge_bytes, usage->resident_bytes));
}

static void report(pid_t pid)
{
	struct target target;
	struct usage usage;
	int error = target_open(&target, pid);

	if (!error)
		error = usage_read(&usage, &target);
	if (!error && !usage.heaps)
		error = -ENODATA;
	if (error)
		target_complain(&target, error);
	else
		print_usage(&usage);
	fflush(stderr);
	target_close(&target);
}

/* A stop of the whole process, for job control, and not the end of one? */
static bool is_group_stop(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/* One stop of the process; false: it was the last. */
static bool take_stop(pid_t pid, int status, bool *started)
{
	const int signal = WSTOPSIG(status);

	switch (status >> 16) {
	case PTRACE_EVENT_EXIT:
		if (*started)
			report(pid);
		ptrace(PTRACE_DETACH, pid, NULL, 0L);
		return false;
	case PTRACE_EVENT_EXEC:
		*started = true;
		ptrace(PTRACE_CONT, pid, NULL, 0L);
		return true;
	case PTRACE_EVENT_STOP:
		ptrace(is_group_stop(signal) ? PTRACE_LISTEN : PTRACE_CONT, pid, NULL, 0L);
		return true;
	default:
		ptrace(PTRACE_CONT, pid, NULL, (long)signal);
		return true;
	}
}

static void watch(pid_t pid)
{
	bool started = false;
	int status;
	pid_t got;

	do {
		got = waitpid(pid, &status, __WALL);
	} while (got == pid && WIFSTOPPED(status) && take_stop(pid, status, &started));
	if (got != pid || !WIFSTOPPED(status)) {
		complain("process %d ended before its heaps could be looked at", pid);
		fflush(stderr);
	}
}

/*
 * Away from the terminal, its signals and all files but stderr. The last of those closed is
 * the one by which the process learns that it may go on.
 */
static void be_watcher(pid_t pid)
{
	int error, null;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	setsid();
	error = ptrace(PTRACE_SEIZE, pid, NULL, (long)(PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC)) ?
		errno : 0;
	if (error) {
		complain("no statistics: the program may not be watched here (ptrace: %s)",
			 strerror(error));
		return;
	}
	/* In one piece: others write there too. */
	setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
	if (chdir("/"))
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	closefrom(STDERR_FILENO + 1);	/* also where close_range() is refused */
	watch(pid);
}

/* The grandchild; it is nobody's business when it ends. */
static void start_watcher(pid_t pid)
{
	pid_t child = fork();

	if (child < 0)
		complain("no statistics: %s", strerror(errno));
	if (!child)
		be_watcher(pid);
	_exit(0);
}

/* Yama lets only those watch that a process has named; the number is not known yet. */
static void permit(unsigned long who)
{
	prctl(PR_SET_PTRACER, who, 0, 0, 0);
}

bool observe_end(void)
{
	const pid_t self = getpid();
	int ready[2];
	pid_t child;
	char byte;

	if (pipe2(ready, O_CLOEXEC)) {
		complain("no statistics: %s", strerror(errno));
		return false;
	}
	permit(PR_SET_PTRACER_ANY);
	child = fork();
	if (!child)
		start_watcher(self);
	if (child < 0)
		complain("no statistics: %s", strerror(errno));
	close(ready[1]);
	/* Nobody writes: it ends when the watcher has closed it, or is no more. */
	while (read(ready[0], &byte, 1) < 0 && errno == EINTR)
		;
	close(ready[0]);
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	permit(0);
	return child > 0;
}
