// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guarded objects: what a program does wrong with one is told where it does it, with those who
 * allocated and freed it; and what it does right works.
 */
#include "kselftest_harness.h"
#include "heap.h"

#include <pthread.h>

enum wrong { BEHIND, BEFORE, AFTER_FREE, FREED_TWICE, FREED_INSIDE, SLIGHTLY_BEHIND, ELSEWHERE };

/* At which end of its page an object lies is a matter of chance. */
static volatile char *object_at(bool end)
{
	volatile char *object;

	do
		object = hpheap_malloc(48);
	while (((uintptr_t)object % base_page() != 0) != end);
	return object;
}

static void touch_nothing(void)
{
	char *nothing = mmap(NULL, base_page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*(volatile char *)nothing = 1;
}

static void use_wrongly(enum wrong wrong)
{
	volatile char *object = object_at(wrong != BEFORE && wrong != SLIGHTLY_BEHIND);

	switch (wrong) {
	case BEHIND:
		object[48] = 1;
		break;
	case BEFORE:
		object[-1] = 1;
		break;
	case AFTER_FREE:
		hpheap_free((void *)object);
		object[5] = 1;
		break;
	case FREED_TWICE:
		hpheap_free((void *)object);
		hpheap_free((void *)object);
		break;
	case FREED_INSIDE:
		hpheap_free((void *)(object + 16));
		break;
	case SLIGHTLY_BEHIND:
		object[48] = 1;
		hpheap_free((void *)object);
		break;
	case ELSEWHERE:
		touch_nothing();
		break;
	}
}

static int with_guards(void *arg)
{
	setenv("HPHEAP_GUARD", "1", 1);
	use_wrongly(*(enum wrong *)arg);
	return 0;
}

FIXTURE(guarded) {
};
FIXTURE_SETUP(guarded) { }
FIXTURE_TEARDOWN(guarded) { }
FIXTURE_VARIANT(guarded) {
	enum wrong wrong;
	int signal;
	const char *says, *also;
};
#define VARIANT(name, what, ends, text, more) \
	FIXTURE_VARIANT_ADD(guarded, name) { .wrong = what, .signal = ends, .says = text, .also = more }
VARIANT(used_behind_its_end, BEHIND, SIGSEGV, "use outside of an object", "48 bytes from");
VARIANT(used_before_its_beginning, BEFORE, SIGSEGV, "use outside of an object", "-1 bytes from");
VARIANT(used_after_it_was_freed, AFTER_FREE, SIGSEGV, "use after free", "freed by thread");
VARIANT(freed_twice, FREED_TWICE, SIGABRT, "freed already", "freed by thread");
VARIANT(freed_in_the_middle, FREED_INSIDE, SIGABRT, "no object is there", "allocated by thread");
VARIANT(written_slightly_behind, SLIGHTLY_BEHIND, SIGABRT, "written to behind its end",
	"write outside of an object");

TEST_F(guarded, is_told_with_who_allocated_and_freed_it)
{
	enum wrong wrong = variant->wrong;
	char text[8192];

	EXPECT_EQ(128 + variant->signal, in_child_heard(with_guards, &wrong, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, variant->says)) { TH_LOG("%s", text); }
	EXPECT_NE(NULL, strstr(text, variant->also)) { TH_LOG("%s", text); }
	EXPECT_NE(NULL, strstr(text, "an object of 48 bytes at 0x")) { TH_LOG("%s", text); }
	EXPECT_NE(NULL, strstr(text, "allocated by thread")) { TH_LOG("%s", text); }
}

TEST(a_fault_elsewhere_is_the_programs_own)
{
	enum wrong wrong = ELSEWHERE;
	char text[1024];

	EXPECT_EQ(128 + SIGSEGV, in_child_heard(with_guards, &wrong, text, sizeof(text)));
	EXPECT_STREQ("", text);
}

static sigjmp_buf back;

static void jump_back(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

/* The program's handler was there first: it comes when all is told. */
static int with_handler(void *arg)
{
	const struct sigaction action = { .sa_handler = jump_back, .sa_flags = SA_NODEFER };
	enum wrong wrong = AFTER_FREE;

	(void)arg;
	sigaction(SIGSEGV, &action, NULL);
	if (sigsetjmp(back, 1))
		return 42;
	return with_guards(&wrong);
}

TEST(a_handler_of_the_programs_own_runs_afterwards)
{
	char text[8192];

	EXPECT_EQ(42, in_child_heard(with_handler, NULL, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "use after free"));
}

static void *churn(void *arg)
{
	uint64_t state = (uintptr_t)arg;
	char *objects[200] = { 0 };
	size_t bytes[200] = { 0 };
	unsigned int i, n;

	for (i = 0; i < 20000; i++) {
		n = random_next(&state) % 200;
		if (objects[n] && (objects[n][0] != (char)n || objects[n][bytes[n] - 1] != (char)n ||
				   hpheap_malloc_usable_size(objects[n]) < bytes[n]))
			return (void *)1;
		bytes[n] = random_next(&state) % (2 * base_page()) + 1;
		switch (random_next(&state) % 4) {
		case 0:
			hpheap_free(objects[n]);
			objects[n] = hpheap_calloc(bytes[n], 1);
			if (!objects[n] || objects[n][0] || objects[n][bytes[n] - 1])
				return (void *)2;
			break;
		case 1:
			hpheap_free(objects[n]);
			objects[n] = hpheap_aligned_alloc(256, bytes[n]);
			if ((uintptr_t)objects[n] % 256)
				return (void *)3;
			break;
		default:
			objects[n] = hpheap_realloc(objects[n], bytes[n]);
			break;
		}
		if (!objects[n])
			return (void *)4;
		memset(objects[n], (int)n, bytes[n]);
	}
	for (n = 0; n < 200; n++)
		hpheap_free(objects[n]);
	return NULL;
}

static int use_well(void *arg)
{
	pthread_t threads[3];
	uintptr_t i;
	void *wrong;
	int result = 0;

	setenv("HPHEAP_GUARD", arg, 1);
	for (i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, churn, (void *)(i + 1)))
			return 9;
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], &wrong);
		result |= (int)(uintptr_t)wrong;
	}
	return result;
}

