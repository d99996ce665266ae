/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One hash for two uses: where a key stands in the index, and the checksum by
 * which a client knows its text again. Never 0, which so can mean "none".
 */
#ifndef KV_HASH_H
#define KV_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_step(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static inline uint64_t hash_bytes(const void *data, size_t bytes)
{
	const char *p = data;
	uint64_t hash = hash_step(bytes, 1), word;

	for (; bytes >= sizeof(word); bytes -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = hash_step(hash, word);
	}
	word = 0;
	if (bytes)
		memcpy(&word, p, bytes);
	hash = hash_step(hash, word);
	hash = hash_step(hash, hash >> 32);
	return hash ? hash : 1;
}

#endif
