// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scavenger: what nobody needs goes back by itself, what somebody needs now and then
 * stays, and the thread that does it is in nobody's way.
 */
#include "kselftest_harness.h"
#define TEST_SCAVENGER
#include "heap.h"
#include "cache.h"

#include <dirent.h>
#include <pthread.h>

/*
 * Giving back takes a debug kernel so long that at the usual price it takes minutes; and
 * whatever else uses the machine's memory is none of these tests' business.
 */
__attribute__((constructor)) static void let_it_cost(void)
{
	setenv("HPHEAP_SCAVENGE", "cpu=500,pressure=0", 0);
}

FIXTURE(scavenger) {
	struct hpheap *heap;
};

FIXTURE_SETUP(scavenger)
{
	self->heap = heap_on(HPHEAP_BACKEND_THP);
	ASSERT_NE(NULL, self->heap);
}

FIXTURE_TEARDOWN(scavenger)
{
	hpheap_destroy(self->heap);
}

static void wait_ms(unsigned int ms)
{
	const struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

/* Emulated machines take their time. */
static bool comes_true(bool (*condition)(struct hpheap *), struct hpheap *heap)
{
	const double end = now() + 30;

	while (!condition(heap) && now() < end)
		wait_ms(50);
	return condition(heap);
}

/* Spans of a unit each, full of their number plus 1. */
static bool take_units(struct hpheap *heap, char **spans, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		spans[i] = hpheap_span_alloc(heap, UNIT, UNIT, 0);
		if (!spans[i])
			return false;
		memset(spans[i], (int)i + 1, UNIT);
	}
	return true;
}

/* What is on its way back counts as neither, as long as the system works on it. */
static bool is_empty(struct hpheap *heap)
{
	const struct hpheap_stats stats = stats_of(heap);

	return !stats.committed_bytes && stats.release_calls == stats.commit_calls;
}

static bool has_little_free(struct hpheap *heap)
{
	return stats_of(heap).free_huge_bytes <= 2 * UNIT;
}

