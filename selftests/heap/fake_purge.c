// SPDX-License-Identifier: GPL-2.0-only
/*
 * Purgeable units, on the tests' own device: when they are marked, fetched back, taken and
 * released, and what can go wrong with each. What the kernel does with marks is
 * arena/purgeable.c's to test.
 */
#include "kselftest_harness.h"
#include "fake_device.h"
#include "invariants.h"

#define EXPECT_PURGEABLE(units) do {							\
	const struct hpheap_stats now_ = stats_of(self->heap);				\
	EXPECT_EQ((units) * UNIT, now_.purgeable_bytes);				\
	EXPECT_EQ(NULL, invariants(self->heap)) {					\
		TH_LOG("%s", invariants(self->heap));					\
	}										\
	EXPECT_SOUND(self->heap);							\
} while (0)

/* Marks what is free. */
static size_t purge(struct hpheap *heap, size_t units)
{
	size_t bytes = 0;

	return hph_shrink_zone(heap, &heap->zones[0], units, true, &bytes);
}

/* Units that were written to, all free. */
static char *dirty(struct hpheap *heap, size_t units)
{
	char *span = hpheap_span_alloc(heap, units * UNIT, UNIT, 0);

	if (span) {
		memset(span, 0xee, units * UNIT);
		hpheap_span_free(heap, span);
		hph_caches_drain(heap);
	}
	return span;
}

TEST_F(fake_device, what_is_purgeable_counts_as_given_back)
{
	char *span = dirty(self->heap, 4);

	ASSERT_NE(NULL, span);
	EXPECT_EQ(3, purge(self->heap, 3));
	EXPECT_EQ(3, fake.marks);
	EXPECT_PURGEABLE(3);
	EXPECT_HELD(1, 0);
	EXPECT_EQ(3, stats_of(self->heap).release_calls);
	/* Nobody has it now: who writes there all the same is to be found out. */
	EXPECT_EQ(SIGSEGV, touch(span + 3 * UNIT));
}

TEST_F(fake_device, what_is_purgeable_is_fetched_before_anything_else)
{
	char *span = dirty(self->heap, 4), *again;

	ASSERT_NE(NULL, span);
	EXPECT_EQ(4, purge(self->heap, 4));
	again = hpheap_span_alloc(self->heap, 2 * UNIT, UNIT, 0);
	EXPECT_EQ(span, again);
	EXPECT_EQ(NULL, not_all(again, 2 * UNIT, 0xee));
	EXPECT_PURGEABLE(2);
	EXPECT_HELD(2, 0);
	EXPECT_EQ(1, fake.creates);
}

/* It may be what it was, or zeroes: who wants zeroes gets them. */
TEST_F(fake_device, what_was_purgeable_is_not_taken_for_zero)
{
	char *span = dirty(self->heap, 4), *again;

	ASSERT_NE(NULL, span);
	EXPECT_EQ(4, purge(self->heap, 4));
	again = hpheap_span_alloc(self->heap, 4 * UNIT, UNIT, HPHEAP_SPAN_ZERO);
	EXPECT_EQ(span, again);
	EXPECT_TRUE(is_zero(again, 4 * UNIT));
	EXPECT_PURGEABLE(0);
}

TEST_F(fake_device, what_is_purgeable_is_released_on_demand)
{
	char *span = dirty(self->heap, 4);

	ASSERT_NE(NULL, span);
	EXPECT_EQ(3, purge(self->heap, 3));
	EXPECT_EQ(4 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_PURGEABLE(0);
	EXPECT_HELD(0, 0);
	EXPECT_EQ(0, resident_bytes(span, 4 * UNIT));
	span = hpheap_span_alloc(self->heap, 4 * UNIT, UNIT, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 4 * UNIT));
}

/* To remove what is mapped in pieces does nothing, and says that it went well. */
TEST_F(fake_device, what_cannot_be_released_is_no_memory_of_the_heap_any_more)
{
	char *span = dirty(self->heap, 4);

	ASSERT_NE(NULL, span);
	fake.split = true;
	fake.mark_errno = EINVAL;
	EXPECT_EQ(4 * UNIT, hpheap_scavenge(self->heap, SIZE_MAX));
	fake.split = false;
	EXPECT_EQ(0, resident_bytes(span, 4 * UNIT));
	span = hpheap_span_alloc(self->heap, 4 * UNIT, UNIT, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 4 * UNIT));
	EXPECT_SOUND(self->heap);
}

TEST_F(fake_device, a_limit_has_nothing_purgeable_beside_it)
{
	ASSERT_NE(NULL, dirty(self->heap, 4));
	EXPECT_EQ(3, purge(self->heap, 3));
	ASSERT_EQ(0, hpheap_set_limit(self->heap, 64 * UNIT));
	EXPECT_PURGEABLE(0);
	EXPECT_HELD(1, 0);
}

