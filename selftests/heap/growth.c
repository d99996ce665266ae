// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arena growth: its arithmetic, some stories of it, and every order in which a
 * system may place the blocks: below all that is there, above all, or where it was
 * asked to.
 */
#include "kselftest_harness.h"
#include "heap.h"

#include "arena.h"

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
	uintptr_t taken;	/* by somebody else, one unit */
	const uintptr_t *bases;
	unsigned int calls, unreserved;
	uintptr_t hint;
};

#define REFUSED	((uintptr_t)1)	/* once */

static int script_reserve(struct hph_backend *backend, uintptr_t hint, size_t bytes,
			  uintptr_t *base)
{
	struct script *script = (struct script *)backend;

	(void)bytes;
	script->hint = hint;
	*base = script->bases[script->calls];
	if (!*base)
		return -ENOMEM;		/* from now on */
	script->calls++;
	return *base == REFUSED ? -ENOMEM : 0;
}

static void script_unreserve(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
	((struct script *)backend)->unreserved++;
}

static bool script_is_free(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	const struct script *script = (struct script *)backend;

	return script->taken < addr || script->taken >= addr + bytes;
}

static const struct hph_backend_ops script_ops = {
	.reserve = script_reserve, .unreserve = script_unreserve, .is_free = script_is_free,
};

FIXTURE(scripted) {
	struct script script;
	struct hph_meta meta;
	struct hph_arena arena;
};

/* An arena of blocks of 32 MiB, without a first one. */
FIXTURE_SETUP(scripted)
{
	memset(&self->meta, 0, sizeof(self->meta));
	self->script = (struct script){ .backend.ops = &script_ops };
	hph_arena_init(&self->arena, &self->script.backend, &self->meta, 4096);
	self->arena.block_bytes = 32 * MIB;
}

FIXTURE_TEARDOWN(scripted)
{
	hph_meta_destroy(&self->meta);
}

TEST_F(scripted, arenas_grow_above_below_and_next_to_what_they_have)
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
	struct hph_arena *arena = &self->arena;
	uintptr_t addr;

	self->script.bases = bases;
	self->script.taken = 0x12000000;
	ASSERT_EQ(0, hph_arena_grow(arena, 30 * MIB, &addr));
	EXPECT_EQ(0x40000000, addr);
	ASSERT_EQ(0, hph_arena_grow(arena, 20 * MIB, &addr));
	EXPECT_EQ(0x42000000, self->script.hint);
	EXPECT_EQ(0x40000000 + 30 * MIB, addr);
	EXPECT_EQ(1, arena->nr_blocks);

	ASSERT_EQ(0, hph_arena_grow(arena, 16 * MIB, &addr));
	EXPECT_EQ(0x10000000, addr);
	EXPECT_EQ(14 * MIB, arena->stranded_bytes);
	EXPECT_EQ(0x40000000 + 50 * MIB, arena->stranded);
	EXPECT_EQ(0x10000000 + 16 * MIB, arena->growth.alloc);
	EXPECT_EQ(0x40000000 + 50 * MIB, arena->growth.used);

	arena->growth.alloc = 0x10000000 + 12 * MIB;
	ASSERT_EQ(0, hph_arena_grow(arena, 22 * MIB, &addr));
	EXPECT_EQ(0x20200000, addr);
	EXPECT_EQ(0, arena->stranded_bytes);
	EXPECT_EQ(3, arena->nr_blocks);
	EXPECT_EQ(0x10000000 + 12 * MIB, arena->growth.alloc);

	ASSERT_EQ(0, hph_arena_grow(arena, 40 * MIB, &addr));
	EXPECT_EQ(0x10000000 + 12 * MIB, addr);
	EXPECT_EQ(3, arena->nr_blocks);
	EXPECT_EQ(-ENOMEM, hph_arena_grow(arena, 1024 * MIB, &addr));
}

/* It is no larger than what is needed: with what alignment would cost, it is not found. */
TEST_F(scripted, a_hole_of_the_right_size_is_found_beside_a_block_with_much_left)
{
	static const uintptr_t bases[] = {
		0x40000000,		/* the first block */
		0x60000000,		/* 24 MiB are left: goes back */
		REFUSED,		/* with the surplus */
		0x20000000,		/* without it */
		0,
	};
	struct hph_arena *arena = &self->arena;
	uintptr_t addr;

	self->script.bases = bases;
	self->script.taken = 0x42000000;
	ASSERT_EQ(0, hph_arena_grow(arena, 8 * MIB, &addr));
	ASSERT_EQ(0, hph_arena_grow(arena, 30 * MIB, &addr));
	EXPECT_EQ(0x20000000, addr);
}

