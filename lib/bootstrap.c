// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory for who asks malloc() before there is a heap to take it from.
 *
 * Where this library is malloc() itself, the C library and libnuma call it while the
 * default heap is being made for a first request, and before libnuma knows the nodes that
 * the heap needs to know: its constructor is one of the first that run, and asks for memory.
 * Such requests are few and small. They are cut from mappings one after the other, and what is
 * freed of them is not used again.
 */
#include "bootstrap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "heap.h"
#include "os.h"

#define REGION_BYTES	((size_t)256 << 10)
#define REGIONS		64	/* a large request has one of its own */

/* Stands before each object. */
struct header {
	size_t bytes;
	size_t padding;
};

_Static_assert(sizeof(struct header) <= HPH_GRANULE, "objects stay aligned behind it");

static struct {
	pthread_mutex_t lock;
	_Atomic unsigned int count;
	uintptr_t first[REGIONS], end[REGIONS];	/* never change once they are counted */
	uintptr_t next, last;	/* what is free of one of them */
} regions = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Is the thread making a heap? */
static _Thread_local bool making;

/* What it needs for that is not to come from the default heap, if that is not there yet. */
void hph_bootstrap_making(bool is)
{
	making = is;
}

/**
 * hph_bootstrap_heap() - the default heap, made now if need be
 * @later: out: it cannot be had yet, and hph_bootstrap_alloc() serves
 *
 * Return: NULL: that, or errno says why there is none.
 */
struct hpheap *hph_bootstrap_heap(bool *later)
{
	struct hpheap *heap = hph_heap_default_there();
	const int before = errno;

	*later = !heap && (making || !hph_numa_known());
	if (heap || *later)
		return heap;
	heap = hpheap_default();
	if (heap)
		errno = before;
	return heap;
}

/* Under the lock. Where it begins, or 0. */
static uintptr_t add_region(size_t bytes)
{
	const unsigned int count = regions.count;

	if (count == REGIONS || bytes > PTRDIFF_MAX || hph_os_map(bytes, &regions.first[count]))
		return 0;
	regions.end[count] = regions.first[count] + bytes;
	atomic_store(&regions.count, count + 1);
	return regions.first[count];
}

/* Room for so many bytes, header and all: each new region is larger than those before it. */
static uintptr_t find_room(size_t bytes)
{
	const size_t more = REGION_BYTES << (regions.count < 8 ? regions.count : 8);

	if (bytes > REGION_BYTES / 4)
		return add_region(hph_round_up(bytes, HPHEAP_MAX_BASE_PAGE));
	if (regions.last - regions.next < bytes) {
		regions.next = add_region(more);
		regions.last = regions.next ? regions.next + more : 0;
	}
	return regions.next;
}

/* Zeroed memory; @align is a power of two. NULL with errno ENOMEM. */
void *hph_bootstrap_alloc(size_t bytes, size_t align)
{
	uintptr_t room = 0, addr = 0;
	size_t all;

	if (align < HPH_GRANULE)
		align = HPH_GRANULE;
	if (bytes <= PTRDIFF_MAX / 2 && align <= PTRDIFF_MAX / 8) {
		all = hph_round_up(bytes, HPH_GRANULE) + align + sizeof(struct header);
		pthread_mutex_lock(&regions.lock);
		room = find_room(all);
		if (room)
			addr = hph_round_up(room + sizeof(struct header), align);
		if (room && room == regions.next)
			regions.next = hph_round_up(addr + bytes, HPH_GRANULE);
		pthread_mutex_unlock(&regions.lock);
	}
	if (!addr) {
		errno = ENOMEM;
		return NULL;
	}
	((struct header *)addr)[-1].bytes = bytes;
	return (void *)addr;
}

bool hph_bootstrap_has(const void *object)
{
	const uintptr_t addr = (uintptr_t)object;
	unsigned int i;

	for (i = atomic_load(&regions.count); i-- > 0;)
		if (addr >= regions.first[i] && addr < regions.end[i])
			return true;
	return false;
}

size_t hph_bootstrap_size(const void *object)
{
	return ((const struct header *)object)[-1].bytes;
}

/* Around fork(). */
void hph_bootstrap_lock(void)
{
	pthread_mutex_lock(&regions.lock);
}

void hph_bootstrap_unlock(void)
{
	pthread_mutex_unlock(&regions.lock);
}
