// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory from plain malloc, as the C library has it by default: what hpheap is
 * compared with. It cannot be told what will be needed, so it is not.
 */
#include "memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

static int malloc_open(size_t expected)
{
	(void)expected;
	return 0;
}

static void malloc_give_back(void)
{
	malloc_trim(0);
}

static int malloc_describe(struct memory_facts *facts)
{
	*facts = (struct memory_facts){ .backend = "malloc" };
	snprintf(facts->reason, sizeof(facts->reason), "the C library's malloc, default settings");
	return 0;
}

static void malloc_close(void)
{
}

const struct memory memory_malloc = {
	.name = "malloc",
	.open = malloc_open,
	.alloc = malloc,
	.free = free,
	.give_back = malloc_give_back,
	.describe = malloc_describe,
	.close = malloc_close,
};
