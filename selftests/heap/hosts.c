// SPDX-License-Identifier: GPL-2.0-only
/*
 * What programs and their surroundings do to a heap: limits, locked memory,
 * use before main() and after it.
 */
#include "kselftest_harness.h"
#include "heap.h"
#include "opened.h"

static struct hpheap *early_heap;
static char *early_span;

/* Before main(), and before most constructors. Tests run in children, which see a copy. */
__attribute__((constructor(101)))
static void use_early(void)
{
	early_heap = heap_on(HPHEAP_BACKEND_THP);
	if (early_heap)
		early_span = hpheap_span_alloc(early_heap, 3 * PAGE, 0, HPHEAP_SPAN_ZERO);
	if (early_span)
		*early_span = 1;
}

TEST(a_heap_works_before_main)
{
	ASSERT_NE(NULL, early_heap);
	ASSERT_NE(NULL, early_span);
	EXPECT_EQ(1, *early_span);
	hpheap_span_free(early_heap, early_span);
	EXPECT_EQ(0, stats_of(early_heap).used_bytes);
}

static void use_late(void)
{
	struct hpheap *heap = hpheap_default();
	char *span = heap ? hpheap_span_alloc(heap, UNIT, 0, 0) : NULL;

	if (!span)
		_exit(1);
	*span = 1;
	hpheap_span_free(heap, span);
}

static int exit_late(void *arg)
{
	(void)arg;
	atexit(use_late);
	exit(0);
}

TEST(a_heap_works_in_atexit_handlers)
{
	EXPECT_EQ(0, in_child(exit_late, NULL));
}

static size_t address_space(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%lu", &pages) != 1)
		abort();
	fclose(file);
	return pages * base_page();
}

static size_t status_bytes(const char *key)
{
	unsigned long kib = 0;
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");

	if (!file)
		abort();
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			kib = strtoul(line + strlen(key), NULL, 10);
	fclose(file);
	return kib * KIB;
}

static bool limit(int which, size_t bytes)
{
	const struct rlimit limit = { .rlim_cur = bytes, .rlim_max = bytes };

	return !setrlimit(which, &limit);
}

/* Takes spans of @bytes until there are no more; they are chained. */
static size_t take_all(struct hpheap *heap, size_t bytes, char **chain)
{
	size_t count = 0;
	char *span;

	*chain = NULL;
	while ((span = hpheap_span_alloc(heap, bytes, 0, 0))) {
		memcpy(span, chain, sizeof(*chain));
		*chain = span;
		count++;
	}
	return errno == ENOMEM ? count : 0;
}

static void free_all(struct hpheap *heap, char *chain)
{
	char *next;

	for (; chain; chain = next) {
		memcpy(&next, chain, sizeof(next));
		hpheap_span_free(heap, chain);
	}
}

static bool sound(struct hpheap *heap)
{
	const struct hpheap_stats stats = stats_of(heap);

	return stats.address_bytes >= stats.committed_bytes &&
	       stats.committed_bytes == stats.used_bytes + stats.free_bytes;
}

static int exhaust(struct hpheap *heap, size_t most)
{
	static const size_t sizes[] = { UNIT, PAGE, 3 * UNIT, 100 * PAGE, UNIT };
	size_t i, count, first = 0;
	char *chain;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		count = take_all(heap, sizes[i], &chain);
		if (i == 0)
			first = count;
		/* Nearly all of it, again and again, in any shape. */
		if (count * sizes[i] < most / 2 || count * sizes[i] > most)
			return 20 + (int)i;
		if (i == 4 && count < first)
			return 30;
		if (!sound(heap))
			return 40;
		free_all(heap, chain);
		if (stats_of(heap).used_bytes)
			return 50;
	}
	return 0;
}

static int without_addresses(void *arg)
{
	const size_t room = 64 * MIB;
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_THP);
	int result;

	(void)arg;
	if (!heap || !limit(RLIMIT_AS, address_space() + room))
		return 1;
	result = exhaust(heap, room);
	if (result)
		return result;
	/* No room for what lies above the limit, all room for what lies below. */
	if (hpheap_span_alloc(heap, room, 0, 0) || errno != ENOMEM)
		return 2;
	return hpheap_span_alloc(heap, room / 2, 0, 0) ? 0 : 3;
}

