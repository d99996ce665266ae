// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Maps of a heap: as a picture to look at, see picture.h; or as text and for a program,
 * all regions, from hpheap_walk().
 *
 * In the text a line is a huge unit, a character 64 KiB of it. Lines that
 * would be the same but for the address are written once, with their number.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os.h"
#include "picture.h"

#define CELLS		32u
#define CELL_HALVES	(HPH_UNIT_HALVES / CELLS)

struct line {
	int32_t node;
	uint32_t backend;
	uint16_t used;		/* halves of heap pages */
	char cells[CELLS + 1];
};

struct picture {
	FILE *file;
	struct line line;	/* of the unit that is being drawn */
	uint8_t used[CELLS];	/* halves of a cell, and those that have memory */
	uint8_t memory[CELLS];
	uintptr_t unit;		/* its number; 0: none */
	struct line same;	/* of all units since @since */
	uintptr_t since;
	size_t repeated;
};

static const char *const kind_names[] = {
	[HPHEAP_REGION_SPAN] = "span",
	[HPHEAP_REGION_CACHED] = "cached",
	[HPHEAP_REGION_FREE] = "free",
	[HPHEAP_REGION_EMPTY] = "empty",
	[HPHEAP_REGION_FENCED] = "fenced",
	[HPHEAP_REGION_LOST] = "lost",
	[HPHEAP_REGION_HOLLOW] = "hollow",
};

static void write_same(struct picture *picture)
{
	const struct line *line = &picture->same;
	char node[16] = "any";

	if (!picture->repeated)
		return;
	if (line->node >= 0)
		snprintf(node, sizeof(node), "%" PRId32, line->node);
	fprintf(picture->file, "%14" PRIxPTR " %6zu %4s %-6s %3u%% |%s|\n",
		hph_unit_addr(picture->since), picture->repeated, node,
		hph_backend_name(line->backend), line->used * 100u / HPH_UNIT_HALVES, line->cells);
	picture->repeated = 0;
}

static bool same_line(const struct line *a, const struct line *b)
{
	return a->node == b->node && a->backend == b->backend && a->used == b->used &&
	       !strcmp(a->cells, b->cells);
}

static char cell(unsigned int used, unsigned int memory)
{
	if (!memory)
		return '-';
	if (!used)
		return ' ';
	if (used == CELL_HALVES)
		return '#';
	return used > CELL_HALVES / 2 ? ':' : '.';
}

/* The unit is drawn: one more of the same, or the first of others. */
static void end_unit(struct picture *picture)
{
	unsigned int i;

	if (!picture->unit)
		return;
	for (i = 0; i < CELLS; i++)
		picture->line.cells[i] = cell(picture->used[i], picture->memory[i]);
	if (picture->repeated && picture->since + picture->repeated == picture->unit &&
	    same_line(&picture->same, &picture->line)) {
		picture->repeated++;
	} else {
		write_same(picture);
		picture->same = picture->line;
		picture->since = picture->unit;
		picture->repeated = 1;
	}
	picture->unit = 0;
}

static void begin_unit(struct picture *picture, uintptr_t number)
{
	end_unit(picture);
	memset(&picture->line, 0, sizeof(picture->line));
	picture->line.node = HPHEAP_NODE_ANY;
	memset(picture->used, 0, sizeof(picture->used));
	memset(picture->memory, 0, sizeof(picture->memory));
	picture->unit = number;
}

