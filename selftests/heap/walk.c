// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk over a heap, its statistics and its maps tell the same, exactly, also
 * while other threads are at work.
 */
#include "kselftest_harness.h"
#include "regions.h"

#include <pthread.h>
#include <stdatomic.h>

#define LIVE		200
#define SECONDS		3
#define CELLS		32

static const char *const kinds[KINDS] = {
	[HPHEAP_REGION_SPAN] = "span",
	[HPHEAP_REGION_CACHED] = "cached",
	[HPHEAP_REGION_FREE] = "free",
	[HPHEAP_REGION_EMPTY] = "empty",
	[HPHEAP_REGION_FENCED] = "fenced",
	[HPHEAP_REGION_LOST] = "lost",
	[HPHEAP_REGION_HOLLOW] = "hollow",
};

static const char *const backends[] = { "-", "device", "thp", "small" };

static void churn(struct hpheap *heap, void **live, uint64_t *state)
{
	void **slot = &live[random_next(state) % LIVE];
	const uint32_t chance = random_next(state) % 400;

	if (chance == 0)
		hpheap_scavenge(heap, random_next(state) % 2 ? SIZE_MAX : 3 * UNIT);
	if (chance == 1)
		hpheap_reserve(heap, random_next(state) % (3 * UNIT), HPHEAP_NODE_ANY);
	hpheap_span_free(heap, *slot);
	*slot = NULL;
	if (random_next(state) % 3)
		*slot = hpheap_span_alloc(heap, random_next(state) % (chance < 20 ? 3 * MIB :
								      90 * KIB) + 1,
					  chance < 40 ? (size_t)1 << random_next(state) % 22 : 0,
       0);
}

FIXTURE(walk) {
	struct hpheap *heap;
	struct walk *walk;
	void *live[LIVE];
};
FIXTURE_VARIANT(walk) {
	enum hpheap_backend backend;
	uint32_t flags;
};
FIXTURE_VARIANT_ADD(walk, thp) { .backend = HPHEAP_BACKEND_THP };
FIXTURE_VARIANT_ADD(walk, small) { .backend = HPHEAP_BACKEND_SMALL };
FIXTURE_VARIANT_ADD(walk, auto) { .backend = HPHEAP_BACKEND_AUTO };
FIXTURE_VARIANT_ADD(walk, efence) { .backend = HPHEAP_BACKEND_THP, .flags = HPHEAP_EFENCE };

FIXTURE_SETUP(walk)
{
	const struct hpheap_options options = {
		.size = sizeof(options), .backend = variant->backend, .flags = variant->flags,
	};

	self->heap = hpheap_create(&options);
	ASSERT_NE(NULL, self->heap);
	self->walk = malloc(sizeof(*self->walk));
	ASSERT_NE(NULL, self->walk);
	memset(self->live, 0, sizeof(self->live));
}

FIXTURE_TEARDOWN(walk)
{
	hpheap_destroy(self->heap);
	free(self->walk);
}

TEST_F(walk, adds_up_to_the_statistics)
{
	uint64_t state = 11;
	const char *wrong = NULL;
	struct hpheap_stats stats;
	unsigned int i;

	EXPECT_EQ(NULL, take_walk(self->heap, self->walk));
	EXPECT_EQ(0, self->walk->count);
	for (i = 0; i < 3000 && !wrong; i++) {
		churn(self->heap, self->live, &state);
		if (i % 8)
			continue;
		wrong = take_walk(self->heap, self->walk);
		stats = stats_of(self->heap);
		wrong = wrong ? wrong : compare_walk(self->walk, &stats);
	}
	EXPECT_EQ(NULL, wrong) {
		TH_LOG("operation %u: %s", i, wrong);
	}
	EXPECT_LT(10, self->walk->count);
}

