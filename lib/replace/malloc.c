// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The C library's names for the malloc family: only in libhpheap-malloc, which replaces it.
 *
 * glibc's functions, POSIX's and those of C23; operator new and delete come here by way of the
 * C++ library, which calls malloc(), aligned_alloc() and free(). What a function shall do where
 * the standards leave it open is what glibc does.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "bootstrap.h"
#include "os.h"
#include "units.h"

#define REPLACES __attribute__((visibility("default")))

/* C23; the C library of today does not declare them. */
void free_sized(void *object, size_t bytes);
void free_aligned_sized(void *object, size_t align, size_t bytes);
void cfree(void *object);

/*
 * malloc() and free() themselves are lib/malloc.c's: see lib.mk. A jump would be one too many, and
 * of two names for one function valgrind finds one only.
 */
void *hpheap_malloc(size_t bytes)
{
	return malloc(bytes);
}

void hpheap_free(void *object)
{
	free(object);
}

REPLACES void *calloc(size_t count, size_t bytes)
{
	return hpheap_calloc(count, bytes);
}

REPLACES void *realloc(void *object, size_t bytes)
{
	return hpheap_realloc(object, bytes);
}

REPLACES void *reallocarray(void *object, size_t count, size_t bytes)
{
	size_t all;

	if (__builtin_mul_overflow(count, bytes, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return hpheap_realloc(object, all);
}

REPLACES void free_sized(void *object, size_t bytes)
{
	(void)bytes;
	hpheap_free(object);
}

REPLACES void free_aligned_sized(void *object, size_t align, size_t bytes)
{
	(void)align;
	(void)bytes;
	hpheap_free(object);
}

REPLACES void cfree(void *object)
{
	hpheap_free(object);
}

REPLACES void *aligned_alloc(size_t align, size_t bytes)
{
	return hpheap_aligned_alloc(align, bytes);
}

/* As glibc's: an alignment that is no power of two becomes the next one. */
REPLACES void *memalign(size_t align, size_t bytes)
{
	size_t power = HPHEAP_MIN_BASE_PAGE / 256;

	while (power < align && power <= SIZE_MAX / 2)
		power *= 2;
	if (power < align) {
		errno = EINVAL;
		return NULL;
	}
	return hpheap_aligned_alloc(power, bytes);
}

REPLACES int posix_memalign(void **result, size_t align, size_t bytes)
{
	const int before = errno;
	void *object;

	if (!hph_is_power_of_two(align) || align % sizeof(void *))
		return EINVAL;
	object = hpheap_aligned_alloc(align, bytes);
	errno = before;
	if (!object)
		return ENOMEM;
	*result = object;
	return 0;
}

REPLACES void *valloc(size_t bytes)
{
	return hpheap_aligned_alloc(hph_os_base_page(), bytes);
}

REPLACES void *pvalloc(size_t bytes)
{
	const size_t page = hph_os_base_page();

	if (bytes > PTRDIFF_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	return hpheap_aligned_alloc(page, hph_round_up(bytes ? bytes : 1, page));
}

REPLACES size_t malloc_usable_size(void *object)
{
	return hpheap_malloc_usable_size(object);
}

/* Returns 1 if memory went back to the system; what is to be left is the policy's to say. */
REPLACES int malloc_trim(size_t pad)
{
	bool later;
	struct hpheap *heap = hph_bootstrap_heap(&later);

	(void)pad;
	return heap && hpheap_scavenge(heap, SIZE_MAX);
}

/* There is nothing to set that glibc's parameters mean; 1 is success there. */
REPLACES int mallopt(int parameter, int value)
{
	(void)parameter;
	(void)value;
	return 1;
}

static bool read_stats(struct hpheap_stats *stats)
{
	bool later;
	struct hpheap *heap = hph_bootstrap_heap(&later);

	*stats = (struct hpheap_stats){ .size = sizeof(*stats) };
	return heap && !hpheap_stats(heap, stats);
}

static uint64_t in_use(const struct hpheap_stats *stats)
{
	return stats->used_bytes - stats->slab_bytes + stats->object_bytes;
}

/* In use is what the program has; all else that has memory is free, in whole units or in slabs. */
REPLACES struct mallinfo2 mallinfo2(void)
{
	struct hpheap_stats stats;

	if (!read_stats(&stats))
		return (struct mallinfo2){ 0 };
	return (struct mallinfo2){
		.arena = (size_t)stats.committed_bytes,
		.ordblks = (size_t)stats.spans,
		.uordblks = (size_t)in_use(&stats),
		.fordblks = (size_t)(stats.used_bytes + stats.free_bytes - in_use(&stats)),
		.keepcost = (size_t)stats.free_huge_bytes,
	};
}

static int in_int(size_t value)
{
	return value > INT32_MAX ? INT32_MAX : (int)value;
}

REPLACES struct mallinfo mallinfo(void)
{
	const struct mallinfo2 info = mallinfo2();

	return (struct mallinfo){
		.arena = in_int(info.arena), .ordblks = in_int(info.ordblks),
		.uordblks = in_int(info.uordblks), .fordblks = in_int(info.fordblks),
		.keepcost = in_int(info.keepcost),
	};
}

REPLACES int malloc_info(int options, FILE *file)
{
	struct hpheap_stats stats;

	if (options)
		return EINVAL;	/* as glibc does, whatever its manual says */
	read_stats(&stats);
	fprintf(file, "<malloc version=\"hpheap-1\">\n"
		"<total type=\"committed\" size=\"%" PRIu64 "\"/>\n"
		"<total type=\"used\" size=\"%" PRIu64 "\"/>\n"
		"<total type=\"free\" size=\"%" PRIu64 "\"/>\n"
		"<total type=\"cached\" size=\"%" PRIu64 "\"/>\n"
		"<total type=\"away\" size=\"%" PRIu64 "\"/>\n"
		"</malloc>\n", stats.committed_bytes, in_use(&stats), stats.free_bytes,
		stats.cached_bytes, stats.away_bytes);
	return 0;
}

REPLACES void malloc_stats(void)
{
	malloc_info(0, stderr);
}
