/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_FETCH_H
#define HPH_FETCH_H

#include "heap.h"

/* Free units that a zone keeps, whatever is needed now. Under its lock. */
size_t hph_margin_units(const struct hph_pages *pages, const struct hpheap_policy *policy);

unsigned int hph_fetch_ahead(struct hpheap *heap, struct hph_zone *zone,
			     const struct hpheap_policy *policy, unsigned int most);

#endif /* HPH_FETCH_H */
