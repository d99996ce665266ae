// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory from hpheap: blocks are spans of a heap of its own, so that a service
 * with other users of the library in its process still sees its own numbers.
 *
 * What the service will need is reserved at the start: then no request waits
 * for the kernel to find and clear a huge page.
 */
#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hpheap.h"

static struct hpheap *heap;

static int span_open(size_t expected)
{
	int err;

	heap = hpheap_create(NULL);
	if (!heap)
		return -errno;
	if (!hpheap_reserve(heap, expected, HPHEAP_NODE_ANY))
		return 0;
	err = -errno;
	hpheap_destroy(heap);
	heap = NULL;
	return err;
}

static void *span_alloc(size_t bytes)
{
	return hpheap_span_alloc(heap, bytes, 0, 0);
}

static void span_free(void *block)
{
	hpheap_span_free(heap, block);
}

static void span_give_back(void)
{
	hpheap_scavenge(heap, SIZE_MAX);
}

static const char *backend_name(uint32_t backend)
{
	switch (backend) {
	case HPHEAP_BACKEND_DEVICE:	return "device";
	case HPHEAP_BACKEND_THP:	return "thp";
	case HPHEAP_BACKEND_SMALL:	return "small";
	default:			return "unknown";
	}
}

static int span_describe(struct memory_facts *facts)
{
	struct hpheap_stats stats = { .size = sizeof(stats) };

	if (hpheap_stats(heap, &stats))
		return -errno;
	memset(facts, 0, sizeof(*facts));
	snprintf(facts->backend, sizeof(facts->backend), "%s", backend_name(stats.backend));
	snprintf(facts->reason, sizeof(facts->reason), "%s", stats.backend_reason);
	facts->device_bytes = stats.device_bytes;
	facts->fallback_bytes = stats.fallback_bytes;
	return 0;
}

static int span_draw(const char *path)
{
	FILE *file = fopen(path, "we");
	int err = 0;

	if (!file)
		return -errno;
	if (hpheap_map_write(heap, file, HPHEAP_MAP_SVG))
		err = -errno;
	if (fclose(file) && !err)
		err = -errno;
	return err;
}

static void span_close(void)
{
	hpheap_destroy(heap);
	heap = NULL;
}

const struct memory memory_hpheap = {
	.name = "hpheap",
	.open = span_open,
	.alloc = span_alloc,
	.free = span_free,
	.give_back = span_give_back,
	.describe = span_describe,
	.draw = span_draw,
	.close = span_close,
};
