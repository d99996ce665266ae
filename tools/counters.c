// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading the module's numbers: see counters.h.
 */
#include "counters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system.h"

uint64_t counter(const char *name)
{
	uint64_t value;

	return root_number(&value, SYSFS_DIR "/%s", name) ? value : UNKNOWN;
}

struct size_text size_or_unknown(uint64_t bytes)
{
	struct size_text unknown = { "?" };

	return bytes == UNKNOWN ? unknown : size_text(bytes);
}

struct size_text number_or_unknown(uint64_t number)
{
	struct size_text text = { "?" };

	if (number != UNKNOWN)
		snprintf(text.text, sizeof(text.text), "%" PRIu64, number);
	return text;
}

static int by_node(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return (x->node > y->node) - (x->node < y->node);
}

/* Files "nodeN". */
void counter_nodes(struct counter_nodes *nodes)
{
	DIR *dir = root_dir(SYSFS_DIR "/pool");
	struct dirent *entry;
	uint64_t node, bytes;

	nodes->count = 0;
	if (!dir)
		return;
	while (nodes->count < MAX_NODES && (entry = readdir(dir))) {
		const char *digits = entry->d_name + strlen("node");

		if (strncmp(entry->d_name, "node", strlen("node")) || !parse_size(digits, &node) ||
		    strspn(digits, "0123456789") != strlen(digits) ||
		    !root_number(&bytes, SYSFS_DIR "/pool/%s", entry->d_name))
			continue;
		nodes->node[nodes->count++] = (struct share){ node, bytes };
	}
	closedir(dir);
	if (nodes->count)
		qsort(nodes->node, nodes->count, sizeof(*nodes->node), by_node);
}
