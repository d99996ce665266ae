/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_PICTURE_H
#define HPH_PICTURE_H

#include <stdio.h>

#include "cells.h"

/* One heap of a picture. */
struct hph_picture_heap {
	uint64_t id;
	uint32_t kind;		/* enum hpheap_backend */
	bool efence;
	const struct hph_run_of_cells *runs;
	size_t count;
};

/* The heaps of a process. */
struct hph_picture {
	char name[64];		/* of the process, printable */
	long pid;
	const struct hph_picture_heap *heaps;
	size_t count;
};

/* Sums over the units of one heap or several. */
struct hph_totals {
	size_t units[HPH_CELL_KINDS];
	size_t live, kept, away;	/* halves of heap pages */
	size_t memory;			/* units that have memory */
	size_t of[HPHEAP_BACKEND_SMALL + 1];	/* of them, by backend, */
	size_t on[HPH_MAX_ZONES];	/* and by node: as far as there is room */
};

/* A line of the picture: units of adjacent addresses; or, @gap, many without memory. */
struct hph_row {
	uintptr_t first;
	size_t units;
	bool gap;
	const struct hph_run_of_cells *run;	/* that it begins in, */
	size_t skip;				/* behind so many of its units */
};

struct hph_rows {
	const struct hph_run_of_cells *run, *end;
	size_t skip;
	size_t columns;
};

/* Units of a row that are alike. */
struct hph_stretch {
	const struct hph_cell *cell;
	uintptr_t first;
	size_t units;
};

/* Room for a line of text, and for a size with its unit. */
struct hph_line {
	char text[224];
};

struct hph_size {
	char text[32];
};

extern const char *const hph_cell_names[HPH_CELL_KINDS];

void hph_picture_name(struct hph_picture *picture, const char *name);
const char *hph_backend_name(uint32_t backend);
struct hph_size hph_size_of(size_t halves);
const char *hph_plural(size_t count);
void hph_totals_add(struct hph_totals *totals, const struct hph_picture_heap *heap);
void hph_rows_begin(struct hph_rows *rows, const struct hph_picture_heap *heap, size_t columns);
bool hph_rows_next(struct hph_rows *rows, struct hph_row *row);
bool hph_row_next(struct hph_row *row, struct hph_stretch *stretch);

/* 0, or a negative errno. */
int hph_picture_svg(const struct hph_picture *picture, FILE *file);
int hph_picture_png(const struct hph_picture *picture, FILE *file);

#endif /* HPH_PICTURE_H */
