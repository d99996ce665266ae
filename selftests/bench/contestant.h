/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who takes part in `make bench`, seen as one pair of functions.
 *
 * There are three in the program itself: "hpheap" on transparent huge pages,
 * "malloc" and "mmap". Which allocator malloc is, LD_PRELOAD decides, so that
 * each is alone in its process; the first line that a program prints is the file
 * the functions come from, for the caller to see whom it measures.
 */
#ifndef CONTESTANT_H
#define CONTESTANT_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <hpheap.h>

enum { CONTESTANT_HPHEAP, CONTESTANT_MALLOC, CONTESTANT_MMAP, CONTESTANTS };

struct contestant {
	unsigned int number;
	const char *name;
	const char *symbol;	/* a function of the file it comes from */
	void *(*alloc)(size_t size);
	void (*free)(void *memory, size_t size);
	void (*give_back)(void);	/* to the system, all that it can */
};

/* Prints where it comes from; ends the program if there is none of this name. */
const struct contestant *contestant_open(const char *name);

/* Ends the program with errno's meaning. */
_Noreturn void die(const char *what);

/*
 * The same functions for who compiles them in: a call through a pointer to a function
 * that calls another costs more than what some of them do.
 */
extern struct hpheap *contestant_heap;

static inline void *hpheap_take(size_t size)
{
	return hpheap_span_alloc(contestant_heap, size, 0, 0);
}

static inline void hpheap_give(void *memory, size_t size)
{
	(void)size;
	hpheap_span_free(contestant_heap, memory);
}

static inline void *malloc_take(size_t size)
{
	return malloc(size);
}

static inline void malloc_give(void *memory, size_t size)
{
	(void)size;
	free(memory);
}

static inline void *mmap_take(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static inline void mmap_give(void *memory, size_t size)
{
	if (munmap(memory, size))
		die("munmap");
}

#endif
