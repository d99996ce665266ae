/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_AHEAD_H
#define HPH_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hpheap;

/* Places where units may be open ahead of their memory: before there is one more, all close. */
#define HPH_AHEAD_RANGES	8u

/*
 * Where units are open ahead, and where some were. Under the grow lock of the heap.
 *
 * A1 Every unit that is open is in one of the ranges.
 */
struct hph_ahead {
	struct hph_ahead_range {
		uintptr_t first;
		size_t units;
		bool old;	/* it was there when this was asked before */
	} ranges[HPH_AHEAD_RANGES];
	unsigned int nr;
};

bool hph_ahead_has_room(struct hpheap *heap);
void hph_ahead_note(struct hpheap *heap, uintptr_t first, size_t units);
bool hph_ahead_close(struct hpheap *heap);
void hph_ahead_close_old(struct hpheap *heap);

#endif /* HPH_AHEAD_H */
