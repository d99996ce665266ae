/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_UNITMAP_H
#define HPH_UNITMAP_H

#include "unit.h"

struct hph_meta;

/* Bits of the addresses that have a place in the map, and of those a leaf covers. */
#if UINTPTR_MAX > UINT32_MAX
#define HPH_ADDRESS_BITS	48
#define HPH_LEAF_BITS		12
#else
#define HPH_ADDRESS_BITS	32
#define HPH_LEAF_BITS		11
#endif

#define HPH_LEAF_UNITS	((size_t)1 << HPH_LEAF_BITS)
#define HPH_LEAVES	((size_t)1 << (HPH_ADDRESS_BITS - HPH_HUGE_SHIFT - HPH_LEAF_BITS))

struct hph_leaf {
	struct hph_unit units[HPH_LEAF_UNITS];
};

/* From the number of a huge unit to what is known about it. */
struct hph_unitmap {
	struct hph_leaf *_Atomic *top;
};

int hph_unitmap_init(struct hph_unitmap *map, struct hph_meta *meta);
int hph_unitmap_prepare(struct hph_unitmap *map, struct hph_meta *meta, uintptr_t first,
			size_t units);

/* Of any address; NULL where the heap never had anything near. */
static inline struct hph_unit *hph_unitmap_find(const struct hph_unitmap *map, uintptr_t number)
{
	const size_t index = number >> HPH_LEAF_BITS;
	struct hph_leaf *leaf;

	if (index >= HPH_LEAVES)
		return NULL;
	leaf = atomic_load_explicit(&map->top[index], memory_order_acquire);
	return leaf ? &leaf->units[number & (HPH_LEAF_UNITS - 1)] : NULL;
}

static inline struct hph_leaf *hph_unitmap_leaf(const struct hph_unitmap *map, uintptr_t number)
{
	return atomic_load_explicit(&map->top[number >> HPH_LEAF_BITS], memory_order_acquire);
}

/* Of an address that is the heap's. */
static inline struct hph_unit *hph_unitmap_get(const struct hph_unitmap *map, uintptr_t number)
{
	return &hph_unitmap_leaf(map, number)->units[number & (HPH_LEAF_UNITS - 1)];
}

#endif /* HPH_UNITMAP_H */
