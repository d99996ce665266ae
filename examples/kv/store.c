// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The store: see store.h. A put appends to the shard's log and points the
 * index to the new record. Whenever a segment is full, the sparsest one is
 * emptied if less than half of it is alive: so the store holds about twice what is
 * alive at worst, and one put moves about half a segment at worst.
 */
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "index.h"
#include "log.h"

#define SHARDS		16u	/* a power of two; enough that threads seldom meet */
#define CLEAN_PERCENT	50u	/* while it serves: a segment less alive is emptied */
#define COMPACT_PERCENT	90u	/* when asked to */

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct index index;
	struct log log;
};

struct store {
	const struct memory *memory;
	struct shard shards[SHARDS];
};

struct store *store_create(const struct memory *memory)
{
	struct store *store = aligned_alloc(_Alignof(struct store), sizeof(*store));
	unsigned int i;

	if (!store)
		return NULL;
	store->memory = memory;
	for (i = 0; i < SHARDS; i++) {
		struct shard *shard = &store->shards[i];

		pthread_mutex_init(&shard->lock, NULL);
		index_init(&shard->index, memory);
		log_init(&shard->log, memory);
	}
	return store;
}

void store_destroy(struct store *store)
{
	unsigned int i;

	for (i = 0; i < SHARDS; i++) {
		struct shard *shard = &store->shards[i];

		log_destroy(&shard->log);
		index_destroy(&shard->index);
		pthread_mutex_destroy(&shard->lock);
	}
	free(store);
}

static struct shard *lock_shard(struct store *store, uint64_t hash)
{
	struct shard *shard = &store->shards[hash & (SHARDS - 1)];

	pthread_mutex_lock(&shard->lock);
	return shard;
}

static void unlock_shard(struct shard *shard)
{
	pthread_mutex_unlock(&shard->lock);
}

/* Moves what is alive in a segment to the head; the last move frees the segment. */
static int clean(struct shard *shard, uint32_t segment)
{
	struct record *record, *copy;
	size_t offset = 0;

	while ((record = log_next_live(&shard->log, segment, &offset))) {
		copy = log_append(&shard->log, record->hash, record->data, record->key_bytes,
				  record_value(record), record->value_bytes);
		if (!copy)
			return -1;
		index_find_record(&shard->index, record)->record = copy;
		log_drop(&shard->log, record);
	}
	return 0;
}

static int put_locked(struct shard *shard, uint64_t hash, const void *key, size_t key_bytes,
		      const void *value, size_t value_bytes)
{
	struct slot *slot = index_find(&shard->index, hash, key, key_bytes);
	uint32_t head = shard->log.head, sparse;
	struct record *record;

	if (!slot && index_make_room(&shard->index)) {
		errno = ENOMEM;
		return -1;
	}
	record = log_append(&shard->log, hash, key, key_bytes, value, value_bytes);
	if (!record)
		return -1;
	if (slot) {
		log_drop(&shard->log, slot->record);
		slot->record = record;
	} else {
		index_add(&shard->index, record);
	}
	if (shard->log.head != head) {
		sparse = log_sparsest(&shard->log, CLEAN_PERCENT);
		/* Without memory to move to, it stays as it is: the put has succeeded. */
		if (sparse != LOG_NONE)
			clean(shard, sparse);
	}
	return 0;
}

int store_put(struct store *store, const void *key, size_t key_bytes, const void *value,
	      size_t value_bytes)
{
	uint64_t hash = hash_bytes(key, key_bytes);
	struct shard *shard = lock_shard(store, hash);
	int ret = put_locked(shard, hash, key, key_bytes, value, value_bytes);

	unlock_shard(shard);
	return ret;
}

ssize_t store_get(struct store *store, const void *key, size_t key_bytes, void *value,
		  size_t room)
{
	uint64_t hash = hash_bytes(key, key_bytes);
	struct shard *shard = lock_shard(store, hash);
	struct slot *slot = index_find(&shard->index, hash, key, key_bytes);
	ssize_t bytes = -1;

	if (slot) {
		bytes = slot->record->value_bytes;
		memcpy(value, record_value(slot->record),
		       (size_t)bytes < room ? (size_t)bytes : room);
	}
	unlock_shard(shard);
	if (bytes < 0)
		errno = ENOENT;
	return bytes;
}

bool store_delete(struct store *store, const void *key, size_t key_bytes)
{
	uint64_t hash = hash_bytes(key, key_bytes);
	struct shard *shard = lock_shard(store, hash);
	struct slot *slot = index_find(&shard->index, hash, key, key_bytes);

	if (slot) {
		log_drop(&shard->log, slot->record);
		index_remove(&shard->index, slot);
	}
	unlock_shard(shard);
	return slot != NULL;
}

/* What is sparse goes together. */
static int squeeze(struct shard *shard)
{
	uint32_t sparse;
	int ret = 0;

	while (!ret && (sparse = log_sparsest(&shard->log, COMPACT_PERCENT)) != LOG_NONE)
		ret = clean(shard, sparse);
	return ret;
}

/*
 * Every segment goes where the heap now wants it: a heap fills what is nearly
 * full first, so this empties huge pages in which little was left.
 */
static int move(struct shard *shard)
{
	uint32_t i, count = shard->log.count;
	int ret = 0;

	for (i = 0; i < count && !ret; i++)
		if (i != shard->log.head)
			ret = clean(shard, i);
	return ret;
}

int store_compact(struct store *store)
{
	int (*const steps[])(struct shard *) = { squeeze, move };
	unsigned int step, i;
	int ret = 0;

	for (step = 0; step < sizeof(steps) / sizeof(*steps); step++) {
		for (i = 0; i < SHARDS && !ret; i++) {
			struct shard *shard = lock_shard(store, i);

			ret = steps[step](shard);
			unlock_shard(shard);
		}
	}
	return ret;
}

void store_describe(struct store *store, struct store_facts *facts)
{
	unsigned int i;

	memset(facts, 0, sizeof(*facts));
	for (i = 0; i < SHARDS; i++) {
		struct shard *shard = lock_shard(store, i);

		facts->records += shard->index.count;
		facts->live_bytes += shard->log.live_bytes;
		facts->held_bytes += shard->log.segments_held * LOG_SEGMENT_BYTES +
			shard->index.capacity * sizeof(struct slot);
		unlock_shard(shard);
	}
}

size_t store_record_bytes(size_t key_bytes, size_t value_bytes)
{
	return log_record_bytes(key_bytes, value_bytes);
}

/*
 * Of the index, the old and the new one while it grows; of the log, what the
 * last record of a segment leaves over, and a head for each shard.
 */
size_t store_expected_bytes(uint64_t records, uint64_t record_bytes)
{
	uint64_t slots = 1024;

	while (slots * 3 / 4 < records / SHARDS * 9 / 8)
		slots *= 2;
	return SHARDS * (slots * sizeof(struct slot) * 3 / 2 + 2 * LOG_SEGMENT_BYTES) +
		record_bytes + record_bytes / 32;
}
