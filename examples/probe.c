// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which memory would a program get here, and why? What a service may log once
 * at its start. hpheapctl doctor says more, and what to do about it.
 */
#include <hpheap.h>
#include <inttypes.h>
#include <stdio.h>

static const char *name(uint32_t backend)
{
	switch (backend) {
	case HPHEAP_BACKEND_DEVICE:	return "device";
	case HPHEAP_BACKEND_THP:	return "transparent huge pages";
	case HPHEAP_BACKEND_SMALL:	return "base pages only";
	default:			return "unknown";
	}
}

int main(void)
{
	struct hpheap_stats stats = { .size = sizeof(stats) };
	struct hpheap *heap = hpheap_default();
	void *span;

	/* Only memory in use shows whether the backend keeps its word. */
	span = heap ? hpheap_span_alloc(heap, HPHEAP_HUGE_SIZE, 0, 0) : NULL;
	if (!span || hpheap_stats(heap, &stats)) {
		perror("probe");
		return 1;
	}
	printf("backend: %s\n", name(stats.backend));
	printf("because: %s\n", stats.backend_reason);
	printf("base page: %" PRIu64 " KiB\n", stats.base_page_bytes >> 10);
	printf("memory held: %" PRIu64 " KiB, of it in device chunks %" PRIu64 " KiB\n",
	       stats.committed_bytes >> 10, stats.device_bytes >> 10);
	hpheap_span_free(heap, span);
	return 0;
}
