// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's inside, piece by piece, each beside a naive version of itself:
 * page maps, runs of units, growth arithmetic, and parsing.
 */
#include "kselftest_harness.h"
#include "heap.h"

#include "arena.h"
#include "meta.h"
#include "options.h"
#include "os.h"
#include "pagealloc.h"

#define PAGES HPH_UNIT_PAGES

static unsigned int naive_run_at(const bool *used, unsigned int page)
{
	unsigned int n = 0;

	while (page + n < PAGES && !used[page + n])
		n++;
	return n;
}

static unsigned int naive_longest(const bool *used)
{
	unsigned int page, longest = 0;

	for (page = 0; page < PAGES; page++)
		if (naive_run_at(used, page) > longest)
			longest = naive_run_at(used, page);
	return longest;
}

static unsigned int naive_find(const bool *used, unsigned int pages, unsigned int align)
{
	unsigned int page;

	for (page = 0; page < PAGES; page += align)
		if (naive_run_at(used, page) >= pages)
			return page;
	return PAGES;
}

static unsigned int naive_next(const bool *used, unsigned int page, bool set)
{
	while (page < PAGES && used[page] != set)
		page++;
	return page;
}

TEST(page_maps_answer_as_naive_ones)
{
	uint64_t seed = 1;
	hph_pagemap map;
	bool used[PAGES];
	unsigned int round, page, i;

	for (round = 0; round < 400; round++) {
		memset(map, 0, sizeof(map));
		memset(used, 0, sizeof(used));
		for (i = 0; i < round % 20; i++) {
			const unsigned int first = random_next(&seed) % PAGES;
			const unsigned int pages = random_next(&seed) % (PAGES - first) + 1;
			const bool set = random_next(&seed) % 2;

			if (set)
				hph_map_set(map, first, pages);
			else
				hph_map_clear(map, first, pages);
			memset(used + first, set, pages);
		}
		for (page = 0; page < PAGES; page++) {
			ASSERT_EQ(used[page], hph_map_test(map, page));
			ASSERT_EQ(naive_next(used, page, true), hph_map_next(map, page, true));
			ASSERT_EQ(naive_next(used, page, false), hph_map_next(map, page, false));
		}
		ASSERT_EQ(PAGES, hph_map_next(map, PAGES, true));
		ASSERT_EQ(naive_longest(used), hph_map_longest(map));
		for (i = 0; i < 40; i++) {
			const unsigned int pages = random_next(&seed) % PAGES + 1;
			const unsigned int align = 1U << random_next(&seed) % 9;

			ASSERT_EQ(naive_find(used, pages, align), hph_map_find(map, pages, align));
		}
	}
}

/* Runs of units, beside an array of their states. */
#define FIRST	1000	/* number of the first unit here */
#define UNITS	512

struct model {
	struct hph_meta meta;
	struct hph_unitmap map;
	struct hph_runs runs;
	bool in[UNITS];
};

static bool model_init(struct model *model)
{
	uintptr_t number;

	memset(model, 0, sizeof(*model));
	model->runs = (struct hph_runs){ .map = &model->map, .state = HPH_UNIT_FREE };
	if (hph_unitmap_init(&model->map, &model->meta) ||
	    hph_unitmap_prepare(&model->map, &model->meta, FIRST, UNITS))
		return false;
	for (number = FIRST; number < FIRST + UNITS; number++) {
		hph_unitmap_get(&model->map, number)->number = number;
		hph_unitmap_get(&model->map, number)->state = HPH_UNIT_BUSY;
	}
	return true;
}

static size_t model_run_at(const struct model *model, size_t index)
{
	size_t n = 0;

	while (index + n < UNITS && model->in[index + n])
		n++;
	return n;
}

/* The lowest run that is surely long enough, as hph_runs_take() promises; UNITS: none. */
static size_t model_take(const struct model *model, size_t units, size_t align)
{
	size_t index;

	for (index = 0; index < UNITS; index++) {
		if (index && model->in[index - 1])
			continue;
		if (model_run_at(model, index) >= units + align - 1)
			return hph_round_up(FIRST + index, align) - FIRST;
	}
	return UNITS;
}

static bool model_agrees(const struct model *model)
{
	size_t index;

	for (index = 0; index < UNITS; index++) {
		const struct hph_unit *unit = hph_unitmap_get(&model->map, FIRST + index);
		const size_t run = model_run_at(model, index);

		if ((unit->state == HPH_UNIT_FREE) != model->in[index])
			return false;
		if (run && (!index || !model->in[index - 1]) &&
		    (unit->run != run || hph_unitmap_get(&model->map, FIRST + index + run - 1)->run != run))
			return false;
	}
	return true;
}