TEST(programs_without_errors_run_as_ever)
{
	char text[1024];

	EXPECT_EQ(0, in_child_heard(use_well, "1", text, sizeof(text)));
	EXPECT_STREQ("", text);
	EXPECT_EQ(0, in_child_heard(use_well, "50", text, sizeof(text)));
	EXPECT_STREQ("", text);
}

/* Can nothing be read there? Asked of the kernel, so that nothing faults. */
static bool is_closed(const char *object)
{
	static int ends[2];

	if (!ends[1] && pipe(ends))
		abort();
	return write(ends[1], object, 1) < 0 || read(ends[0], (char[1]){ 0 }, 1) != 1;
}

/* One in a hundred, give or take: only these are freed with their page. */
static int count_guarded(void *arg)
{
	unsigned int i, guarded = 0;
	char *object;

	(void)arg;
	setenv("HPHEAP_GUARD", "100", 1);
	for (i = 0; i < 10000; i++) {
		object = hpheap_malloc(64);
		hpheap_free(object);
		guarded += is_closed(object);
	}
	return guarded > 50 && guarded < 200 ? 0 : 2;
}

TEST(one_in_so_many_is_guarded)
{
	EXPECT_EQ(0, in_child(count_guarded, NULL));
}

static int guard_wrongly(void *arg)
{
	(void)arg;
	setenv("HPHEAP_GUARD", "often", 1);
	return !hpheap_malloc(1);
}

TEST(a_wrong_rate_is_told_in_one_line)
{
	char text[1024];

	EXPECT_EQ(0, in_child_heard(guard_wrongly, NULL, text, sizeof(text)));
	EXPECT_EQ(1, lines_in(text));
	EXPECT_NE(NULL, strstr(text, "HPHEAP_GUARD=often: not a number"));
}

TEST_HARNESS_MAIN
