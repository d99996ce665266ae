// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The index: see index.h. Linear probing; at most three quarters are in use;
 * removing closes the gap, so that there are no markers of what once was.
 */
#include "index.h"

#include <errno.h>
#include <string.h>

#define FIRST_CAPACITY	1024u

void index_init(struct index *index, const struct memory *memory)
{
	*index = (struct index){ .memory = memory };
}

void index_destroy(struct index *index)
{
	if (index->slots)
		index->memory->free(index->slots);
	index_init(index, index->memory);
}

/* Low bits choose the shard: the home slot comes from the others. */
static size_t home(const struct index *index, uint64_t hash)
{
	return (size_t)(hash >> 16) & (index->capacity - 1);
}

static size_t next(const struct index *index, size_t i)
{
	return (i + 1) & (index->capacity - 1);
}

struct slot *index_find(const struct index *index, uint64_t hash, const void *key,
			size_t key_bytes)
{
	size_t i;

	if (!index->capacity)
		return NULL;
	for (i = home(index, hash); index->slots[i].record; i = next(index, i)) {
		struct slot *slot = &index->slots[i];

		if (slot->hash == hash && slot->record->key_bytes == key_bytes &&
		    !memcmp(slot->record->data, key, key_bytes))
			return slot;
	}
	return NULL;
}

struct slot *index_find_record(const struct index *index, const struct record *record)
{
	size_t i = home(index, record->hash);

	while (index->slots[i].record != record)
		i = next(index, i);
	return &index->slots[i];
}

static void place(struct index *index, struct slot slot)
{
	size_t i = home(index, slot.hash);

	while (index->slots[i].record)
		i = next(index, i);
	index->slots[i] = slot;
}

int index_make_room(struct index *index)
{
	struct index grown = *index;
	size_t i;

	if (index->count + 1 <= index->capacity / 4 * 3)
		return 0;
	grown.capacity = index->capacity ? 2 * index->capacity : FIRST_CAPACITY;
	grown.slots = index->memory->alloc(grown.capacity * sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	memset(grown.slots, 0, grown.capacity * sizeof(*grown.slots));
	for (i = 0; i < index->capacity; i++)
		if (index->slots[i].record)
			place(&grown, index->slots[i]);
	if (index->slots)
		index->memory->free(index->slots);
	*index = grown;
	return 0;
}

void index_add(struct index *index, struct record *record)
{
	place(index, (struct slot){ record->hash, record });
	index->count++;
}

/*
 * The gap moves on until nothing after it would rather stand in it: an entry
 * may fill it when its home is not between the gap and itself.
 */
void index_remove(struct index *index, struct slot *slot)
{
	size_t gap = (size_t)(slot - index->slots), i;

	for (i = next(index, gap); index->slots[i].record; i = next(index, i)) {
		size_t from_home = (i - home(index, index->slots[i].hash)) & (index->capacity - 1);
		size_t from_gap = (i - gap) & (index->capacity - 1);

		if (from_home >= from_gap) {
			index->slots[gap] = index->slots[i];
			gap = i;
		}
	}
	index->slots[gap].record = NULL;
	index->count--;
}
