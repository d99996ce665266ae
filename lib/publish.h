/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_PUBLISH_H
#define HPH_PUBLISH_H

#include "cache.h"
#include "heap.h"

/*
 * What a process with heaps says of itself to who may read its memory. It lies at the
 * beginning of a base page that can only be read, and is the same for all word sizes.
 */
struct hph_publication {
	char magic[16];		/* HPH_MAGIC */
	char version[16];	/* of the library, for people */
	uint64_t self;		/* address of this: a copy of it elsewhere is none */
	uint64_t registry;	/* address of the pointer to the first heap */
	uint32_t word_bytes;	/* of the process: 4 or 8 */
	uint32_t padding;
	uint64_t layout;	/* HPH_LAYOUT as the library was built with it */
};

#define HPH_MAGIC	"hpheap registry"

/*
 * All that a reader from outside takes for granted about the structures it follows: where
 * their members are, how large they are, what their values mean. Two builds that differ in
 * any of it have different marks. (The mixing is FNV-1a's.)
 */
#define HPH_MIX(mark, fact)	(((mark) ^ (uint64_t)(fact)) * UINT64_C(0x100000001b3))
#define HPH_MIX4(m, a, b, c, d)	HPH_MIX(HPH_MIX(HPH_MIX(HPH_MIX(m, a), b), c), d)

#define HPH_LAYOUT_HEAP								\
	HPH_MIX4(HPH_MIX4(HPH_MIX4(HPH_MIX4(UINT64_C(0xcbf29ce484222325),	\
		 sizeof(struct hpheap), offsetof(struct hpheap, id),		\
		 offsetof(struct hpheap, map), offsetof(struct hpheap, zones)),	\
		 offsetof(struct hpheap, nr_zones), offsetof(struct hpheap, backend), \
		 offsetof(struct hpheap, fallback), offsetof(struct hpheap, efence)), \
		 offsetof(struct hpheap, scavenged_pages), offsetof(struct hpheap, arena.blocks), \
		 offsetof(struct hpheap, caches), offsetof(struct hpheap, kind)), \
		 offsetof(struct hpheap, next), sizeof(struct hph_block),	\
		 offsetof(struct hph_block, first), offsetof(struct hph_block, end))

#define HPH_LAYOUT_ZONE								\
	HPH_MIX4(HPH_MIX4(HPH_MIX4(HPH_LAYOUT_HEAP,				\
		 sizeof(struct hph_zone), offsetof(struct hph_zone, pages.used_pages), \
		 offsetof(struct hph_zone, pages.away_pages),			\
		 offsetof(struct hph_zone, pages.fenced_pages)),		\
		 HPH_MIX(HPH_MIX(offsetof(struct hph_zone, pages.memory_units),	\
				 offsetof(struct hph_zone, pages.purgeable_units)), \
			 HPH_MIX(offsetof(struct hpheap, peak_units),		\
				 offsetof(struct hph_zone, pages.away_halves))), \
		 offsetof(struct hph_cache, door),			\
		 offsetof(struct hph_cache, large_pages), offsetof(struct hph_cache, stacks)), \
		 offsetof(struct hph_cache, small), offsetof(struct hph_cache, next), \
		 sizeof(struct hph_stack), HPH_SMALL_PAGES)

#define HPH_LAYOUT								\
	HPH_MIX4(HPH_MIX4(HPH_MIX4(HPH_MIX4(HPH_LAYOUT_ZONE,			\
		 sizeof(struct hph_unit), HPH_ADDRESS_BITS, HPH_LEAF_BITS,	\
		 offsetof(struct hph_leaf, units)),				\
		 offsetof(struct hph_unit, used), offsetof(struct hph_unit, head), \
		 HPH_MIX(offsetof(struct hph_unit, away),			\
			 offsetof(struct hph_unit, nr_halves)),			\
		 offsetof(struct hph_unit, live)),				\
		 offsetof(struct hph_unit, owner), offsetof(struct hph_unit, node), \
		 offsetof(struct hph_unit, tag), HPH_LIVE_BEYOND),		\
		 HPH_UNIT_USED | HPH_UNIT_FREE << 4 | HPH_UNIT_EMPTY << 8 | HPH_UNIT_BROKEN << 12, \
		 HPH_UNIT_FENCED | HPH_UNIT_BUSY << 4 | HPH_UNIT_LOST << 8 |	\
		 HPH_UNIT_PURGEABLE << 12,					\
		 HPH_TAG_SHUNNED, HPHEAP_BACKEND_SMALL)

void hph_publish(struct hpheap *const *registry);

#endif /* HPH_PUBLISH_H */
