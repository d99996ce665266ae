/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_HEAP_H
#define HPH_HEAP_H

#include <pthread.h>
#include <stdatomic.h>

#include "ahead.h"
#include "arena.h"
#include "backend.h"
#include "meta.h"
#include "pagealloc.h"
#include "slab.h"

#define HPH_MAX_ZONES	64u

struct hph_cache;

/*
 * The part of a heap that has the memory of one node, with a lock of its own.
 * Where there is one node, or memory was asked for in another way, it is one for all.
 */
struct hph_zone {
	pthread_mutex_t lock;	/* of all that follows; never held across a system call */
	int node;		/* HPHEAP_NODE_ANY: as the heap's placement says */
	struct hph_pages pages;
	struct hph_bin *bins;	/* of slabs, by class; NULL: no object was wanted yet */
	pthread_mutex_t bin_locks[HPH_BIN_LOCKS];	/* before lock */
	struct hph_cache *depot; /* of spans on their way from one thread to another */
	const struct hph_cache *missed;	/* had no large span last; it may be another thread's now */
	size_t device_units;	/* that have memory, of the device */
	size_t fallback_units;	/* that have memory, of the fallback */
	uint64_t commits;
	uint64_t releases;
	uint64_t fallbacks;
	int fallback_errno;
	_Atomic bool grew;	/* since the scavenger looked: */
	_Atomic bool filled;	/* by filling thin units */
	unsigned int ahead_looks;	/* of the scavenger's: it looks so often for growth, */
	size_t purgeable_due;	/* and has to release so many */
	bool loose;		/* sparse units go until little is free beside spans */
	bool well_used;		/* little would be, with all of them: see loose.c */
	size_t high;		/* heap pages in use when it was most, forgotten slowly: */
	uint16_t high_window;	/* a part of it in each of the scavenger's windows */
	struct hph_unit *comb;	/* the scavenger's: which of those with slabs is next */
};

/*
 * A heap. Lock order: registry (heap.c), grow, thread caches (caches.c), zones by
 * number. BUSY units belong to the thread that made them so: it works on
 * them without any lock.
 */
struct hpheap {
	uint64_t id;			/* never given to another heap */
	size_t cache_slot;		/* hph_cache_slot() of it: at hand for each call */
	struct hph_unitmap map;
	struct hph_zone *zones;
	unsigned int nr_zones;
	const uint8_t *zone_of_node;	/* where there are several */
	const uint8_t *zone_of_cpu;
	struct hph_backend *backend;
	struct hph_backend *fallback;	/* for units that backend cannot give; or NULL */
	struct hph_place place;
	size_t base_page;
	bool efence;			/* no address is used twice: see efence.c */
	bool lost;			/* what it had of the device, to the parent: see fork.c */
	_Atomic bool exhausted;		/* and none is left */
	_Atomic bool refused;		/* more memory, in this window of the scavenger's */
	_Atomic size_t limit_units;	/* SIZE_MAX: none */
	_Atomic size_t held_units;	/* that have memory, or are about to: see charge() */
	_Atomic size_t committed_units;	/* that have memory and are not BUSY: of all zones */
	_Atomic size_t peak_units;	/* the most of them there ever were */
	_Atomic size_t large_granted;	/* heap pages of large spans in thread caches, at most */
	_Atomic size_t scavenged_pages;	/* ever, by the scavenger */
	_Atomic size_t busy_units;	/* changed under the lock of some zone */
	_Atomic bool has_objects;	/* the zones have bins */
	struct hph_unit *_Atomic slabbed;	/* list of the units that ever had slabs */
	uintptr_t secret;		/* of this heap: see object.c */

	pthread_mutex_t grow;		/* meta, arena, ahead, caches, attaching to backends */
	struct hph_meta meta;
	struct hph_arena arena;
	struct hph_ahead ahead;
	struct hph_cache *caches;

	uint32_t kind;			/* enum hpheap_backend, never AUTO */
	uint32_t wanted;
	char reason[120];
	struct hpheap *next;		/* in the registry */
};

struct hpheap *hph_heap_default_there(void);
bool hph_heap_is_default(const struct hpheap *heap);
void hph_heaps_visit(void (*visit)(struct hpheap *heap, void *arg), void *arg);
int hph_heap_create(const struct hpheap_options *options, struct hph_backend *backend,
		    size_t base_page, struct hpheap **result);

/* The zone that serves the calling thread, and the one of a node. */
struct hph_zone *hph_zone_here(const struct hpheap *heap);
struct hph_zone *hph_zone_of(const struct hpheap *heap, int node);
int hph_zones_init(struct hpheap *heap);
void hph_zones_destroy(struct hpheap *heap);
void hph_zones_lock(struct hpheap *heap);
void hph_zones_unlock(struct hpheap *heap);

/* Between the two nothing in the heap changes. */
void hph_heap_stop(struct hpheap *heap);
void hph_heap_resume(struct hpheap *heap);
void hph_stats_read(struct hpheap *heap, struct hpheap_stats *stats);
bool hph_stats_valid(const struct hpheap_stats *stats);
void hph_stats_copy(struct hpheap_stats *stats, struct hpheap_stats *now);

uintptr_t hph_grow_span(struct hpheap *heap, struct hph_zone *zone, const struct hph_want *want,
			bool *zero);
int hph_grow_reserve(struct hpheap *heap, struct hph_zone *zone, size_t units, int node);
void hph_note_committed(struct hpheap *heap, size_t units);
int hph_release_unit(struct hph_unit *unit);
size_t hph_put_emptied(struct hpheap *heap, struct hph_zone *zone, uintptr_t first, size_t units,
		       bool marks, size_t *bytes);
void hph_count_owners(struct hpheap *heap, struct hph_zone *zone, uintptr_t first, size_t units,
		      bool come);
size_t hph_empty_broken(struct hpheap *heap, struct hph_zone *zone, size_t units);
size_t hph_shrink_zone(struct hpheap *heap, struct hph_zone *zone, size_t units, bool marks,
		       size_t *bytes);
size_t hph_purgeable_release(struct hpheap *heap, struct hph_zone *zone, size_t units);
size_t hph_shrink(struct hpheap *heap, size_t units, size_t *bytes);
bool hph_make_way(struct hpheap *heap, size_t units);
bool hph_load_is_back(const struct hph_zone *zone);
bool hph_is_loose(const struct hpheap *heap, struct hph_zone *zone,
		  const struct hpheap_policy *policy);
size_t hph_thin(struct hpheap *heap, size_t bytes, bool dense);
size_t hph_thin_idle(struct hpheap *heap, struct hph_zone *zone,
		     const struct hpheap_policy *policy, bool urgent);
bool hph_thicken_back(struct hpheap *heap, struct hph_zone *zone, bool early);
bool hph_make_huge(struct hpheap *heap, struct hph_zone *zone);
uintptr_t hph_thicken_span(struct hpheap *heap, struct hph_zone *zone,
			   const struct hph_want *want, bool *zero);
bool hph_lazy_settle(struct hpheap *heap, const struct hph_unit *first, size_t pages);
size_t hph_lazy_move(struct hpheap *heap, uintptr_t from, size_t bytes, uintptr_t to);
void hph_fence(struct hpheap *heap, struct hph_zone *zone, const struct hph_found *found);
void hph_before_fork(struct hpheap *heap);
void hph_after_fork(struct hpheap *heap);

#endif /* HPH_HEAP_H */
