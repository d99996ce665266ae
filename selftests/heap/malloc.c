// SPDX-License-Identifier: GPL-2.0-only
/*
 * The malloc family on a heap: sizes, alignment, errors, and what is noticed of misuse.
 */
#include "kselftest_harness.h"
#define TEST_MAY_MOVE
#include "regions.h"

#include <pthread.h>
#include <stdatomic.h>

#include "cache.h"
#include "slab.h"

FIXTURE(malloc) {
	struct hpheap *heap;
};

FIXTURE_SETUP(malloc)
{
	self->heap = heap_on(HPHEAP_BACKEND_THP);
	ASSERT_NE(NULL, self->heap);
}

FIXTURE_TEARDOWN(malloc)
{
	EXPECT_SOUND(self->heap);
	hpheap_destroy(self->heap);
}

TEST_F(malloc, classes_waste_less_than_a_ninth)
{
	size_t bytes, has, granules;
	unsigned int class;

	for (bytes = 1; bytes <= HPH_OBJECT_MAX; bytes++) {
		class = hph_class_of(bytes);
		ASSERT_GT(HPH_CLASSES, class);
		has = hph_classes[class].size;
		granules = (bytes + 15) / 16 * 16;
		ASSERT_LE(granules, has);
		ASSERT_GT(has, (has - granules) * 9);
		/* None before it would do. */
		if (class)
			ASSERT_GT(bytes, hph_classes[class - 1].size);
	}
	EXPECT_EQ(0, hph_class_of(0));
}

TEST_F(malloc, slabs_leave_less_than_a_32nd_over_and_hold_some_objects)
{
	unsigned int class;
	uint64_t offset;

	for (class = 0; class < HPH_CLASSES; class++) {
		const struct hph_class *it = &hph_classes[class];

		EXPECT_GE(32, it->pages);
		EXPECT_LE(4, it->objects);
		EXPECT_EQ(it->bytes, it->objects * it->size);
		EXPECT_GE(it->pages * PAGE / 32, it->pages * PAGE - it->bytes);
		EXPECT_EQ(0, it->size % 16);
		/* What the fast test of an address says is what division says. */
		for (offset = 0; offset < it->pages * PAGE; offset++)
			ASSERT_EQ(offset % it->size == 0, offset * it->inverse < it->inverse);
	}
}

TEST_F(malloc, each_size_is_usable_whole_and_aligned)
{
	char *object, *other;
	size_t bytes, has;

	for (bytes = 1; bytes < 200 * KIB; bytes += bytes / 37 + 1) {
		object = hpheap_malloc_in(self->heap, bytes);
		other = hpheap_malloc_in(self->heap, bytes);
		ASSERT_NE(NULL, object);
		ASSERT_NE(NULL, other);
		has = hpheap_malloc_usable_size_in(self->heap, object);
		ASSERT_LE(bytes, has);
		ASSERT_EQ(0, (uintptr_t)object % 16);
		memset(object, 1, has);
		memset(other, 2, has);
		ASSERT_EQ(NULL, not_all(object, has, 1));
		hpheap_free_in(self->heap, object);
		ASSERT_EQ(NULL, not_all(other, has, 2));
		hpheap_free_in(self->heap, other);
	}
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
}

TEST_F(malloc, zero_bytes_have_an_address_of_their_own)
{
	char *first = hpheap_malloc_in(self->heap, 0), *second = hpheap_malloc_in(self->heap, 0);

	EXPECT_NE(NULL, first);
	EXPECT_NE(NULL, second);
	EXPECT_NE(first, second);
	hpheap_free_in(self->heap, first);
	hpheap_free_in(self->heap, second);
	first = hpheap_calloc_in(self->heap, 0, 8);
	EXPECT_NE(NULL, first);
	hpheap_free_in(self->heap, first);
	hpheap_free_in(self->heap, NULL);
	EXPECT_EQ(0, hpheap_malloc_usable_size_in(self->heap, NULL));
}

#define EXPECT_REFUSED(error, call) do {	\
	errno = 0;				\
	EXPECT_EQ(NULL, call);			\
	EXPECT_EQ(error, errno);		\
} while (0)

