/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A log of records in segments. Records are appended to the head segment and
 * never change; what is overwritten or deleted is dropped, and its bytes are
 * lost to the segment until all its records are dropped or moved away: then
 * the segment's memory is given back to where it came from.
 *
 * So the heap sees blocks of one size, and a store that has shrunk can move
 * what is left together. That is what makes whole huge pages free again; with
 * records allocated one by one, one survivor would hold each of them.
 *
 * Not thread-safe: each shard of the store has a log and a lock.
 */
#ifndef KV_LOG_H
#define KV_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"

#define LOG_SEGMENT_BYTES	((size_t)64 << 10)
#define LOG_NONE		UINT32_MAX

struct record {
	uint64_t hash;		/* of the key */
	uint32_t segment;
	uint32_t value_bytes;
	uint16_t key_bytes;
	bool dropped;
	char data[];		/* the key, then the value */
};

struct segment {
	char *data;		/* NULL: the number is free */
	uint32_t used;
	uint32_t live;		/* bytes of records that are not dropped */
};

struct log {
	const struct memory *memory;
	struct segment *segments;
	uint32_t count;		/* numbers in use or free again */
	uint32_t capacity;
	uint32_t head;		/* where records are appended, or LOG_NONE */
	size_t segments_held;
	size_t live_bytes;
};

static inline const char *record_value(const struct record *record)
{
	return record->data + record->key_bytes;
}

size_t log_record_bytes(size_t key_bytes, size_t value_bytes);

void log_init(struct log *log, const struct memory *memory);
void log_destroy(struct log *log);

/* NULL with errno: ENOMEM; EMSGSIZE does not fit a segment */
struct record *log_append(struct log *log, uint64_t hash, const void *key, size_t key_bytes,
			  const void *value, size_t value_bytes);
void log_drop(struct log *log, struct record *record);

/*
 * The sparsest segment but the head of whose records less than @percent are
 * alive, or LOG_NONE. Moving such a segment away frees some bytes each time, so
 * that doing it until there is none comes to an end.
 */
uint32_t log_sparsest(const struct log *log, unsigned int percent);
/* The record at *@offset of a segment, moving *@offset on; NULL: none alive beyond. */
struct record *log_next_live(const struct log *log, uint32_t segment, size_t *offset);

#endif
