/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The key-value store: shards of a lock, an index and a log each. Thread-safe.
 * Keys and values are bytes; the store keeps copies.
 */
#ifndef KV_STORE_H
#define KV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "memory.h"

struct store;

struct store_facts {
	uint64_t records;
	uint64_t live_bytes;	/* of records, with what the store adds to each */
	uint64_t held_bytes;	/* of segments and indexes */
};

/* NULL with errno */
struct store *store_create(const struct memory *memory);
void store_destroy(struct store *store);

/* 0, or -1 with errno: ENOMEM; EMSGSIZE too long. The old value then stays. */
int store_put(struct store *store, const void *key, size_t key_bytes, const void *value,
	      size_t value_bytes);
/* Bytes of the value, of which at most @room are copied; -1 with errno ENOENT. */
ssize_t store_get(struct store *store, const void *key, size_t key_bytes, void *value,
		  size_t room);
/* false: there was none */
bool store_delete(struct store *store, const void *key, size_t key_bytes);

/* Moves what is left together and frees the rest. 0, or -1 with errno ENOMEM. */
int store_compact(struct store *store);

void store_describe(struct store *store, struct store_facts *facts);

/* Bytes that a record of such a key and value takes. */
size_t store_record_bytes(size_t key_bytes, size_t value_bytes);

/* Bytes that the store asks for, at most, for records of that many bytes. */
size_t store_expected_bytes(uint64_t records, uint64_t record_bytes);

#endif
