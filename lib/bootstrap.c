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
	uintptr_t next;		/* free, in the last one */
} regions = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Is the thread making the default heap? */
static _Thread_local bool making;

/**
 * hph_bootstrap_heap() - the default heap, made now if need be
 * @later: out: it cannot be had yet, and hph_bootstrap_alloc() serves
 *
 * Return: NULL: that, or errno says why there is none.
 */
struct hpheap *hph_bootstrap_heap(bool *later)
{
	const int before = errno;
	struct hpheap *heap;

	*later = making || !hph_numa_known();
	if (*later)
		return NULL;
	making = true;
	heap = hpheap_default();
	making = false;
	if (heap)
		errno = before;
	return heap;
}

/* Under the lock. */
static bool add_region(size_t bytes)
{
	const unsigned int count = regions.count;
	const size_t size = bytes > REGION_BYTES ? hph_round_up(bytes, HPHEAP_MAX_BASE_PAGE) :
						   REGION_BYTES;

	if (count == REGIONS || bytes > PTRDIFF_MAX || hph_os_map(size, &regions.first[count]))
		return false;
	regions.end[count] = regions.first[count] + size;
	regions.next = regions.first[count];
	atomic_store(&regions.count, count + 1);
	return true;
}

static uintptr_t place(size_t align)
{
	return hph_round_up(regions.next + sizeof(struct header), align);
}

/* Zeroed memory; @align is a power of two. NULL with errno ENOMEM. */
void *hph_bootstrap_alloc(size_t bytes, size_t align)
{
	uintptr_t addr = 0;

	if (align < HPH_GRANULE)
		align = HPH_GRANULE;
	if (bytes <= PTRDIFF_MAX / 2 && align <= PTRDIFF_MAX / 4) {
		pthread_mutex_lock(&regions.lock);
		if ((regions.count && place(align) + bytes <= regions.end[regions.count - 1]) ||
		    add_region(bytes + 2 * align + sizeof(struct header))) {
			addr = place(align);
			regions.next = hph_round_up(addr + bytes, HPH_GRANULE);
			((struct header *)addr)[-1].bytes = bytes;
		}
		pthread_mutex_unlock(&regions.lock);
	}
	if (!addr)
		errno = ENOMEM;
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