TEST(runs_of_units_answer_as_naive_ones)
{
	static struct model model;
	uint64_t seed = 7;
	unsigned int round;

	ASSERT_TRUE(model_init(&model));
	for (round = 0; round < 20000; round++) {
		const size_t index = random_next(&seed) % UNITS;
		size_t units = random_next(&seed) % 12 + 1, align, expected, taken;
		uintptr_t first;

		switch (random_next(&seed) % 8) {
		case 0:
			align = (size_t)1 << random_next(&seed) % 4;
			expected = model_take(&model, units, align);
			ASSERT_EQ(expected != UNITS, hph_runs_take(&model.runs, units, align, &first));
			if (expected != UNITS) {
				ASSERT_EQ(FIRST + expected, first);
				memset(model.in + expected, false, units);
			}
			break;
		case 1:
			for (expected = UNITS; expected && !model.in[expected - 1]; expected--)
				;
			taken = hph_runs_take_last(&model.runs, units, &first);
			ASSERT_EQ(expected != 0, taken != 0);
			if (taken) {
				ASSERT_EQ(FIRST + expected, first + taken);
				memset(model.in + (first - FIRST), false, taken);
			}
			break;
		default:
			for (taken = 0; taken < units && index + taken < UNITS; taken++)
				if (model.in[index + taken])
					break;
			if (taken)
				hph_runs_add(&model.runs, FIRST + index, taken);
			memset(model.in + index, true, taken);
			break;
		}
		ASSERT_TRUE(model_agrees(&model));
	}
	hph_meta_destroy(&model.meta);
}

TEST(a_tree_of_many_runs_stays_shallow)
{
	enum { COUNT = 200000 };
	struct hph_meta meta = { 0 };
	struct hph_unitmap map;
	struct hph_runs runs = { .map = &map, .state = HPH_UNIT_EMPTY };
	unsigned int depth = 0;
	const struct hph_unit *node;
	uintptr_t first;
	size_t i;

	if (sizeof(void *) == 4)
		return;		/* so many units have no place there */
	ASSERT_EQ(0, hph_unitmap_init(&map, &meta));
	ASSERT_EQ(0, hph_unitmap_prepare(&map, &meta, FIRST, 2 * COUNT));
	for (i = 0; i < 2 * COUNT; i++)
		hph_unitmap_get(&map, FIRST + i)->number = FIRST + i;
	for (i = 0; i < COUNT; i++)
		hph_runs_add(&runs, FIRST + 2 * i, 1);
	for (node = runs.root; node; node = node->link[i++ % 2])
		depth++;
	EXPECT_GT(64, depth);
	for (i = 0; i < COUNT; i++)
		ASSERT_TRUE(hph_runs_take(&runs, 1, 1, &first));
	EXPECT_EQ(NULL, runs.root);
	hph_meta_destroy(&meta);
}

TEST(the_unit_map_knows_what_it_was_told_only)
{
	struct hph_meta meta = { 0 };
	struct hph_unitmap map;

	ASSERT_EQ(0, hph_unitmap_init(&map, &meta));
	EXPECT_EQ(NULL, hph_unitmap_get(&map, 0));
	EXPECT_EQ(NULL, hph_unitmap_get(&map, UINTPTR_MAX));
	EXPECT_EQ(NULL, hph_unitmap_get(&map, HPH_LEAVES << HPH_LEAF_BITS));
	ASSERT_EQ(0, hph_unitmap_prepare(&map, &meta, HPH_LEAF_UNITS * HPH_LEAVES - 2, 2));
	EXPECT_NE(NULL, hph_unitmap_get(&map, HPH_LEAF_UNITS * HPH_LEAVES - 1));
	EXPECT_EQ(HPH_UNIT_NONE, hph_unitmap_get(&map, HPH_LEAF_UNITS * HPH_LEAVES - 1)->state);
	hph_meta_destroy(&meta);
}

