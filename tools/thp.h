/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transparent huge pages: what hpheap falls back to without its device.
 */
#ifndef HPHEAPCTL_THP_H
#define HPHEAPCTL_THP_H

#include "root.h"

#define THP_MAX_SIZES 24

/* Larger ones are not got in practice, and cannot be given back in 2 MiB units. */
#define THP_USEFUL_BYTES ((uint64_t)32 << 20)

struct thp_size {
	uint64_t bytes;
	char enabled[ROOT_LINE];	/* always, inherit, madvise or never */
};

struct thp {
	bool present;
	char enabled[ROOT_LINE];	/* always, madvise or never */
	char defrag[ROOT_LINE];
	uint64_t pmd_bytes;
	unsigned int sizes;		/* those the kernel lets one switch (6.8 and later) */
	struct thp_size size[THP_MAX_SIZES];
	uint64_t hugetlb_bytes;		/* the hugetlb pool, pages of all sizes */
	uint64_t hugetlb_free;
};

void thp_read(struct thp *thp);

/* Has this size a switch of its own? */
bool thp_has_size(const struct thp *thp, uint64_t bytes);

/* Is a huge page of this size given to memory that asks for it by madvise()? */
bool thp_enabled(const struct thp *thp, uint64_t bytes);

/* prctl(PR_SET_THP_DISABLE) was called for this process, or its parent. */
bool thp_disabled_here(void);

/*
 * Takes memory of the PMD size the way the library does: did it come as a huge
 * page? false is a proof that the fallback has none now.
 */
bool thp_prove(const struct thp *thp);

#endif
