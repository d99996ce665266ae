// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random operations on a heap beside a list of what should be alive. HEAP_SEED
 * repeats a run.
 */
#include "kselftest_harness.h"
#define TEST_MAY_MOVE
#include "heap.h"

#define LIVE		400
#define OPERATIONS	30000	/* or what can be done in so many ... */
#define SECONDS		6

struct span {
	unsigned char *addr;
	size_t bytes;
	unsigned char tag;
};

static struct span live[LIVE];
static uint64_t state;

static uint32_t pick(uint32_t below)
{
	return random_next(&state) % below;
}

/* Its first and last bytes, and one of each heap page in it. */
static bool marked(const struct span *span)
{
	size_t i;

	for (i = 0; i < span->bytes; i += PAGE)
		if (span->addr[i] != span->tag || span->addr[i + PAGE - 1] != span->tag)
			return false;
	return true;
}

static void mark(const struct span *span)
{
	size_t i;

	for (i = 0; i < span->bytes; i += PAGE)
		span->addr[i] = span->addr[i + PAGE - 1] = span->tag;
}

static bool overlaps(const struct span *span)
{
	size_t i;

	for (i = 0; i < LIVE; i++)
		if (&live[i] != span && live[i].addr && live[i].addr < span->addr + span->bytes &&
		    span->addr < live[i].addr + live[i].bytes)
			return true;
	return false;
}

static size_t random_bytes(void)
{
	switch (pick(16)) {
	case 0:
		return pick(6 * MIB) + 1;
	case 1:
		return (pick(3) + 1) * UNIT;
	case 2:
		return pick(UNIT) + 1;
	default:
		return pick(64 * KIB) + 1;
	}
}

static const char *allocate(struct hpheap *heap, struct span *span)
{
	const size_t bytes = random_bytes(), align = pick(3) ? 0 : (size_t)1 << pick(23);
	const unsigned int flags = pick(4);

	span->addr = hpheap_span_alloc(heap, bytes, align, flags);
	if (!span->addr)
		return "no memory";
	span->bytes = hpheap_span_size(heap, span->addr);
	span->tag = (unsigned char)pick(256);
	if (span->bytes < bytes || span->bytes % PAGE || overlaps(span))
		return "the wrong memory";
	if ((align && (uintptr_t)span->addr % align) || (uintptr_t)span->addr % PAGE)
		return "the wrong alignment";
	if (flags & HPHEAP_SPAN_BASE_ALIGNED &&
	    ((uintptr_t)span->addr % base_page() || span->bytes % base_page()))
		return "not whole base pages";
	if (flags & HPHEAP_SPAN_ZERO && !is_zero(span->addr, bytes & ~(size_t)7))
		return "not zero";
	mark(span);
	return NULL;
}

static const char *release(struct hpheap *heap, struct span *span)
{
	if (hpheap_span_size(heap, span->addr) != span->bytes)
		return "another size than before";
	if (!marked(span))
		return "other content than was written";
	hpheap_span_free(heap, span->addr);
	if (hpheap_span_size(heap, span->addr))
		return "still a span after it was freed";
	span->addr = NULL;
	return NULL;
}

static const char *count(struct hpheap *heap)
{
	const struct hpheap_stats stats = stats_of(heap);
	size_t i, spans = 0, bytes = 0;

	for (i = 0; i < LIVE; i++) {
		spans += live[i].addr != NULL;
		bytes += live[i].addr ? live[i].bytes : 0;
	}
	if (stats.spans != spans || stats.used_bytes != bytes)
		return "the statistics do not count the live spans";
	if (stats.used_bytes + stats.free_bytes + stats.away_bytes != stats.committed_bytes)
		return "the statistics do not add up";
	if (stats.commit_calls - stats.release_calls != stats.committed_bytes / UNIT)
		return "commits less releases are not what is committed";
	return NULL;
}

static const char *step(struct hpheap *heap)
{
	struct span *span = &live[pick(LIVE)];

	if (!pick(500))
		return hpheap_reserve(heap, pick(4 * UNIT), HPHEAP_NODE_ANY) ? "no reserve" : count(heap);
	if (!pick(300)) {
		hpheap_scavenge(heap, pick(2) ? SIZE_MAX : pick(8 * UNIT));
		return count(heap);
	}
	return span->addr ? release(heap, span) : allocate(heap, span);
}

FIXTURE(random) {
	struct hpheap *heap;
};
FIXTURE_VARIANT(random) {
	enum hpheap_backend backend;
};
FIXTURE_VARIANT_ADD(random, thp) { .backend = HPHEAP_BACKEND_THP };
FIXTURE_VARIANT_ADD(random, small) { .backend = HPHEAP_BACKEND_SMALL };
FIXTURE_VARIANT_ADD(random, auto) { .backend = HPHEAP_BACKEND_AUTO };
FIXTURE_SETUP(random)
{
	self->heap = heap_on(variant->backend);
	ASSERT_NE(NULL, self->heap);
}
FIXTURE_TEARDOWN(random)
{
	hpheap_destroy(self->heap);
}

TEST_F(random, operations_keep_what_they_promise)
{
	const char *text = getenv("HEAP_SEED"), *wrong = NULL;
	const uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)getpid();
	const double end = now() + SECONDS;
	unsigned int i;
	size_t there;

	state = seed;
	for (i = 0; i < OPERATIONS && now() < end && !wrong; i++)
		wrong = step(self->heap);
	for (i = 0; i < LIVE && !wrong; i++)
		if (live[i].addr)
			wrong = release(self->heap, &live[i]);
	EXPECT_EQ(NULL, wrong) {
		TH_LOG("HEAP_SEED=%" PRIu64 ", operation %u: %s", seed, i, wrong);
	}
	EXPECT_EQ(0, stats_of(self->heap).used_bytes);
	there = stats_of(self->heap).committed_bytes - stats_of(self->heap).away_bytes;
	EXPECT_EQ(there, hpheap_scavenge(self->heap, SIZE_MAX));
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
}

TEST_HARNESS_MAIN
