// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * NUMA, through libnuma's node mask and mbind().
 *
 * Node numbers have holes, nodes may have no memory, and a task may be allowed
 * some of them only: a node is what numa_all_nodes_ptr has, never 0..n-1.
 * Containers block mbind() (EPERM, ENOSYS): memory then comes from where the
 * kernel likes, and the heap's statistics say that its wish was refused.
 */
#include "place.h"

#include <errno.h>
#include <limits.h>
#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "os.h"

/*
 * The nodes whose memory the task may use. The mask is libnuma's own, made by
 * its constructor from /proc: before that, and where the system has no NUMA,
 * there is just node 0. numa_available() is of no use: it fails where a
 * container blocks get_mempolicy(), and the device places without that.
 */
static const struct bitmask *memory_nodes(void)
{
	const struct bitmask *nodes = numa_all_nodes_ptr;

	return nodes && numa_bitmask_weight(nodes) > 0 ? nodes : NULL;
}

/* Have libnuma's constructors run, or all? Ours comes after that. */
static bool constructed;

__attribute__((constructor)) static void note_constructors(void)
{
	constructed = true;
}

/* Before that a heap would have one zone for all nodes. */
bool hph_numa_known(void)
{
	return constructed || memory_nodes();
}

static bool is_in(const struct bitmask *nodes, uint32_t node)
{
	if (!nodes)
		return node == 0;
	return node < nodes->size && numa_bitmask_isbitset(nodes, node);
}

bool hph_numa_node_valid(uint32_t node)
{
	return is_in(memory_nodes(), node);
}

/* The valid nodes, at most @most of them; returns how many, one at least. */
unsigned int hph_numa_nodes(uint32_t *nodes, unsigned int most)
{
	const struct bitmask *valid = memory_nodes();	/* To count it takes a while. */
	unsigned int found = 0;
	uint32_t node;

	for (node = 0; node < HPH_NUMA_NODES && found < most; node++)
		if (is_in(valid, node))
			nodes[found++] = node;
	return found;
}

/* As the firmware tells it; what it does not tell is far. */
int hph_numa_distance(unsigned int from, unsigned int to)
{
	const int distance = memory_nodes() ? numa_distance((int)from, (int)to) : 0;

	if (from == to)
		return 0;
	return distance > 0 ? distance : INT_MAX;
}

/*
 * The CPU that the calling thread runs on just now. The C library knows it from
 * the thread's restartable sequence (2.35), without a system call; getcpu(), which
 * knows the node as well, is one on some systems. Negative: it is not known.
 */
int hph_numa_cpu(void)
{
	return sched_getcpu();
}

/* A decimal number at *@text, and what follows it; 0 if there is none. */
static unsigned int number(const char **text)
{
	unsigned int value = 0;

	for (; **text >= '0' && **text <= '9' && value < HPH_NUMA_CPUS; ++*text)
		value = 10 * value + (unsigned int)(**text - '0');
	return value;
}

/* Writes @mark to each CPU of a node: the system tells them as "0-3,8". */
void hph_numa_mark_cpus(unsigned int node, uint8_t *cpus, uint8_t mark)
{
	char path[64], line[8192];
	const char *text = line;
	char *last_comma;
	unsigned int first, last;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/cpulist", node);
	if (hph_os_read_line(path, line, sizeof(line)))
		return;
	last_comma = strrchr(line, ',');
	if (strlen(line) == sizeof(line) - 1 && last_comma)
		*last_comma = '\0';	/* What is behind it may be cut. */
	while (*text >= '0' && *text <= '9') {
		first = last = number(&text);
		if (*text == '-') {
			text++;
			last = number(&text);
		}
		for (; first <= last && first < HPH_NUMA_CPUS; first++)
			cpus[first] = mark;
		text += *text == ',';
	}
}

/* The nodes as the device takes them. */
void hph_numa_mask(uint64_t *words, size_t count)
{
	const struct bitmask *valid = memory_nodes();
	uint32_t node;

	for (node = 0; node < count * 64; node++)
		if (is_in(valid, node))
			words[node / 64] |= UINT64_C(1) << node % 64;
}

/*
 * Memory that threads use at any time shall not be unmapped now and then, to see who
 * touches it: NUMA balancing passes over mappings with a policy of their own
 * (vma_policy_mof() in the kernel's mm/mempolicy.c), if only this one, which says what
 * holds anyway. Nothing is lost where that is not allowed.
 */
void hph_numa_keep(uintptr_t addr, size_t bytes)
{
	if (memory_nodes())
		mbind((void *)addr, bytes, MPOL_LOCAL, NULL, 0, 0);
}

/*
 * Says where a range's memory shall come from. Preferred, not bound: with
 * MPOL_BIND a full node means the OOM killer, while others have memory.
 */
int hph_numa_bind(uintptr_t addr, size_t bytes, const struct hph_place *place)
{
	const struct bitmask *nodes = memory_nodes();
	const unsigned int bits = 8 * sizeof(unsigned long);
	unsigned long one[HPH_NUMA_NODES / (8 * sizeof(unsigned long))] = { 0 };

	if (place->placement == HPHEAP_PLACE_LOCAL || !nodes)
		return 0;
	if (place->placement == HPHEAP_PLACE_INTERLEAVE)
		return mbind((void *)addr, bytes, MPOL_INTERLEAVE, nodes->maskp,
			     nodes->size + 1, 0) ? -errno : 0;
	if (place->node >= HPH_NUMA_NODES)
		return -EINVAL;
	one[place->node / bits] = 1UL << place->node % bits;
	return mbind((void *)addr, bytes, MPOL_PREFERRED, one, HPH_NUMA_NODES + 1, 0) ? -errno : 0;
}