static int draw(const struct hpheap_region *region, void *arg)
{
	struct picture *picture = arg;
	const bool used = region->kind == HPHEAP_REGION_SPAN;
	const bool memory = region->kind != HPHEAP_REGION_EMPTY &&
			    region->kind != HPHEAP_REGION_LOST &&
			    region->kind != HPHEAP_REGION_HOLLOW;
	const uintptr_t end = region->address + region->bytes;
	uintptr_t addr;

	for (addr = region->address; addr < end; addr += (uintptr_t)1 << HPH_HALF_SHIFT) {
		const unsigned int half = (unsigned int)(addr >> HPH_HALF_SHIFT) % HPH_UNIT_HALVES;

		if (hph_unit_of(addr) != picture->unit)
			begin_unit(picture, hph_unit_of(addr));
		picture->used[half / CELL_HALVES] += used;
		picture->memory[half / CELL_HALVES] += memory;
		picture->line.used += used;
		if (memory) {
			picture->line.node = region->node;
			picture->line.backend = region->backend;
		}
	}
	return ferror(picture->file);
}

static int write_picture(struct hpheap *heap, FILE *file, struct hpheap_stats *stats)
{
	struct picture picture = { .file = file };
	int result;

	fprintf(file, "%14s %6s %4s %-6s %4s  one character is 64 KiB: # full, "
		": more than half, . less, blank no span, - no memory\n",
		"address", "units", "node", "from", "used");
	result = hpheap_walk(heap, draw, &picture, stats);
	end_unit(&picture);
	write_same(&picture);
	if (!result)
		fprintf(file, "%" PRIu64 " spans, %" PRIu64 " KiB used, %" PRIu64 " KiB free (%"
			PRIu64 " KiB in huge units), %" PRIu64 " KiB of addresses\n",
			stats->spans, stats->used_bytes >> 10, stats->free_bytes >> 10,
			stats->free_huge_bytes >> 10, stats->address_bytes >> 10);
	return result;
}

static int write_csv_line(const struct hpheap_region *region, void *arg)
{
	FILE *file = arg;

	fprintf(file, "%#" PRIxPTR ",%zu,%s,%" PRId32 ",%s,%" PRIu32 "\n", region->address,
		region->bytes, kind_names[region->kind], region->node,
		hph_backend_name(region->backend), region->rest);
	return ferror(file);
}

static int write_csv(struct hpheap *heap, FILE *file, struct hpheap_stats *stats)
{
	fputs("address,bytes,kind,node,backend,rest\n", file);
	return hpheap_walk(heap, write_csv_line, file, stats);
}

static int write_cells(struct hpheap *heap, FILE *file, enum hpheap_map_format format)
{
	struct hph_picture_heap cells = {
		.id = heap->id, .kind = heap->kind, .efence = heap->efence,
	};
	struct hph_picture picture = { .pid = (long)getpid(), .heaps = &cells, .count = 1 };
	struct hph_cells taken;
	char name[sizeof(picture.name)] = "?";
	size_t bytes;
	int error = hph_cells_take(heap, &taken, &bytes);

	if (!error) {
		hph_os_read_line("/proc/self/comm", name, sizeof(name));
		hph_picture_name(&picture, name);
		cells.runs = taken.runs;
		cells.count = taken.count;
		error = format == HPHEAP_MAP_PNG ? hph_picture_png(&picture, file) :
						   hph_picture_svg(&picture, file);
	}
	if (bytes)
		hph_os_unmap((uintptr_t)taken.runs, bytes);
	if (error)
		errno = -error;
	return error ? -1 : 0;
}

static int write_map(struct hpheap *heap, FILE *file, enum hpheap_map_format format)
{
	struct hpheap_stats stats = { .size = sizeof(stats) };

	switch (format) {
	case HPHEAP_MAP_PICTURE:
		return write_picture(heap, file, &stats);
	case HPHEAP_MAP_CSV:
		return write_csv(heap, file, &stats);
	default:
		return write_cells(heap, file, format);
	}
}

int hpheap_map_write(struct hpheap *heap, FILE *file, enum hpheap_map_format format)
{
	int result;

	if (!heap || !file || format > HPHEAP_MAP_PNG) {
		errno = EINVAL;
		return -1;
	}
	result = write_map(heap, file, format);
	if (result < 0)
		return -1;
	if (result || fflush(file)) {
		errno = EIO;
		return -1;
	}
	return 0;
}
