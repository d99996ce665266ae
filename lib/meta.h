/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_META_H
#define HPH_META_H

#include <stddef.h>

struct hph_meta_chunk;

/* Memory for a heap's own structures. All zeroes is an empty one. Not locked. */
struct hph_meta {
	struct hph_meta_chunk *chunks;
	size_t used;	/* of the first chunk */
};

void *hph_meta_alloc(struct hph_meta *meta, size_t bytes);
void hph_meta_destroy(struct hph_meta *meta);

#endif /* HPH_META_H */