TEST_F(scripted, a_block_is_extended_by_what_it_lacks_where_that_is_free)
{
	static const uintptr_t bases[] = {
		0x40000000,		/* the first block: 32 MiB */
		0x60000000,		/* elsewhere, 20 MiB are left: goes back, ... */
		0x42000000,		/* ... and what is lacking is free behind the block */
		0x60000000,		/* again, ... */
		0x10000000,		/* ... and the system gives other addresses than were free, ... */
		0x20000000,		/* ... so they go back, too, and what is needed is taken */
		0,
	};
	struct hph_arena *arena = &self->arena;
	uintptr_t addr;

	self->script.bases = bases;
	ASSERT_EQ(0, hph_arena_grow(arena, 12 * MIB, &addr));
	ASSERT_EQ(0, hph_arena_grow(arena, 24 * MIB, &addr));
	EXPECT_EQ(0x40000000 + 12 * MIB, addr);
	EXPECT_EQ(0x42000000, self->script.hint);
	EXPECT_EQ(0x42000000 + 4 * MIB, arena->growth.end);
	EXPECT_EQ(1, arena->nr_blocks);
	EXPECT_EQ(36 * MIB, arena->address_bytes);

	arena->growth.alloc -= 20 * MIB;
	ASSERT_EQ(0, hph_arena_grow(arena, 24 * MIB, &addr));
	EXPECT_EQ(0x20000000, addr);
	EXPECT_EQ(2, arena->nr_blocks);
	EXPECT_EQ(60 * MIB, arena->address_bytes);
}

#define STEPS	5
#define RANGES	64
#define ANSWERS	(3 * STEPS)	/* A step asks the system at most three times. */

enum where { BELOW, ABOVE, AS_ASKED, WHERES };

struct range {
	uintptr_t first;
	uintptr_t end;
};

/* Where the blocks of one play go: as far as it asked, and BELOW behind that. */
struct order {
	enum where answers[ANSWERS];
	unsigned int asked;
};

/* The next one that begins differently; false: there is no other. */
static bool next_order(struct order *order)
{
	unsigned int last = order->asked;

	while (last && order->answers[last - 1] == WHERES - 1)
		order->answers[--last] = BELOW;
	order->asked = 0;
	if (!last)
		return false;
	order->answers[last - 1]++;
	return true;
}

/* A system that has promised itself where the next blocks go. */
struct scene {
	struct hph_backend backend;
	struct order *order;
	size_t base_page;
	size_t off;		/* what blocks are off huge units */
	struct range ranges[RANGES]; /* reserved */
	size_t nr_ranges;
	uintptr_t low, high;
	const char *wrong;
};

static bool is_free(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	const struct scene *scene = (struct scene *)backend;
	size_t i;

	for (i = 0; i < scene->nr_ranges; i++)
		if (scene->ranges[i].first < addr + bytes && scene->ranges[i].end > addr)
			return false;
	return true;
}

static int reserve(struct hph_backend *backend, uintptr_t hint, size_t bytes, uintptr_t *base)
{
	struct scene *scene = (struct scene *)backend;
	enum where where;

	if (scene->order->asked == ANSWERS)
		abort();
	where = scene->order->answers[scene->order->asked++];
	if (!bytes || bytes % scene->base_page)
		scene->wrong = "a reservation of no base pages";
	if (where == AS_ASKED && hint && is_free(backend, hint, bytes)) {
		*base = hint;
	} else if (where == BELOW) {
		*base = ((scene->low - bytes - 40 * MIB) & ~(UNIT - 1)) + scene->off;
		scene->low = *base;
	} else {
		*base = ((scene->high + 40 * MIB) & ~(UNIT - 1)) + scene->off;
	}
	if (*base + bytes > scene->high)
		scene->high = *base + bytes;
	if (!is_free(backend, *base, bytes) || scene->nr_ranges == RANGES)
		abort();
	scene->ranges[scene->nr_ranges++] = (struct range){ *base, *base + bytes };
	return 0;
}

/* Is it reserved, though perhaps in adjoining pieces? */
static bool is_reserved(const struct scene *scene, uintptr_t addr, size_t bytes)
{
	uintptr_t at = addr;
	size_t i;

	for (i = 0; i < scene->nr_ranges && at < addr + bytes; i++) {
		if (scene->ranges[i].first <= at && at < scene->ranges[i].end) {
			at = scene->ranges[i].end;
			i = (size_t)-1;
		}
	}
	return at >= addr + bytes;
}

/* What is left of a range without [@first, @end) takes its place. */
static void cut(struct scene *scene, size_t i, uintptr_t first, uintptr_t end)
{
	const struct range old = scene->ranges[i];

	scene->ranges[i] = scene->ranges[--scene->nr_ranges];
	if (old.first < first)
		scene->ranges[scene->nr_ranges++] = (struct range){ old.first, first };
	if (end < old.end)
		scene->ranges[scene->nr_ranges++] = (struct range){ end, old.end };
}

