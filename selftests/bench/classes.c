// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plain layer of size classes over spans, so that a heap of spans can be
 * measured with objects.
 *
 * Eight classes to an octave, up to 16 KiB; what is larger is a span of its own. A class has
 * spans of as many heap pages as leave at most an eighth of them unused. Its objects come from the
 * span that is fullest, to an eighth, so that the others can become empty; an empty span is
 * freed. What is known of a span is kept outside, and found by address: in a table of heap
 * pages, in leaves of 1 GiB. Who frees an object says how large it was.
 */
#include "classes.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "records.h"

#define SMALLEST_LOG	6	/* the first class is a step above 64 bytes */
#define LARGEST		((size_t)16 << 10)
#define STEPS_LOG	3	/* classes to an octave */
#define CLASSES		(8 << STEPS_LOG)
#define WASTE		8	/* at most one byte of so many is in no object */
#define BINS		8	/* by how full a span is; in the last is the emptiest */

#define LEAF_PAGES	(((size_t)1 << 30) / HPHEAP_PAGE_SIZE)
#define LEAVES		(1U << 18)	/* for 48 bits of address */
#define PIECE		((size_t)64 << 10)

struct slab {
	struct slab *next, **link;	/* in its bin, or among those that are not in use */
	void **freed;			/* objects that were freed */
	char *memory;
	unsigned int nr_free;
	unsigned int fresh;		/* the first of the objects that never were in use */
	unsigned int bin;
};

struct class {
	struct slab *bins[BINS];	/* those with a free object */
	size_t object;
	size_t span;
	unsigned int objects;		/* in a span */
};

static struct hpheap *spans;
static struct class classes[CLASSES];
static struct slab **leaves[LEAVES];
static struct slab *unused;

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static unsigned int class_of(size_t size)
{
	const size_t last = size > 1U << SMALLEST_LOG ? size - 1 : 1U << SMALLEST_LOG;
	const unsigned int log = 8 * sizeof(last) - 1 - (unsigned int)__builtin_clzl(last);
	const unsigned int step = (unsigned int)(last >> (log - STEPS_LOG));

	return ((log - SMALLEST_LOG) << STEPS_LOG) + (step & ((1U << STEPS_LOG) - 1));
}

static size_t object_of(unsigned int class)
{
	const unsigned int steps = (1U << STEPS_LOG) + (class & ((1U << STEPS_LOG) - 1)) + 1;

	return (size_t)steps << ((class >> STEPS_LOG) + SMALLEST_LOG - STEPS_LOG);
}

/* Where it is written down whose a heap page is; NULL: no memory for that. */
static struct slab **slab_at(const char *address)
{
	const uintptr_t page = (uintptr_t)address / HPHEAP_PAGE_SIZE;
	struct slab ***leaf = &leaves[(page / LEAF_PAGES) % LEAVES];

	if (!*leaf)
		*leaf = map(LEAF_PAGES * sizeof(**leaf));
	return *leaf ? &(*leaf)[page % LEAF_PAGES] : NULL;
}

static struct slab *new_slab(void)
{
	struct slab *slab, *piece;
	size_t i;

	if (!unused) {
		piece = map(PIECE);
		for (i = 0; piece && i < PIECE / sizeof(*piece); i++) {
			piece[i].next = unused;
			unused = &piece[i];
		}
	}
	slab = unused;
	if (slab)
		unused = slab->next;
	return slab;
}

static void file(struct class *class, struct slab *slab)
{
	struct slab **bin;

	slab->bin = (slab->nr_free - 1) * BINS / class->objects;
	bin = &class->bins[slab->bin];
	slab->next = *bin;
	slab->link = bin;
	if (*bin)
		(*bin)->link = &slab->next;
	*bin = slab;
}

static void unfile(struct slab *slab)
{
	*slab->link = slab->next;
	if (slab->next)
		slab->next->link = slab->link;
}

static struct slab *grow(struct class *class)
{
	struct slab *slab = new_slab(), **entry;
	size_t offset;

	if (!slab)
		return NULL;
	slab->memory = hpheap_span_alloc(spans, class->span, 0, 0);
	slab->freed = NULL;
	slab->nr_free = class->objects;
	slab->fresh = 0;
	for (offset = 0; slab->memory && offset < class->span; offset += HPHEAP_PAGE_SIZE) {
		entry = slab_at(slab->memory + offset);
		if (!entry)
			return NULL;
		*entry = slab;
	}
	if (!slab->memory)
		return NULL;
	file(class, slab);
	return slab;
}

static struct slab *fullest(struct class *class)
{
	unsigned int bin;

	for (bin = 0; bin < BINS; bin++)
		if (class->bins[bin])
			return class->bins[bin];
	return grow(class);
}

static void *take(size_t size)
{
	struct class *class;
	struct slab *slab;
	void *object;

	if (size > LARGEST)
		return hpheap_span_alloc(spans, size, 0, 0);
	class = &classes[class_of(size)];
	slab = fullest(class);
	if (!slab)
		return NULL;
	if (slab->freed) {
		object = slab->freed;
		slab->freed = *slab->freed;
	} else {
		object = slab->memory + slab->fresh++ * class->object;
	}
	slab->nr_free--;
	if (!slab->nr_free || (slab->nr_free - 1) * BINS / class->objects != slab->bin) {
		unfile(slab);
		if (slab->nr_free)
			file(class, slab);
	}
	return object;
}

static void give(void *object, size_t size)
{
	struct class *class;
	struct slab *slab;
	void **freed = object;

	if (size > LARGEST) {
		hpheap_span_free(spans, object);
		return;
	}
	class = &classes[class_of(size)];
	slab = *slab_at(object);
	*freed = slab->freed;
	slab->freed = freed;
	if (slab->nr_free)
		unfile(slab);
	slab->nr_free++;
	if (slab->nr_free < class->objects) {
		file(class, slab);
		return;
	}
	hpheap_span_free(spans, slab->memory);
	slab->next = unused;
	unused = slab;
}

void classes_open(struct allocator *allocator, struct hpheap *heap)
{
	unsigned int i;

	spans = heap;
	for (i = 0; i < CLASSES; i++) {
		struct class *class = &classes[i];

		memset(class->bins, 0, sizeof(class->bins));
		class->object = object_of(i);
		class->span = HPHEAP_PAGE_SIZE;
		while (class->span < class->object ||
		       class->span % class->object > class->span / WASTE)
			class->span += HPHEAP_PAGE_SIZE;
		class->objects = (unsigned int)(class->span / class->object);
	}
	allocator->alloc = take;
	allocator->free = give;
}
