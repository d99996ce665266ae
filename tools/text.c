// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text for people: see text.h.
 */
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct size_text size_text(uint64_t bytes)
{
	static const char * const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	struct size_text result;
	unsigned int unit = 0;
	uint64_t tenths;

	while (unit < 6 && bytes >> (10 * (unit + 1)))
		unit++;
	/* Bytes of the unit's tenth are no whole number: divide the rest, not the sum. */
	tenths = unit ? ((bytes >> (10 * (unit - 1))) & 1023) * 10 / 1024 : 0;
	if (tenths)
		snprintf(result.text, sizeof(result.text), "%" PRIu64 ".%" PRIu64 " %s",
			 bytes >> (10 * unit), tenths, units[unit]);
	else
		snprintf(result.text, sizeof(result.text), "%" PRIu64 " %s",
			 bytes >> (10 * unit), units[unit]);
	return result;
}

bool parse_size(const char *text, uint64_t *bytes)
{
	static const char suffixes[] = "KMGTPE";
	const char *suffix;
	unsigned long long number;
	unsigned int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end & ~0x20);
		if (!suffix || !*suffix || end[1])
			return false;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
	}
	if (number > UINT64_MAX >> shift)
		return false;
	*bytes = (uint64_t)number << shift;
	return true;
}

bool parse_count(const char *text, uint64_t *count)
{
	return strspn(text, "0123456789") == strlen(text) && parse_size(text, count) && *count;
}

bool parse_pid(const char *text, pid_t *pid)
{
	uint64_t number;

	if (!parse_count(text, &number) || number > INT_MAX)
		return false;
	*pid = (pid_t)number;
	return true;
}

/* Digits, and at most three more behind a point. */
bool parse_seconds(const char *text, uint64_t *ms)
{
	const size_t whole = strspn(text, "0123456789");
	size_t i, digits;

	if (!whole || whole > 5 || (text[whole] && text[whole] != '.'))
		return false;
	for (*ms = 0, i = 0; i < whole; i++)
		*ms = *ms * 10 + (uint64_t)(text[i] - '0');
	text += whole + (text[whole] == '.');
	digits = strlen(text);
	if (digits > 3 || strspn(text, "0123456789") != digits)
		return false;
	for (i = 0; i < 3; i++)
		*ms = *ms * 10 + (i < digits ? (uint64_t)(text[i] - '0') : 0);
	return *ms >= 100 && *ms <= 86400000;
}

const char *plural(uint64_t count, const char *ending)
{
	return count == 1 ? "" : ending;
}

unsigned int percent(uint64_t part, uint64_t all)
{
	return all ? (unsigned int)((double)part * 100 / (double)all + 0.5) : 0;
}

void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}