TEST(a_heap_under_rlimit_as_uses_what_there_is_and_then_says_enomem)
{
	EXPECT_EQ(0, in_child(without_addresses, NULL));
}

/* The limit is set first: the reservations of a heap must be small against it. */
static int made_under_a_limit(void *arg)
{
	const size_t room = 24 * MIB;
	struct hpheap *heap;

	(void)arg;
	if (!limit(RLIMIT_AS, address_space() + room))
		return 1;
	heap = heap_on(HPHEAP_BACKEND_THP);
	return heap && hpheap_span_alloc(heap, 4 * UNIT, 0, 0) ? 0 : 2;
}

TEST(a_heap_can_be_made_under_a_small_rlimit_as)
{
	EXPECT_EQ(0, in_child(made_under_a_limit, NULL));
}

/* Addresses enough, no memory: the kernel refuses to make them writable. */
static int without_memory(void *arg)
{
	const size_t room = 64 * MIB;
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_THP);
	struct hpheap_stats before, after;
	int result;

	(void)arg;
	if (!heap || !limit(RLIMIT_DATA, status_bytes("VmData:") + room))
		return 1;
	result = exhaust(heap, room);
	if (result)
		return result;
	hpheap_scavenge(heap, SIZE_MAX);
	before = stats_of(heap);
	if (before.committed_bytes)
		return 2;
	if (!hpheap_reserve(heap, 2 * room, HPHEAP_NODE_ANY) || errno != ENOMEM)
		return 3;
	after = stats_of(heap);
	if (after.committed_bytes || after.free_bytes || !sound(heap))
		return 4;
	return hpheap_reserve(heap, room / 4, HPHEAP_NODE_ANY) ? 5 : 0;
}

TEST(a_heap_without_memory_says_enomem_and_keeps_nothing_of_what_failed)
{
	EXPECT_EQ(0, in_child(without_memory, NULL));
}

/* What is open ahead counts, too: it must not be what is missing elsewhere. */
static int opened_elsewhere(void *arg)
{
	const unsigned int flags = *(const unsigned int *)arg;
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_SMALL);
	const size_t units = 32, metadata = 6;
	size_t i;

	if (!hpheap_span_alloc(heap, UNIT, 0, 0) ||
	    !limit(RLIMIT_DATA, status_bytes("VmData:") + (2 * units - 1 + metadata) * UNIT))
		return 1;
	for (i = 1; i < units; i++)
		if (!hpheap_span_alloc(heap, UNIT, 0, 0))
			return 2;
	if (!open_units(heap, NULL) && !stats_of(heap).free_bytes)
		return 3;
	/* Aligned so that it lies elsewhere than what is open, or has been fetched ahead. */
	return hpheap_span_alloc(heap, units * UNIT, units * UNIT, flags) ? 0 : 4;
}

/* Nor must what is free. */
static int free_elsewhere(void *arg)
{
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_SMALL);
	const size_t units = 32, metadata = 6;

	(void)arg;
	if (!hpheap_span_alloc(heap, units * UNIT, 0, 0) ||
	    !limit(RLIMIT_DATA, status_bytes("VmData:") + (units + metadata) * UNIT) ||
	    hpheap_reserve(heap, 24 * UNIT, HPHEAP_NODE_ANY))
		return 1;
	/* All that there may be and more: that takes nothing away. */
	if (hpheap_span_alloc(heap, 3 * units * UNIT, 0, 0) || errno != ENOMEM ||
	    stats_of(heap).free_huge_bytes != 24 * UNIT)
		return 2;
	return hpheap_span_alloc(heap, units * UNIT, units * UNIT, 0) ? 0 : 3;
}

TEST(what_is_open_or_free_elsewhere_is_given_back_for_a_span)
{
	unsigned int flags = 0;

	EXPECT_EQ(0, in_child(free_elsewhere, NULL));

	EXPECT_EQ(0, in_child(opened_elsewhere, &flags));
	flags = HPHEAP_SPAN_LAZY;
	EXPECT_EQ(0, in_child(opened_elsewhere, &flags));
}

