// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text for people: see text.h.
 */
#include "text.h"

#include <errno.h>
#include <inttypes.h>
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

void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}