TEST_F(malloc, too_much_is_enomem)
{
	const size_t many = SIZE_MAX / 2 + 2;
	char *object = hpheap_malloc_in(self->heap, 100);

	ASSERT_NE(NULL, object);
	memset(object, 7, 96);
	EXPECT_REFUSED(ENOMEM, hpheap_malloc_in(self->heap, SIZE_MAX));
	EXPECT_REFUSED(ENOMEM, hpheap_malloc_in(self->heap, (size_t)PTRDIFF_MAX + 1));
	EXPECT_REFUSED(ENOMEM, hpheap_calloc_in(self->heap, many, 2));
	EXPECT_REFUSED(ENOMEM, hpheap_calloc_in(self->heap, 2, many));
	EXPECT_REFUSED(ENOMEM, hpheap_aligned_alloc_in(self->heap, 64, SIZE_MAX - 32));
	EXPECT_REFUSED(ENOMEM, hpheap_realloc_in(self->heap, object, SIZE_MAX));
	EXPECT_EQ(NULL, not_all(object, 96, 7));
	EXPECT_REFUSED(EINVAL, hpheap_malloc_in(NULL, 1));
	EXPECT_REFUSED(EINVAL, hpheap_malloc_in(NULL, MIB));
	EXPECT_REFUSED(EINVAL, hpheap_calloc_in(NULL, 1, 1));
	EXPECT_REFUSED(EINVAL, hpheap_aligned_alloc_in(self->heap, 48, 1));
	EXPECT_REFUSED(EINVAL, hpheap_aligned_alloc_in(self->heap, 0, 1));
	hpheap_free_in(self->heap, object);
}

TEST_F(malloc, calloc_is_zero_where_others_were)
{
	static const size_t sizes[] = { 8, 16, 100, 1000, 5000, 60000, 70000, 3000000 };
	char *objects[8][20];
	unsigned int round, i, n;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 8; i++) {
			for (n = 0; n < 20; n++) {
				objects[i][n] = hpheap_calloc_in(self->heap, sizes[i] / 8, 8);
				ASSERT_NE(NULL, objects[i][n]);
				ASSERT_TRUE(is_zero(objects[i][n], sizes[i] & ~7UL));
				memset(objects[i][n], 0xa5, sizes[i]);
			}
		}
		for (i = 0; i < 8; i++)
			for (n = 0; n < 20; n++)
				hpheap_free_in(self->heap, objects[i][n]);
	}
}

TEST_F(malloc, every_alignment_is_kept)
{
	char *objects[32];
	size_t align, bytes;
	unsigned int i;

	for (align = 1; align <= 8 * MIB; align *= 2) {
		for (i = 0; i < 32; i++) {
			bytes = i * i * 97;
			if (align > MIB && i > 3)
				break;
			objects[i] = hpheap_aligned_alloc_in(self->heap, align, bytes);
			ASSERT_NE(NULL, objects[i]);
			ASSERT_EQ(0, (uintptr_t)objects[i] % align);
			ASSERT_LE(bytes, hpheap_malloc_usable_size_in(self->heap, objects[i]));
			memset(objects[i], (int)i, bytes);
		}
		while (i-- > 0) {
			ASSERT_EQ(NULL, not_all(objects[i], i * i * 97 / 8 * 8, (unsigned char)i));
			hpheap_free_in(self->heap, objects[i]);
		}
	}
}

TEST_F(malloc, realloc_keeps_what_was_there)
{
	size_t bytes = 1, other;
	char *object = NULL;
	uint64_t state = 3;
	unsigned int i;

	for (i = 0; i < 3000; i++) {
		other = random_next(&state) % (i % 50 ? 3000 : 300000) + 1;
		object = hpheap_realloc_in(self->heap, object, other);
		ASSERT_NE(NULL, object);
		if (i)
			ASSERT_EQ(NULL, not_all(object, (other < bytes ? other : bytes) / 8 * 8,
						(unsigned char)i));
		memset(object, (int)(i + 1), other);
		bytes = other;
	}
	EXPECT_EQ(NULL, hpheap_realloc_in(self->heap, object, 0));
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
}

