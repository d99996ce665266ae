/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects of a heap as an allocator of records: hpheap_malloc_in(). */
#ifndef HEAP_OBJECTS_H
#define HEAP_OBJECTS_H

#include <hpheap.h>

#include "records.h"

static struct hpheap *heap_of_objects;

static inline void *heap_objects_alloc(size_t size)
{
	return hpheap_malloc_in(heap_of_objects, size);
}

static inline void heap_objects_free(void *memory, size_t size)
{
	(void)size;
	hpheap_free_in(heap_of_objects, memory);
}

static inline void heap_objects_open(struct allocator *allocator, struct hpheap *heap)
{
	heap_of_objects = heap;
	allocator->alloc = heap_objects_alloc;
	allocator->free = heap_objects_free;
}

#endif
