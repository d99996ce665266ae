// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of records: see records.h.
 *
 * A record is written from its first word to its last. These two are looked at when it is
 * read and when it goes.
 */
#include "records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "system.h"

static struct heap_pages before;	/* without any record */

static _Noreturn void end(const char *what)
{
	fprintf(stderr, "records: %s\n", what);
	exit(1);
}

static uint32_t next_random(struct records *records)
{
	records->random ^= records->random >> 12;
	records->random ^= records->random << 25;
	records->random ^= records->random >> 27;
	return (uint32_t)((records->random * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

uint32_t records_below(struct records *records, uint32_t limit)
{
	return (uint32_t)((uint64_t)next_random(records) * limit >> 32);
}

static size_t random_size(struct records *records)
{
	const uint32_t chance = next_random(records) | 1U << (records->octaves - 1);
	const size_t low = records->smallest << __builtin_ctz(chance);

	return low + records_below(records, (uint32_t)low);
}

/*
 * The mean size is smallest * (octaves + 1) * 3/4: the last octave is as likely as the one
 * below it. The table is the program's own memory, all of it there before the heap is
 * looked at for the first time.
 */
void records_open(struct records *records, const struct allocator *allocator, uint64_t seed,
		  size_t smallest, size_t largest, size_t peak)
{
	unsigned int octaves = 0;
	size_t bytes;

	while (smallest << octaves < largest)
		octaves++;
	*records = (struct records){
		.allocator = allocator, .smallest = smallest, .octaves = octaves,
		.most = peak / smallest / octaves * 2,
		.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1,
	};
	bytes = records->most * sizeof(*records->all);
	records->all = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (records->all == MAP_FAILED)
		end("no memory for the table");
	if (system_heap_pages(&before))
		end("no /proc/self/smaps");
}

void records_close(struct records *records)
{
	while (records->count)
		records_remove(records, records->count - 1);
	munmap(records->all, records->most * sizeof(*records->all));
}

static uint64_t *last_word(const struct record *record)
{
	return record->memory + record->size / sizeof(uint64_t) - 1;
}

void records_add(struct records *records)
{
	struct record *record = &records->all[records->count];
	size_t i;

	if (records->count == records->most)
		end("there are more than the table holds");
	record->size = random_size(records);
	record->memory = records->allocator->alloc(record->size);
	if (!record->memory)
		end("the allocator has no memory");
	for (i = 0; i < record->size / sizeof(uint64_t); i++)
		record->memory[i] = (uintptr_t)record->memory;
	records->live += record->size;
	records->count++;
}

static void check(const struct record *record)
{
	if (*record->memory != (uintptr_t)record->memory ||
	    *last_word(record) != (uintptr_t)record->memory)
		end("a live record was overwritten");
}

void records_remove(struct records *records, size_t which)
{
	struct record *record = &records->all[which];

	check(record);
	records->live -= record->size;
	records->allocator->free(record->memory, record->size);
	*record = records->all[--records->count];
}

void records_shrink(struct records *records, size_t bytes)
{
	while (records->live > bytes && records->count)
		records_remove(records, records_below(records, (uint32_t)records->count));
}

uint64_t records_read(const struct records *records, size_t which)
{
	const struct record *record = &records->all[which];
	uint64_t sum = 0;
	size_t i;

	check(record);
	for (i = 0; i < record->size / sizeof(uint64_t); i++)
		sum += record->memory[i];
	return sum;
}

/* By address. The C library's qsort() would allocate, from the very heap that is measured. */
static void sort(struct record *all, size_t count)
{
	size_t gap, i, j;

	for (gap = count / 2; gap; gap = gap == 2 ? 1 : gap * 5 / 11)
		for (i = gap; i < count; i++) {
			const struct record record = all[i];

			for (j = i; j >= gap && all[j - gap].memory > record.memory; j -= gap)
				all[j] = all[j - gap];
			all[j] = record;
		}
}

/*
 * The base pages that hold a byte of a record: none of them can go while records stay where
 * they are. A copy of the table is sorted for that; it is gone before the heap is looked at.
 */
static uint64_t touched(const struct records *records)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const size_t bytes = records->most * sizeof(struct record);
	struct record *sorted = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t reached = 0;
	uint64_t sum = 0;
	size_t i;

	if (sorted == MAP_FAILED)
		end("no memory for another table");
	memcpy(sorted, records->all, records->count * sizeof(*sorted));
	sort(sorted, records->count);
	for (i = 0; i < records->count; i++) {
		uintptr_t begin = (uintptr_t)sorted[i].memory & ~(page - 1);
		const uintptr_t last = (uintptr_t)sorted[i].memory + sorted[i].size - 1;

		if (begin < reached)
			begin = reached;
		reached = (last & ~(page - 1)) + page;
		sum += reached - begin;
	}
	munmap(sorted, bytes);
	return sum;
}

struct footprint records_footprint(const struct records *records)
{
	struct footprint footprint = { .live = records->live, .touched = touched(records) };
	struct heap_pages now;

	if (system_heap_pages(&now))
		end("no /proc/self/smaps");
	footprint.resident = now.resident > before.resident ? now.resident - before.resident : 0;
	footprint.huge = now.huge > before.huge ? now.huge - before.huge : 0;
	return footprint;
}

struct footprint records_rest(const struct records *records, unsigned int seconds,
			      records_enough enough)
{
	struct footprint footprint;

	if (!enough) {
		sleep(seconds);
		return records_footprint(records);
	}
	footprint = records_footprint(records);
	while (seconds && !enough(&footprint)) {
		sleep(1);
		seconds--;
		footprint = records_footprint(records);
	}
	return footprint;
}
