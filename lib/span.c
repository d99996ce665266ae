// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spans: what a program asks for, checked, in heap pages.
 */
#include <errno.h>
#include <string.h>

#include "heap.h"
#include "os.h"

#define SPAN_FLAGS	(HPHEAP_SPAN_ZERO | HPHEAP_SPAN_BASE_ALIGNED)

static int check_want(const struct hpheap *heap, size_t bytes, size_t align, unsigned int flags,
		      struct hph_want *want)
{
	size_t unit = HPHEAP_PAGE_SIZE;

	if (!heap || !bytes || (align && !hph_is_power_of_two(align)) || flags & ~SPAN_FLAGS)
		return -EINVAL;
	if (bytes > PTRDIFF_MAX || align > PTRDIFF_MAX)
		return -ENOMEM;
	/* Where the heap page is the smaller one, only whole base pages are nobody else's. */
	if (flags & HPHEAP_SPAN_BASE_ALIGNED && heap->base_page > unit)
		unit = heap->base_page;
	if (align < unit)
		align = unit;
	want->pages = hph_round_up(bytes, unit) / HPHEAP_PAGE_SIZE;
	want->align = align / HPHEAP_PAGE_SIZE;
	return 0;
}

void *hpheap_span_alloc(struct hpheap *heap, size_t bytes, size_t align, unsigned int flags)
{
	struct hph_want want;
	int error = check_want(heap, bytes, align, flags, &want);
	bool zero = false;
	uintptr_t addr;

	if (error) {
		errno = -error;
		return NULL;
	}
	pthread_mutex_lock(&heap->lock);
	addr = hph_pages_alloc(&heap->pages, &want, &zero);
	pthread_mutex_unlock(&heap->lock);
	if (!addr) {
		addr = hph_grow_span(heap, &want, &error);
		zero = true;
	}
	if (!addr) {
		errno = -error;
		return NULL;
	}
	if (flags & HPHEAP_SPAN_ZERO && !zero)
		memset((void *)addr, 0, hph_page_addr(want.pages));
	return (void *)addr;
}

void hpheap_span_free(struct hpheap *heap, void *span)
{
	size_t bytes;

	if (!span)
		return;
	pthread_mutex_lock(&heap->lock);
	bytes = hph_pages_free(&heap->pages, (uintptr_t)span);
	pthread_mutex_unlock(&heap->lock);
	if (!bytes)
		hph_os_die("hpheap_span_free(%p): no live span begins there", span);
}

size_t hpheap_span_size(struct hpheap *heap, const void *span)
{
	size_t bytes = 0;

	if (heap && span) {
		pthread_mutex_lock(&heap->lock);
		bytes = hph_pages_size(&heap->pages, (uintptr_t)span);
		pthread_mutex_unlock(&heap->lock);
	}
	if (!bytes)
		errno = EINVAL;
	return bytes;
}

int hpheap_reserve(struct hpheap *heap, size_t bytes, int node)
{
	int error;

	if (!heap || (node != HPHEAP_NODE_ANY &&
		      (node < 0 || !hph_numa_node_valid((uint32_t)node)))) {
		errno = EINVAL;
		return -1;
	}
	if (!bytes)
		return 0;
	error = hph_grow_reserve(heap, (bytes - 1) / HPHEAP_HUGE_SIZE + 1, node);
	if (error) {
		errno = -error;
		return -1;
	}
	return 0;
}

size_t hpheap_scavenge(struct hpheap *heap, size_t bytes)
{
	if (!heap || !bytes)
		return 0;
	return hph_shrink(heap, (bytes - 1) / HPHEAP_HUGE_SIZE + 1) << HPH_HUGE_SHIFT;
}
