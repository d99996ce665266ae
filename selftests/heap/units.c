// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's inside, piece by piece, each beside a naive version of itself:
 * page maps, runs of units, metadata, the probe, and parsing.
 */
#include "kselftest_harness.h"
#include "heap.h"

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

static unsigned int naive_last(const bool *used, unsigned int page, bool set)
{
	while (used[page] != set)
		if (page-- == 0)
			return PAGES;
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
			ASSERT_EQ(naive_last(used, page, true), hph_map_last(map, page, true));
			ASSERT_EQ(naive_last(used, page, false), hph_map_last(map, page, false));
		}
		ASSERT_EQ(PAGES, hph_map_next(map, PAGES, true));
		ASSERT_EQ(naive_longest(used), hph_map_longest(map));
		for (i = 0; i < 40; i++) {
			const unsigned int pages = random_next(&seed) % PAGES + 1;
			const unsigned int align = 1U << random_next(&seed) % 9;

			ASSERT_EQ(naive_find(used, pages, align), hph_map_find(map, pages, align, 0));
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
		hph_unit_set_tag(hph_unitmap_get(&model->map, number), hph_tag(0, HPH_UNIT_BUSY));
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

		if ((hph_unit_state(unit) == HPH_UNIT_FREE) != model->in[index])
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
	EXPECT_EQ(NULL, hph_unitmap_find(&map, 0));
	EXPECT_EQ(NULL, hph_unitmap_find(&map, UINTPTR_MAX));
	EXPECT_EQ(NULL, hph_unitmap_find(&map, HPH_LEAVES << HPH_LEAF_BITS));
	ASSERT_EQ(0, hph_unitmap_prepare(&map, &meta, HPH_LEAF_UNITS * HPH_LEAVES - 2, 2));
	EXPECT_NE(NULL, hph_unitmap_find(&map, HPH_LEAF_UNITS * HPH_LEAVES - 1));
	EXPECT_EQ(HPH_UNIT_NONE, hph_unit_state(hph_unitmap_get(&map, HPH_LEAF_UNITS * HPH_LEAVES - 1)));
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

/* Every range of a few base pages, with every pattern of holes, beside what was mapped. */
TEST(the_probe_sees_every_base_page_whatever_its_size)
{
	enum { PAGES_HERE = 5 };
	const size_t page = base_page();
	unsigned int pattern, first, end, i;
	bool expected;
	char *p;

	ASSERT_LE(HPHEAP_MIN_BASE_PAGE, page);
	ASSERT_GE(HPHEAP_MAX_BASE_PAGE, page);
	for (pattern = 0; pattern < 1U << PAGES_HERE; pattern++) {
		p = mmap(NULL, PAGES_HERE * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, p);
		for (i = 0; i < PAGES_HERE; i++)
			if (!(pattern >> i & 1))
				ASSERT_EQ(0, munmap(p + i * page, page));
		for (first = 0; first < PAGES_HERE; first++) {
			expected = true;
			for (end = first + 1; end <= PAGES_HERE; end++) {
				expected &= !(pattern >> (end - 1) & 1);
				EXPECT_EQ(expected, hph_os_is_free((uintptr_t)p + first * page,
								   (end - first) * page));
			}
		}
		ASSERT_EQ(0, munmap(p, PAGES_HERE * page));
	}
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