TEST_F(malloc, errno_is_left_alone_by_free)
{
	void *small = hpheap_malloc_in(self->heap, 10), *large = hpheap_malloc_in(self->heap, MIB);

	errno = 4711;
	hpheap_free_in(self->heap, small);
	hpheap_free_in(self->heap, large);
	hpheap_free_in(self->heap, NULL);
	EXPECT_EQ(4711, errno);
}

/* The system refuses things on the way: to bind memory, to name it, to open the device. */
TEST_F(malloc, errno_is_left_alone_by_what_works)
{
	static const size_t sizes[] = { 1, 5000, HPH_OBJECT_MAX + 1, 3 * UNIT, 30 * UNIT };
	unsigned int mode, i;

	for (mode = 0; mode < 2; mode++) {
		const struct hpheap_options options = {
			.size = sizeof(options), .backend = HPHEAP_BACKEND_THP,
			.flags = mode ? HPHEAP_EFENCE : 0,
		};
		struct hpheap *heap = hpheap_create(&options);
		void *object;

		ASSERT_NE(NULL, heap);
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			errno = 4711;
			object = hpheap_malloc_in(heap, sizes[i]);
			EXPECT_EQ(4711, errno) { TH_LOG("malloc(%zu), mode %u", sizes[i], mode); }
			object = hpheap_realloc_in(heap, object, 2 * sizes[i]);
			EXPECT_EQ(4711, errno);
			hpheap_free_in(heap, object);
			EXPECT_EQ(4711, errno);
		}
		hpheap_destroy(heap);
	}
}

TEST_F(malloc, slabs_are_spans_that_the_statistics_and_a_walk_agree_on)
{
	struct walk walk;
	void *objects[1000];
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		objects[i] = hpheap_malloc_in(self->heap, i * 7);
		ASSERT_NE(NULL, objects[i]);
	}
	ASSERT_EQ(0, take_walk(self->heap, &walk));
	EXPECT_EQ(stats_of(self->heap).used_bytes, walk.bytes[HPHEAP_REGION_SPAN]);
	EXPECT_EQ(stats_of(self->heap).spans, walk.spans);
	EXPECT_EQ(NULL, hpheap_span_find(self->heap, objects[500], NULL));
	EXPECT_EQ(0, hpheap_span_size(self->heap, objects[0]));
	for (i = 0; i < 1000; i++)
		hpheap_free_in(self->heap, objects[i]);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).used_bytes);
}

TEST_F(malloc, statistics_tell_what_objects_have)
{
	struct hpheap_stats stats;
	void *objects[700];
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < 700; i++) {
		objects[i] = hpheap_malloc_in(self->heap, i * 31);
		bytes += hpheap_malloc_usable_size_in(self->heap, objects[i]);
	}
	stats = stats_of(self->heap);
	EXPECT_EQ(bytes, stats.object_bytes);
	EXPECT_EQ(stats.used_bytes, stats.slab_bytes);
	EXPECT_GT(stats.slab_bytes, stats.object_bytes);
	for (i = 0; i < 700; i += 2) {
		bytes -= hpheap_malloc_usable_size_in(self->heap, objects[i]);
		hpheap_free_in(self->heap, objects[i]);
	}
	EXPECT_EQ(bytes, stats_of(self->heap).object_bytes);
	for (i = 1; i < 700; i += 2)
		hpheap_free_in(self->heap, objects[i]);
	EXPECT_EQ(0, stats_of(self->heap).object_bytes);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).slab_bytes);
}

/* What the calling thread's cache holds; "": all of it is granted. */
static const char *wrong_of_racks(struct hpheap *heap)
{
	struct hph_cache *cache = hph_cache_of(heap);
	size_t granted = 0;
	unsigned int class;

	if (!cache)
		return "no cache";
	for (class = 0; class < HPH_CLASSES; class++) {
		const struct hph_rack *rack = hph_cache_rack(cache, class);

		if (rack->count > rack->most || rack->most > hph_classes[class].most)
			return "more objects than granted";
		granted += (size_t)rack->most * hph_classes[class].size;
	}
	if (granted != cache->object_bytes)
		return "the sum";
	return granted > HPH_CACHE_OBJECT_BYTES ? "more than a cache may have" : "";
}

