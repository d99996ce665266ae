// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The log of records: see log.h.
 */
#include "log.h"

#include <errno.h>
#include <string.h>

#define RECORD_ALIGN	8u

size_t log_record_bytes(size_t key_bytes, size_t value_bytes)
{
	size_t bytes = offsetof(struct record, data) + key_bytes + value_bytes;

	return (bytes + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

static size_t bytes_of(const struct record *record)
{
	return log_record_bytes(record->key_bytes, record->value_bytes);
}

void log_init(struct log *log, const struct memory *memory)
{
	*log = (struct log){ .memory = memory, .head = LOG_NONE };
}

void log_destroy(struct log *log)
{
	uint32_t i;

	for (i = 0; i < log->count; i++)
		if (log->segments[i].data)
			log->memory->free(log->segments[i].data);
	if (log->segments)
		log->memory->free(log->segments);
	log_init(log, log->memory);
}

static int grow_table(struct log *log)
{
	uint32_t capacity = log->capacity ? 2 * log->capacity : 512;
	struct segment *segments = log->memory->alloc(capacity * sizeof(*segments));

	if (!segments)
		return -ENOMEM;
	if (log->segments) {
		memcpy(segments, log->segments, log->count * sizeof(*segments));
		log->memory->free(log->segments);
	}
	log->segments = segments;
	log->capacity = capacity;
	return 0;
}

static void free_segment(struct log *log, uint32_t number)
{
	log->memory->free(log->segments[number].data);
	log->segments[number].data = NULL;
	log->segments_held--;
}

/* A new head. The old one, if nothing in it is alive, goes at once. */
static int open_segment(struct log *log)
{
	uint32_t old = log->head, number = 0;
	char *data;

	while (number < log->count && log->segments[number].data)
		number++;
	if (number == log->capacity && grow_table(log))
		return -ENOMEM;
	data = log->memory->alloc(LOG_SEGMENT_BYTES);
	if (!data)
		return -ENOMEM;
	if (number == log->count)
		log->count++;
	log->segments[number] = (struct segment){ .data = data };
	log->segments_held++;
	log->head = number;
	if (old != LOG_NONE && !log->segments[old].live)
		free_segment(log, old);
	return 0;
}

static bool fits_head(const struct log *log, size_t bytes)
{
	return log->head != LOG_NONE &&
	       bytes <= LOG_SEGMENT_BYTES - log->segments[log->head].used;
}

struct record *log_append(struct log *log, uint64_t hash, const void *key, size_t key_bytes,
			  const void *value, size_t value_bytes)
{
	struct segment *segment;
	struct record *record;
	size_t bytes;

	if (key_bytes > UINT16_MAX || value_bytes > LOG_SEGMENT_BYTES) {
		errno = EMSGSIZE;
		return NULL;
	}
	bytes = log_record_bytes(key_bytes, value_bytes);
	if (bytes > LOG_SEGMENT_BYTES) {
		errno = EMSGSIZE;
		return NULL;
	}
	if (!fits_head(log, bytes) && open_segment(log)) {
		errno = ENOMEM;
		return NULL;
	}
	segment = &log->segments[log->head];
	record = (struct record *)(void *)(segment->data + segment->used);
	record->hash = hash;
	record->segment = log->head;
	record->value_bytes = value_bytes;
	record->key_bytes = key_bytes;
	record->dropped = false;
	memcpy(record->data, key, key_bytes);
	memcpy(record->data + key_bytes, value, value_bytes);
	segment->used += bytes;
	segment->live += bytes;
	log->live_bytes += bytes;
	return record;
}

void log_drop(struct log *log, struct record *record)
{
	uint32_t number = record->segment;
	size_t bytes = bytes_of(record);

	record->dropped = true;
	log->segments[number].live -= bytes;
	log->live_bytes -= bytes;
	if (!log->segments[number].live && number != log->head)
		free_segment(log, number);
}

uint32_t log_sparsest(const struct log *log, unsigned int percent)
{
	uint32_t i, least = UINT32_MAX, found = LOG_NONE;

	for (i = 0; i < log->count; i++) {
		const struct segment *segment = &log->segments[i];

		if (segment->data && i != log->head && segment->live < least &&
		    segment->live < (uint64_t)segment->used * percent / 100) {
			least = segment->live;
			found = i;
		}
	}
	return found;
}

struct record *log_next_live(const struct log *log, uint32_t number, size_t *offset)
{
	const struct segment *segment = &log->segments[number];

	/* Dropping the last live record frees the segment: data is then NULL. */
	while (segment->data && *offset < segment->used) {
		struct record *record = (struct record *)(void *)(segment->data + *offset);

		*offset += bytes_of(record);
		if (!record->dropped)
			return record;
	}
	return NULL;
}
