// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The environment, read once, when the first heap is made.
 *
 * A wrong value is told in one line on stderr, which is all the library ever
 * prints, and counts as not set. Programs with more rights than their caller
 * (set-user-ID) do not listen to the caller's environment.
 */
#include "options.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "os.h"
#include "policy.h"

static struct hph_environment environment;
static char device_path[PATH_MAX];	/* a copy: programs write over their environment */
static pthread_once_t environment_once = PTHREAD_ONCE_INIT;

/* Which of the names it is; -1: none. Some values have no name. */
static int find_name(const char *const *names, int count, const char *text)
{
	int i;

	for (i = 0; i < count; i++)
		if (names[i] && !strcmp(text, names[i]))
			return i;
	return -1;
}

bool hph_parse_backend(const char *text, enum hpheap_backend *backend)
{
	static const char *const names[] = {
		[HPHEAP_BACKEND_AUTO] = "auto",
		[HPHEAP_BACKEND_DEVICE] = "device",
		[HPHEAP_BACKEND_THP] = "thp",
		[HPHEAP_BACKEND_SMALL] = "small",
	};
	const int found = find_name(names, sizeof(names) / sizeof(names[0]), text);

	if (found >= 0)
		*backend = (enum hpheap_backend)found;
	return found >= 0;
}

bool hph_parse_fork(const char *text, enum hpheap_fork *fork)
{
	static const char *const names[] = {
		[HPHEAP_FORK_COW] = "cow",
		[HPHEAP_FORK_SHARE] = "share",
		[HPHEAP_FORK_NONE] = "none",
	};
	const int found = find_name(names, sizeof(names) / sizeof(names[0]), text);

	if (found >= 0)
		*fork = (enum hpheap_fork)found;
	return found >= 0;
}

/* Decimal digits at the beginning of a text; false: none, or too many. */
static bool parse_digits(const char **text, uint64_t *value)
{
	const char *digit = *text;

	*value = 0;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		const uint64_t next = (uint64_t)(*digit - '0');

		if (*value > (UINT64_MAX - next) / 10)
			return false;
		*value = *value * 10 + next;
	}
	if (digit == *text)
		return false;
	*text = digit;
	return true;
}

/* "local", "interleave", or the number of a node that is there. */
bool hph_parse_place(const char *text, struct hph_place *place)
{
	uint64_t node;

	if (!strcmp(text, "local")) {
		place->placement = HPHEAP_PLACE_LOCAL;
		return true;
	}
	if (!strcmp(text, "interleave")) {
		place->placement = HPHEAP_PLACE_INTERLEAVE;
		return true;
	}
	if (!parse_digits(&text, &node) || *text || node > UINT32_MAX ||
	    !hph_numa_node_valid((uint32_t)node))
		return false;
	place->placement = HPHEAP_PLACE_NODE;
	place->node = (uint32_t)node;
	return true;
}

/* Bytes, or with K, M, G, T the powers of 1024; 0 is no limit. */
bool hph_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned int shift = 0;
	uint64_t value;

	if (!parse_digits(&text, &value))
		return false;
	if (*text) {
		unit = strchr(units, *text);
		if (!unit || text[1])
			return false;
		shift = 10 * ((unsigned int)(unit - units) + 1);
	}
	if (value > UINT64_MAX >> shift)
		return false;
	*bytes = value << shift;
	return true;
}

/* A decimal number. */
bool hph_parse_count(const char *text, uint32_t *count)
{
	uint64_t value;

	if (!parse_digits(&text, &value) || *text || value > INT32_MAX)
		return false;
	*count = (uint32_t)value;
	return true;
}

/* "0" or "1" */
bool hph_parse_switch(const char *text, bool *on)
{
	if ((*text != '0' && *text != '1') || text[1])
		return false;
	*on = *text == '1';
	return true;
}

/* "on" or "off" */
bool hph_parse_on_off(const char *text, bool *on)
{
	*on = !strcmp(text, "on");
	return *on || !strcmp(text, "off");
}

static void read_environment(void)
{
	const char *fork = secure_getenv("HPHEAP_FORK");
	const char *scavenge = secure_getenv("HPHEAP_SCAVENGE");
	const char *backend = secure_getenv("HPHEAP_BACKEND");
	const char *node = secure_getenv("HPHEAP_NODE");
	const char *limit = secure_getenv("HPHEAP_LIMIT");
	const char *device = secure_getenv("HPHEAP_DEVICE");
	const char *efence = secure_getenv("HPHEAP_EFENCE");
	const char *guard = secure_getenv("HPHEAP_GUARD");

	if (backend && !hph_parse_backend(backend, &environment.backend))
		hph_os_say("HPHEAP_BACKEND=%.64s: not auto, device, thp or small; using auto",
			   backend);
	if (node && !hph_parse_place(node, &environment.place))
		hph_os_say("HPHEAP_NODE=%.64s: not local, interleave or a node with memory; "
			   "using local", node);
	if (limit && !hph_parse_size(limit, &environment.limit_bytes))
		hph_os_say("HPHEAP_LIMIT=%.64s: not a number of bytes, K, M, G or T; "
			   "using no limit", limit);
	if (efence && !hph_parse_switch(efence, &environment.efence))
		hph_os_say("HPHEAP_EFENCE=%.64s: not 0 or 1; using 0", efence);
	if (guard && !hph_parse_count(guard, &environment.guard))
		hph_os_say("HPHEAP_GUARD=%.64s: not a number; guarding nothing", guard);
	environment.fork = HPHEAP_FORK_COW;
	if (fork && !hph_parse_fork(fork, &environment.fork))
		hph_os_say("HPHEAP_FORK=%.64s: not cow, share or none; using cow", fork);
	environment.scavenge = true;
	hph_policy_parse("", &environment.policy);
	if (scavenge && !hph_parse_on_off(scavenge, &environment.scavenge)) {
		environment.scavenge = true;
		if (!*scavenge || !hph_policy_parse(scavenge, &environment.policy)) {
			hph_policy_parse("", &environment.policy);
			hph_os_say("HPHEAP_SCAVENGE=%.64s: not on, off or NAME=NUMBER,...; "
				   "using on", scavenge);
		}
	}
	environment.device = HPH_DEVICE_PATH;
	if (device && *device == '/' && strlen(device) < sizeof(device_path)) {
		memcpy(device_path, device, strlen(device) + 1);
		environment.device = device_path;
	} else if (device) {
		hph_os_say("HPHEAP_DEVICE=%.64s: not an absolute path; using " HPH_DEVICE_PATH,
			   device);
	}
}

const struct hph_environment *hph_environment(void)
{
	pthread_once(&environment_once, read_environment);
	return &environment;
}
