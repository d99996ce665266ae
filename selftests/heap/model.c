// SPDX-License-Identifier: GPL-2.0-only
/*
 * The proof by model: a heap lives by chance beside a naive one, on systems with
 * every base page, in address spaces that are large, small or in pieces, with a
 * backend that fails; what must hold inside of it is looked at in between.
 *
 * A life that goes wrong is made shorter and written as C, to be kept in
 * regressions.h. HEAP_WORLD and HEAP_SEED repeat a run, HEAP_OPERATIONS sets its
 * length.
 */
#include "kselftest_harness.h"
#include "regressions.h"

#define SECONDS	4	/* of one variant, at most, if HEAP_OPERATIONS does not say more */

FIXTURE(model) {
	struct verdict *verdict;
};
FIXTURE_VARIANT(model) {
	const struct world_options *options;
};
FIXTURE_SETUP(model)
{
	self->verdict = new_verdict();
}
FIXTURE_TEARDOWN(model)
{
	munmap(self->verdict, sizeof(*self->verdict));
}

#define MODEL(which) FIXTURE_VARIANT_ADD(model, which) { .options = &which }
MODEL(fake_4k);
MODEL(fake_16k);
MODEL(fake_64k);
MODEL(pieces_4k);
MODEL(pieces_16k);
MODEL(pieces_64k);
MODEL(limited);
MODEL(two_backends);
MODEL(two_nodes);
#if UINTPTR_MAX > UINT32_MAX
MODEL(vast_4k);
MODEL(vast_64k);
#endif
MODEL(thp);
MODEL(small_pages);
MODEL(fenced);
MODEL(fenced_thp);

TEST_F(model, says_the_same_as_the_heap)
{
	const char *seed = getenv("HEAP_SEED"), *operations = getenv("HEAP_OPERATIONS");
	const char *world = getenv("HEAP_WORLD");
	const struct life life = {
		.options = variant->options,
		.seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)getpid() ^ (uint64_t)time(NULL),
		.count = operations ? strtoul(operations, NULL, 0) : variant->options->operations,
		.check_every = variant->options->check_every,
		.seconds = operations ? 1e9 : SECONDS,
	};

	if (world && strcmp(world, life.options->name))
		SKIP(return, "HEAP_WORLD names another one");
	EXPECT_TRUE(try_life(&life, self->verdict)) {
		TH_LOG("HEAP_WORLD=%s HEAP_SEED=%" PRIu64 ", operation %zu: %s", life.options->name,
		       life.seed, self->verdict->step, self->verdict->why);
		explain(stderr, life, self->verdict);
	}
}

TEST(what_went_wrong_once_does_not_any_more)
{
	struct verdict *verdict = new_verdict();
	size_t i;

	for (i = 0; i < sizeof(regressions) / sizeof(regressions[0]); i++) {
		struct life life = regressions[i];

		life.check_every = 1;
		life.seconds = 60;
		EXPECT_TRUE(try_life(&life, verdict)) {
			TH_LOG("regression %zu, operation %zu: %s", i, verdict->step, verdict->why);
		}
	}
}

/* Of the zone that the world's threads take from, on a system of several nodes. */
static struct hph_pages *pages_here(struct world *world)
{
	return &hph_zone_here(world->heap)->pages;
}

/* The first used unit of the heap. */
static struct hph_unit *some_used(struct world *world)
{
	struct hph_pages *pages = pages_here(world);
	const unsigned int length = hph_map_next(pages->lengths, 1, true);
	unsigned int density = 0;

	if (length == HPH_UNIT_PAGES)
		return NULL;
	while (!pages->bins[length][density])
		density++;
	return pages->bins[length][density];
}

#define SPOILT_AT 30

static void flip_used(struct world *world, size_t step)
{
	struct hph_unit *unit = step >= SPOILT_AT ? some_used(world) : NULL;

	if (unit)
		unit->used[1] ^= 1U << 7;
}

static void forget_zero(struct world *world, size_t step)
{
	struct hph_unit *unit = step >= SPOILT_AT ? some_used(world) : NULL;

	if (unit)
		memset(unit->zero, 0xff, sizeof(unit->zero));
}

static void lose_a_page(struct world *world, size_t step)
{
	if (step >= SPOILT_AT)
		pages_here(world)->used_pages++;
}

static void shorten_a_run(struct world *world, size_t step)
{
	struct hph_unit *root = pages_here(world)->empty.root;

	if (step >= SPOILT_AT && root)
		root->tree_run--;
}

/* A heap that fails only when three things were done to it, in this order. */
static void fail_after_three(struct world *world, size_t step)
{
	static unsigned int seen;

	(void)step;
	if (seen == 0)
		seen += world->naive.nr_live > 0 && world->current == 2;
	else if (seen == 1)
		seen += world->freed != 0;
	else
		pages_here(world)->spans += world->current == 1;
}

FIXTURE(damage) {
	struct verdict *verdict;
};
FIXTURE_VARIANT(damage) {
	void (*spoil)(struct world *world, size_t step);
	size_t most;		/* operations that remain */
};
FIXTURE_VARIANT_ADD(damage, of_a_map) { .spoil = flip_used, .most = SPOILT_AT + 1 };
FIXTURE_VARIANT_ADD(damage, of_what_is_zero) { .spoil = forget_zero, .most = SPOILT_AT + 1 };
FIXTURE_VARIANT_ADD(damage, of_a_counter) { .spoil = lose_a_page, .most = SPOILT_AT + 1 };
FIXTURE_VARIANT_ADD(damage, of_a_tree) { .spoil = shorten_a_run, .most = SPOILT_AT + 1 };
FIXTURE_VARIANT_ADD(damage, by_three_operations) { .spoil = fail_after_three, .most = 6 };
FIXTURE_SETUP(damage)
{
	self->verdict = new_verdict();
}
FIXTURE_TEARDOWN(damage)
{
	munmap(self->verdict, sizeof(*self->verdict));
}

/* Who checks must find what is wrong, and the shrinker must not lose it. */
TEST_F(damage, is_found_and_the_way_to_it_shortened)
{
	const struct life life = {
		.options = &fake_4k, .seed = 1, .count = 20000, .check_every = 1, .seconds = 60,
		.spoil = variant->spoil,
	};
	char *text = NULL;
	size_t size = 0, left;
	FILE *file = open_memstream(&text, &size);

	ASSERT_NE(NULL, file);
	ASSERT_FALSE(try_life(&life, self->verdict));
	EXPECT_GT(life.count, self->verdict->step);
	left = explain(file, life, self->verdict);
	fclose(file);
	EXPECT_LT(0, left);
	EXPECT_GE(variant->most, left) {
		TH_LOG("%s", text);
	}
	EXPECT_NE('\0', self->verdict->why[0]);
	EXPECT_EQ(left + 3, lines_in(text));
	free(text);
}

TEST_HARNESS_MAIN