/* An older module, or no memory for a mark. */
TEST_F(fake_device, what_cannot_be_marked_is_released)
{
	char *span = dirty(self->heap, 4);

	ASSERT_NE(NULL, span);
	fake.mark_errno = ENOTTY;
	EXPECT_EQ(2, purge(self->heap, 2));
	fake.mark_errno = ENOMEM;
	EXPECT_EQ(2, purge(self->heap, 2));
	EXPECT_PURGEABLE(0);
	EXPECT_HELD(0, 0);
	EXPECT_EQ(0, resident_bytes(span, 4 * UNIT));
}

TEST_F(fake_device, without_its_descriptor_what_goes_is_released)
{
	ASSERT_NE(NULL, dirty(self->heap, 4));
	closefrom(3);
	EXPECT_EQ(2, purge(self->heap, 2));
	EXPECT_EQ(0, fake.marks);
	EXPECT_PURGEABLE(0);
	EXPECT_HELD(2, 0);
}

/* What comes from the fallback is anonymous memory, which knows no marks. */
TEST_F(fake_device, what_fell_back_is_released)
{
	fake.quota = 2 * UNIT;
	ASSERT_NE(NULL, dirty(self->heap, 4));
	EXPECT_HELD(2, 2);
	EXPECT_EQ(4, purge(self->heap, 4));
	EXPECT_EQ(2, fake.marks);
	EXPECT_PURGEABLE(2);
	EXPECT_HELD(0, 0);
}

/* The kernel has taken them, and there is no memory now: they stay for a better time. */
TEST_F(fake_device, what_cannot_be_fetched_stays_purgeable)
{
	char *span = dirty(self->heap, 4);

	ASSERT_NE(NULL, span);
	EXPECT_EQ(4, purge(self->heap, 4));
	fake.fills = 2;		/* of the first unit: the device, and then the fallback */
	fake.fill_errno = ENOMEM;
	EXPECT_EQ(NULL, hpheap_span_alloc(self->heap, 2 * UNIT, UNIT, 0));
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_PURGEABLE(3);
	EXPECT_HELD(0, 0);
	span = hpheap_span_alloc(self->heap, 2 * UNIT, UNIT, HPHEAP_SPAN_ZERO);
	ASSERT_NE(NULL, span);
	EXPECT_TRUE(is_zero(span, 2 * UNIT));
	EXPECT_HELD(2, 0);
}

static struct hpheap *parents;

/* The device's memory is the parent's, marks and all. */
static int grow_in_child(void *arg)
{
	char *span;

	(void)arg;
	if (stats_of(parents).purgeable_bytes || invariants(parents))
		return 1;
	span = hpheap_span_alloc(parents, 4 * UNIT, UNIT, HPHEAP_SPAN_ZERO);
	return span && is_zero(span, 4 * UNIT) && !invariants(parents) ? 0 : 2;
}

TEST_F(fake_device, children_have_nothing_purgeable)
{
	char *span = dirty(self->heap, 4);

	ASSERT_NE(NULL, span);
	EXPECT_EQ(3, purge(self->heap, 3));
	parents = self->heap;
	EXPECT_EQ(0, in_child(grow_in_child, NULL));
	EXPECT_PURGEABLE(3);
	EXPECT_EQ(span + UNIT, hpheap_span_alloc(self->heap, 3 * UNIT, UNIT, 0));
}

/* Nobody fetched them between two questions: so many are too many. */
TEST_F(fake_device, what_nobody_fetched_is_counted)
{
	struct hph_zone *zone = &self->heap->zones[0];
	char *span = dirty(self->heap, 8);

	ASSERT_NE(NULL, span);
	EXPECT_EQ(6, purge(self->heap, 6));
	EXPECT_EQ(0, hph_purgeable_idle(&zone->pages));	/* There were none at first. */
	EXPECT_EQ(6, hph_purgeable_idle(&zone->pages));
	ASSERT_NE(NULL, hpheap_span_alloc(self->heap, 5 * UNIT, UNIT, 0));
	EXPECT_EQ(1, hph_purgeable_idle(&zone->pages));
	EXPECT_EQ(1, hph_purgeable_release(self->heap, zone, 5));
	EXPECT_EQ(0, hph_purgeable_idle(&zone->pages));
	EXPECT_PURGEABLE(0);
}

TEST_F(fake_device, what_is_purgeable_is_drawn_as_such)
{
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	ASSERT_NE(NULL, file);
	ASSERT_NE(NULL, dirty(self->heap, 4));
	ASSERT_EQ(0, hpheap_map_write(self->heap, file, HPHEAP_MAP_SVG));
	fflush(file);
	EXPECT_EQ(NULL, strstr(text, "purgeable"));
	EXPECT_EQ(3, purge(self->heap, 3));
	rewind(file);
	ASSERT_EQ(0, hpheap_map_write(self->heap, file, HPHEAP_MAP_SVG));
	fclose(file);
	EXPECT_NE(NULL, strstr(text, "purgeable: there until the system needs it"));
	free(text);
}

TEST_HARNESS_MAIN
