// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writing JSON (RFC 8259): see json.h.
 */
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at @s, 0 when there is no valid one (RFC 3629). */
static size_t utf8_length(const unsigned char *s)
{
	size_t length, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		length = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		length = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		length = 4;
	else
		return 0;

	for (i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than needed, a surrogate, or beyond U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

static void write_string(FILE *file, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t length;

	putc('"', file);
	while (*s) {
		length = utf8_length(s);
		if (!length)
			fputs("\\ufffd", file);
		else if (*s == '"' || *s == '\\')
			fprintf(file, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(file, "\\u%04x", *s);
		else
			fwrite(s, 1, length, file);
		s += length ? length : 1;
	}
	putc('"', file);
}

static void new_line(const struct json *json)
{
	fprintf(json->file, "\n%*s", 2 * (int)json->depth, "");
}

/* All that stands before a value. */
static void begin_value(struct json *json, const char *key)
{
	if (json->depth) {
		bool *filled = &json->filled[json->depth - 1];

		if (*filled)
			putc(',', json->file);
		*filled = true;
		new_line(json);
	}
	if (key) {
		write_string(json->file, key);
		fputs(": ", json->file);
	}
}

static void begin_group(struct json *json, const char *key, char opener, char closer)
{
	begin_value(json, key);
	putc(opener, json->file);
	if (json->depth == JSON_DEPTH)
		abort();
	json->closer[json->depth] = closer;
	json->filled[json->depth] = false;
	json->depth++;
}

void json_object(struct json *json, const char *key)
{
	begin_group(json, key, '{', '}');
}

void json_array(struct json *json, const char *key)
{
	begin_group(json, key, '[', ']');
}

void json_end(struct json *json)
{
	json->depth--;
	if (json->filled[json->depth])
		new_line(json);
	putc(json->closer[json->depth], json->file);
	if (!json->depth)
		putc('\n', json->file);
}

void json_string(struct json *json, const char *key, const char *value)
{
	begin_value(json, key);
	if (value)
		write_string(json->file, value);
	else
		fputs("null", json->file);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	begin_value(json, key);
	fprintf(json->file, "%" PRIu64, value);
}

void json_optional(struct json *json, const char *key, const uint64_t *value)
{
	if (value)
		json_number(json, key, *value);
	else
		json_string(json, key, NULL);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_value(json, key);
	fputs(value ? "true" : "false", json->file);
}
