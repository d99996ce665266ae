/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing JSON: indented, members in the order of the calls.
 *
 * A key is NULL inside an array and for the outermost value. Text that is not
 * UTF-8 (a process may call itself anything) comes out with U+FFFD in the
 * place of each bad byte, so that the result is always valid.
 */
#ifndef HPHEAPCTL_JSON_H
#define HPHEAPCTL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH 8

struct json {
	FILE *file;
	unsigned int depth;		/* of open objects and arrays */
	char closer[JSON_DEPTH];	/* what ends each of them */
	bool filled[JSON_DEPTH];	/* has it a member yet? */
};

void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
void json_end(struct json *json);

/* NULL writes null, here and for a pointer to a number that is not known. */
void json_string(struct json *json, const char *key, const char *value);
void json_number(struct json *json, const char *key, uint64_t value);
void json_optional(struct json *json, const char *key, const uint64_t *value);
void json_bool(struct json *json, const char *key, bool value);

#endif
