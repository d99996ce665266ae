// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Metadata: what a heap knows about its memory, kept outside of it, where no
 * overrun of the program can reach it by going on from a span, and where
 * reading it touches no huge page.
 *
 * Pieces are cut from mappings of 64 KiB, zeroed, and given back all at once
 * with the heap: every structure lives as long as its heap. A piece too large
 * for that has a mapping of its own. Nothing of what the library has comes from malloc(), which
 * may be built on it. (The C library and libnuma take some for themselves, when a heap
 * is made, when a thread first has a cache, and for the thread of the scavenger.)
 */
#include "meta.h"

#include "os.h"
#include "place.h"
#include "units.h"

#define CHUNK_BYTES	((size_t)64 << 10)

_Static_assert(CHUNK_BYTES >= HPHEAP_MAX_BASE_PAGE, "a chunk is whole base pages");

struct hph_meta_chunk {
	struct hph_meta_chunk *next;
	size_t bytes;
};

static const size_t piece_align = 64;	/* a cache line, as struct hph_unit wants it */

static const size_t header_bytes = (sizeof(struct hph_meta_chunk) + 63) & ~(size_t)63;

static struct hph_meta_chunk *map_chunk(size_t bytes)
{
	struct hph_meta_chunk *chunk;
	uintptr_t base;

	if (hph_os_map(bytes, &base))
		return NULL;
	hph_numa_keep(base, bytes);
	chunk = (struct hph_meta_chunk *)base;
	chunk->bytes = bytes;
	return chunk;
}

/* Behind the first chunk, which keeps what it has left. */
static void *alloc_large(struct hph_meta *meta, size_t bytes)
{
	struct hph_meta_chunk *chunk = map_chunk(hph_round_up(header_bytes + bytes, CHUNK_BYTES));
	struct hph_meta_chunk **link = meta->chunks ? &meta->chunks->next : &meta->chunks;

	if (!chunk)
		return NULL;
	if (link == &meta->chunks)
		meta->used = chunk->bytes;
	chunk->next = *link;
	*link = chunk;
	return (char *)chunk + header_bytes;
}

/* Returns zeroed memory aligned for anything here, or NULL. */
void *hph_meta_alloc(struct hph_meta *meta, size_t bytes)
{
	struct hph_meta_chunk *chunk = meta->chunks;
	void *piece;

	bytes = hph_round_up(bytes, piece_align);
	if (!chunk || chunk->bytes - meta->used < bytes) {
		if (bytes > CHUNK_BYTES / 2)
			return alloc_large(meta, bytes);
		chunk = map_chunk(CHUNK_BYTES);
		if (!chunk)
			return NULL;
		chunk->next = meta->chunks;
		meta->chunks = chunk;
		meta->used = header_bytes;
	}
	piece = (char *)chunk + meta->used;
	meta->used += bytes;
	return piece;
}

/* The last thing done to a heap: @meta itself may be in one of the pieces. */
void hph_meta_destroy(struct hph_meta *meta)
{
	struct hph_meta_chunk *chunk = meta->chunks, *next;

	for (; chunk; chunk = next) {
		next = chunk->next;
		hph_os_unmap((uintptr_t)chunk, chunk->bytes);
	}
}
