// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One heap for each NUMA node: a service with a thread pool on each node gives
 * every pool its own. Looks where the memory really came from: a heap prefers
 * its node, and takes other memory when that has none left.
 *
 * Exit status: 0 every heap is on its node, 1 not so or no memory.
 */
#include <errno.h>
#include <hpheap.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>

#define UNITS		4
#define SPAN_BYTES	(UNITS * HPHEAP_HUGE_SIZE)

/* How many of a span's huge units are on @node, or a negative errno. */
static int units_on(char *span, int node)
{
	void *pages[UNITS];
	int nodes[UNITS], i, count = 0;

	for (i = 0; i < UNITS; i++)
		pages[i] = span + i * HPHEAP_HUGE_SIZE;
	/* Not told where to move them, move_pages() says where they are. */
	if (move_pages(0, UNITS, pages, NULL, nodes, 0))
		return -errno;
	for (i = 0; i < UNITS; i++)
		count += nodes[i] == node;
	return count;
}

/* 0: the heap is on its node, as far as the kernel says */
static int show_node(int node)
{
	struct hpheap_options options = {
		.size = sizeof(options), .placement = HPHEAP_PLACE_NODE, .node = (uint32_t)node,
	};
	struct hpheap *heap = hpheap_create(&options);
	char *span = heap ? hpheap_span_alloc(heap, SPAN_BYTES, HPHEAP_HUGE_SIZE, 0) : NULL;
	int count;

	if (!span) {
		fprintf(stderr, "per_node: node %d: %s\n", node, strerror(errno));
		hpheap_destroy(heap);
		return 1;
	}
	memset(span, 1, SPAN_BYTES);
	count = units_on(span, node);
	if (count < 0)
		printf("node %d: %d huge units, nobody says where: %s\n", node, UNITS,
		       strerror(-count));
	else
		printf("node %d: %d huge units, %d of them there\n", node, UNITS, count);
	hpheap_destroy(heap);	/* and the span with it */
	return count >= 0 && count < UNITS;
}

int main(void)
{
	int failed = 0, node;

	if (numa_available() < 0) {
		puts("no NUMA here: one heap is enough");
		return show_node(0);
	}
	for (node = 0; node <= numa_max_node(); node++)
		if (numa_bitmask_isbitset(numa_all_nodes_ptr, (unsigned int)node))
			failed |= show_node(node);
	return failed;
}
