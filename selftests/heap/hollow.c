// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of slabs on which no object lies go back to the system, and come again with their objects.
 */
#include "kselftest_harness.h"
#include "heap.h"
#include "invariants_slabs.h"
#include "regions.h"

#include <limits.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

/* What the system does for the library, until it has had enough. */
static unsigned int advice_left = UINT_MAX;

int __real_madvise(void *addr, size_t bytes, int advice);
int __wrap_madvise(void *addr, size_t bytes, int advice);

int __wrap_madvise(void *addr, size_t bytes, int advice)
{
	if (advice_left == UINT_MAX ||
	    (advice != MADV_COLLAPSE && advice != MADV_POPULATE_WRITE && advice != MADV_DONTNEED))
		return __real_madvise(addr, bytes, advice);
	if (advice != MADV_COLLAPSE && advice_left) {
		advice_left--;
		return __real_madvise(addr, bytes, advice);
	}
	errno = ENOMEM;
	return -1;
}

#define BYTES	(4 * MIB)
#define STEP	8	/* groups of pages, of which one keeps its objects */

FIXTURE(hollow) {
	struct hpheap *heap;
	unsigned char **objects;
	size_t count, size;
};

FIXTURE_VARIANT(hollow) {
	size_t size;
};

FIXTURE_VARIANT_ADD(hollow, of_48_bytes) { .size = 48 };
FIXTURE_VARIANT_ADD(hollow, of_512_bytes) { .size = 512 };
FIXTURE_VARIANT_ADD(hollow, of_5_kib) { .size = 5120 };
FIXTURE_VARIANT_ADD(hollow, of_24_kib) { .size = 24576 };
FIXTURE_VARIANT_ADD(hollow, of_64_kib) { .size = 65536 };

static void fill(unsigned char *object, size_t size)
{
	memset(object, (int)((uintptr_t)object >> 4 & 0xff) | 1, size);
}

static bool is_whole(const unsigned char *object, size_t size)
{
	return !not_all(object, size, (unsigned char)(((uintptr_t)object >> 4 & 0xff) | 1));
}

FIXTURE_SETUP(hollow)
{
	size_t i;

	self->size = variant->size;
	self->count = BYTES / self->size;
	self->heap = heap_on(HPHEAP_BACKEND_THP);
	ASSERT_NE(NULL, self->heap);
	self->objects = calloc(self->count, sizeof(*self->objects));
	ASSERT_NE(NULL, self->objects);
	for (i = 0; i < self->count; i++) {
		self->objects[i] = hpheap_malloc_in(self->heap, self->size);
		ASSERT_NE(NULL, self->objects[i]);
		fill(self->objects[i], self->size);
	}
}

FIXTURE_TEARDOWN(hollow)
{
	hpheap_destroy(self->heap);
	free(self->objects);
}

#define EXPECT_SOUND_SLABS(heap) do {				\
	const char *unsound = slab_invariants(heap);		\
	EXPECT_EQ(NULL, unsound) {				\
		TH_LOG("%s", unsound);				\
	}							\
	EXPECT_SOUND(heap);					\
} while (0)

/* What goes at a time. */
static size_t group_bytes(void)
{
	return base_page();
}

static bool is_kept(const unsigned char *object)
{
	const uint64_t group = (uintptr_t)object / group_bytes();

	return group * UINT64_C(0x9e3779b97f4a7c15) < UINT64_MAX / STEP;
}

/* All but those that begin in one group of so many. */
static void free_most(FIXTURE_DATA(hollow) *self)
{
	size_t i;

	for (i = 0; i < self->count; i++) {
		if (!is_kept(self->objects[i])) {
			hpheap_free_in(self->heap, self->objects[i]);
			self->objects[i] = NULL;
		}
	}
}

static bool all_whole(const FIXTURE_DATA(hollow) *self)
{
	size_t i;

	for (i = 0; i < self->count; i++)
		if (self->objects[i] && !is_whole(self->objects[i], self->size))
			return false;
	return true;
}