/* It finds each span that is alive, and no other. */
TEST_F(walk, finds_what_is_alive)
{
	uint64_t state = 5;
	size_t i, k, bytes, alive = 0;

	for (i = 0; i < 2000; i++)
		churn(self->heap, self->live, &state);
	ASSERT_EQ(NULL, take_walk(self->heap, self->walk));
	for (i = 0; i < LIVE; i++) {
		if (!self->live[i])
			continue;
		alive++;
		bytes = hpheap_span_size(self->heap, self->live[i]);
		for (k = 0; k < self->walk->count; k++)
			if (self->walk->regions[k].address == (uintptr_t)self->live[i])
				break;
		ASSERT_GT(self->walk->count, k);
		EXPECT_EQ(HPHEAP_REGION_SPAN, self->walk->regions[k].kind);
		EXPECT_EQ(bytes, self->walk->regions[k].bytes);
	}
	EXPECT_EQ(alive, self->walk->spans);
}

struct churner {
	pthread_t thread;
	struct hpheap *heap;
	uint64_t state;
	_Atomic bool *stop;
};

static void *churn_on(void *arg)
{
	struct churner *churner = arg;
	void *live[LIVE] = { NULL };
	size_t i;

	while (!atomic_load(churner->stop))
		churn(churner->heap, live, &churner->state);
	for (i = 0; i < LIVE; i++)
		hpheap_span_free(churner->heap, live[i]);
	return NULL;
}

TEST_F(walk, adds_up_while_threads_are_at_work)
{
	const double end = now() + (variant->flags ? SECONDS / 3.0 : SECONDS);
	struct churner churners[4];
	_Atomic bool stop = false;
	const char *wrong = NULL;
	size_t i, walks = 0;

	ASSERT_TRUE(use_all_cpus());
	for (i = 0; i < 4; i++) {
		churners[i] = (struct churner){ .heap = self->heap, .state = i, .stop = &stop };
		ASSERT_EQ(0, pthread_create(&churners[i].thread, NULL, churn_on, &churners[i]));
	}
	do {
		wrong = take_walk(self->heap, self->walk);
		walks++;
	} while (now() < end && !wrong);
	atomic_store(&stop, true);
	for (i = 0; i < 4; i++)
		pthread_join(churners[i].thread, NULL);
	EXPECT_EQ(NULL, wrong) {
		TH_LOG("walk %zu: %s", walks, wrong);
	}
	EXPECT_EQ(0, stats_of(self->heap).spans);
}

static void *take_and_give(void *arg)
{
	struct churner *churner = arg;

	while (!atomic_load(churner->stop))
		hpheap_span_free(churner->heap, hpheap_span_alloc(churner->heap, 2 * PAGE, 0, 0));
	return NULL;
}

/* All that happens happens in their caches, without a lock: they must stand still. */
TEST_F(walk, adds_up_while_threads_take_and_give)
{
	const double end = now() + 2;
	struct churner churners[2];
	_Atomic bool stop = false;
	const char *wrong = NULL;
	size_t i;

	if (variant->flags)
		return;		/* there are no caches */
	ASSERT_TRUE(use_all_cpus());
	for (i = 0; i < 2; i++) {
		churners[i] = (struct churner){ .heap = self->heap, .stop = &stop };
		ASSERT_EQ(0, pthread_create(&churners[i].thread, NULL, take_and_give,
					    &churners[i]));
	}
	while (now() < end && !wrong)
		wrong = take_walk(self->heap, self->walk);
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(churners[i].thread, NULL);
	EXPECT_EQ(NULL, wrong) {
		TH_LOG("%s", wrong);
	}
}

static int use_heap(const struct hpheap_region *region, void *arg)
{
	struct hpheap *heap = arg;
	void *span = hpheap_span_alloc(heap, 3 * PAGE, 0, 0);

	(void)region;
	hpheap_span_free(heap, span);
	return span ? 0 : 1;
}

static int stop_at_second(const struct hpheap_region *region, void *arg)
{
	unsigned int *calls = arg;

	(void)region;
	return ++*calls == 2 ? 77 : 0;
}

TEST_F(walk, lets_the_visitor_use_the_heap_and_end_the_walk)
{
	uint64_t state = 3;
	unsigned int calls = 0, i;

	for (i = 0; i < 500; i++)
		churn(self->heap, self->live, &state);
	EXPECT_EQ(0, hpheap_walk(self->heap, use_heap, self->heap, NULL));
	EXPECT_EQ(77, hpheap_walk(self->heap, stop_at_second, &calls, NULL));
	EXPECT_EQ(2, calls);
}

