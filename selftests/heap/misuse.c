// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a program does wrong, and what the library then says: one line, or
 * nothing at all.
 */
#include "kselftest_harness.h"
#include "heap.h"

enum wrong { TWICE, INTERIOR, UNALIGNED, STACK, OTHER_HEAP, NEIGHBOUR, RELEASED, NOWHERE, TAIL };

static int free_wrongly(void *arg)
{
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_THP), *other = heap_on(HPHEAP_BACKEND_THP);
	char *span = hpheap_span_alloc(heap, 4 * PAGE, UNIT, 0);
	char *large = hpheap_span_alloc(heap, 3 * UNIT, UNIT, 0);
	int local;

	if (!span || !large)
		return 1;
	switch (*(enum wrong *)arg) {
	case TWICE:
		hpheap_span_free(heap, span);
		hpheap_span_free(heap, span);
		break;
	case INTERIOR:
		hpheap_span_free(heap, span + PAGE);
		break;
	case UNALIGNED:
		hpheap_span_free(heap, span + 8);
		break;
	case STACK:
		hpheap_span_free(heap, &local);
		break;
	case OTHER_HEAP:
		hpheap_span_free(other, span);
		break;
	case NEIGHBOUR:
		hpheap_span_free(heap, span + 4 * PAGE);
		break;
	case RELEASED:
		hpheap_span_free(heap, large);
		hpheap_scavenge(heap, SIZE_MAX);
		hpheap_span_free(heap, large);
		break;
	case NOWHERE:
		hpheap_span_free(heap, (void *)(UINTPTR_MAX & ~(UNIT - 1)));
		break;
	case TAIL:
		hpheap_span_free(heap, large + UNIT);
		break;
	}
	return 0;
}

FIXTURE(bad_free) {
};
FIXTURE_SETUP(bad_free) { }
FIXTURE_TEARDOWN(bad_free) { }
FIXTURE_VARIANT(bad_free) {
	enum wrong wrong;
};
#define VARIANT(name, what) FIXTURE_VARIANT_ADD(bad_free, name) { .wrong = what }
VARIANT(twice, TWICE);
VARIANT(inside_a_span, INTERIOR);
VARIANT(between_pages, UNALIGNED);
VARIANT(of_the_stack, STACK);
VARIANT(of_another_heap, OTHER_HEAP);
VARIANT(behind_a_span, NEIGHBOUR);
VARIANT(twice_after_release, RELEASED);
VARIANT(of_an_address_beyond_all, NOWHERE);
VARIANT(in_the_second_unit_of_a_span, TAIL);

TEST_F(bad_free, aborts_with_one_line)
{
	enum wrong wrong = variant->wrong;
	char text[1024];

	EXPECT_EQ(128 + SIGABRT, in_child_heard(free_wrongly, &wrong, text, sizeof(text)));
	EXPECT_EQ(1, lines_in(text));
	EXPECT_EQ(0, strncmp(text, "hpheap: hpheap_span_free(", 25)) {
		TH_LOG("stderr: %s", text);
	}
}

static int destroy_twice(void *arg)
{
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_THP);

	(void)arg;
	hpheap_destroy(heap);
	hpheap_destroy(heap);
	return 0;
}

TEST(destroying_a_heap_twice_aborts_with_one_line)
{
	char text[1024];

	EXPECT_EQ(128 + SIGABRT, in_child_heard(destroy_twice, NULL, text, sizeof(text)));
	EXPECT_EQ(1, lines_in(text));
}

/* Sets one variable, makes two heaps; the exit code is that of what is expected of them. */
struct setting {
	const char *name;
	const char *value;
	enum hpheap_backend backend;	/* expected */
	const char *warning;		/* expected, or NULL */
};

static int with_setting(void *arg)
{
	const struct setting *setting = arg;
	struct hpheap *heap, *second;
	char *span;

	setenv(setting->name, setting->value, 1);
	heap = hpheap_create(NULL);
	second = hpheap_default();
	if (!heap || !second)
		return 10;
	if (stats_of(heap).backend != setting->backend)
		return 11;
	span = hpheap_span_alloc(heap, PAGE, 0, 0);
	if (!span)
		return 12;
	*span = 1;
	return 0;
}