/* More classes in use than a cache may hold objects of. */
TEST_F(malloc, a_cache_holds_what_it_is_granted)
{
	static void *objects[1500];
	unsigned int seed = 1, i, at;

	for (i = 0; i < 60000; i++) {
		at = (unsigned int)rand_r(&seed) % 1500;
		hpheap_free_in(self->heap, objects[at]);
		objects[at] = hpheap_malloc_in(self->heap, (size_t)rand_r(&seed) % HPH_OBJECT_MAX + 1);
		ASSERT_NE(NULL, objects[at]);
		if (i % 100 == 0)
			ASSERT_STREQ("", wrong_of_racks(self->heap));
	}
	/* All at once, where the cache has nothing granted for most of them. */
	for (i = 0; i < 1500; i++)
		hpheap_free_in(self->heap, objects[i]);
	EXPECT_STREQ("", wrong_of_racks(self->heap));
	memset(objects, 0, sizeof(objects));
	EXPECT_EQ(0, stats_of(self->heap).object_bytes);
}

/* Another thread's object has come to the depot meanwhile: the new slab is empty. */
TEST_F(malloc, a_slab_that_nobody_took_from_goes_too)
{
	void *object = hpheap_malloc_in(self->heap, 48);
	const unsigned int class = hph_class_of(48);

	ASSERT_NE(NULL, object);
	ASSERT_NE(NULL, hph_slab_make(self->heap, class));
	ASSERT_NE(NULL, hph_slab_make(self->heap, class));
	hpheap_free_in(self->heap, object);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).slab_bytes);
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
}

/* Objects of a class are packed: a slab is used up before there is a second. */
TEST_F(malloc, what_is_freed_is_used_again_before_there_is_more)
{
	void *objects[5000];
	uint64_t used;
	unsigned int i, round;

	for (i = 0; i < 5000; i++)
		objects[i] = hpheap_malloc_in(self->heap, 100);
	used = stats_of(self->heap).used_bytes;
	EXPECT_GE(5000 * 112 * 110 / 100 + 128 * KIB, used);
	for (round = 0; round < 20; round++) {
		for (i = round % 3; i < 5000; i += 3)
			hpheap_free_in(self->heap, objects[i]);
		for (i = round % 3; i < 5000; i += 3)
			objects[i] = hpheap_malloc_in(self->heap, 100);
	}
	EXPECT_EQ(used, stats_of(self->heap).used_bytes);
}

enum wrong { TWICE, TWICE_LATER, INTERIOR, LARGE_TWICE, LARGE_INTERIOR, STACK, NEVER, WRITTEN,
	     SPAN_FREE, TAIL };

static int misuse(void *arg)
{
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_THP);
	char *object = hpheap_malloc_in(heap, 100), *large = hpheap_malloc_in(heap, MIB);
	char *other = hpheap_malloc_in(heap, 100), *odd = hpheap_malloc_in(heap, 3000);
	unsigned int i;
	int local;

	switch (*(enum wrong *)arg) {
	case TWICE:
		hpheap_free_in(heap, object);
		hpheap_free_in(heap, object);
		break;
	case TWICE_LATER:
		hpheap_free_in(heap, object);
		hpheap_free_in(heap, other);
		hpheap_scavenge(heap, SIZE_MAX);
		other = hpheap_malloc_in(heap, 100);
		(void)other;
		hpheap_free_in(heap, (char *)((uintptr_t)object > (uintptr_t)other ? object :
					      other + 112));
		hpheap_scavenge(heap, SIZE_MAX);
		break;
	case INTERIOR:
		hpheap_free_in(heap, object + 16);
		break;
	case LARGE_TWICE:
		hpheap_free_in(heap, large);
		hpheap_free_in(heap, large);
		break;
	case LARGE_INTERIOR:
		hpheap_free_in(heap, large + PAGE);
		break;
	case STACK:
		hpheap_free_in(heap, &local);
		break;
	case NEVER:
		hpheap_free_in(heap, (void *)16);
		break;
	case WRITTEN:
		hpheap_free_in(heap, object);
		memset(object, 0, 100);
		for (i = 0; i < 1000; i++)
			(void)!hpheap_malloc_in(heap, 100);
		break;
	case SPAN_FREE:
		hpheap_span_free(heap, (char *)((uintptr_t)object & ~(PAGE - 1)));
		break;
	case TAIL:
		odd = (char *)((uintptr_t)odd & ~(uintptr_t)(PAGE - 1));
		hpheap_free_in(heap, odd + hph_classes[hph_class_of(3000)].bytes);
		break;
	}
	return 0;
}

