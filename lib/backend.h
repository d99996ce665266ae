/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_BACKEND_H
#define HPH_BACKEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hpheap.h"
#include "place.h"

struct hph_backend;
struct hph_meta;

/* What query() tells of a backend. */
struct hph_backend_facts {
	int placement_errno;	/* why a placement was refused last, 0 = never */
	uint32_t device_lost;	/* times its descriptor was found closed or replaced */
};

/*
 * What a heap needs from whoever has the memory, by address and in huge units.
 *
 * A unit is reserved (addresses, nothing else), then attached to a backend,
 * then committed, released, committed again, and at last detached: reserved as
 * it was. A heap may have a second backend to which units fall back: each unit
 * belongs to the backend that attached it.
 *
 * All return 0 or a negative errno; a call that failed has changed nothing.
 * No zone's lock is held. reserve, unreserve and attach are called under the grow
 * lock, by one thread at a time; the others by several at once, for different units.
 */
struct hph_backend_ops {
	/* @bytes of addresses, at @hint if they are free; aligned to the base page, no more. */
	int (*reserve)(struct hph_backend *backend, uintptr_t hint, size_t bytes,
		       uintptr_t *base);

	/* Does nobody have these addresses? NULL: that cannot be told. */
	bool (*is_free)(struct hph_backend *backend, uintptr_t addr, size_t bytes);

	/* Gives back addresses and all that is there. */
	void (*unreserve)(struct hph_backend *backend, uintptr_t addr, size_t bytes);

	/* Attaches the first *@attached bytes of a reserved range: at least a unit. */
	int (*attach)(struct hph_backend *backend, uintptr_t addr, size_t bytes,
		      const struct hph_place *place, size_t *attached);

	/* Makes any range of units reserved. */
	int (*detach)(struct hph_backend *backend, uintptr_t addr, size_t bytes);

	/* Fills an attached unit with zeroed memory, mapped. */
	int (*commit)(struct hph_backend *backend, uintptr_t addr);

	/*
	 * Opens attached units, that will be committed one by one, at once: fill() does the rest
	 * of commit(). It may refuse. NULL: commit() needs no opening.
	 */
	int (*open_ahead)(struct hph_backend *backend, uintptr_t addr, size_t bytes);
	int (*fill)(struct hph_backend *backend, uintptr_t addr);

	/*
	 * Or open() lets attached units have zeroed memory as it is touched. is_whole() tells
	 * whether all of one is there by now. Else they are as if committed. NULL: not possible.
	 */
	int (*open)(struct hph_backend *backend, uintptr_t addr, size_t bytes);
	bool (*is_whole)(struct hph_backend *backend, uintptr_t addr);

	/*
	 * Moves what an opened or committed unit has to another one, in place of what that had.
	 * Then it is as if it had just been opened. If it fails, what was at @to may be gone with
	 * its addresses. NULL: not possible.
	 */
	int (*move)(struct hph_backend *backend, uintptr_t from, uintptr_t to);

	/* Empties a committed unit. *@detached tells that it was detached as well. */
	int (*release)(struct hph_backend *backend, uintptr_t addr, bool *detached);

	/*
	 * Marks a committed unit: its memory stays until the system needs it, or commit()
	 * or release() comes. After commit() it is then what it was, or zeroed. NULL: no.
	 */
	int (*purge)(struct hph_backend *backend, uintptr_t addr);

	/*
	 * Part of a committed unit, whole base pages: split() says that it will be
	 * without some, thin() gives some back. join() says that it will be whole. Then
	 * collapse() makes it so at once, all of it or nothing, or thicken() does for some;
	 * what was not there is zero. NULL: whole units only.
	 */
	void (*split)(struct hph_backend *backend, uintptr_t unit);
	int (*thin)(struct hph_backend *backend, uintptr_t addr, size_t bytes);
	int (*thicken)(struct hph_backend *backend, uintptr_t addr, size_t bytes);
	void (*join)(struct hph_backend *backend, uintptr_t unit);
	int (*collapse)(struct hph_backend *backend, uintptr_t unit);

	/* Bytes that the process could have at all: more is not asked for. NULL: any number. */
	uint64_t (*most)(void);

	void (*query)(struct hph_backend *backend, struct hph_backend_facts *facts);

	/* After the last unreserve(). */
	void (*close)(struct hph_backend *backend);
};

/* The first member of each backend's own structure. */
struct hph_backend {
	const struct hph_backend_ops *ops;
	enum hpheap_fork fork;	/* what a child has of its memory; AUTO: a copy */
	_Atomic bool forked;	/* somewhere before this process, or by it */
};

/* Is it the parent's after fork(), whether a child sees it or not? */
static inline bool hph_backend_stays(const struct hph_backend *backend)
{
	return backend->fork == HPHEAP_FORK_NONE || backend->fork == HPHEAP_FORK_SHARE;
}

/* Anonymous memory, on huge pages or on base pages. NULL: no memory for it. */
struct hph_backend *hph_anon_open(struct hph_meta *meta, bool huge);
const char *hph_anon_shortcoming(void);

/* Reserving is the same for both. */
int hph_anon_reserve(struct hph_backend *backend, uintptr_t hint, size_t bytes,
		     uintptr_t *base);
bool hph_anon_is_free(struct hph_backend *backend, uintptr_t addr, size_t bytes);
void hph_anon_unreserve(struct hph_backend *backend, uintptr_t addr, size_t bytes);
int hph_anon_detach(struct hph_backend *backend, uintptr_t addr, size_t bytes);

/* /dev/hpheap. */
int hph_device_open(struct hph_meta *meta, const char *path, enum hpheap_fork fork,
		    struct hph_backend **backend);
const char *hph_device_shortcoming(int error);

#endif /* HPH_BACKEND_H */
