// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A process with heaps, for tests of what hpheapctl sees of it from outside. It makes
 * what it is told, writes its own maps below a folder, says "ready", and waits until its standard
 * input ends. HPHEAP_BACKEND and HPHEAP_SCAVENGE say what they say to every program.
 *
 * hold_heap WHAT FOLDER [SEED]
 *	varied		a heap with units of every kind
 *	two		two heaps, the second in a child of fork() too: the child's number follows
 *	empty		a heap without memory
 *	none		no heap
 *	layout, word	what it publishes is another library's, or another word size's
 *	copy		a copy of what a heap published lies elsewhere, with nothing behind it
 *	damage		SEED says which bytes of its heap's structures are spoilt
 *	churn		a thread takes and frees all the time
 */
#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hpheap.h"
#include "publish.h"

#define PAGE	HPHEAP_PAGE_SIZE
#define UNIT	HPHEAP_HUGE_SIZE

static char *take(struct hpheap *heap, size_t bytes)
{
	char *span = hpheap_span_alloc(heap, bytes, 0, 0);

	if (!span)
		err(1, "span");
	memset(span, 1, bytes);
	return span;
}

/*
 * @units units of spans of 4 heap pages; @keep of each 64 stay, at the beginning or
 * @scattered; the last one is returned.
 */
static char *fill(struct hpheap *heap, size_t units, size_t keep, bool scattered)
{
	char **spans = calloc(units * 64, sizeof(*spans)), *last = NULL;
	size_t i;

	for (i = 0; i < units * 64; i++)
		spans[i] = take(heap, 4 * PAGE);
	for (i = 0; i < units * 64; i++) {
		if (scattered ? i * keep % 64 >= keep : i % 64 >= keep)
			hpheap_span_free(heap, spans[i]);
		else
			last = spans[i];
	}
	free(spans);
	return last;
}

struct last {
	struct hpheap *heap;
	char *span;
};

/* Of the unit that the span lies in. */
static void *free_all(void *arg)
{
	const struct last *last = arg;
	char *unit = (char *)((uintptr_t)last->span & ~(UNIT - 1)), *found;
	size_t offset;

	for (offset = 0; offset < UNIT; offset += PAGE) {
		found = hpheap_span_find(last->heap, unit + offset, NULL);
		if (found)
			hpheap_span_free(last->heap, found);
	}
	return NULL;
}

/* Full, sparse and thinned units, large spans across some, free, broken and empty ones. */
static struct hpheap *make_varied(void)
{
	struct hpheap *heap = hpheap_create(NULL);
	struct last lonely = { heap, NULL };
	pthread_t thread;
	char *large;

	if (!heap)
		err(1, "heap");
	fill(heap, 6, 64, false);
	fill(heap, 8, 35, true);
	fill(heap, 9, 7, true);
	lonely.span = fill(heap, 1, 1, false);
	hpheap_scavenge(heap, SIZE_MAX);
	if (hpheap_reserve(heap, 40 * UNIT, HPHEAP_NODE_ANY))
		err(1, "reserve");
	large = take(heap, 9 * UNIT + UNIT / 3);
	fill(heap, 10, 40, true);
	take(heap, 3 * UNIT + UNIT / 5);
	hpheap_span_free(heap, large);
	/* What a thread holds ready goes when it ends. */
	if (pthread_create(&thread, NULL, free_all, &lonely) || pthread_join(thread, NULL))
		errx(1, "no thread");
	return heap;
}

static void write_map(const char *folder, struct hpheap *heap, const char *name,
		      enum hpheap_map_format format)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (!file || hpheap_map_write(heap, file, format) || fclose(file))
		err(1, "%s", path);
}

static void write_maps(const char *folder, struct hpheap *heap)
{
	write_map(folder, heap, "own.svg", HPHEAP_MAP_SVG);
	write_map(folder, heap, "own.png", HPHEAP_MAP_PNG);
	write_map(folder, heap, "own.csv", HPHEAP_MAP_CSV);
}

/* What the library published: looked for as a tool would. */
static struct hph_publication *find_publication(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], flags[8];
	uintptr_t begin;

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNxPTR "-%*x %7s %*x 00:00 0", &begin, flags) == 2 &&
		    !strcmp(flags, "r--p") && !strchr(line, '/') &&
		    (!strchr(line, '[') || strstr(line, "[anon:hpheap]")) &&
		    !memcmp((void *)begin, HPH_MAGIC, sizeof(HPH_MAGIC))) {
			fclose(maps);
			return (struct hph_publication *)begin;
		}
	}
	errx(1, "nothing is published");
}