static int by_place(const void *a, const void *b)
{
	unsigned char *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Bytes of the groups that have a byte of a live object. */
static size_t bytes_of_groups(FIXTURE_DATA(hollow) *self)
{
	uintptr_t reached = 0, first, last;
	size_t i, groups = 0;

	qsort(self->objects, self->count, sizeof(*self->objects), by_place);
	for (i = 0; i < self->count; i++) {
		if (!self->objects[i])
			continue;
		first = (uintptr_t)self->objects[i] / group_bytes();
		last = ((uintptr_t)self->objects[i] + self->size - 1) / group_bytes();
		if (first < reached)
			first = reached;
		groups += last + 1 - first;
		reached = last + 1;
	}
	return groups * group_bytes();
}

/* Of all units that have a live object. */
static size_t resident(const FIXTURE_DATA(hollow) *self)
{
	uintptr_t unit, before = 0;
	size_t i, bytes = 0;

	for (i = 0; i < self->count; i++) {
		unit = (uintptr_t)self->objects[i] & ~(UNIT - 1);
		if (self->objects[i] && unit != before)
			bytes += resident_bytes((void *)unit, UNIT);
		before = unit;
	}
	return bytes;
}

TEST_F(hollow, pages_go_and_what_is_left_is_just_what_objects_lie_on)
{
	struct hpheap_stats stats;
	size_t there;

	free_most(self);
	there = bytes_of_groups(self);
	EXPECT_LT(0, hpheap_scavenge(self->heap, SIZE_MAX));
	stats = stats_of(self->heap);
	EXPECT_EQ(there, stats.committed_bytes - stats.away_bytes);
	/* Of a base page that cannot go a part may be free. */
	EXPECT_EQ(there, stats.used_bytes + stats.free_bytes);
	EXPECT_EQ(stats.slab_bytes, stats.used_bytes);
	if (base_page() <= PAGE)
		EXPECT_EQ(0, stats.free_bytes);
	EXPECT_EQ(there, resident(self));
	EXPECT_TRUE(all_whole(self));
	EXPECT_SOUND_SLABS(self->heap);
	EXPECT_EQ(0, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_TRUE(all_whole(self));
}

/* A slab is one span still, whichever of its pages are there. */
TEST_F(hollow, pages_are_what_a_walk_says)
{
	static struct walk walk;
	const char *wrong;

	free_most(self);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_LT(0, stats_of(self->heap).away_bytes);
	wrong = take_walk(self->heap, &walk);
	EXPECT_EQ(NULL, wrong) {
		TH_LOG("%s", wrong);
	}
}

/* Takes objects in the place of those that were freed. */
static bool take_all(FIXTURE_DATA(hollow) *self)
{
	size_t i;

	for (i = 0; i < self->count; i++) {
		if (self->objects[i])
			continue;
		self->objects[i] = hpheap_malloc_in(self->heap, self->size);
		if (!self->objects[i])
			return false;
		fill(self->objects[i], self->size);
	}
	return true;
}

/* What is left of a page may go later. */
TEST_F(hollow, pages_go_half_by_half)
{
	struct hpheap_stats stats;
	size_t i, there, kept = 0;

	free_most(self);
	hpheap_scavenge(self->heap, SIZE_MAX);
	/* So few are left that less lies on pages than is away of them by halves. */
	for (i = 0; i < self->count; i++)
		if (self->objects[i] && kept++ % (self->count / 64 + 1)) {
			hpheap_free_in(self->heap, self->objects[i]);
			self->objects[i] = NULL;
		}
	there = bytes_of_groups(self);
	hpheap_scavenge(self->heap, SIZE_MAX);
	stats = stats_of(self->heap);
	EXPECT_EQ(there, stats.used_bytes + stats.free_bytes);
	EXPECT_TRUE(all_whole(self));
	EXPECT_SOUND_SLABS(self->heap);
	while (hph_thicken_back(self->heap, hph_zone_here(self->heap), true))
		;
	EXPECT_SOUND_SLABS(self->heap);
	ASSERT_TRUE(take_all(self));
	EXPECT_TRUE(all_whole(self));
	EXPECT_SOUND_SLABS(self->heap);
}

TEST_F(hollow, pages_come_back_with_their_objects)
{
	const size_t committed = stats_of(self->heap).committed_bytes;
	struct hph_zone *zone = hph_zone_here(self->heap);

	free_most(self);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_SOUND_SLABS(self->heap);
	while (hph_thicken_back(self->heap, zone, true))
		;
	EXPECT_EQ(0, stats_of(self->heap).away_bytes);
	EXPECT_SOUND_SLABS(self->heap);
	ASSERT_TRUE(take_all(self));
	EXPECT_TRUE(all_whole(self));
	EXPECT_GE(committed, stats_of(self->heap).committed_bytes);
	EXPECT_SOUND_SLABS(self->heap);
}

/* Nobody calls for them: units come back as spans need room, and slabs are made besides. */
TEST_F(hollow, pages_are_in_nobodys_way_when_the_load_is_back)
{
	unsigned int round;

	for (round = 0; round < 4; round++) {
		free_most(self);
		hpheap_scavenge(self->heap, round % 2 ? SIZE_MAX : UNIT);
		EXPECT_SOUND_SLABS(self->heap);
		ASSERT_TRUE(take_all(self));
		EXPECT_TRUE(all_whole(self));
		EXPECT_SOUND_SLABS(self->heap);
	}
}

TEST_F(hollow, slabs_whose_last_object_goes_are_free_and_away)
{
	size_t i;

	free_most(self);
	hpheap_scavenge(self->heap, SIZE_MAX);
	for (i = 0; i < self->count; i++)
		if (self->objects[i])
			hpheap_free_in(self->heap, self->objects[i]);
	memset(self->objects, 0, self->count * sizeof(*self->objects));
	hph_caches_drain(self->heap);
	EXPECT_EQ(0, stats_of(self->heap).used_bytes);
	EXPECT_EQ(0, stats_of(self->heap).object_bytes);
	EXPECT_SOUND_SLABS(self->heap);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
	ASSERT_TRUE(take_all(self));
	EXPECT_TRUE(all_whole(self));
}

/* Of a page that is free a half may have stayed when the other one went, with what was in it. */
TEST_F(hollow, pages_that_come_back_are_cleared_where_they_are_not_new)
{
	struct hph_zone *zone = hph_zone_here(self->heap);
	uintptr_t unit, before = 0;
	size_t i, committed;
	char *span;

	free_most(self);
	hpheap_scavenge(self->heap, SIZE_MAX);
	qsort(self->objects, self->count, sizeof(*self->objects), by_place);
	for (i = 0; i < self->count; i++) {
		if (!self->objects[i])
			continue;
		unit = (uintptr_t)self->objects[i] & ~(UNIT - 1);
		if (unit == before)
			hpheap_free_in(self->heap, self->objects[i]);
		before = unit;
	}
	hph_caches_drain(self->heap);
	while (hph_thicken_back(self->heap, zone, true))
		;
	committed = stats_of(self->heap).committed_bytes;
	for (i = 0; i < 2 * BYTES / PAGE; i++) {
		span = hpheap_span_alloc(self->heap, PAGE, 0, HPHEAP_SPAN_ZERO);
		ASSERT_NE(NULL, span);
		if (stats_of(self->heap).committed_bytes > committed)
			break;
		ASSERT_EQ(NULL, not_all(span, PAGE, 0)) {
			TH_LOG("span %zu at %p", i, span);
		}
	}
	EXPECT_LT(64, i);
}

/*
 * Objects that were never handed out may lie on such a page, too; and others behind them are
 * handed out before it is back.
 */
TEST_F(hollow, pages_may_have_had_no_object_yet)
{
	struct hph_zone *zone = hph_zone_here(self->heap);
	const unsigned int class = hph_class_of(self->size);
	const unsigned int objects = hph_classes[class].objects;
	size_t i;

	for (i = 0; i < self->count; i++)
		hpheap_free_in(self->heap, self->objects[i]);
	memset(self->objects, 0, self->count * sizeof(*self->objects));
	hpheap_scavenge(self->heap, SIZE_MAX);
	ASSERT_EQ(0, stats_of(self->heap).committed_bytes);
	/* The first of a slab, and what the thread's cache took with it. */
	self->objects[0] = hpheap_malloc_in(self->heap, self->size);
	ASSERT_NE(NULL, self->objects[0]);
	fill(self->objects[0], self->size);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_SOUND_SLABS(self->heap);
	for (i = 1; i < objects; i++) {
		self->objects[i] = hpheap_malloc_in(self->heap, self->size);
		ASSERT_NE(NULL, self->objects[i]);
		fill(self->objects[i], self->size);
	}
	while (hph_thicken_back(self->heap, zone, true))
		;
	EXPECT_SOUND_SLABS(self->heap);
	for (; i < 3 * objects && i < self->count; i++) {
		self->objects[i] = hpheap_malloc_in(self->heap, self->size);
		ASSERT_NE(NULL, self->objects[i]);
		fill(self->objects[i], self->size);
	}
	EXPECT_TRUE(all_whole(self));
	EXPECT_SOUND_SLABS(self->heap);
}

/* Does it lie on half a hollow page, all of it? */
static bool is_withdrawn(const struct hpheap *heap, const unsigned char *object, size_t size)
{
	const struct hph_unit *unit = hph_unitmap_get(&heap->map, hph_unit_of((uintptr_t)object));
	const unsigned int page = hph_page_in_unit((uintptr_t)object);
	const unsigned int half = (uintptr_t)object / (PAGE / 2) % 2;

	return unit->slab_page[page] && half_is_away(unit, page, half) &&
	       (uintptr_t)object % (PAGE / 2) + size <= PAGE / 2;
}

static int free_withdrawn(void *arg)
{
	FIXTURE_DATA(hollow) *self = arg;
	unsigned char **all = calloc(self->count, sizeof(*all));
	size_t i;

	memcpy(all, self->objects, self->count * sizeof(*all));
	free_most(self);
	hpheap_scavenge(self->heap, SIZE_MAX);
	for (i = 0; i < self->count; i++) {
		if (!is_withdrawn(self->heap, all[i], self->size))
			continue;
		hpheap_free_in(self->heap, all[i]);
		hpheap_scavenge(self->heap, SIZE_MAX);
		return 1;
	}
	return 99;
}

TEST_F(hollow, objects_that_are_freed_again_are_found_out)
{
	char text[1024];

	/* Each lies on several pages, or a slab on one base page. */
	if (self->size > PAGE / 4 ||
	    hph_page_addr(hph_classes[hph_class_of(self->size)].pages) <= base_page())
		return;
	EXPECT_EQ(128 + SIGABRT, in_child_heard(free_withdrawn, self, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "free already")) { TH_LOG("%s", text); }
}

/* Objects are free again when all they lie on is there, and have their tags, whoever fails when. */
TEST_F(hollow, pages_may_come_and_go_by_halves)
{
	struct hph_zone *zone = hph_zone_here(self->heap);
	unsigned int left;
	bool back;

	for (left = 0; left < 12; left++) {
		free_most(self);
		advice_left = left;
		hpheap_scavenge(self->heap, SIZE_MAX);
		advice_left = UINT_MAX;
		EXPECT_SOUND_SLABS(self->heap);
		hpheap_scavenge(self->heap, SIZE_MAX);
		advice_left = left;
		back = hph_thicken_back(self->heap, zone, true);
		EXPECT_FALSE(back && !left);
		advice_left = UINT_MAX;
		EXPECT_SOUND_SLABS(self->heap);
		ASSERT_TRUE(take_all(self));
		EXPECT_TRUE(all_whole(self));
		EXPECT_SOUND_SLABS(self->heap);
	}
}

static int use_in_child(void *arg)
{
	FIXTURE_DATA(hollow) *self = arg;

	if (!all_whole(self) || slab_invariants(self->heap))
		return 1;
	if (!take_all(self) || !all_whole(self) || slab_invariants(self->heap))
		return 2;
	free_most(self);
	hpheap_scavenge(self->heap, SIZE_MAX);
	return all_whole(self) && !slab_invariants(self->heap) ? 0 : 3;
}

TEST_F(hollow, pages_are_hollow_in_a_child_too)
{
	free_most(self);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, in_child(use_in_child, self));
	EXPECT_TRUE(all_whole(self));
	EXPECT_SOUND_SLABS(self->heap);
}

#define THREADS	2
#define ROUNDS	3

struct churner {
	pthread_t thread;
	struct hpheap *heap;
	_Atomic bool *stop;
	uint32_t state;
	size_t wrong;
};

static void *churn(void *arg)
{
	struct churner *churner = arg;
	unsigned char *objects[512] = { NULL };
	size_t sizes[512], i;

	while (!atomic_load(churner->stop)) {
		churner->state = churner->state * 1103515245 + 12345;
		i = churner->state >> 16 & 511;
		if (objects[i]) {
			churner->wrong += !is_whole(objects[i], sizes[i]);
			hpheap_free_in(churner->heap, objects[i]);
			objects[i] = NULL;
			continue;
		}
		sizes[i] = (size_t)16 << (churner->state >> 8) % 12;
		objects[i] = hpheap_malloc_in(churner->heap, sizes[i]);
		if (objects[i])
			fill(objects[i], sizes[i]);
	}
	for (i = 0; i < 512; i++)
		hpheap_free_in(churner->heap, objects[i]);
	return NULL;
}

/* Others take and free in the same slabs and units all the time. */
TEST_F(hollow, pages_come_and_go_while_threads_are_at_work)
{
	struct hph_zone *zone = hph_zone_here(self->heap);
	struct churner churners[THREADS];
	_Atomic bool stop = false;
	size_t i, round;

	ASSERT_TRUE(use_all_cpus());
	for (i = 0; i < THREADS; i++) {
		churners[i] = (struct churner){
			.heap = self->heap, .stop = &stop, .state = (uint32_t)i + 1,
		};
		ASSERT_EQ(0, pthread_create(&churners[i].thread, NULL, churn, &churners[i]));
	}
	for (round = 0; round < ROUNDS; round++) {
		free_most(self);
		hpheap_scavenge(self->heap, SIZE_MAX);
		EXPECT_TRUE(all_whole(self));
		for (i = 0; i < 4; i++)
			hph_thicken_back(self->heap, zone, true);
		ASSERT_TRUE(take_all(self));
		EXPECT_TRUE(all_whole(self));
	}
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++) {
		pthread_join(churners[i].thread, NULL);
		EXPECT_EQ(0, churners[i].wrong);
	}
	EXPECT_SOUND_SLABS(self->heap);
}

TEST_HARNESS_MAIN