TEST(metadata_is_zero_and_aligned_and_apart)
{
	static const size_t sizes[] = { 1, 15, 16, 100, 4000, 40000, 65536, 300000, 7 };
	struct hph_meta meta = { 0 };
	char *pieces[9 * 20];
	size_t i, k;

	for (i = 0; i < 9 * 20; i++) {
		pieces[i] = hph_meta_alloc(&meta, sizes[i % 9]);
		ASSERT_NE(NULL, pieces[i]);
		EXPECT_EQ(0, (uintptr_t)pieces[i] % 16);
		for (k = 0; k < sizes[i % 9]; k++)
			ASSERT_EQ(0, pieces[i][k]);
		memset(pieces[i], (int)i + 1, sizes[i % 9]);
	}
	for (i = 0; i < 9 * 20; i++)
		for (k = 0; k < sizes[i % 9]; k++)
			ASSERT_EQ((char)(i + 1), pieces[i][k]);
	hph_meta_destroy(&meta);
}

TEST(a_reservation_always_holds_what_it_was_asked_for)
{
	static const uintptr_t edges[] = {
		0x1000, 0x10000, 0x1ff000, 0x200000, 0x201000, 0x7fffe000, 0xbfe00000, 0xffc00000,
	};
	static const size_t base_pages[] = { 4 * KIB, 16 * KIB, 64 * KIB };
	size_t i, p, units, asked;
	uintptr_t first, end;

	for (p = 0; p < 3; p++) {
		for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
			const uintptr_t base = edges[i] & ~(base_pages[p] - 1);

			for (units = 1; units < 4; units++) {
				ASSERT_TRUE(hph_growth_ask(units * UNIT, base_pages[p], &asked));
				if (!base || base > UINT32_MAX - asked)
					continue;
				ASSERT_TRUE(hph_growth_round(base, asked, &first, &end));
				EXPECT_EQ(0, first % UNIT);
				EXPECT_EQ(0, end % UNIT);
				EXPECT_LE(base, first);
				EXPECT_GE(base + asked, end);
				EXPECT_LE(units * UNIT, end - first);
			}
		}
	}
}

TEST(unusable_reservations_are_refused)
{
	uintptr_t first, end;
	size_t asked;

	EXPECT_FALSE(hph_growth_round(0, 4 * UNIT, &first, &end));
	EXPECT_FALSE(hph_growth_round(UNIT, UNIT - 1, &first, &end));
	EXPECT_FALSE(hph_growth_round(UNIT + 4096, 2 * UNIT - 8192, &first, &end));
	EXPECT_FALSE(hph_growth_round(UINTPTR_MAX - UNIT, 2 * UNIT, &first, &end));
	EXPECT_FALSE(hph_growth_round(UINTPTR_MAX - 4095, UNIT, &first, &end));
	EXPECT_FALSE(hph_growth_ask(SIZE_MAX - 4096, 4096, &asked));
	if (sizeof(void *) == 8)
		EXPECT_FALSE(hph_growth_round((uintptr_t)((uint64_t)1 << 48), 4 * UNIT, &first, &end));
}

TEST(blocks_extend_switch_or_go_back)
{
	const struct hph_growth fresh = { 0 };
	const struct hph_growth full = { .alloc = 100 * UNIT, .end = 100 * UNIT };
	const struct hph_growth little = { .alloc = 100 * UNIT, .end = 108 * UNIT };
	const struct hph_growth much = { .alloc = 100 * UNIT, .end = 109 * UNIT };

	EXPECT_EQ(HPH_SWITCH, hph_growth_judge(&fresh, 5 * UNIT, 6 * UNIT));
	EXPECT_EQ(HPH_SWITCH, hph_growth_judge(&full, 5 * UNIT, 6 * UNIT));
	EXPECT_EQ(HPH_SWITCH, hph_growth_judge(&full, 500 * UNIT, 600 * UNIT));
	EXPECT_EQ(HPH_EXTEND, hph_growth_judge(&full, 100 * UNIT, 101 * UNIT));
	EXPECT_EQ(HPH_SWITCH, hph_growth_judge(&little, 50 * UNIT, 60 * UNIT));
	EXPECT_EQ(HPH_EXTEND, hph_growth_judge(&much, 109 * UNIT, 110 * UNIT));
	EXPECT_EQ(HPH_GIVE_BACK, hph_growth_judge(&much, 50 * UNIT, 60 * UNIT));
	EXPECT_EQ(HPH_GIVE_BACK, hph_growth_judge(&much, 110 * UNIT, 120 * UNIT));
}

/* A backend whose answers are the test's: every block where it says. */
struct script {
	struct hph_backend backend;
	const uintptr_t *bases;
	unsigned int calls, unreserved;
	uintptr_t hint;
};

