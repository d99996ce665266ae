// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pictures of heaps: each cell is what the walk says of its unit, large heaps have small
 * pictures, and what a process publishes of its heaps leads there.
 */
#include "kselftest_harness.h"
#include "heap.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "picture.h"
#include "publish.h"

#define LIVE	300
#define UNITS	2048

/* What the walk says of a unit, in KiB. */
struct unit {
	long live, kept, memory;
	uint32_t backend;
	bool drawn;
};

struct units {
	uintptr_t first;
	struct unit units[UNITS];
};

static int note(const struct hpheap_region *region, void *arg)
{
	struct units *units = arg;
	uintptr_t addr;

	if (!units->first)
		units->first = region->address / UNIT;
	for (addr = region->address; addr < region->address + region->bytes; addr += PAGE / 2) {
		struct unit *unit = &units->units[addr / UNIT - units->first];

		if (addr / UNIT - units->first >= UNITS)
			return 1;
		if (region->kind == HPHEAP_REGION_SPAN)
			unit->live += 4;
		if (region->kind == HPHEAP_REGION_CACHED || region->kind == HPHEAP_REGION_FENCED)
			unit->kept += 4;
		if (region->kind == HPHEAP_REGION_EMPTY || region->kind == HPHEAP_REGION_HOLLOW)
			continue;
		unit->memory += 4;
		unit->backend = region->backend;
	}
	return 0;
}

static char *picture_of(struct hpheap *heap, enum hpheap_map_format format, size_t *size)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, size);

	if (!file || hpheap_map_write(heap, file, format))
		return NULL;
	fclose(file);
	return text;
}

/* The number behind a word's beginning; -1: there is no such word. */
static long number_before(const char *line, const char *word)
{
	const char *found = strstr(line, word);

	if (!found)
		return -1;
	while (found > line && found[-1] >= '0' && found[-1] <= '9')
		found--;
	return strtol(found, NULL, 10);
}

/* Is one of the units that the hint is about what the walk says? */
static bool is_right(const struct unit *unit, const char *hint)
{
	const long live = number_before(hint, " live"), away = number_before(hint, " given back;");
	long kept = number_before(hint, " kept");

	if (kept < 0)
		kept = number_before(hint, " fenced");
	if ((live < 0 ? 0 : live) != unit->live || (kept < 0 ? 0 : kept) != unit->kept)
		return false;
	if (unit->memory && (away < 0 ? 0 : away) != 2048 - unit->memory)
		return false;
	return (strstr(hint, "; thp") || strstr(hint, "; small") || strstr(hint, "; device")) ==
	       (unit->backend != HPHEAP_BACKEND_AUTO);
}

/* NULL, or the hint that is wrong. */
static const char *compare(struct units *units, char *svg)
{
	char *hint, *end, *rest = svg;
	uintptr_t address;
	size_t count, i;

	while ((hint = strstr(rest, "<g><title>"))) {
		hint += strlen("<g><title>");
		end = strchr(hint, '<');
		rest = end + 1;
		*end = '\0';
		if (sscanf(hint, "%" SCNxPTR ", %zu unit", &address, &count) != 2)
			return hint;
		for (i = 0; i < count; i++) {
			const size_t at = address / UNIT + i - units->first;

			if (at >= UNITS || units->units[at].drawn ||
			    !is_right(&units->units[at], hint))
				return hint;
			units->units[at].drawn = true;
		}
	}
	for (i = 0; i < UNITS; i++)
		if (units->units[i].memory && !units->units[i].drawn)
			return "a unit is missing";
	return NULL;
}

/* NULL, or what a picture says that the walk does not. */
static const char *wrong_of_picture(struct hpheap *heap, struct units *units)
{
	static char said[256];
	const char *wrong = "no picture";
	size_t size;
	char *svg;

	memset(units, 0, sizeof(*units));
	if (hpheap_walk(heap, note, units, NULL))
		return "no walk";
	svg = picture_of(heap, HPHEAP_MAP_SVG, &size);
	if (svg)
		wrong = compare(units, svg);
	if (wrong)
		snprintf(said, sizeof(said), "%s", wrong);
	free(svg);
	return wrong ? said : NULL;
}

static void make_work(struct hpheap *heap, void **live, uint64_t *state, unsigned int count)
{
	while (count--) {
		void **slot = &live[random_next(state) % LIVE];
		const uint32_t chance = random_next(state) % 300;

		hpheap_span_free(heap, *slot);
		*slot = NULL;
		if (random_next(state) % 3)
			*slot = hpheap_span_alloc(heap, random_next(state) %
						  (chance < 9 ? 5 * MIB : 90 * KIB) + 1, 0, 0);
	}
}