TEST_F(scavenger, gives_back_all_when_nothing_is_in_use)
{
	ASSERT_EQ(0, hpheap_reserve(self->heap, 64 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_TRUE(comes_true(is_empty, self->heap));
	EXPECT_EQ(64, stats_of(self->heap).release_calls);
}

TEST_F(scavenger, keeps_what_is_in_use_and_a_margin)
{
	char *spans[32];
	size_t i;

	ASSERT_TRUE(take_units(self->heap, spans, 32));
	ASSERT_EQ(0, hpheap_reserve(self->heap, 32 * UNIT, HPHEAP_NODE_ANY));
	EXPECT_TRUE(comes_true(has_little_free, self->heap));
	wait_ms(2500);
	EXPECT_EQ(2 * UNIT, stats_of(self->heap).free_huge_bytes);
	for (i = 0; i < 32; i++)
		EXPECT_EQ(NULL, not_all(spans[i], UNIT, (unsigned char)(i + 1)));
	EXPECT_SOUND(self->heap);
}

/*
 * What is needed again in less than a window is not given back meanwhile. The windows are
 * long: an emulated machine may stand still for a second.
 */
TEST_F(scavenger, keeps_what_comes_and_goes)
{
	struct hpheap_policy policy = { .size = sizeof(policy) };
	const double end = now() + 10;
	void *base, *span;

	ASSERT_EQ(0, hpheap_get_policy(&policy));
	policy.window_ms = 4000;
	ASSERT_EQ(0, hpheap_set_policy(&policy));
	base = hpheap_span_alloc(self->heap, UNIT, UNIT, 0);
	ASSERT_NE(NULL, base);
	while (now() < end) {
		span = hpheap_span_alloc(self->heap, 40 * UNIT, 0, 0);
		ASSERT_NE(NULL, span);
		wait_ms(10);
		hpheap_span_free(self->heap, span);
		wait_ms(200);
	}
	EXPECT_EQ(0, stats_of(self->heap).release_calls);
	EXPECT_LE(41, stats_of(self->heap).commit_calls);
}

/* But for one in 16, and what the caches of the thread and of the zone held at that moment. */
static bool is_thin(struct hpheap *heap)
{
	const struct hpheap_stats stats = stats_of(heap);

	return stats.away_bytes >= stats.committed_bytes / 4 * 3;
}

/* Fifteen in sixteen of two units, of four. */
static bool are_two_whole(struct hpheap *heap)
{
	return stats_of(heap).away_bytes <= 2 * UNIT / 16 * 15;
}

#define FOUR_UNITS	(4 * UNIT / PAGE)

/* Heap pages of a base page. */
static size_t group(void)
{
	return base_page() > PAGE ? base_page() / PAGE : 1;
}

/* A span in each page of four units, of which one group in 16 stays. */
static bool take_sparse_units(struct hpheap *heap, char **spans)
{
	size_t i;

	for (i = 0; i < FOUR_UNITS; i++) {
		spans[i] = hpheap_span_alloc(heap, PAGE, 0, 0);
		if (!spans[i])
			return false;
		memset(spans[i], 5, PAGE);
	}
	for (i = 0; i < FOUR_UNITS; i++) {
		if ((uintptr_t)spans[i] / PAGE / group() % 16) {
			hpheap_span_free(heap, spans[i]);
			spans[i] = NULL;
		}
	}
	return true;
}

static bool are_intact(char **spans)
{
	size_t i;

	for (i = 0; i < FOUR_UNITS; i++)
		if (spans[i] && not_all(spans[i], PAGE, 5))
			return false;
	return true;
}

/* Of units that nobody uses any more, but for a few spans; not of those that are in use. */
TEST_F(scavenger, thins_sparse_units_at_rest_once_a_minute)
{
	char *spans[FOUR_UNITS], *span;
	double end;

	ASSERT_TRUE(take_sparse_units(self->heap, spans));
	ASSERT_TRUE(comes_true(is_thin, self->heap));
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(4 * UNIT / 16 * 15, stats_of(self->heap).away_bytes);
	EXPECT_TRUE(are_intact(spans));

	/* One that fills again is whole, and one more, for the next. They stay that for a while. */
	span = hpheap_span_alloc(self->heap, group() * PAGE, 0, 0);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(comes_true(are_two_whole, self->heap));
	hpheap_span_free(self->heap, span);
	for (end = now() + 3; now() < end; wait_ms(100))
		EXPECT_EQ(2 * UNIT / 16 * 15, stats_of(self->heap).away_bytes);
}

/* All of a unit takes half a millisecond to come back. The thread does that; here it does not. */
TEST_F(scavenger, leaves_a_span_to_wait_for_what_it_needs)
{
	const size_t most = UNIT / 16, sizes[] = { group() * PAGE, most - group() * PAGE };
	struct hpheap_policy policy = { .size = sizeof(policy) };
	char *spans[FOUR_UNITS], *span;
	size_t i, away;

	ASSERT_EQ(0, hpheap_get_policy(&policy));
	policy.ahead_units = 0;
	ASSERT_EQ(0, hpheap_set_policy(&policy));
	ASSERT_TRUE(take_sparse_units(self->heap, spans));
	ASSERT_TRUE(comes_true(is_thin, self->heap));
	hpheap_scavenge(self->heap, SIZE_MAX);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		away = stats_of(self->heap).away_bytes;
		span = hpheap_span_alloc(self->heap, sizes[i], 0, HPHEAP_SPAN_BASE_ALIGNED);
		ASSERT_NE(NULL, span);
		EXPECT_EQ(sizes[i], resident_bytes(span, sizes[i]));
		memset(span, 6, sizes[i]);
		EXPECT_GT(away, stats_of(self->heap).away_bytes);
		EXPECT_LE(away, stats_of(self->heap).away_bytes + 2 * most);
	}
	EXPECT_TRUE(are_intact(spans));
	EXPECT_SOUND(self->heap);
}

/* The window in which the last unit that got slabs was looked at in vain. */
static uint16_t combed_in(struct hpheap *heap)
{
	uint16_t combed;

	hph_heap_stop(heap);
	combed = atomic_load(&heap->slabbed)->slabs->combed;
	hph_heap_resume(heap);
	return combed;
}

static bool was_combed(struct hpheap *heap)
{
	return combed_in(heap) != HPH_NEVER;
}

static bool was_combed_long_ago(struct hpheap *heap)
{
	const struct hph_pages *pages = &hph_zone_here(heap)->pages;

	return (uint16_t)(hph_pages_window(pages) - combed_in(heap)) >= 5;
}

#define OBJECT	((size_t)512)

/*
 * Objects lie in slabs, and of those hardly a span is free when hardly an object is left: one in
 * sixteen groups of pages has any, and its slab is there as long.
 */
TEST_F(scavenger, gives_back_pages_of_slabs_without_objects)
{
	const size_t group = base_page() > PAGE ? base_page() : PAGE, nr = 4 * UNIT / OBJECT;
	char **objects = calloc(nr, sizeof(*objects));
	size_t i;

	ASSERT_NE(NULL, objects);
	for (i = 0; i < nr; i++) {
		objects[i] = hpheap_malloc_in(self->heap, OBJECT);
		ASSERT_NE(NULL, objects[i]);
		memset(objects[i], 5, OBJECT);
	}
	for (i = 0; i < nr; i++) {
		if ((uintptr_t)objects[i] / group % 16) {
			hpheap_free_in(self->heap, objects[i]);
			objects[i] = NULL;
		}
	}
	EXPECT_TRUE(comes_true(is_thin, self->heap));
	for (i = 0; i < nr; i++)
		EXPECT_EQ(NULL, objects[i] ? not_all(objects[i], OBJECT, 5) : NULL);
	for (i = 0; i < nr; i++) {
		if (!objects[i])
			objects[i] = hpheap_malloc_in(self->heap, OBJECT);
		ASSERT_NE(NULL, objects[i]);
		memset(objects[i], 6, OBJECT);
	}
	for (i = 0; i < nr; i++)
		EXPECT_EQ(NULL, not_all(objects[i], OBJECT, 6));
	EXPECT_GE(5 * UNIT, stats_of(self->heap).committed_bytes - stats_of(self->heap).away_bytes);
	EXPECT_SOUND(self->heap);
	free(objects);
}

/* Where an object lies on each page nothing can go. That is found out once, not over and over. */
TEST_F(scavenger, looks_at_slabs_in_vain_once)
{
	const size_t nr = 4 * UNIT / OBJECT;
	char **objects = calloc(nr, sizeof(*objects));
	uint16_t combed;
	size_t i;

	ASSERT_NE(NULL, objects);
	for (i = 0; i < nr; i++) {
		objects[i] = hpheap_malloc_in(self->heap, OBJECT);
		ASSERT_NE(NULL, objects[i]);
	}
	for (i = 0; i < nr; i++)
		if ((uintptr_t)objects[i] / OBJECT % 4)
			hpheap_free_in(self->heap, objects[i]);
	ASSERT_TRUE(comes_true(was_combed, self->heap));
	combed = combed_in(self->heap);
	EXPECT_TRUE(comes_true(was_combed_long_ago, self->heap));
	EXPECT_EQ(combed, combed_in(self->heap));
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	free(objects);
}

static bool has_thinned(struct hpheap *heap)
{
	return stats_of(heap).away_bytes > 0;
}

/* A unit of spans of a heap page each, */
static bool fill_unit(struct hpheap *heap, char *spans[UNIT / PAGE])
{
	size_t i;

	for (i = 0; i < UNIT / PAGE; i++) {
		spans[i] = hpheap_span_alloc(heap, PAGE, 0, 0);
		if (!spans[i])
			return false;
	}
	return true;
}

/* and of those one in 16 base pages has one that is left. */
static void free_most(struct hpheap *heap, char *spans[UNIT / PAGE])
{
	const size_t group = base_page() > PAGE ? base_page() / PAGE : 1;
	size_t i;

	for (i = 0; i < UNIT / PAGE; i++)
		if (((uintptr_t)spans[i] / PAGE) % (16 * group))
			hpheap_span_free(heap, spans[i]);
}

/* One sparse unit among many is filled by the next requests; it is left until they are few. */
TEST_F(scavenger, thins_nothing_where_most_is_in_use)
{
	char *units[16], *spans[UNIT / PAGE];
	size_t i;

	ASSERT_TRUE(fill_unit(self->heap, spans));
	ASSERT_TRUE(take_units(self->heap, units, 16));
	free_most(self->heap, spans);
	wait_ms(4500);
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	for (i = 1; i < 16; i++)
		hpheap_span_free(self->heap, units[i]);
	EXPECT_TRUE(comes_true(has_thinned, self->heap));
	EXPECT_EQ(NULL, not_all(units[0], UNIT, 1));
}

/* Then nobody fills sparse units, though there is not more free than in a heap at its height. */
TEST_F(scavenger, thins_sparse_units_of_a_heap_that_has_shrunk)
{
	char *units[4], *more[8], *spans[UNIT / PAGE];
	size_t i;

	ASSERT_TRUE(fill_unit(self->heap, spans));
	ASSERT_TRUE(take_units(self->heap, units, 4));
	free_most(self->heap, spans);
	wait_ms(4500);
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	ASSERT_TRUE(take_units(self->heap, more, 8));
	wait_ms(2500);
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	for (i = 0; i < 8; i++)
		hpheap_span_free(self->heap, more[i]);
	EXPECT_TRUE(comes_true(has_thinned, self->heap));
	EXPECT_EQ(NULL, not_all(units[0], UNIT, 1));
	EXPECT_SOUND(self->heap);
}

static bool is_whole_again(struct hpheap *heap)
{
	return !stats_of(heap).away_bytes;
}

/* And again they do when it has grown as before. */
TEST_F(scavenger, thins_nothing_more_when_the_load_is_back)
{
	char *units[5], *more[8], *sparse[2][UNIT / PAGE], *full[UNIT / PAGE], **objects;
	const size_t nr = 2 * UNIT / OBJECT;
	size_t i;

	/* Two units of objects of which one on each page will stay: it cannot go, and is much. */
	objects = calloc(nr, sizeof(*objects));
	ASSERT_NE(NULL, objects);
	for (i = 0; i < nr; i++) {
		objects[i] = hpheap_malloc_in(self->heap, OBJECT);
		ASSERT_NE(NULL, objects[i]);
	}
	ASSERT_TRUE(fill_unit(self->heap, sparse[0]));
	ASSERT_TRUE(fill_unit(self->heap, sparse[1]));
	ASSERT_TRUE(fill_unit(self->heap, full));
	ASSERT_TRUE(take_units(self->heap, units, 5));
	ASSERT_TRUE(take_units(self->heap, more, 8));
	free_most(self->heap, sparse[0]);
	free_most(self->heap, sparse[1]);
	for (i = 0; i < nr; i++)
		if ((uintptr_t)objects[i] / OBJECT % 4)
			hpheap_free_in(self->heap, objects[i]);
	wait_ms(2500);
	for (i = 0; i < 8; i++)
		hpheap_span_free(self->heap, more[i]);
	ASSERT_TRUE(comes_true(has_thinned, self->heap));
	ASSERT_TRUE(take_units(self->heap, more, 8));
	ASSERT_TRUE(comes_true(is_whole_again, self->heap));
	free_most(self->heap, full);
	wait_ms(4500);
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	EXPECT_EQ(NULL, not_all(units[0], UNIT, 1));
	free(objects);
}

static bool is_within_limit(struct hpheap *heap)
{
	return stats_of(heap).committed_bytes <= 8 * UNIT;
}

/* At once what is free, and then what becomes free, whatever was needed a moment ago. */
TEST_F(scavenger, keeps_a_heap_within_a_limit_that_was_lowered)
{
	char *spans[16];
	size_t i;

	ASSERT_TRUE(take_units(self->heap, spans, 16));
	ASSERT_EQ(0, hpheap_reserve(self->heap, 16 * UNIT, HPHEAP_NODE_ANY));
	ASSERT_EQ(0, hpheap_set_limit(self->heap, 8 * UNIT + PAGE));
	EXPECT_EQ(16 * UNIT, stats_of(self->heap).committed_bytes);
	EXPECT_EQ(NULL, hpheap_span_alloc(self->heap, 2 * UNIT, UNIT, 0));
	EXPECT_EQ(ENOMEM, errno);
	for (i = 0; i < 16; i++)
		hpheap_span_free(self->heap, spans[i]);
	EXPECT_TRUE(comes_true(is_within_limit, self->heap));
	spans[0] = hpheap_span_alloc(self->heap, 8 * UNIT, 0, 0);
	EXPECT_NE(NULL, spans[0]);
	EXPECT_EQ(NULL, hpheap_span_alloc(self->heap, UNIT, 0, 0));
	ASSERT_EQ(0, hpheap_set_limit(self->heap, 0));
	EXPECT_NE(NULL, hpheap_span_alloc(self->heap, 64 * UNIT, 0, 0));
	errno = 0;
	EXPECT_EQ(-1, hpheap_set_limit(NULL, 0));
	EXPECT_EQ(EINVAL, errno);
}

/* From 32 units on a heap that grows finds some that are there already. */
TEST_F(scavenger, fetches_units_before_a_growing_heap_needs_them)
{
	unsigned int i, waits, found = 0;

	for (i = 0; i < 320; i++) {
		ASSERT_NE(NULL, hpheap_span_alloc(self->heap, UNIT, UNIT, 0));
		/* How soon is the machine's to say. */
		for (waits = 0; waits < 10 && !stats_of(self->heap).free_huge_bytes; waits++)
			wait_ms(5);
		found += i >= 64 && waits < 10;
	}
	EXPECT_LE(8, found);
	EXPECT_GE(320 * UNIT + 10 * UNIT, stats_of(self->heap).committed_bytes);
}

static int grow_without(void *arg)
{
	struct hpheap_policy policy = { .size = sizeof(policy) };
	struct hpheap *heap = arg;
	unsigned int i, found = 0;

	if (hpheap_get_policy(&policy))
		return 1;
	policy.ahead_units = 0;
	if (hpheap_set_policy(&policy))
		return 2;
	for (i = 0; i < 64; i++) {
		if (!hpheap_span_alloc(heap, UNIT, UNIT, 0))
			return 3;
		found += stats_of(heap).free_huge_bytes != 0;
		wait_ms(2);
	}
	return found ? 4 : 0;
}

TEST_F(scavenger, fetches_nothing_ahead_where_that_is_not_wanted)
{
	EXPECT_EQ(0, in_child(grow_without, self->heap));
	/* What a heap with a limit has is what it asked for. */
	ASSERT_EQ(0, hpheap_set_limit(self->heap, 256 * UNIT));
	ASSERT_NE(NULL, hpheap_span_alloc(self->heap, 64 * UNIT, UNIT, 0));
	ASSERT_NE(NULL, hpheap_span_alloc(self->heap, UNIT, UNIT, 0));
	wait_ms(300);
	EXPECT_EQ(65 * UNIT, stats_of(self->heap).committed_bytes);
}

static bool is_purgeable(struct hpheap *heap)
{
	const struct hpheap_stats stats = stats_of(heap);

	return !stats.committed_bytes && stats.purgeable_bytes == 16 * UNIT;
}

static bool is_released(struct hpheap *heap)
{
	return !stats_of(heap).purgeable_bytes;
}

/* On the device memory is the system's to take before it is released. */
TEST_F(scavenger, makes_purgeable_first_what_the_device_gave)
{
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_DEVICE);
	struct hpheap_policy policy = { .size = sizeof(policy) };

	if (!heap)
		SKIP(return, "no device: %s", strerror(errno));
	ASSERT_EQ(0, hpheap_get_policy(&policy));
	policy.window_ms = 300;
	ASSERT_EQ(0, hpheap_set_policy(&policy));
	ASSERT_EQ(0, hpheap_reserve(heap, 16 * UNIT, HPHEAP_NODE_ANY));
	ASSERT_EQ(16 * UNIT, stats_of(heap).device_bytes);
	EXPECT_TRUE(comes_true(is_purgeable, heap));
	EXPECT_EQ(16 * UNIT, stats_of(heap).scavenged_bytes);
	EXPECT_TRUE(comes_true(is_released, heap));
	EXPECT_SOUND(heap);
	hpheap_destroy(heap);
}

