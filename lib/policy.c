// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The scavenger's constants: what they are usually, and why.
 *
 * One second is longer than the pauses between the peaks of a service that breathes, and
 * short for one that has become idle. One part in a hundred of a CPU is what Go's
 * scavenger allows itself (runtime/mgcscavenge.go), six in a hundred of the memory in use
 * is a little less than it keeps beside its goal (ten). That a huge page is broken at most
 * once a minute bounds what a wrong guess costs. Stalls of 200 ms in two seconds are what
 * systemd takes for memory pressure (systemd.resource-control(5)); two seconds are also the
 * shortest time over which Linux lets anybody watch it (since 6.4).
 */
#include "policy.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "options.h"

static const struct hpheap_policy usual = {
	.size = sizeof(usual),
	.window_ms = 1000,
	.cpu_permille = 10,
	.margin_percent = 6,
	.margin_units = 2,
	.loose_percent = 50,
	.tight_percent = 10,
	.sparse_percent = 70,
	.idle_windows = 2,
	.whole_windows = 60,
	.purgeable_windows = 10,
	.headroom_percent = 6,
	.pressure_ms = 200,
	.ahead_units = 8,
};

/* The numbers, as the environment names them, and what they may be. */
static const struct {
	const char *name;
	size_t offset;
	uint32_t least, most;
} numbers[] = {
	{ "window", offsetof(struct hpheap_policy, window_ms), 10, 600000 },
	{ "cpu", offsetof(struct hpheap_policy, cpu_permille), 1, 1000 },
	{ "margin", offsetof(struct hpheap_policy, margin_percent), 0, 100 },
	{ "margin-units", offsetof(struct hpheap_policy, margin_units), 0, 1 << 20 },
	{ "loose", offsetof(struct hpheap_policy, loose_percent), 0, 10000 },
	{ "tight", offsetof(struct hpheap_policy, tight_percent), 0, 10000 },
	{ "sparse", offsetof(struct hpheap_policy, sparse_percent), 0, 100 },
	{ "idle", offsetof(struct hpheap_policy, idle_windows), 1, 10000 },
	{ "whole", offsetof(struct hpheap_policy, whole_windows), 1, 10000 },
	{ "purgeable", offsetof(struct hpheap_policy, purgeable_windows), 1, 10000 },
	{ "headroom", offsetof(struct hpheap_policy, headroom_percent), 0, 50 },
	{ "pressure", offsetof(struct hpheap_policy, pressure_ms), 0, 2000 },
	{ "ahead", offsetof(struct hpheap_policy, ahead_units), 0, 1 << 10 },
};

#define NUMBERS	(sizeof(numbers) / sizeof(numbers[0]))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hpheap_policy policy_now;	/* of size 0: not set */

static uint32_t *number_of(struct hpheap_policy *policy, size_t i)
{
	return (uint32_t *)(void *)((char *)policy + numbers[i].offset);
}

static bool is_valid(const struct hpheap_policy *policy)
{
	struct hpheap_policy copy = *policy;
	size_t i;

	if (policy->size != sizeof(*policy))
		return false;
	for (i = 0; i < NUMBERS; i++)
		if (*number_of(&copy, i) < numbers[i].least ||
		    *number_of(&copy, i) > numbers[i].most)
			return false;
	return true;
}

void hph_policy_lock(void)
{
	pthread_mutex_lock(&lock);
}

void hph_policy_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void hph_policy_read(struct hpheap_policy *policy)
{
	pthread_mutex_lock(&lock);
	*policy = policy_now.size ? policy_now : hph_environment()->policy;
	pthread_mutex_unlock(&lock);
}

/* One "name=value" of a list, which ends at a comma or with the text. */
static bool parse_one(const char **text, struct hpheap_policy *policy)
{
	const size_t length = strcspn(*text, "=");
	const char *digit = *text + length + 1;
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < NUMBERS; i++)
		if (strlen(numbers[i].name) == length && !strncmp(*text, numbers[i].name, length))
			break;
	if (i == NUMBERS || !(*text)[length] || *digit < '0' || *digit > '9')
		return false;
	for (; *digit >= '0' && *digit <= '9'; digit++)
		if (value <= UINT32_MAX)
			value = value * 10 + (uint64_t)(*digit - '0');
	if (value > UINT32_MAX || (*digit && *digit != ','))
		return false;
	*number_of(policy, i) = (uint32_t)value;
	*text = *digit ? digit + 1 : digit;
	return *digit != ',' || digit[1];
}

bool hph_policy_parse(const char *text, struct hpheap_policy *policy)
{
	*policy = usual;
	while (*text)
		if (!parse_one(&text, policy))
			return false;
	return is_valid(policy);
}

int hpheap_get_policy(struct hpheap_policy *policy)
{
	if (!policy || policy->size != sizeof(*policy)) {
		errno = EINVAL;
		return -1;
	}
	hph_policy_read(policy);
	return 0;
}

int hpheap_set_policy(const struct hpheap_policy *policy)
{
	if (!policy || !is_valid(policy)) {
		errno = EINVAL;
		return -1;
	}
	pthread_mutex_lock(&lock);
	policy_now = *policy;
	pthread_mutex_unlock(&lock);
	return 0;
}