FIXTURE(pictures) {
	struct hpheap *heap;
	struct units *units;
	void *live[LIVE];
};
FIXTURE_VARIANT(pictures) {
	enum hpheap_backend backend;
	uint32_t flags;
};
FIXTURE_VARIANT_ADD(pictures, thp) { .backend = HPHEAP_BACKEND_THP };
FIXTURE_VARIANT_ADD(pictures, small) { .backend = HPHEAP_BACKEND_SMALL };
FIXTURE_VARIANT_ADD(pictures, auto) { .backend = HPHEAP_BACKEND_AUTO };
FIXTURE_VARIANT_ADD(pictures, efence) { .backend = HPHEAP_BACKEND_THP, .flags = HPHEAP_EFENCE };

FIXTURE_SETUP(pictures)
{
	const struct hpheap_options options = {
		.backend = variant->backend, .flags = variant->flags,
	};

	setenv("HPHEAP_SCAVENGE", "off", 1);	/* nothing shall change between two looks */
	self->heap = hpheap_create(&options);
	ASSERT_NE(NULL, self->heap);
	self->units = malloc(sizeof(*self->units));
	ASSERT_NE(NULL, self->units);
	memset(self->live, 0, sizeof(self->live));
}

FIXTURE_TEARDOWN(pictures)
{
	hpheap_destroy(self->heap);
	free(self->units);
}

TEST_F(pictures, show_each_unit_as_it_is)
{
	uint64_t state = 4;
	const char *wrong;
	unsigned int round;

	for (round = 0; round < 12; round++) {
		make_work(self->heap, self->live, &state, 300);
		if (round % 3 == 2)
			hpheap_scavenge(self->heap, SIZE_MAX);
		wrong = wrong_of_picture(self->heap, self->units);
		EXPECT_EQ(NULL, wrong) {
			TH_LOG("round %u: %s", round, wrong);
		}
	}
}

/* Slabs of which parts are hollow. */
TEST_F(pictures, show_what_of_spans_is_there)
{
	const size_t step = 17 * (base_page() / (4 * KIB));
	const char *wrong;
	char *objects[4096];
	size_t i;

	for (i = 0; i < 4096; i++) {
		objects[i] = hpheap_malloc_in(self->heap, 500);
		ASSERT_NE(NULL, objects[i]);
	}
	for (i = 0; i < 4096; i++)
		if (i % step)
			hpheap_free_in(self->heap, objects[i]);
	hpheap_scavenge(self->heap, SIZE_MAX);
	if (!variant->flags && !stats_of(self->heap).device_bytes)
		EXPECT_LT(0, stats_of(self->heap).away_bytes);
	wrong = wrong_of_picture(self->heap, self->units);
	EXPECT_EQ(NULL, wrong) {
		TH_LOG("%s", wrong);
	}
}

struct worker {
	pthread_t thread;
	struct hpheap *heap;
	_Atomic bool *stop;
};

static void *take_and_give(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(worker->stop))
		hpheap_span_free(worker->heap, hpheap_span_alloc(worker->heap, 2 * PAGE, 0, 0));
	return NULL;
}

/* Of all hints. */
static long live_kib(const char *svg)
{
	long kib = 0;

	while ((svg = strstr(svg, " KiB "))) {
		svg += strlen(" KiB ");
		kib += strtol(svg, NULL, 10);
	}
	return kib;
}

/* Two threads that have one span of two pages each, at most. */
TEST_F(pictures, are_of_one_moment)
{
	struct worker workers[2];
	_Atomic bool stop = false;
	unsigned int i;
	size_t size;
	char *svg;

	if (variant->flags)
		return;		/* each span would have addresses of its own */
	ASSERT_TRUE(use_all_cpus());
	for (i = 0; i < 2; i++) {
		workers[i] = (struct worker){ .heap = self->heap, .stop = &stop };
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL, take_and_give,
					    &workers[i]));
	}
	for (i = 0; i < 300; i++) {
		svg = picture_of(self->heap, HPHEAP_MAP_SVG, &size);
		EXPECT_NE(NULL, svg);
		EXPECT_GE(2 * 2 * (long)(PAGE / KIB), live_kib(svg));
		free(svg);
	}
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(workers[i].thread, NULL);
}

