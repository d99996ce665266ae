/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_CELLS_H
#define HPH_CELLS_H

#include "heap.h"

/* What a huge unit is, for a picture of the heap. */
enum hph_cell_kind {
	HPH_CELL_EMPTY,		/* addresses without memory */
	HPH_CELL_WHOLE,		/* has spans, and all its memory */
	HPH_CELL_THIN,		/* has spans, and parts of it were given back */
	HPH_CELL_FREE,		/* no spans, all its memory */
	HPH_CELL_BROKEN,	/* no spans, and parts of it were given back */
	HPH_CELL_PURGEABLE,	/* given back, and there until the system needs it */
	HPH_CELL_FENCED,	/* inaccessible for good: efence mode */
	HPH_CELL_LOST,		/* its memory is the parent's since fork() */
	HPH_CELL_BUSY,		/* is being filled or emptied */
	HPH_CELL_KINDS
};

/* A huge unit. Its pages, counted in halves, are live, kept, away, or free. */
struct hph_cell {
	uint16_t live;		/* in spans that the program holds */
	uint16_t kept;		/* in spans that threads hold ready; fenced, in efence mode */
	uint16_t away;		/* given back */
	int16_t node;		/* that memory was asked of, or HPHEAP_NODE_ANY */
	uint8_t kind;		/* enum hph_cell_kind */
	uint8_t backend;	/* enum hpheap_backend; AUTO: it has no memory */
};

/* Units of adjacent addresses that are alike. */
struct hph_run_of_cells {
	uintptr_t first;	/* number of the unit */
	size_t units;
	struct hph_cell cell;
};

/* Runs, written down as far as there is room for them; counted beyond. */
struct hph_cells {
	struct hph_run_of_cells *runs;
	size_t room;
	size_t count;
	struct hph_run_of_cells last;	/* may become longer; .units 0: none */
	bool goes_on;			/* a live span, from the unit before */
};

void hph_cells_begin(struct hph_cells *cells);
void hph_cells_add(struct hph_cells *cells, const struct hpheap *heap, uintptr_t number,
		   const struct hph_unit *unit);
void hph_cells_add_empty(struct hph_cells *cells, uintptr_t first, size_t units);
void hph_cells_end(struct hph_cells *cells);

int hph_cells_take(struct hpheap *heap, struct hph_cells *cells, size_t *bytes);

#endif /* HPH_CELLS_H */