FIXTURE(misused) {
};
FIXTURE_SETUP(misused) { }
FIXTURE_TEARDOWN(misused) { }
FIXTURE_VARIANT(misused) {
	enum wrong wrong;
	const char *says;
};
#define VARIANT(name, what, text) \
	FIXTURE_VARIANT_ADD(misused, name) { .wrong = what, .says = text }
VARIANT(freed_twice, TWICE, "free already");
VARIANT(freed_that_was_never_handed_out, TWICE_LATER, "free already");
VARIANT(freed_in_the_middle, INTERIOR, "not the beginning of an object, which have 112 bytes");
VARIANT(large_freed_twice, LARGE_TWICE, "may have been freed already");
VARIANT(large_freed_in_the_middle, LARGE_INTERIOR, "not the beginning of an object: that is ");
VARIANT(of_the_stack, STACK, "no memory of this heap");
VARIANT(of_nowhere, NEVER, "no memory of this heap");
VARIANT(written_to_after_it_was_freed, WRITTEN, "was written to after it was freed");
VARIANT(slab_freed_as_a_span, SPAN_FREE, "no live span begins there");
VARIANT(behind_the_last_object_of_a_slab, TAIL, "not the beginning of an object");

TEST_F(misused, aborts_with_one_line_that_says_it)
{
	enum wrong wrong = variant->wrong;
	char text[1024];

	EXPECT_EQ(128 + SIGABRT, in_child_heard(misuse, &wrong, text, sizeof(text)));
	EXPECT_EQ(1, lines_in(text)) { TH_LOG("%s", text); }
	EXPECT_NE(NULL, strstr(text, variant->says)) { TH_LOG("%s", text); }
}

#define THREADS		4
#define SLOTS		512

static struct hpheap *shared;
static _Atomic(char *) slots[SLOTS];
static _Atomic unsigned int wrong;

static size_t some_size(uint64_t *state)
{
	const uint64_t kind = random_next(state) % 100;

	if (kind < 80)
		return random_next(state) % 300;
	if (kind < 99)
		return random_next(state) % (40 * KIB);
	return random_next(state) % (2 * MIB);
}

/* An object is full of a byte of its own address, its size before that. */
static char *fill(char *object, size_t bytes)
{
	if (bytes >= sizeof(bytes)) {
		memset(object, (int)((uintptr_t)object >> 4), bytes);
		memcpy(object, &bytes, sizeof(bytes));
	}
	return object;
}

static void check(const char *object)
{
	size_t bytes, i;

	if (hpheap_malloc_usable_size_in(shared, object) < 16)
		return;
	memcpy(&bytes, object, sizeof(bytes));
	for (i = sizeof(bytes); i < bytes; i++) {
		if (object[i] != (char)((uintptr_t)object >> 4)) {
			wrong++;
			return;
		}
	}
}

static void *churn(void *arg)
{
	uint64_t state = (uintptr_t)arg;
	const double end = now() + 4;
	unsigned int round;

	for (round = 0; round < 200000 && now() < end; round++) {
		const size_t bytes = some_size(&state) + sizeof(bytes);
		char *object = fill(hpheap_malloc_in(shared, bytes), bytes);

		object = atomic_exchange(&slots[random_next(&state) % SLOTS], object);
		if (!object)
			continue;
		check(object);
		hpheap_free_in(shared, object);
		if (round % 20000 == 0)
			hpheap_scavenge(shared, SIZE_MAX);
	}
	return NULL;
}