static int locked(void *arg)
{
	const int flags = *(const int *)arg;
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_THP);
	char *span = hpheap_span_alloc(heap, UNIT, 0, 0), *more;
	size_t before, open;

	if (!span)
		return 1;
	before = status_bytes("VmRSS:");
	open = open_units(heap, NULL);
	if (mlockall(flags))
		return errno == EPERM || errno == ENOMEM ? 100 : 2;
	more = hpheap_span_alloc(heap, 4 * UNIT, UNIT, 0);
	if (!more)
		return 3;
	if (flags & MCL_CURRENT && open_units(heap, NULL) > open)
		return 8;
	/* Metadata as it is mapped, but not the reservation, which is many times that. */
	if (status_bytes("VmRSS:") > before + 5 * UNIT + 24 * MIB)
		return 4;
	memset(more, 1, 4 * UNIT);
	hpheap_span_free(heap, more);
	if (hpheap_scavenge(heap, SIZE_MAX) != 4 * UNIT || resident_bytes(more, 4 * UNIT))
		return 5;
	if (mlockall(flags) || resident_bytes(more, 4 * UNIT))
		return 7;
	more = hpheap_span_alloc(heap, 4 * UNIT, UNIT, HPHEAP_SPAN_ZERO);
	if (!more || !is_zero(more, 4 * UNIT))
		return 6;
	hpheap_span_free(heap, more);
	hpheap_destroy(heap);
	return 0;
}

FIXTURE(locked_memory) {
};
FIXTURE_SETUP(locked_memory) { }
FIXTURE_TEARDOWN(locked_memory) { }
FIXTURE_VARIANT(locked_memory) {
	int flags;
};
FIXTURE_VARIANT_ADD(locked_memory, of_now) { .flags = MCL_CURRENT };
FIXTURE_VARIANT_ADD(locked_memory, of_the_future) { .flags = MCL_FUTURE };
FIXTURE_VARIANT_ADD(locked_memory, of_now_and_the_future) { .flags = MCL_CURRENT | MCL_FUTURE };

TEST_F(locked_memory, is_only_what_is_used_and_can_be_given_back)
{
	int flags = variant->flags;
	const int result = in_child(locked, &flags);

	if (result == 100)
		SKIP(return, "this user may not lock so much memory");
	EXPECT_EQ(0, result);
}

static int without_descriptors(void *arg)
{
	struct hpheap *heap;

	(void)arg;
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	if (!limit(RLIMIT_NOFILE, 0))
		return 1;
	heap = hpheap_create(NULL);
	return heap && hpheap_span_alloc(heap, 2 * UNIT, 0, 0) ? 0 : 2;
}

TEST(a_process_without_descriptors_can_have_a_heap)
{
	EXPECT_EQ(0, in_child(without_descriptors, NULL));
}

/* In efence mode no address is used twice: they come to an end. */
static int use_up_addresses(void *arg)
{
	const struct hpheap_options options = {
		.backend = HPHEAP_BACKEND_THP, .flags = HPHEAP_EFENCE,
	};
	struct hpheap *heap = hpheap_create(&options);
	unsigned int rounds = 0;
	char *span, *kept;

	(void)arg;
	if (!limit(RLIMIT_AS, address_space() + 256 * MIB))
		return 1;
	kept = heap ? hpheap_span_alloc(heap, UNIT, 0, 0) : NULL;
	if (!kept)
		return 2;
	memset(kept, 3, UNIT);
	while ((span = hpheap_span_alloc(heap, UNIT, 0, 0))) {
		memset(span, 1, UNIT);
		hpheap_span_free(heap, span);
		if (rounds++ > 1000)
			return 3;
	}
	if (errno != ENOMEM || rounds < 16)
		return 4;
	if (hpheap_span_alloc(heap, PAGE, 0, 0) && not_all(kept, UNIT, 3))
		return 5;
	hpheap_span_free(heap, kept);
	if (touch(kept) != SIGSEGV)
		return 6;
	return stats_of(heap).used_bytes > PAGE + UNIT ? 7 : 0;
}

TEST(an_efence_heap_that_has_used_up_its_addresses_says_enomem)
{
	EXPECT_EQ(0, in_child(use_up_addresses, NULL));
}

TEST_HARNESS_MAIN
