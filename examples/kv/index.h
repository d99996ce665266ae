/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The index of a shard: a hash table with open addressing that says where the
 * newest record of a key is. Not thread-safe, like the log.
 */
#ifndef KV_INDEX_H
#define KV_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "memory.h"

struct slot {
	uint64_t hash;
	struct record *record;	/* NULL: empty */
};

struct index {
	const struct memory *memory;
	struct slot *slots;
	size_t capacity;	/* 0 or a power of two */
	size_t count;
};

void index_init(struct index *index, const struct memory *memory);
void index_destroy(struct index *index);

/* NULL: no such key */
struct slot *index_find(const struct index *index, uint64_t hash, const void *key,
			size_t key_bytes);
/* The slot that points to @record, which must be there. */
struct slot *index_find_record(const struct index *index, const struct record *record);

/* Makes room for one more key, so that index_add() cannot fail. 0 or -ENOMEM. */
int index_make_room(struct index *index);
/* Adds a record whose key is not there. */
void index_add(struct index *index, struct record *record);
void index_remove(struct index *index, struct slot *slot);

#endif
