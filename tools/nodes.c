// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory nodes from /sys/devices/system/node and /proc/buddyinfo: see nodes.h.
 *
 * libnuma is asked for what only a call can tell: whether memory policy works
 * at all (containers block it) and which nodes our cpuset allows.
 */
#include "nodes.h"

#include <inttypes.h>
#include <numa.h>
#include <stdlib.h>
#include <string.h>

#define NODE_DIR "/sys/devices/system/node"

static void read_memory(struct node *node)
{
	FILE *file = root_file(NODE_DIR "/node%u/meminfo", node->id);
	char line[ROOT_LINE], name[32];
	uint64_t kib;

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %*u %31[^:]: %" SCNu64, name, &kib) != 2)
			continue;
		if (!strcmp(name, "MemTotal"))
			node->total_bytes = kib << 10;
		else if (!strcmp(name, "MemFree"))
			node->free_bytes = kib << 10;
	}
	fclose(file);
	node->memory = node->total_bytes;
}

static void add_node(struct nodes *nodes, unsigned int id)
{
	struct node *node = &nodes->node[nodes->count++];

	node->id = id;
	node->allowed = root_is_other() || !nodes->policy ||
			numa_bitmask_isbitset(numa_all_nodes_ptr, id);
	read_memory(node);
	root_line(node->cpus, NODE_DIR "/node%u/cpulist", id);
}

/* A kernel without NUMA has no node directory: all memory is node 0's. */
static void add_only_node(struct nodes *nodes)
{
	struct node *node = &nodes->node[nodes->count++];
	FILE *file = root_file("/proc/meminfo");
	char line[ROOT_LINE];
	uint64_t kib;

	node->allowed = true;
	root_line(node->cpus, "/sys/devices/system/cpu/online");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "MemTotal: %" SCNu64, &kib) == 1)
			node->total_bytes = kib << 10;
		else if (sscanf(line, "MemFree: %" SCNu64, &kib) == 1)
			node->free_bytes = kib << 10;
	}
	fclose(file);
	node->memory = node->total_bytes;
}

static struct node *find_node(struct nodes *nodes, unsigned int id)
{
	unsigned int i;

	for (i = 0; i < nodes->count; i++)
		if (nodes->node[i].id == id)
			return &nodes->node[i];
	return NULL;
}

/* "Node 0, zone Normal 1181 4788 ...": free blocks of 2^column pages. */
static uint64_t count_huge(const char *columns, uint64_t base_page, uint64_t chunk_bytes)
{
	uint64_t block = base_page, huge = 0, blocks;
	char *end;

	for (;; block <<= 1, columns = end) {
		blocks = strtoull(columns, &end, 10);
		if (end == columns)
			return huge;
		if (block >= chunk_bytes)
			huge += blocks * block;
	}
}

static void read_buddyinfo(struct nodes *nodes, uint64_t base_page, uint64_t chunk_bytes)
{
	FILE *file = root_file("/proc/buddyinfo");
	char line[2 * ROOT_LINE];
	struct node *node;
	unsigned int id;
	int columns;

	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		columns = 0;
		if (sscanf(line, "Node %u, zone %*s%n", &id, &columns) != 1 || !columns)
			continue;
		node = find_node(nodes, id);
		if (node)
			node->huge_bytes += count_huge(line + columns, base_page, chunk_bytes);
	}
	fclose(file);
}

static int compare_nodes(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

void nodes_read(struct nodes *nodes, uint64_t base_page, uint64_t chunk_bytes)
{
	DIR *dir = root_dir(NODE_DIR);
	struct dirent *entry;
	unsigned int id;
	int length;

	memset(nodes, 0, sizeof(*nodes));
	nodes->policy = numa_available() >= 0;
	while (dir && (entry = readdir(dir)))
		if (sscanf(entry->d_name, "node%u%n", &id, &length) == 1 &&
		    !entry->d_name[length] && nodes->count < MAX_NODES)
			add_node(nodes, id);
	if (dir)
		closedir(dir);
	if (!nodes->count)
		add_only_node(nodes);
	qsort(nodes->node, nodes->count, sizeof(*nodes->node), compare_nodes);
	read_buddyinfo(nodes, base_page, chunk_bytes);
}

uint64_t nodes_huge_bytes(const struct nodes *nodes)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < nodes->count; i++)
		if (nodes->node[i].allowed)
			bytes += nodes->node[i].huge_bytes;
	return bytes;
}
