// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * From options of run to the environment that the library reads: see run.h.
 *
 * The library takes a wrong value for none, with a line on stderr. Here it is an error, by the
 * library's own judgement.
 */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "options.h"
#include "policy.h"

struct setting {
	int letter;
	const char *variable;
	bool (*valid)(const char *value);
	const char *wanted;	/* behind "'VALUE' is no " */
};

static bool is_backend(const char *value)
{
	enum hpheap_backend backend;

	return hph_parse_backend(value, &backend);
}

static bool is_limit(const char *value)
{
	uint64_t bytes;

	return hph_parse_size(value, &bytes);
}

static bool is_place(const char *value)
{
	struct hph_place place;

	return hph_parse_place(value, &place);
}

static bool is_fork(const char *value)
{
	enum hpheap_fork fork;

	return hph_parse_fork(value, &fork);
}

static bool is_switch(const char *value)
{
	bool on;

	return hph_parse_switch(value, &on);
}

static bool is_policy(const char *value)
{
	struct hpheap_policy policy;
	bool on;

	return hph_parse_on_off(value, &on) || (*value && hph_policy_parse(value, &policy));
}

static const struct setting settings[] = {
	{ 'B', "HPHEAP_BACKEND", is_backend, "backend: auto, device, thp or small" },
	{ 'L', "HPHEAP_LIMIT", is_limit,
	  "limit: a number of bytes, or one with K, M, G or T; 0 for none" },
	{ 'N', "HPHEAP_NODE", is_place,
	  "place: local, interleave, or the number of a node with memory" },
	{ 'K', "HPHEAP_FORK", is_fork, "way to fork: cow, share or none" },
	{ 'E', "HPHEAP_EFENCE", is_switch, "switch: 0 or 1" },
	{ 'G', "HPHEAP_SCAVENGE", is_policy,
	  "policy: on, off, or NAME=NUMBER,... as in hpheap_set_policy(3)" },
};

static const struct setting *find_setting(int letter)
{
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (settings[i].letter == letter)
			return &settings[i];
	return NULL;
}

bool run_setting(int letter, const char *value)
{
	const struct setting *setting = find_setting(letter);

	if (!setting)
		return false;
	if (!setting->valid(value)) {
		complain("'%s' is no %s", value, setting->wanted);
		return false;
	}
	if (setenv(setting->variable, value, true)) {
		complain("%s", strerror(errno));
		return false;
	}
	return true;
}