static void unreserve(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	struct scene *scene = (struct scene *)backend;
	size_t i = 0;

	if (!bytes || (addr | bytes) % scene->base_page)
		scene->wrong = "what is given back is no base pages";
	if (!is_reserved(scene, addr, bytes))
		scene->wrong = "what is given back is not reserved";
	while (i < scene->nr_ranges) {
		if (scene->ranges[i].first < addr + bytes && scene->ranges[i].end > addr)
			cut(scene, i, addr, addr + bytes);
		else
			i++;
	}
}

static const struct hph_backend_ops scene_ops = {
	.reserve = reserve, .unreserve = unreserve, .is_free = is_free,
};

static uint64_t reserved_bytes(const struct scene *scene)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < scene->nr_ranges; i++)
		sum += scene->ranges[i].end - scene->ranges[i].first;
	return sum;
}

/* What was handed out, or stranded: nobody may get it again. */
struct given {
	struct range ranges[2 * STEPS];
	size_t count;
};

static const char *give(struct given *given, const struct scene *scene, uintptr_t addr,
			size_t bytes)
{
	size_t i;

	if (addr % UNIT || bytes % UNIT)
		return "it is not whole huge units";
	if (!is_reserved(scene, addr, bytes))
		return "it is not reserved";
	for (i = 0; i < given->count; i++)
		if (given->ranges[i].first < addr + bytes && given->ranges[i].end > addr)
			return "it was handed out before";
	given->ranges[given->count++] = (struct range){ addr, addr + bytes };
	return NULL;
}

static const char *step(struct hph_arena *arena, const struct scene *scene, struct given *given,
			size_t bytes)
{
	const uintptr_t used = arena->growth.used;
	const char *wrong;
	uintptr_t addr;

	if (hph_arena_grow(arena, bytes, &addr))
		return "it does not grow";
	wrong = give(given, scene, addr, bytes);
	if (!wrong && arena->stranded_bytes)
		wrong = give(given, scene, arena->stranded, arena->stranded_bytes);
	if (wrong)
		return wrong;
	if (arena->stranded_bytes > HPH_STRAND_LIMIT)
		return "too much is stranded";
	if (arena->growth.alloc > arena->growth.end)
		return "the allocator stands behind its block";
	if (arena->growth.used < used || arena->growth.used < addr + bytes)
		return "used is not the highest address";
	if (arena->address_bytes != reserved_bytes(scene))
		return "address_bytes is not what is reserved";
	return scene->wrong;
}

static const char *play(struct order *order, size_t base_page, size_t off, unsigned int sizes)
{
	static const size_t asked[][STEPS] = {
		{ 2 * MIB, 30 * MIB, 2 * MIB, 40 * MIB, 6 * MIB },
		{ 20 * MIB, 20 * MIB, 20 * MIB, 20 * MIB, 20 * MIB },
		{ 12 * MIB, 24 * MIB, 36 * MIB, 2 * MIB, 34 * MIB },
		{ 64 * MIB, 2 * MIB, 64 * MIB, 32 * MIB, 14 * MIB },
	};
	struct scene scene = {
		.backend.ops = &scene_ops, .order = order, .base_page = base_page, .off = off,
		.low = 0x50000000, .high = 0x50000000,
	};
	struct given given = { .count = 0 };
	struct hph_meta meta = { 0 };
	struct hph_arena arena;
	const char *wrong = NULL;
	unsigned int i;

	hph_arena_init(&arena, &scene.backend, &meta, base_page);
	arena.block_bytes = 32 * MIB;
	for (i = 0; i < STEPS && !wrong; i++)
		wrong = step(&arena, &scene, &given, asked[sizes][i]);
	if (!wrong) {
		hph_arena_destroy(&arena);
		wrong = scene.nr_ranges ? "addresses are left behind" : scene.wrong;
	}
	hph_meta_destroy(&meta);
	return wrong;
}

TEST(every_order_of_blocks_gives_each_address_once)
{
	static const size_t base_pages[] = { 4 * KIB, 16 * KIB, 64 * KIB };
	unsigned int sizes, p, plays = 0;
	const char *wrong = NULL;

	for (p = 0; p < 3; p++) {
		for (sizes = 0; sizes < 8; sizes++) {
			struct order order = { .asked = 0 };

			do {
				order.asked = 0;
				plays++;
				wrong = play(&order, base_pages[p],
					     sizes / 4 ? UNIT - base_pages[p] : 0, sizes % 4);
				ASSERT_EQ(NULL, wrong) {
					TH_LOG("play %u, base page %zu, sizes %u: %s", plays,
					       base_pages[p], sizes, wrong);
				}
			} while (next_order(&order));
		}
	}
	EXPECT_LT(24 * 100, plays);
	TH_LOG("%u plays", plays);
}

TEST_HARNESS_MAIN
