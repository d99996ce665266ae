/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_RUNS_H
#define HPH_RUNS_H

#include "unitmap.h"

/* All runs of units of one state. Two runs never adjoin: they would be one. */
struct hph_runs {
	struct hph_unitmap *map;
	struct hph_unit *root;
	enum hph_unit_state state;
};

void hph_runs_add(struct hph_runs *runs, uintptr_t first, size_t units);
bool hph_runs_take(struct hph_runs *runs, size_t units, size_t align, uintptr_t *first);
size_t hph_runs_take_last(struct hph_runs *runs, size_t units, uintptr_t *first);

#endif /* HPH_RUNS_H */