/* What one allocated most often another frees. */
TEST(threads_share_a_heap_and_keep_their_objects_apart)
{
	pthread_t threads[THREADS];
	uintptr_t i;

	use_all_cpus();
	shared = heap_on(HPHEAP_BACKEND_THP);
	ASSERT_NE(NULL, shared);
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, churn, (void *)(i + 1)));
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, wrong);
	for (i = 0; i < SLOTS; i++)
		hpheap_free_in(shared, slots[i]);
	EXPECT_SOUND(shared);
	hpheap_scavenge(shared, SIZE_MAX);
	EXPECT_EQ(0, stats_of(shared).committed_bytes);
	hpheap_destroy(shared);
}

static int churn_in_child(void *arg)
{
	unsigned int i;

	(void)arg;
	wrong = 0;
	churn((void *)99);
	for (i = 0; i < SLOTS; i++) {
		if (slots[i])
			check(slots[i]);
		hpheap_free_in(shared, slots[i]);
	}
	if (wrong)
		return 1;
	hpheap_scavenge(shared, SIZE_MAX);
	return stats_of(shared).committed_bytes > 8 * UNIT ? 2 : 0;
}

TEST(a_child_of_a_threaded_program_has_a_working_heap)
{
	pthread_t threads[THREADS];
	uintptr_t i;

	use_all_cpus();
	shared = heap_on(HPHEAP_BACKEND_THP);
	ASSERT_NE(NULL, shared);
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, churn, (void *)(i + 1)));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, in_child(churn_in_child, NULL));
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, wrong);
	hpheap_destroy(shared);
}

static void *use_and_end(void *arg)
{
	void *objects[200];
	unsigned int i;

	for (i = 0; i < 200; i++)
		objects[i] = hpheap_malloc_in(arg, i * 13);
	for (i = 0; i < 200; i++)
		hpheap_free_in(arg, objects[i]);
	return NULL;
}

TEST_F(malloc, thousands_of_threads_leave_nothing_behind)
{
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < 3000; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, use_and_end, self->heap));
		pthread_join(thread, NULL);
	}
	EXPECT_GE(4 * UNIT, stats_of(self->heap).committed_bytes);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
}

struct first {
	struct hpheap *heap;
	size_t bytes;
	char *object;
};

static void *take_first(void *arg)
{
	struct first *first = arg;

	first->object = hpheap_malloc_in(first->heap, first->bytes);
	return NULL;
}

/* They would write to it in turn, each time it was the other one's. */
TEST_F(malloc, threads_that_begin_share_no_line)
{
	struct first first = { .heap = self->heap };
	pthread_t thread;
	char *mine;

	for (first.bytes = 16; first.bytes <= 1024; first.bytes *= 2) {
		mine = hpheap_malloc_in(self->heap, first.bytes);
		ASSERT_NE(NULL, mine);
		ASSERT_EQ(0, pthread_create(&thread, NULL, take_first, &first));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_NE(NULL, first.object);
		EXPECT_NE((uintptr_t)mine / 128, (uintptr_t)first.object / 128) {
			TH_LOG("of %zu bytes: %p and %p", first.bytes, mine, first.object);
		}
		hpheap_free_in(self->heap, mine);
		hpheap_free_in(self->heap, first.object);
	}
}

/* So that every use after free faults. */
TEST(objects_are_fenced_in_efence_mode)
{
	const struct hpheap_options options = {
		.backend = HPHEAP_BACKEND_THP, .flags = HPHEAP_EFENCE,
	};
	struct hpheap *heap = hpheap_create(&options);
	char *object, *other;

	ASSERT_NE(NULL, heap);
	object = hpheap_malloc_in(heap, 24);
	ASSERT_NE(NULL, object);
	*object = 1;
	hpheap_free_in(heap, object);
	EXPECT_EQ(SIGSEGV, touch(object));
	other = hpheap_malloc_in(heap, 24);
	EXPECT_NE(other, object);
	hpheap_free_in(heap, other);
	hpheap_destroy(heap);
}

TEST_HARNESS_MAIN
