/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_RUNS_H
#define HPH_RUNS_H

#include "unitmap.h"

/*
 * All runs of units of one state in one zone. Two runs never adjoin: they would
 * be one. A run reaches over its heap pages and, if its units are free, over the
 * free pages of the used units on either side.
 */
struct hph_runs {
	const struct hph_unitmap *map;
	struct hph_unit *root;
	unsigned int zone;
	enum hph_unit_state state;
};

void hph_runs_add(struct hph_runs *runs, uintptr_t first, size_t units);
struct hph_unit *hph_runs_find(const struct hph_runs *runs, size_t pages);
struct hph_unit *hph_runs_of(const struct hph_runs *runs, uintptr_t number);
struct hph_unit *hph_runs_longest(const struct hph_runs *runs);
size_t hph_runs_length(const struct hph_runs *runs, uintptr_t first);
void hph_runs_cut(struct hph_runs *runs, const struct hph_unit *run, uintptr_t first, size_t units);
bool hph_runs_take(struct hph_runs *runs, size_t units, size_t align, uintptr_t *first);
size_t hph_runs_take_last(struct hph_runs *runs, size_t units, uintptr_t *first);
void hph_runs_adjoin(struct hph_runs *runs, const struct hph_unit *used);

#endif /* HPH_RUNS_H */