static struct hph_publication *unseal(void)
{
	struct hph_publication *publication = find_publication();

	if (mprotect(publication, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE))
		err(1, "mprotect");
	return publication;
}

static void seal(void *page)
{
	if (mprotect(page, (size_t)sysconf(_SC_PAGESIZE), PROT_READ))
		err(1, "mprotect");
}

static void publish_wrong(bool word)
{
	struct hph_publication *publication = unseal();

	if (word)
		publication->word_bytes = 12 - publication->word_bytes;
	else
		publication->layout ^= 1;
	strcpy(publication->version, "9.8.7");
	seal(publication);
}

static void publish_copy(void)
{
	struct hph_publication *real = unseal();
	void *copy = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(copy, real, sizeof(*real));
	memset(real, 0, sizeof(*real));
	seal(real);
	seal(copy);
}

static uint64_t random_next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *state >> 33;
}

/* A byte, or a word of something like an address. */
static void spoil(void *bytes, size_t count, uint64_t *state)
{
	const uintptr_t at = (uintptr_t)bytes + random_next(state) % (count - sizeof(uintptr_t));

	if (random_next(state) % 2)
		*(unsigned char *)at = (unsigned char)random_next(state);
	else
		*(uintptr_t *)(at & ~(sizeof(uintptr_t) - 1)) ^=
			(uintptr_t)1 << random_next(state) % (8 * sizeof(uintptr_t));
}

/* The heap is used no more. */
static void damage(struct hpheap *heap, uint64_t state)
{
	const uintptr_t first = hph_unit_of(heap->arena.blocks->first);
	struct hph_unit *units = hph_unitmap_find(&heap->map, first);
	struct hph_block *block = heap->arena.blocks;
	struct hph_cache *cache = heap->caches;
	void *top = (void *)heap->map.top;
	unsigned int i;

	for (i = 0; i < 1 + state % 30; i++) {
		spoil(units, 40 * sizeof(*units), &state);
		if (random_next(&state) % 4 == 0)
			spoil(heap, sizeof(*heap), &state);
		if (random_next(&state) % 8 == 0)
			spoil(block, sizeof(*block), &state);
		if (random_next(&state) % 8 == 0)
			spoil(top, HPH_LEAVES * sizeof(void *), &state);
	}
	if (state % 5 == 0)
		block->next = block;
	if (state % 7 == 0)
		heap->next = heap;
	if (state % 11 == 0)
		cache->next = cache;
}

static void *churn(void *heap)
{
	char *spans[64] = { NULL };
	uint64_t state = 1;

	for (;;) {
		char **slot = &spans[random_next(&state) % 64];

		hpheap_span_free(heap, *slot);
		*slot = hpheap_span_alloc(heap, random_next(&state) % (3 * UNIT) + 1, 0, 0);
		if (random_next(&state) % 64 == 0)
			hpheap_scavenge(heap, SIZE_MAX);
	}
	return NULL;
}

static void start_child(struct hpheap *heap)
{
	pid_t pid;

	if (!hpheap_create(NULL))
		err(1, "heap");
	pid = fork();
	if (!pid) {
		take(heap, 5 * UNIT);
		while (getchar() != EOF)
			;
		_exit(0);
	}
	printf("%d ", (int)pid);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	struct hpheap *heap = NULL;
	pthread_t thread;

	if (!*what)
		errx(2, "usage: hold_heap WHAT FOLDER [SEED]");
	if (!strcmp(what, "empty"))
		heap = hpheap_create(NULL);
	else if (strcmp(what, "none"))
		heap = make_varied();
	if (heap)
		write_maps(argv[2], heap);
	if (!strcmp(what, "two"))
		start_child(heap);
	else if (!strcmp(what, "layout") || !strcmp(what, "word"))
		publish_wrong(!strcmp(what, "word"));
	else if (!strcmp(what, "copy"))
		publish_copy();
	else if (!strcmp(what, "damage"))
		damage(heap, strtoull(argv[3], NULL, 0));
	else if (!strcmp(what, "churn") && pthread_create(&thread, NULL, churn, heap))
		errx(1, "no thread");
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	_exit(0);	/* a spoilt heap is not taken down */
}
