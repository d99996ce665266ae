// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * termios and escape sequences that every terminal of today knows: see screen.h.
 *
 * Signals come only while we wait, so nothing is drawn half, and the terminal is put right
 * whatever ends us, or stops us for a while.
 */
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define OTHER_SCREEN	"\033[?1049h\033[?25l"	/* and no cursor */
#define OWN_SCREEN	"\033[?25h\033[?1049l"

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static struct termios saved;
static sigset_t outside;	/* signals that were blocked before */
static bool on_terminal, keys;
static volatile sig_atomic_t ended, resized, stopped;

static void note(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else if (number == SIGTSTP)
		stopped = 1;
	else
		ended = 1;
}

static void enter(void)
{
	struct termios raw = saved;

	if (keys) {
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	fputs(OTHER_SCREEN, stdout);
	fflush(stdout);
}

static void leave(void)
{
	fputs(OWN_SCREEN, stdout);
	fflush(stdout);
	if (keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
}

static void handle_signals(void)
{
	struct sigaction action = { .sa_handler = note };
	sigset_t handled;
	size_t i;

	sigemptyset(&handled);
	for (i = 0; i < sizeof(ending) / sizeof(*ending); i++) {
		struct sigaction before;

		/* Who started us with nohup wants none. */
		if (sigaction(ending[i], NULL, &before) || before.sa_handler == SIG_IGN)
			continue;
		sigaction(ending[i], &action, NULL);
		sigaddset(&handled, ending[i]);
	}
	if (on_terminal) {
		sigaction(SIGWINCH, &action, NULL);
		sigaction(SIGTSTP, &action, NULL);
		sigaddset(&handled, SIGWINCH);
		sigaddset(&handled, SIGTSTP);
	}
	sigprocmask(SIG_BLOCK, &handled, &outside);
}

bool screen_begin(bool terminal)
{
	on_terminal = terminal;
	keys = terminal && !tcgetattr(STDIN_FILENO, &saved);
	handle_signals();
	if (on_terminal)
		enter();
	return !ferror(stdout);
}

void screen_end(void)
{
	if (on_terminal)
		leave();
}

void screen_size(unsigned int *rows, unsigned int *columns)
{
	struct winsize size = { 0 };

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*rows = size.ws_row ? size.ws_row : 24;
	*columns = size.ws_col ? size.ws_col : 80;
}

/* ^Z: as it was, and when we go on, as it is. */
static void stop(void)
{
	stopped = 0;
	leave();
	raise(SIGSTOP);
	enter();
	resized = 1;
}

/* All keys there are; true: one of them is to end it. A terminal that is gone is, too. */
static bool quit_key(void)
{
	char key;
	ssize_t got;

	while ((got = read(STDIN_FILENO, &key, 1)) == 1)
		if (key == 'q' || key == 'Q')
			return true;
	return got < 0 && errno != EAGAIN && errno != EINTR;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

enum screen_event screen_wait(uint64_t ns)
{
	const uint64_t end = now() + ns;
	struct pollfd input = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
	uint64_t left;

	for (;;) {
		const uint64_t time = now();
		struct timespec wait;
		int ready;

		left = time < end ? end - time : 0;
		wait = (struct timespec){ (time_t)(left / 1000000000), (long)(left % 1000000000) };
		ready = ppoll(&input, 1, &wait, &outside);
		if (ended || (ready > 0 && (input.revents & (POLLHUP | POLLERR) || quit_key())))
			return SCREEN_END;
		if (stopped)
			stop();
		if (resized) {
			resized = 0;
			return SCREEN_RESIZED;
		}
		if (!ready)
			return SCREEN_TIME;
	}
}