static char *map_of(struct hpheap *heap, enum hpheap_map_format format)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file || hpheap_map_write(heap, file, format))
		return NULL;
	fclose(file);
	return text;
}

/* One line of the CSV: the region it is. */
static bool parse_line(const char *line, struct hpheap_region *region)
{
	char kind[16], backend[16];
	uintptr_t address;
	uint32_t i;

	memset(region, 0, sizeof(*region));
	if (sscanf(line, "%" SCNxPTR ",%zu,%15[^,],%" SCNd32 ",%15[^,],%" SCNu32,
		   &address, &region->bytes, kind, &region->node, backend, &region->rest) != 6)
		return false;
	region->address = address;
	region->kind = KINDS;
	for (i = 0; i < KINDS; i++)
		if (!strcmp(kinds[i], kind))
			region->kind = i;
	region->backend = UINT32_MAX;
	for (i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (!strcmp(backends[i], backend))
			region->backend = i;
	return region->kind < KINDS && region->backend != UINT32_MAX;
}

TEST_F(walk, is_what_the_map_for_programs_says)
{
	uint64_t state = 8;
	struct hpheap_region region;
	char *text, *line, *rest;
	size_t i;

	for (i = 0; i < 2000; i++)
		churn(self->heap, self->live, &state);
	ASSERT_EQ(NULL, take_walk(self->heap, self->walk));
	text = map_of(self->heap, HPHEAP_MAP_CSV);
	ASSERT_NE(NULL, text);
	line = strtok_r(text, "\n", &rest);
	EXPECT_STREQ("address,bytes,kind,node,backend,rest", line);
	for (i = 0; i < self->walk->count; i++) {
		line = strtok_r(NULL, "\n", &rest);
		ASSERT_NE(NULL, line);
		ASSERT_TRUE(parse_line(line, &region)) {
			TH_LOG("%s", line);
		}
		ASSERT_EQ(0, memcmp(&region, &self->walk->regions[i], sizeof(region))) {
			TH_LOG("%s", line);
		}
	}
	EXPECT_EQ(NULL, strtok_r(NULL, "\n", &rest));
	free(text);
}

/* What the picture of the huge unit at @unit must be, drawn page by page. */
static void draw_unit(const struct walk *walk, uintptr_t unit, char *cells, unsigned int *used,
		      char *from)
{
	unsigned int pages[CELLS] = { 0 }, memory[CELLS] = { 0 }, i;
	size_t k;

	*used = 0;
	strcpy(from, "any -");
	for (k = 0; k < walk->count; k++) {
		const struct hpheap_region *region = &walk->regions[k];
		uintptr_t addr;

		if (region->address + region->bytes <= unit || region->address >= unit + UNIT)
			continue;
		for (addr = unit; addr < unit + UNIT; addr += PAGE) {
			if (addr < region->address || addr >= region->address + region->bytes)
				continue;
			memory[(addr - unit) / (UNIT / CELLS)] += region->kind != HPHEAP_REGION_EMPTY;
			if (region->kind != HPHEAP_REGION_EMPTY && region->node == HPHEAP_NODE_ANY)
				sprintf(from, "any %s", backends[region->backend]);
			else if (region->kind != HPHEAP_REGION_EMPTY)
				sprintf(from, "%d %s", region->node, backends[region->backend]);
			if (region->kind != HPHEAP_REGION_SPAN)
				continue;
			pages[(addr - unit) / (UNIT / CELLS)]++;
			++*used;
		}
	}
	for (i = 0; i < CELLS; i++)
		cells[i] = !memory[i] ? '-' : !pages[i] ? ' ' : pages[i] <= 4 ? '.' :
			   pages[i] < 8 ? ':' : '#';
	cells[CELLS] = '\0';
	*used = *used * 100 / 256;
}

/* Checks one line of the picture; returns how many units it is about, 0: it is wrong. */
static size_t check_picture_line(const struct walk *walk, const char *line)
{
	char from[40], drawn_from[40], cells[CELLS + 1], drawn[CELLS + 1];
	char node[16], owner[16];
	unsigned int percent, used;
	uintptr_t address;
	size_t units, i;

	if (sscanf(line, "%" SCNxPTR " %zu %15s %15s %u%% |%32[^|]|", &address, &units, node, owner,
		   &percent, cells) != 6 || strlen(cells) != CELLS)
		return 0;
	snprintf(from, sizeof(from), "%s %s", node, owner);
	for (i = 0; i < units; i++) {
		draw_unit(walk, address + i * UNIT, drawn, &used, drawn_from);
		if (strcmp(cells, drawn) || used != percent || strcmp(from, drawn_from))
			return 0;
	}
	return units;
}

TEST_F(walk, is_what_the_picture_shows)
{
	uint64_t state = 8;
	char *text, *line, *rest, expected[256];
	struct hpheap_stats stats;
	size_t i, units, sum = 0;

	if (variant->flags)
		return;		/* a fenced page is drawn as a free one: there is nothing to add */
	for (i = 0; i < 2000; i++)
		churn(self->heap, self->live, &state);
	for (i = 0; i < LIVE * 3 / 4; i++) {
		hpheap_span_free(self->heap, self->live[i]);
		self->live[i] = NULL;
	}
	hpheap_scavenge(self->heap, SIZE_MAX);
	ASSERT_EQ(0, hpheap_reserve(self->heap, 2 * UNIT, HPHEAP_NODE_ANY));
	ASSERT_EQ(NULL, take_walk(self->heap, self->walk));
	text = map_of(self->heap, HPHEAP_MAP_PICTURE);
	ASSERT_NE(NULL, text);
	line = strtok_r(text, "\n", &rest);
	EXPECT_NE(NULL, strstr(line, "one character is 64 KiB"));
	while (sum * UNIT < stats_of(self->heap).address_bytes) {
		line = strtok_r(NULL, "\n", &rest);
		ASSERT_NE(NULL, line);
		units = check_picture_line(self->walk, line);
		ASSERT_NE(0, units) {
			TH_LOG("%s", line);
		}
		sum += units;
	}
	line = strtok_r(NULL, "\n", &rest);
	ASSERT_NE(NULL, line);
	stats = stats_of(self->heap);
	snprintf(expected, sizeof(expected), "%ju spans, %ju KiB used, %ju KiB free (%ju KiB in huge "
		 "units), %ju KiB of addresses", (uintmax_t)stats.spans,
		 (uintmax_t)stats.used_bytes >> 10, (uintmax_t)stats.free_bytes >> 10,
		 (uintmax_t)stats.free_huge_bytes >> 10, (uintmax_t)stats.address_bytes >> 10);
	EXPECT_STREQ(expected, line);
	free(text);
}

TEST_F(walk, refuses_what_makes_no_sense)
{
	struct hpheap_stats stats = { .size = 8 };

	errno = 0;
#define REFUSED(call) do {								\
	errno = 0;									\
	EXPECT_EQ(-1, call);								\
	EXPECT_EQ(EINVAL, errno);							\
} while (0)
	REFUSED(hpheap_walk(NULL, note_region, self->walk, NULL));
	REFUSED(hpheap_walk(self->heap, NULL, self->walk, NULL));
	REFUSED(hpheap_walk(self->heap, note_region, self->walk, &stats));
	REFUSED(hpheap_map_write(NULL, stdout, HPHEAP_MAP_CSV));
	REFUSED(hpheap_map_write(self->heap, NULL, HPHEAP_MAP_CSV));
	REFUSED(hpheap_map_write(self->heap, stdout, (enum hpheap_map_format)4));
}

TEST_F(walk, says_that_the_file_takes_no_more)
{
	enum hpheap_map_format format;
	uint64_t state = 2;
	unsigned int i;
	FILE *file;

	for (i = 0; i < 1000; i++)
		churn(self->heap, self->live, &state);
	for (format = HPHEAP_MAP_PICTURE; format <= HPHEAP_MAP_PNG; format++) {
		file = fopen("/dev/full", "we");
		ASSERT_NE(NULL, file);
		errno = 0;
		EXPECT_EQ(-1, hpheap_map_write(self->heap, file, format));
		EXPECT_EQ(EIO, errno);
		fclose(file);
	}
	EXPECT_SOUND(self->heap);
}

TEST_HARNESS_MAIN