TEST_F(pictures, of_nothing_have_a_legend)
{
	char *svg, *png;
	size_t size;

	svg = picture_of(self->heap, HPHEAP_MAP_SVG, &size);
	ASSERT_NE(NULL, svg);
	EXPECT_NE(NULL, strstr(svg, "A cell is a huge unit of 2 MiB"));
	EXPECT_NE(NULL, strstr(svg, "addresses without memory: 0 units"));
	png = picture_of(self->heap, HPHEAP_MAP_PNG, &size);
	ASSERT_NE(NULL, png);
	EXPECT_EQ(0, memcmp(png, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16));
	EXPECT_EQ(0, memcmp(png + size - 12, "\0\0\0\0IEND\xae\x42\x60\x82", 12));
	free(svg);
	free(png);
}

static char *draw(int (*write)(const struct hph_picture *, FILE *),
		  const struct hph_picture *picture, size_t *size)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, size);

	if (!file || write(picture, file))
		return NULL;
	fclose(file);
	return text;
}

/* 200 GiB in use, no two units alike, and as much without memory in between. */
TEST(large_heaps_have_pictures_of_bounded_size)
{
	enum { COUNT = 100000 };
	struct hph_run_of_cells *runs = calloc(COUNT, sizeof(*runs));
	struct hph_picture_heap heap = { .id = 1, .kind = HPHEAP_BACKEND_THP, .runs = runs };
	struct hph_picture picture = { .name = "a<b>&\"c", .pid = 1, .heaps = &heap, .count = 1 };
	uintptr_t next = 1 << 20;
	size_t i, size;
	char *text;

	ASSERT_NE(NULL, runs);
	for (i = 0; i < COUNT; i++, next += runs[i - 1].units) {
		runs[i].first = next;
		runs[i].units = 1;
		runs[i].cell = (struct hph_cell){
			.live = (uint16_t)(i % 513), .node = -1, .kind = HPH_CELL_WHOLE,
			.backend = HPHEAP_BACKEND_THP,
		};
		if (i % 10000 == 5000) {
			runs[i].units = 12345;
			runs[i].cell = (struct hph_cell){ .node = -1 };
		}
	}
	heap.count = COUNT;
	text = draw(hph_picture_svg, &picture, &size);
	ASSERT_NE(NULL, text);
	EXPECT_GT((size_t)40 << 20, size);
	EXPECT_NE(NULL, strstr(text, "a&lt;b&gt;&amp;"));
	EXPECT_NE(NULL, strstr(text, "... 12288 units without memory (24 GiB of addresses)"));
	free(text);
	text = draw(hph_picture_png, &picture, &size);
	ASSERT_NE(NULL, text);
	EXPECT_GT((size_t)4 << 20, size);
	free(text);
	free(runs);
}

/* How often it is there; the last one found. */
static unsigned int find_published(const struct hph_publication **found)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	unsigned int count = 0;
	uintptr_t begin, end;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " r--p 00000000 00:00 0", &begin,
			   &end) != 2 || !strstr(line, "r--p") || strchr(line, '/') ||
		    strstr(line, "[v"))
			continue;
		for (; begin < end; begin += page) {
			const struct hph_publication *here = (const void *)begin;

			if (memcmp(here->magic, HPH_MAGIC, sizeof(here->magic)))
				continue;
			count++;
			*found = here;
		}
	}
	fclose(maps);
	return count;
}

static int look_for_published(void *arg)
{
	const struct hph_publication *found = NULL;
	struct hpheap *const *registry;

	if (find_published(&found) != 1 || found->self != (uintptr_t)found)
		return 1;
	if (found->layout != HPH_LAYOUT || found->word_bytes != sizeof(void *) ||
	    strcmp(found->version, HPHEAP_VERSION))
		return 2;
	registry = (struct hpheap *const *)(uintptr_t)found->registry;
	return *registry == arg ? 0 : 3;
}

TEST(the_first_heap_publishes_where_all_are)
{
	const struct hph_publication *found;
	struct hpheap *first, *second;

	EXPECT_EQ(0, find_published(&found));
	first = hpheap_create(NULL);
	ASSERT_NE(NULL, first);
	EXPECT_EQ(0, look_for_published(first));
	second = hpheap_create(NULL);
	ASSERT_NE(NULL, second);
	EXPECT_EQ(0, look_for_published(second));
	EXPECT_EQ(0, in_child(look_for_published, second));
	hpheap_destroy(second);
	EXPECT_EQ(0, look_for_published(first));
	hpheap_destroy(first);
	EXPECT_EQ(0, look_for_published(NULL));
}

TEST_HARNESS_MAIN