TEST(wrong_values_in_the_environment_get_one_line_each)
{
	static const struct setting settings[] = {
		{ "HPHEAP_BACKEND", "fast", HPHEAP_BACKEND_THP, "HPHEAP_BACKEND=fast: not auto" },
		{ "HPHEAP_BACKEND", "", HPHEAP_BACKEND_THP, "HPHEAP_BACKEND=: not auto" },
		{ "HPHEAP_BACKEND", "thp ", HPHEAP_BACKEND_THP, "HPHEAP_BACKEND=thp : not auto" },
		{ "HPHEAP_NODE", "far", HPHEAP_BACKEND_THP, "HPHEAP_NODE=far: not local" },
		{ "HPHEAP_NODE", "-1", HPHEAP_BACKEND_THP, "HPHEAP_NODE=-1: not local" },
		{ "HPHEAP_NODE", "4294967296", HPHEAP_BACKEND_THP, "HPHEAP_NODE=4294967296: " },
		{ "HPHEAP_NODE", "0x0", HPHEAP_BACKEND_THP, "HPHEAP_NODE=0x0: not local" },
		{ "HPHEAP_EFENCE", "yes", HPHEAP_BACKEND_THP, "HPHEAP_EFENCE=yes: not 0 or 1" },
		{ "HPHEAP_EFENCE", "10", HPHEAP_BACKEND_THP, "HPHEAP_EFENCE=10: not 0 or 1" },
		{ "HPHEAP_EFENCE", "", HPHEAP_BACKEND_THP, "HPHEAP_EFENCE=: not 0 or 1" },
		{ "HPHEAP_FORK", "always", HPHEAP_BACKEND_THP, "HPHEAP_FORK=always: not cow, share or none" },
		{ "HPHEAP_FORK", "", HPHEAP_BACKEND_THP, "HPHEAP_FORK=: not cow, share or none" },
		{ "HPHEAP_LIMIT", "much", HPHEAP_BACKEND_THP, "HPHEAP_LIMIT=much: not a number" },
		{ "HPHEAP_LIMIT", "1 G", HPHEAP_BACKEND_THP, "HPHEAP_LIMIT=1 G: not a number" },
		{ "HPHEAP_LIMIT", "1GB", HPHEAP_BACKEND_THP, "HPHEAP_LIMIT=1GB: not a number" },
		{ "HPHEAP_LIMIT", "-1", HPHEAP_BACKEND_THP, "HPHEAP_LIMIT=-1: not a number" },
		{ "HPHEAP_LIMIT", "99999999999999999999", HPHEAP_BACKEND_THP, "HPHEAP_LIMIT=9" },
		{ "HPHEAP_LIMIT", "99999999999T", HPHEAP_BACKEND_THP, "HPHEAP_LIMIT=9" },
		{ "HPHEAP_DEVICE", "dev/hpheap", HPHEAP_BACKEND_THP, "HPHEAP_DEVICE=dev/hpheap: " },
	};
	char text[1024];
	size_t i;

	setenv("HPHEAP_DEVICE", "/nonexistent/hpheap", 1);
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		struct setting setting = settings[i];

		/* The default device may be there, and then it is taken. */
		if (!strcmp(setting.name, "HPHEAP_DEVICE") && !access("/dev/hpheap", R_OK | W_OK))
			setting.backend = HPHEAP_BACKEND_DEVICE;
		EXPECT_EQ(0, in_child_heard(with_setting, &setting, text, sizeof(text)));
		EXPECT_EQ(1, lines_in(text));
		EXPECT_NE(NULL, strstr(text, setting.warning)) {
			TH_LOG("%s=%s: %s", setting.name, setting.value, text);
		}
	}
}

TEST(right_values_in_the_environment_are_taken_silently)
{
	static const struct setting settings[] = {
		{ "HPHEAP_BACKEND", "auto", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_BACKEND", "thp", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_BACKEND", "small", HPHEAP_BACKEND_SMALL, NULL },
		{ "HPHEAP_NODE", "local", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_NODE", "interleave", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_NODE", "0", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_EFENCE", "0", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_EFENCE", "1", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_FORK", "cow", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_FORK", "none", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_FORK", "share", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_LIMIT", "0", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_LIMIT", "4194304", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_LIMIT", "64M", HPHEAP_BACKEND_THP, NULL },
		{ "HPHEAP_LIMIT", "16777215T", HPHEAP_BACKEND_THP, NULL },
	};
	char text[1024];
	size_t i;

	setenv("HPHEAP_DEVICE", "/nonexistent/hpheap", 1);
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		struct setting setting = settings[i];

		EXPECT_EQ(0, in_child_heard(with_setting, &setting, text, sizeof(text)));
		EXPECT_STREQ("", text);
	}
}

static int limited(void *arg)
{
	struct hpheap *heap;

	(void)arg;
	setenv("HPHEAP_LIMIT", "6M", 1);
	heap = hpheap_create(NULL);
	if (!heap || !hpheap_span_alloc(heap, 6 * MIB, 0, 0))
		return 1;
	return hpheap_span_alloc(heap, PAGE, 0, 0) ? 2 : 0;
}

TEST(the_limit_of_the_environment_holds)
{
	EXPECT_EQ(0, in_child(limited, NULL));
}

static int device_wanted(void *arg)
{
	(void)arg;
	setenv("HPHEAP_BACKEND", "device", 1);
	setenv("HPHEAP_DEVICE", "/nonexistent/hpheap", 1);
	return hpheap_create(NULL) || hpheap_default() ? 1 : errno;
}

TEST(a_device_that_the_environment_insists_on_must_be_there)
{
	EXPECT_EQ(ENOENT, in_child(device_wanted, NULL));
}

TEST_HARNESS_MAIN
