/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_HEAP_H
#define HPH_HEAP_H

#include <pthread.h>

#include "arena.h"
#include "backend.h"
#include "meta.h"
#include "pagealloc.h"

/*
 * A heap. Lock order: registry (heap.c), grow, lock. BUSY units belong to the
 * thread that made them so: it works on them without any lock.
 */
struct hpheap {
	pthread_mutex_t lock;	/* pages and the counts; never held across a system call */
	pthread_mutex_t grow;	/* meta, arena, attaching to backends */

	struct hph_meta meta;
	struct hph_arena arena;
	struct hph_pages pages;
	struct hph_backend *backend;
	struct hph_backend *fallback;	/* for units that backend cannot give; or NULL */
	struct hph_place place;
	size_t base_page;
	size_t limit_units;		/* SIZE_MAX: none */

	size_t busy_units;
	size_t device_units;		/* that have memory, of the device */
	size_t fallback_units;		/* that have memory, of the fallback */
	size_t peak_units;
	uint64_t commits;
	uint64_t releases;
	uint64_t fallbacks;
	int fallback_errno;

	uint32_t kind;			/* enum hpheap_backend, never AUTO */
	uint32_t wanted;
	char reason[120];
	struct hpheap *next;		/* in the registry */
};

uintptr_t hph_grow_span(struct hpheap *heap, const struct hph_want *want, int *error);
int hph_grow_reserve(struct hpheap *heap, size_t units, int node);
size_t hph_shrink(struct hpheap *heap, size_t units);
void hph_after_fork(struct hpheap *heap);

#endif /* HPH_HEAP_H */
