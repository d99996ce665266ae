/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table of records of random sizes, as a cache has them: what breathing.c and
 * survivors.c do to an allocator, they do through this.
 *
 * Sizes have a long tail: an octave is half as likely as the one below it, so each holds
 * about as many bytes. Tables of the same seed have the same life, whatever the allocator.
 */
#ifndef RECORDS_H
#define RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allocator {
	void *(*alloc)(size_t size);
	void (*free)(void *memory, size_t size);
};

struct record {
	uint64_t *memory;
	size_t size;
};

struct records {
	const struct allocator *allocator;
	struct record *all;
	size_t count, most;
	size_t live;		/* bytes asked for */
	size_t smallest;	/* bytes, a power of two */
	unsigned int octaves;
	uint64_t random;
};

/* What the records have of memory, as the kernel sees it. */
struct footprint {
	uint64_t live;
	uint64_t resident;	/* of the process's heap, without what it had before */
	uint64_t huge;		/* of that, on huge pages */
	uint64_t touched;	/* of that, in base pages that hold a byte of a record */
};

/* Records of @smallest to @largest bytes, powers of two; about @peak live bytes of them. */
void records_open(struct records *records, const struct allocator *allocator, uint64_t seed,
		  size_t smallest, size_t largest, size_t peak);
void records_close(struct records *records);

uint32_t records_below(struct records *records, uint32_t limit);

/* Each ends the program, with a line, when memory is refused or was overwritten. */
void records_add(struct records *records);
void records_remove(struct records *records, size_t which);
/* Until no more than so many bytes live, each record as likely to go as any. */
void records_shrink(struct records *records, size_t bytes);
uint64_t records_read(const struct records *records, size_t which);

/* Without what the process had when the records were opened. */
struct footprint records_footprint(const struct records *records);

/*
 * Does nothing for so many seconds, or fewer if @enough, which may be NULL, says so before.
 * Returns the footprint then.
 */
typedef bool (*records_enough)(const struct footprint *footprint);
struct footprint records_rest(const struct records *records, unsigned int seconds,
			      records_enough enough);

#endif
