// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The map of huge units: two levels, constant time, for any address.
 *
 * A leaf describes 8 GiB of addresses (where they have 32 bits, all), in
 * metadata that costs memory only where units are: 512 bytes of 2 MiB. So
 * a pointer of the program can be judged without touching what it points to.
 */
#include "unitmap.h"

#include <errno.h>
#include <stdatomic.h>

#include "meta.h"

int hph_unitmap_init(struct hph_unitmap *map, struct hph_meta *meta)
{
	map->top = hph_meta_alloc(meta, HPH_LEAVES * sizeof(map->top[0]));
	return map->top ? 0 : -ENOMEM;
}

/*
 * Makes sure that all units of a range have their place. For one thread at a
 * time; others may be reading the map.
 */
int hph_unitmap_prepare(struct hph_unitmap *map, struct hph_meta *meta, uintptr_t first,
			size_t units)
{
	size_t index = first >> HPH_LEAF_BITS, last = (first + units - 1) >> HPH_LEAF_BITS;

	for (; index <= last; index++) {
		struct hph_leaf *leaf;

		if (atomic_load_explicit(&map->top[index], memory_order_relaxed))
			continue;
		leaf = hph_meta_alloc(meta, sizeof(*leaf));
		if (!leaf)
			return -ENOMEM;
		atomic_store_explicit(&map->top[index], leaf, memory_order_release);
	}
	return 0;
}
