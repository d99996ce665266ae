// SPDX-License-Identifier: GPL-2.0-only
/*
 * faults FAULT: one fault in the use of memory, for valgrind to find; its main() has it.
 *
 * Compiled twice: with the C library's names, for what replaces them, and with hpheap's.
 */
#include <stdlib.h>
#include <string.h>

#ifdef WITH_HPHEAP
#include <hpheap.h>
#define malloc	hpheap_malloc
#define calloc	hpheap_calloc
#define realloc	hpheap_realloc
#define free	hpheap_free
#endif

static volatile int sink;

/* Nothing of all this is wrong. */
static void behave(void)
{
	char *object = malloc(100), *other = calloc(10, 10), *large = malloc(3 << 20);

	memset(object, 1, 100);
	object = realloc(object, 70000);
	sink += object[99] + other[99];
	large[(3 << 20) - 1] = 1;
	large = realloc(large, 1000);
	large[999] = 2;
	free(other);
	free(object);
	free(large);
	other = calloc(1, 5 << 20);
	sink += other[(5 << 20) - 1];
	free(other);
}

int main(int argc, char **argv)
{
	const char *fault = argc > 1 ? argv[1] : "";
	const size_t bytes = strstr(fault, "large") ? 3 << 20 : 100;
	char *volatile object = malloc(bytes);

	behave();
	if (strstr(fault, "behind"))
		object[bytes] = 1;
	else if (strstr(fault, "before"))
		object[-1] = 1;
	else if (strstr(fault, "uninitialised") && object[7])
		sink++;
	if (strstr(fault, "leak"))
		object = NULL;
	free(object);
	if (strstr(fault, "after"))
		object[1] = 1;
	return 0;
}
