/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_SIZECLASS_H
#define HPH_SIZECLASS_H

#include "unit.h"

#define HPH_GRANULE		16u	/* every object is aligned to it, as C and C++ want */
#define HPH_STEPS		8u	/* classes from one power of two to the next */
#define HPH_LINEAR		128u	/* up to here the granule is the step */
#define HPH_OBJECT_MAX		((size_t)64 << 10)	/* larger ones are spans of their own */
#define HPH_CLASSES		(HPH_STEPS + HPH_STEPS * 9)
#define HPH_SLAB_LEAST_PAGES	4u

_Static_assert(HPH_GRANULE * HPH_STEPS == HPH_LINEAR, "one step up to there");
_Static_assert(HPH_LINEAR << 9 == HPH_OBJECT_MAX, "the last class is the largest object");

/* What there is to know about the objects of one size, and the slabs they are cut from. */
struct hph_class {
	uint64_t inverse;	/* x * inverse < inverse, in 64 bits: x is a multiple of size */
	uint32_t size;
	uint32_t bytes;		/* of a slab that are objects */
	uint16_t objects;	/* in a slab */
	uint16_t most;		/* in one thread's cache */
	uint8_t pages;		/* of a slab */
};

extern struct hph_class hph_classes[HPH_CLASSES];

/* By granules, as hph_unit.slab_page tells a class. */
extern uint16_t hph_class_table[HPH_OBJECT_MAX / HPH_GRANULE + 1];

void hph_classes_init(void);

/* The entry of slab_page for a class, and the class of one. */
static inline unsigned int hph_class_entry(unsigned int class)
{
	return (class + 1) << HPH_SLAB_CLASS;
}

static inline unsigned int hph_entry_class(unsigned int entry)
{
	return (entry >> HPH_SLAB_CLASS) - 1;
}

/* For an object of so many bytes, at most HPH_OBJECT_MAX: without a branch. */
static inline unsigned int hph_entry_of(size_t bytes)
{
	return hph_class_table[(bytes + HPH_GRANULE - 1) / HPH_GRANULE];
}

static inline unsigned int hph_class_of(size_t bytes)
{
	return hph_entry_class(hph_entry_of(bytes));
}

#endif /* HPH_SIZECLASS_H */
