// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the scavenger goes by: read, set, and said in the environment.
 */
#include "kselftest_harness.h"
#define TEST_SCAVENGER
#include "heap.h"

static struct hpheap_policy usual(void)
{
	struct hpheap_policy policy = { .size = sizeof(policy) };

	if (hpheap_get_policy(&policy))
		abort();
	return policy;
}

TEST(is_what_the_manual_says)
{
	const struct hpheap_policy policy = usual();

	EXPECT_EQ(1000, policy.window_ms);
	EXPECT_EQ(10, policy.cpu_permille);
	EXPECT_EQ(6, policy.margin_percent);
	EXPECT_EQ(2, policy.margin_units);
	EXPECT_EQ(50, policy.loose_percent);
	EXPECT_EQ(10, policy.tight_percent);
	EXPECT_EQ(70, policy.sparse_percent);
	EXPECT_EQ(2, policy.idle_windows);
	EXPECT_EQ(60, policy.whole_windows);
	EXPECT_EQ(10, policy.purgeable_windows);
	EXPECT_EQ(6, policy.headroom_percent);
	EXPECT_EQ(200, policy.pressure_ms);
	EXPECT_EQ(8, policy.ahead_units);
}

TEST(is_what_was_set)
{
	struct hpheap_policy policy = usual();

	policy.window_ms = 250;
	policy.margin_units = 0;
	ASSERT_EQ(0, hpheap_set_policy(&policy));
	memset(&policy, 0, sizeof(policy));
	policy.size = sizeof(policy);
	ASSERT_EQ(0, hpheap_get_policy(&policy));
	EXPECT_EQ(250, policy.window_ms);
	EXPECT_EQ(0, policy.margin_units);
	EXPECT_EQ(60, policy.whole_windows);
}

#define REFUSED(field, value) do {							\
	struct hpheap_policy wrong = usual();						\
	wrong.field = (value);								\
	errno = 0;									\
	EXPECT_EQ(-1, hpheap_set_policy(&wrong)) {					\
		TH_LOG(#field " = %u", (unsigned int)(value));				\
	}										\
	EXPECT_EQ(EINVAL, errno);							\
} while (0)

TEST(out_of_bounds_is_refused_whole)
{
	const struct hpheap_policy before = usual();
	struct hpheap_policy after;

	REFUSED(size, sizeof(struct hpheap_policy) - 1);
	REFUSED(size, sizeof(struct hpheap_policy) + 8);
	REFUSED(window_ms, 9);
	REFUSED(window_ms, 600001);
	REFUSED(cpu_permille, 0);
	REFUSED(cpu_permille, 1001);
	REFUSED(margin_percent, 101);
	REFUSED(margin_units, UINT32_MAX);
	REFUSED(loose_percent, 10001);
	REFUSED(tight_percent, 10001);
	REFUSED(sparse_percent, 101);
	REFUSED(idle_windows, 0);
	REFUSED(whole_windows, 0);
	REFUSED(purgeable_windows, 0);
	REFUSED(headroom_percent, 51);
	REFUSED(pressure_ms, 2001);
	REFUSED(ahead_units, 1025);
	errno = 0;
	EXPECT_EQ(-1, hpheap_set_policy(NULL));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, hpheap_get_policy(NULL));
	EXPECT_EQ(EINVAL, errno);
	after = (struct hpheap_policy){ .size = sizeof(after) - 4 };
	EXPECT_EQ(-1, hpheap_get_policy(&after));
	after = usual();
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(after)));
}

static int read_list(void *unused)
{
	struct hpheap_policy policy = { .size = sizeof(policy) };

	(void)unused;
	setenv("HPHEAP_SCAVENGE", "window=500,margin=0,margin-units=7,cpu=1,loose=70,"
				  "tight=60,sparse=40,idle=3,whole=4,purgeable=5,headroom=8,pressure=0,ahead=0", 1);
	hpheap_get_policy(&policy);
	return policy.window_ms == 500 && policy.margin_percent == 0 && policy.margin_units == 7 &&
	       policy.cpu_permille == 1 && policy.loose_percent == 70 &&
	       policy.tight_percent == 60 && policy.sparse_percent == 40 &&
	       policy.idle_windows == 3 && policy.whole_windows == 4 &&
	       policy.purgeable_windows == 5 && policy.headroom_percent == 8 &&
	       policy.pressure_ms == 0 && policy.ahead_units == 0 ? 0 : 1;
}

static int read_wrong(void *list)
{
	struct hpheap_policy policy = { .size = sizeof(policy) };

	setenv("HPHEAP_SCAVENGE", list, 1);
	hpheap_get_policy(&policy);
	return policy.window_ms == 1000 && policy.margin_units == 2 ? 0 : 1;
}

TEST(the_environment_names_numbers)
{
	char text[256];

	EXPECT_EQ(0, in_child_heard(read_list, NULL, text, sizeof(text)));
	EXPECT_STREQ("", text);
}

/* All of it counts as not set, and that is told in one line. */
TEST(a_wrong_list_is_told_in_one_line)
{
	static const char *const lists[] = {
		"", "window", "window=", "window=1", "window=x", "window=100,", ",window=100",
		"window=100,margin", "windows=100", "window=100 ", "window=-1", "=5",
		"window=4294967296", "window=99999999999999999999", "margin-units=3,window=100k",
	};
	char text[256], expected[256];
	size_t i;

	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		EXPECT_EQ(0, in_child_heard(read_wrong, (void *)lists[i], text, sizeof(text)));
		snprintf(expected, sizeof(expected), "hpheap: HPHEAP_SCAVENGE=%s: not on, off or "
			 "NAME=NUMBER,...; using on\n", lists[i]);
		EXPECT_STREQ(expected, text);
	}
}

TEST_HARNESS_MAIN
