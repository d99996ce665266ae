/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the store's memory comes from: this table is all that differs between
 * the two programs that hpheap-kv compares.
 */
#ifndef KV_MEMORY_H
#define KV_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct memory_facts {
	char backend[16];	/* short name, may be compared */
	char reason[120];	/* one line, for a person */
	uint64_t device_bytes;	/* in chunks of the device */
	uint64_t fallback_bytes; /* where the device was wanted and could not */
};

struct memory {
	const char *name;
	/* Before all else; @expected: bytes that will be needed. 0 or -errno. */
	int (*open)(size_t expected);
	/* NULL: no memory. Contents are undefined. Thread-safe, as is free. */
	void *(*alloc)(size_t bytes);
	void (*free)(void *block);
	/* Returns free memory to the system now. */
	void (*give_back)(void);
	int (*describe)(struct memory_facts *facts);
	/* A picture of it, as SVG; NULL: there can be none. 0 or -errno. */
	int (*draw)(const char *path);
	void (*close)(void);
};

extern const struct memory memory_hpheap;
extern const struct memory memory_malloc;

#endif
