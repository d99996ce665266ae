// SPDX-License-Identifier: GPL-2.0-only
/*
 * life CONTESTANT SEED PEAK-MIB LIFE-SECONDS IDLE-SECONDS: what a long life leaves resident.
 *
 * Every contestant lives the same life: the same sizes in the same order, and
 * the same victims, all from SEED. Sizes are 8 KiB to 8 MiB with a long tail (an
 * octave is half as likely as the one below it, so each holds about as many
 * bytes); every live span is equally likely to go next, which leaves survivors
 * everywhere; live bytes grow, stay and shrink between the marks of
 * marks[]. Every base page of a span is written. While they stay, the operations are
 * spread over LIFE-SECONDS with rests between them: some allocators give back by the
 * clock, and a life without any pause ends before they can. Four lines come out:
 *
 *   WHEN RESIDENT LIVE
 *
 * peak: at the highest mark; end: at the last one; idle: IDLE-SECONDS later, in
 * which nobody did anything; asked: after asking the allocator to give back what
 * it can. RESIDENT is what the process has over what it had before its first
 * span; LIVE is the bytes of its spans.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "contestant.h"

#define PAGE		((size_t)8 << 10)
#define OCTAVES		11		/* 8 KiB to 8 MiB */
#define MIN_BASE_PAGE	4096
#define MAX_SPANS	(1 << 17)
#define STAY		4		/* times the number of live spans */
#define RESTS		100		/* at each mark */

struct span {
	uint64_t *memory;
	size_t size;
};

/* Where live bytes go, in per cent of the peak. */
static const unsigned int marks[] = { 40, 12, 100, 25, 75, 18 };

#define MARKS		(sizeof(marks) / sizeof(marks[0]))

static const struct contestant *who;
static struct span spans[MAX_SPANS];
static size_t count;
static size_t live;
static uint64_t random_state;
static size_t baseline;

static uint32_t next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1d) >> 32;
}

static uint32_t below(uint32_t limit)
{
	return (uint64_t)next_random() * limit >> 32;
}

/* No stdio: that would allocate. */
static size_t resident(void)
{
	static char text[4096];
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *rss;

	if (length < 0)
		die("/proc/self/smaps_rollup");
	close(fd);
	text[length] = 0;
	rss = strstr(text, "\nRss:");
	if (!rss)
		die("/proc/self/smaps_rollup has no Rss");
	return strtoull(rss + 5, NULL, 10) << 10;
}

static void tell(const char *when)
{
	size_t now = resident();

	printf("%s %zu %zu\n", when, now > baseline ? now - baseline : 0, live);
	fflush(stdout);
}

static size_t random_size(void)
{
	size_t low = (size_t)1 << __builtin_ctz(next_random() | 1U << (OCTAVES - 1));
	size_t pages = low + below(low);

	return (pages < 1U << (OCTAVES - 1) ? pages : 1U << (OCTAVES - 1)) * PAGE;
}

static void grow(void)
{
	struct span *span = &spans[count];
	size_t offset;

	if (count == MAX_SPANS) {
		fprintf(stderr, "bench: the peak is too high for %u spans\n", MAX_SPANS);
		exit(2);
	}
	span->size = random_size();
	span->memory = who->alloc(span->size);
	if (!span->memory)
		die(who->name);
	for (offset = 0; offset < span->size; offset += MIN_BASE_PAGE)
		*(uint64_t *)((char *)span->memory + offset) = (uintptr_t)span->memory;
	live += span->size;
	count++;
}

static void shrink(void)
{
	struct span *victim = &spans[below(count)];

	if (*victim->memory != (uintptr_t)victim->memory) {
		fprintf(stderr, "bench: %s: a live span was overwritten\n", who->name);
		exit(1);
	}
	live -= victim->size;
	who->free(victim->memory, victim->size);
	*victim = spans[--count];
}

/* Three of four operations bring the mark nearer. */
static void go_to(size_t mark)
{
	bool up = live < mark;

	while (up ? live < mark : live > mark) {
		if (up == (below(4) != 0))
			grow();
		else if (count)
			shrink();
	}
}

static void rest(unsigned long milliseconds)
{
	const struct timespec ts = {
		.tv_sec = (time_t)(milliseconds / 1000),
		.tv_nsec = (long)(milliseconds % 1000) * 1000000,
	};

	nanosleep(&ts, NULL);
}

static void stay_at(size_t mark, unsigned long seconds)
{
	const size_t ops = STAY * count;
	size_t i;

	for (i = 0; i < ops; i++) {
		if (live < mark)
			grow();
		else
			shrink();
		if (i * RESTS / ops != (i + 1) * RESTS / ops)
			rest(seconds * 1000 / (RESTS * MARKS));
	}
}

static void live_through(size_t peak, unsigned long seconds)
{
	size_t i, mark;

	for (i = 0; i < MARKS; i++) {
		mark = peak / 100 * marks[i];
		go_to(mark);
		stay_at(mark, seconds);
		if (marks[i] == 100)
			tell("peak");
	}
}

int main(int argc, char **argv)
{
	size_t peak = argc == 6 ? strtoull(argv[3], NULL, 0) << 20 : 0;

	if (!peak) {
		fprintf(stderr, "usage: life CONTESTANT SEED PEAK-MIB LIFE-SECONDS IDLE-SECONDS\n");
		return 2;
	}
	random_state = strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15 | 1;
	memset(spans, 1, sizeof(spans));
	who = contestant_open(argv[1]);
	baseline = resident();
	live_through(peak, strtoul(argv[4], NULL, 0));
	tell("end");
	sleep(strtoul(argv[5], NULL, 0));
	tell("idle");
	who->give_back();
	tell("asked");
	return 0;
}