struct found {
	unsigned int threads;
	char status[4096];
	long nice;
};

/* The threads of this process that are called as the scavenger. */
static struct found find_scavenger(void)
{
	struct found found = { 0 };
	struct dirent *entry;
	char path[300], text[4096];
	DIR *dir = opendir("/proc/self/task");
	FILE *file;

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (!fgets(text, sizeof(text), file) || strcmp(text, "hpheap\n")) {
			fclose(file);
			continue;
		}
		fclose(file);
		found.threads++;
		found.nice = getpriority(PRIO_PROCESS, (id_t)atoi(entry->d_name));
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "re");
		if (file) {
			found.status[fread(found.status, 1, sizeof(found.status) - 1, file)] = '\0';
			fclose(file);
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool thread_is_there(struct hpheap *heap)
{
	(void)heap;
	return find_scavenger().threads != 0 && find_scavenger().nice == 19;
}

TEST_F(scavenger, is_one_thread_that_takes_no_signals)
{
	struct hpheap *other = heap_on(HPHEAP_BACKEND_THP);
	const int priority = getpriority(PRIO_PROCESS, 0);
	struct found found;
	const char *blocked;

	EXPECT_EQ(0, find_scavenger().threads);
	hpheap_reserve(self->heap, UNIT, HPHEAP_NODE_ANY);
	hpheap_reserve(other, UNIT, HPHEAP_NODE_ANY);
	ASSERT_TRUE(comes_true(thread_is_there, NULL));
	found = find_scavenger();
	EXPECT_EQ(1, found.threads);
	EXPECT_EQ(19, found.nice);
	blocked = strstr(found.status, "SigBlk:\t");
	ASSERT_NE(NULL, blocked);
	/* All but SIGKILL, SIGSTOP, and the two of the C library. */
	EXPECT_EQ(UINT64_C(0xfffffffe3ffbfeff), strtoull(blocked + 8, NULL, 16) &
						  UINT64_C(0xfffffffe3ffbfeff));
	EXPECT_EQ(priority, getpriority(PRIO_PROCESS, 0));
	hpheap_destroy(other);
}

static int use_in_child(void *heap)
{
	if (find_scavenger().threads)
		return 1;
	if (hpheap_reserve(heap, 16 * UNIT, HPHEAP_NODE_ANY))
		return 2;
	if (!comes_true(thread_is_there, NULL))
		return 3;
	if (!comes_true(is_empty, heap))
		return 4;
	exit(0);	/* and not _exit(): it is stopped */
}

TEST_F(scavenger, is_made_anew_in_children_that_need_it)
{
#ifdef __SANITIZE_THREAD__
	SKIP(return, "the sanitizer starts no threads after a fork");
#endif
	ASSERT_EQ(0, hpheap_reserve(self->heap, 4 * UNIT, HPHEAP_NODE_ANY));
	ASSERT_TRUE(comes_true(thread_is_there, NULL));
	EXPECT_EQ(0, in_child(use_in_child, self->heap));
	EXPECT_EQ(1, find_scavenger().threads);
	EXPECT_TRUE(comes_true(is_empty, self->heap));
}

static int use_without(void *arg)
{
	struct hpheap *heap;

	(void)arg;
	setenv("HPHEAP_SCAVENGE", "off", 1);
	heap = heap_on(HPHEAP_BACKEND_THP);
	if (!heap || hpheap_reserve(heap, 16 * UNIT, HPHEAP_NODE_ANY))
		return 1;
	wait_ms(2500);
	if (find_scavenger().threads || stats_of(heap).committed_bytes != 16 * UNIT)
		return 2;
	return hpheap_scavenge(heap, SIZE_MAX) == 16 * UNIT ? 0 : 3;
}

/* In a program that has not read its environment yet. */
TEST(a_program_can_do_without)
{
	EXPECT_EQ(0, in_child(use_without, NULL));
}

static int say_nonsense(void *arg)
{
	(void)arg;
	setenv("HPHEAP_SCAVENGE", "sometimes", 1);
	return heap_on(HPHEAP_BACKEND_THP) ? 0 : 1;
}

TEST(a_wrong_word_is_told_in_one_line)
{
	char text[256];

	EXPECT_EQ(0, in_child_heard(say_nonsense, NULL, text, sizeof(text)));
	EXPECT_STREQ("hpheap: HPHEAP_SCAVENGE=sometimes: not on, off or "
		     "NAME=NUMBER,...; using on\n", text);
}

static _Atomic bool stop;

static void *come_and_go(void *unused)
{
	(void)unused;
	while (!stop) {
		struct hpheap *heap = heap_on(HPHEAP_BACKEND_THP);

		if (!heap || hpheap_reserve(heap, 4 * UNIT, HPHEAP_NODE_ANY))
			return "no heap";
		wait_ms(30);
		hpheap_destroy(heap);
	}
	return NULL;
}

/* Heaps come and go, threads take and give, and the program forks. */
TEST_F(scavenger, works_beside_all_else)
{
	const double end = now() + 6;
	pthread_t threads[2];
	unsigned int i;
	void *wrong;
	char *span;

	ASSERT_TRUE(use_all_cpus());
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, come_and_go, NULL));
	for (i = 0; now() < end; i++) {
		span = hpheap_span_alloc(self->heap, (i % 12 + 1) * UNIT, 0, HPHEAP_SPAN_ZERO);
		ASSERT_NE(NULL, span);
		ASSERT_TRUE(is_zero(span, UNIT));
		memset(span, 1, UNIT);
		hpheap_span_free(self->heap, span);
		if (i % 16 == 0)
			wait_ms(i % 3 * 700);
	}
	stop = true;
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], &wrong);
		EXPECT_EQ(NULL, wrong);
	}
	EXPECT_TRUE(comes_true(is_empty, self->heap));
	EXPECT_SOUND(self->heap);
}

/* The C library takes it off the stack of each thread. */
static _Thread_local volatile char thread_local[256 * KIB];

TEST(a_program_can_have_much_thread_local_memory)
{
	struct hpheap *heap;

	thread_local[0] = 1;
	heap = heap_on(HPHEAP_BACKEND_THP);
	ASSERT_NE(NULL, heap);
	ASSERT_EQ(0, hpheap_reserve(heap, UNIT, HPHEAP_NODE_ANY));
	EXPECT_TRUE(comes_true(thread_is_there, heap));
	hpheap_destroy(heap);
}

TEST_HARNESS_MAIN
