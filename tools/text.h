/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text for people: sizes with a unit, names made safe for a terminal.
 */
#ifndef HPHEAPCTL_TEXT_H
#define HPHEAPCTL_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct size_text { char text[24]; };

/* 2097152 is "2 MiB"; one decimal where the number is no whole one: "1.5 GiB". */
struct size_text size_text(uint64_t bytes);

/* "64M", "2097152", "1G"; false when it is no size or does not fit. */
bool parse_size(const char *text, uint64_t *bytes);

/* A process number: decimal, more than 0. */
bool parse_pid(const char *text, pid_t *pid);

/* A decimal number, more than 0. */
bool parse_count(const char *text, uint64_t *count);

/* "2", "0.5": from a tenth of a second to a day; in milliseconds. */
bool parse_seconds(const char *text, uint64_t *ms);

/* "" for one thing, @ending for none and for many: "1 arena", "2 arenas". */
const char *plural(uint64_t count, const char *ending);

/* Rounded to the nearest; 0 of nothing. */
unsigned int percent(uint64_t part, uint64_t all);

/* Leaves plain ASCII only: a process may call itself an escape sequence. */
void make_printable(char *text);

#endif