static int script_reserve(struct hph_backend *backend, uintptr_t hint, size_t bytes,
			  uintptr_t *base)
{
	struct script *script = (struct script *)backend;

	(void)bytes;
	script->hint = hint;
	*base = script->bases[script->calls++];
	return *base ? 0 : -ENOMEM;
}

static void script_unreserve(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
	((struct script *)backend)->unreserved++;
}

static const struct hph_backend_ops script_ops = {
	.reserve = script_reserve, .unreserve = script_unreserve,
};

TEST(arenas_grow_above_below_and_next_to_what_they_have)
{
	static const uintptr_t bases[] = {
		0x40000000,		/* the first block */
		0x42000000,		/* behind it: extends */
		0x10000000,		/* below, 14 MiB are left: switches */
		0x60000000,		/* above, 20 MiB are left: goes back, ... */
		0x20001000,		/* ... and just what is needed is taken, rounded */
		0x12000000,		/* behind the current block: extends */
		0,
	};
	struct script script = { .backend.ops = &script_ops, .bases = bases };
	struct hph_meta meta = { 0 };
	struct hph_arena arena;
	uintptr_t addr;

	hph_arena_init(&arena, &script.backend, &meta, 4096);
	arena.block_bytes = 32 * MIB;
	ASSERT_EQ(0, hph_arena_grow(&arena, 30 * MIB, &addr));
	EXPECT_EQ(0x40000000, addr);
	ASSERT_EQ(0, hph_arena_grow(&arena, 20 * MIB, &addr));
	EXPECT_EQ(0x42000000, script.hint);
	EXPECT_EQ(0x40000000 + 30 * MIB, addr);
	EXPECT_EQ(1, arena.nr_blocks);

	ASSERT_EQ(0, hph_arena_grow(&arena, 16 * MIB, &addr));
	EXPECT_EQ(0x10000000, addr);
	EXPECT_EQ(14 * MIB, arena.stranded_bytes);
	EXPECT_EQ(0x40000000 + 50 * MIB, arena.stranded);
	EXPECT_EQ(0x10000000 + 16 * MIB, arena.growth.alloc);
	EXPECT_EQ(0x40000000 + 50 * MIB, arena.growth.used);

	arena.growth.alloc = 0x10000000 + 12 * MIB;
	ASSERT_EQ(0, hph_arena_grow(&arena, 22 * MIB, &addr));
	EXPECT_EQ(0x20200000, addr);
	EXPECT_EQ(0, arena.stranded_bytes);
	EXPECT_EQ(3, arena.nr_blocks);
	EXPECT_EQ(0x10000000 + 12 * MIB, arena.growth.alloc);

	ASSERT_EQ(0, hph_arena_grow(&arena, 40 * MIB, &addr));
	EXPECT_EQ(0x10000000 + 12 * MIB, addr);
	EXPECT_EQ(3, arena.nr_blocks);
	EXPECT_EQ(-ENOMEM, hph_arena_grow(&arena, 1024 * MIB, &addr));
	hph_meta_destroy(&meta);
}

TEST(sizes_are_parsed_exactly)
{
	uint64_t bytes;

#define EXPECT_SIZE(value, text) do {							\
	EXPECT_TRUE(hph_parse_size(text, &bytes));					\
	EXPECT_EQ(value, bytes);							\
} while (0)
	EXPECT_SIZE(0, "0");
	EXPECT_SIZE(4096, "4K");
	EXPECT_SIZE(3 * MIB, "3M");
	EXPECT_SIZE(UINT64_C(5) << 30, "5G");
	EXPECT_SIZE(UINT64_C(1) << 40, "1T");
	EXPECT_SIZE(UINT64_MAX, "18446744073709551615");
	EXPECT_SIZE(UINT64_C(18446742974197923840), "16777215T");
	EXPECT_FALSE(hph_parse_size("18446744073709551616", &bytes));
	EXPECT_FALSE(hph_parse_size("16777216T", &bytes));
	EXPECT_FALSE(hph_parse_size("", &bytes));
	EXPECT_FALSE(hph_parse_size("K", &bytes));
	EXPECT_FALSE(hph_parse_size("1k", &bytes));
	EXPECT_FALSE(hph_parse_size("1KK", &bytes));
	EXPECT_FALSE(hph_parse_size(" 1", &bytes));
	EXPECT_FALSE(hph_parse_size("+1", &bytes));
}

TEST_HARNESS_MAIN
