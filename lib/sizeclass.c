// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Size classes: how large objects are, and how large the slabs that they are cut from.
 *
 * Classes are computed, not listed. Up to 128 bytes they are 16 apart, which is the
 * alignment that every object has; from there on there are eight from each power of
 * two to the next, at equal distances. So of an object above 128 bytes less than a ninth is
 * waste: just above 2^n the next class is 2^n + 2^n/8. (Steps of this kind are jemalloc's,
 * with four: a fifth. Evans, "A scalable concurrent malloc implementation for FreeBSD",
 * 2006.) Every power of two is a class, and a slab begins at a heap page: so objects of a
 * class that is a multiple of an alignment up to a heap page have that alignment.
 *
 * A slab has the fewest heap pages of which objects leave no more than a 32nd over; at least
 * four pages, so that what is known about it is small beside it, and at least eight objects, or
 * four of those above two pages, so that one survivor does not hold so much more than itself.
 *
 * A thread's cache may hold 256 KiB of a class, from 8 to 512 objects, if all it holds is no more
 * than HPH_CACHE_OBJECT_BYTES. With 128, objects went from thread to thread so often that in time
 * each cache line had some of both: two that only allocate and free at random then took 28 ns
 * instead of 10, where their CPUs are far from each other.
 */
#include "sizeclass.h"

#define MOST_PAGES	32u	/* what a small span has */
#define LEFT_OVER	32u
#define CACHED_BYTES	((size_t)256 << 10)

struct hph_class hph_classes[HPH_CLASSES];
uint16_t hph_class_table[HPH_OBJECT_MAX / HPH_GRANULE + 1];

static uint32_t size_of(unsigned int class)
{
	const unsigned int log = 7 + (class - HPH_STEPS) / HPH_STEPS;

	if (class < HPH_STEPS)
		return (class + 1) * HPH_GRANULE;
	return (1u << log) + (class % HPH_STEPS + 1) * (1u << (log - 3));
}

static unsigned int pages_for(uint32_t size)
{
	const uint32_t least = size > 2 * HPHEAP_PAGE_SIZE ? 4 : 8;
	unsigned int pages;

	for (pages = HPH_SLAB_LEAST_PAGES; pages < MOST_PAGES; pages++) {
		const uint32_t bytes = (uint32_t)hph_page_addr(pages);

		if (bytes / size >= least && bytes % size <= bytes / LEFT_OVER)
			break;
	}
	return pages;
}

static uint16_t most_of(uint32_t size)
{
	const size_t most = CACHED_BYTES / size;

	return (uint16_t)(most < 8 ? 8 : most > 512 ? 512 : most);
}

/* Once, before there is a heap. */
void hph_classes_init(void)
{
	size_t granules = 0;
	unsigned int i;

	for (i = 0; i < HPH_CLASSES; i++) {
		const uint32_t size = size_of(i);
		const unsigned int pages = pages_for(size);
		const uint32_t objects = (uint32_t)hph_page_addr(pages) / size;

		hph_classes[i] = (struct hph_class){
			.inverse = UINT64_MAX / size + 1, .size = size, .bytes = objects * size,
			.objects = (uint16_t)objects, .most = most_of(size),
			.pages = (uint8_t)pages,
		};
		while (granules * HPH_GRANULE <= size)
			hph_class_table[granules++] = (uint16_t)hph_class_entry(i);
	}
}
