/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_CHUNK_H
#define HPHEAP_CHUNK_H

#include <linux/list.h>
#include <linux/types.h>

#include "place.h"

struct folio;
struct mem_cgroup;

/* Smallest chunk: the huge unit of the library, the same on every base page. */
#define HPHEAP_MIN_CHUNK_SHIFT	21

/* All that decides where an arena's chunks come from and who pays. */
struct hpheap_supply {
	unsigned int order;		/* of a chunk, in base pages */
	struct hpheap_place place;
	struct mem_cgroup *memcg;	/* of the creator, referenced; may be NULL */
};

u64 hpheap_chunk_sizes(void);
u64 hpheap_chunk_pmd_bytes(void);

struct folio *hpheap_chunk_try(const struct hpheap_supply *supply, int node, gfp_t gfp);
struct folio *hpheap_chunk_fresh(unsigned int order, int node);
void hpheap_chunk_clear(struct folio *folio);
bool hpheap_chunk_has_poison(struct folio *folio);
void hpheap_chunk_prepare(struct folio *folio, unsigned long index);
struct folio *hpheap_chunk_alloc(const struct hpheap_supply *supply, unsigned long index);
struct folio *hpheap_chunk_copy(const struct hpheap_supply *supply, struct folio *from);
bool hpheap_chunk_is_shared(const struct folio *folio);
bool hpheap_chunk_was_shared(const struct folio *folio);
void hpheap_chunk_own(struct folio *folio);
void hpheap_chunk_share(struct folio *folio);
bool hpheap_chunk_unshare(struct folio *folio);
void hpheap_chunk_free(struct folio *folio);
void hpheap_chunk_surrender(struct folio *folio);
void hpheap_chunk_put(struct folio *folio);
void hpheap_chunk_free_list(struct list_head *folios);

#endif /* HPHEAP_CHUNK_H */
