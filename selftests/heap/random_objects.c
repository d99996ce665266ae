// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random objects of a heap whose load comes and goes, and that gives back at any moment what it
 * can: whole units, pages, and pages of slabs or halves of them; and gets it again. Each is full of
 * its tag as long as it lives, and zero if that was asked for. HEAP_SEED repeats a run.
 */
#include "kselftest_harness.h"
#define TEST_MAY_MOVE
#include "heap.h"
#include "cache.h"
#include "invariants.h"
#include "invariants_slabs.h"

#define LIVE		6000
#define OPERATIONS	400000	/* or what can be done in so many ... */
#define SECONDS		6
#define TIDE		20000	/* operations in which the load rises, or falls */
#define CHECK_EVERY	5000

struct object {
	unsigned char *addr;
	size_t bytes;
	unsigned char tag;
};

static struct object live[LIVE];
static uint64_t state;

static uint32_t pick(uint32_t below)
{
	return random_next(&state) % below;
}

/* Small ones as a rule, and of some classes more than of others. */
static size_t random_bytes(void)
{
	const uint32_t kind = pick(64);

	if (kind == 0)
		return pick(MIB) + 1;
	if (kind < 5)
		return pick(64 * KIB) + 1;
	if (kind < 20)
		return pick(8 * KIB) + 1;
	return (size_t)16 << pick(6);
}

static const char *take(struct hpheap *heap, struct object *object)
{
	const bool cleared = pick(2);

	object->bytes = random_bytes();
	object->addr = cleared ? hpheap_calloc_in(heap, 1, object->bytes) :
				 hpheap_malloc_in(heap, object->bytes);
	if (!object->addr)
		return "no memory";
	if (cleared && not_all(object->addr, object->bytes, 0))
		return "calloc() gave what was not zero";
	object->tag = (unsigned char)pick(256);
	memset(object->addr, object->tag, object->bytes);
	return NULL;
}

static const char *let_go(struct hpheap *heap, struct object *object)
{
	if (not_all(object->addr, object->bytes, object->tag))
		return "other content than was written";
	hpheap_free_in(heap, object->addr);
	object->addr = NULL;
	return NULL;
}

static const char *change(struct hpheap *heap, struct object *object)
{
	const size_t bytes = random_bytes(), least = hph_least(bytes, object->bytes);
	unsigned char *addr = hpheap_realloc_in(heap, object->addr, bytes);

	if (!addr)
		return "no memory";
	if (not_all(addr, least, object->tag))
		return "realloc() lost something";
	memset(addr, object->tag, bytes);
	*object = (struct object){ .addr = addr, .bytes = bytes, .tag = object->tag };
	return NULL;
}

static void give_or_get(struct hpheap *heap)
{
	struct hph_zone *zone = hph_zone_here(heap);
	unsigned int units = pick(16);

	switch (pick(4)) {
	case 0:
		hpheap_scavenge(heap, SIZE_MAX);
		break;
	case 1:
		hpheap_scavenge(heap, pick(8 * UNIT));
		break;
	case 2:
		while (units-- && hph_thicken_back(heap, zone, true))
			;
		break;
	default:
		while (units-- && hph_make_huge(heap, zone))
			;
	}
}

static const char *step(struct hpheap *heap, bool rises)
{
	struct object *object = &live[pick(LIVE)];

	if (!pick(2000))
		give_or_get(heap);
	if (!object->addr)
		return rises || !pick(8) ? take(heap, object) : NULL;
	if (!pick(16))
		return change(heap, object);
	return rises && pick(8) ? NULL : let_go(heap, object);
}

FIXTURE(random_objects) {
	struct hpheap *heap;
};
FIXTURE_VARIANT(random_objects) {
	enum hpheap_backend backend;
};
FIXTURE_VARIANT_ADD(random_objects, thp) { .backend = HPHEAP_BACKEND_THP };
FIXTURE_VARIANT_ADD(random_objects, small) { .backend = HPHEAP_BACKEND_SMALL };
FIXTURE_VARIANT_ADD(random_objects, auto) { .backend = HPHEAP_BACKEND_AUTO };
FIXTURE_SETUP(random_objects)
{
	self->heap = heap_on(variant->backend);
	ASSERT_NE(NULL, self->heap);
}
FIXTURE_TEARDOWN(random_objects)
{
	hpheap_destroy(self->heap);
}

TEST_F(random_objects, keep_what_was_written)
{
	const char *text = getenv("HEAP_SEED"), *wrong = NULL;
	const uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)getpid();
	const double end = now() + SECONDS;
	unsigned int i, which;

	state = seed;
	for (i = 0; i < OPERATIONS && (i % 256 || now() < end) && !wrong; i++) {
		wrong = step(self->heap, i / TIDE % 2 == 0);
		if (!wrong && i % CHECK_EVERY == 0)
			wrong = invariants(self->heap);
		if (!wrong && i % CHECK_EVERY == 0)
			wrong = slab_invariants(self->heap);
	}
	for (which = 0; which < LIVE && !wrong; which++)
		if (live[which].addr)
			wrong = let_go(self->heap, &live[which]);
	EXPECT_EQ(NULL, wrong) {
		TH_LOG("HEAP_SEED=%" PRIu64 ", operation %u: %s", seed, i, wrong);
	}
	EXPECT_EQ(0, stats_of(self->heap).object_bytes);
	hpheap_scavenge(self->heap, SIZE_MAX);
	EXPECT_EQ(0, stats_of(self->heap).committed_bytes);
}

TEST_HARNESS_MAIN
