/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_CACHE_H
#define HPH_CACHE_H

#include "heap.h"

/* Small spans of one size in one cache, and large ones in all. */
#define HPH_CACHE_SMALL	32
#define HPH_CACHE_LARGE	4

/* Heap pages of small spans in one cache: a huge unit's worth; in a depot: that of four. */
#define HPH_CACHE_PAGES	HPH_UNIT_PAGES
#define HPH_DEPOT_PAGES	(4 * HPH_CACHE_PAGES)

/* Large spans in a depot. */
#define HPH_DEPOT_LARGE	32

/* Heap pages of large spans in one cache: if the heap can spare so many. */
#define HPH_CACHE_LARGE_PAGES	((size_t)8 * HPH_UNIT_PAGES)

/* Objects of all classes that one cache has room for: no less than the sum of hph_class.most. */
#define HPH_CACHE_OBJECTS	17700

/* Bytes of objects in one cache, at most: two huge units' worth. */
#define HPH_CACHE_OBJECT_BYTES	(2 * HPHEAP_HUGE_SIZE)

#define HPH_CACHE_SLOTS	8	/* heaps whose cache a thread finds at once */

/* Of small spans of one size. */
struct hph_stack {
	uint32_t count;
	uint32_t most;	/* so many may be here now; it is granted while there is demand */
};

/* Of objects of one class. As large as slab_page counts them: see hph_cache_rack(). */
struct hph_rack {
	_Alignas(16) uint64_t inverse;	/* the class's, at hand */
	uintptr_t *slots;	/* room for as many as the class has */
	uint32_t count;
	uint32_t most;		/* so many may be here now */
	uint32_t bytes;		/* of a slab that are objects: the class's, at hand */
};

#if SIZE_MAX > UINT32_MAX
typedef uint32_t hph_half;
#else
typedef uint16_t hph_half;
#endif

/*
 * One store takes or gives the most recent span, and leaves the cache. (The word is not
 * _Atomic, but used as such, so that it can be put together in a register.)
 */
union hph_door {
	struct {
		_Atomic hph_half recent_pages;	/* 0: it is not here */
		_Atomic hph_half inside;	/* the thread is: see cache.c */
	};
	size_t word;
};

/* In a cache's guard: whoever wants the cache has closed it. */
#define HPH_GUARD_CLOSED	0x10000u

/* The spans that one thread holds ready for itself, of one heap. */
struct hph_cache {
	union hph_door door;
	_Atomic uint32_t guard;	/* the tag of units whose spans may be here; or with CLOSED */
	/* The object that was freed last, before any rack (O3 in object.c). */
	uint32_t last_entry;	/* of its class, as in slab_page; 0: there is none */
	uintptr_t last;
	uintptr_t secret;	/* the heap's, at hand */
	/*
	 * The part of the heap's map in which the last object was that was not in this part: the
	 * next one is there, too, as a rule, and the way to it need not be gone again.
	 */
	uintptr_t leaf_number;
	uintptr_t leaf_units;	/* where unit number 0 would be, were it in there */
	/*
	 * The small span that was freed last, before any stack: where a program frees
	 * one and takes the next, one operation need not wait for the other's count.
	 * Where it frees that one again, it need not be looked up: what is known of it
	 * stays, though the program has it (C4).
	 */
	struct hph_cached recent;	/* never known to be zero */
	struct hph_rack racks[HPH_CLASSES + 1];	/* by what slab_page says; [0] stays empty */
	uint32_t recent_size;	/* in pages; UINT32_MAX: there was none */
	uint32_t nr_large;
	const struct hph_unit *recent_unit;
	size_t large_pages;
	size_t large_most;	/* granted, as most is */
	size_t large_size[HPH_DEPOT_LARGE];
	struct hph_cached large[HPH_DEPOT_LARGE];	/* the oldest first, as a rule */
	struct hph_stack stacks[HPH_SMALL_PAGES + 1]; /* by pages; [0] stays empty */
	struct hph_cached small[HPH_SMALL_PAGES + 1][HPH_CACHE_SMALL];

	struct hpheap *heap;
	size_t object_bytes;	/* granted: the sum of what racks may hold */
	unsigned int begged;	/* times that all was granted; */
	unsigned int giver;	/* the class that gave some up last */

	const void *owner;	/* the thread; NULL: it has ended; the zone: its depot */
	struct hph_cache *next;	/* of the heap's, which has them for good */
	struct hph_zone *zone;	/* where all spans in it are from */
	unsigned int number;	/* among the heap's */
	size_t granted;		/* pages: the sum of what stacks may hold */
	uint64_t look;		/* as the scavenger saw it last */

	uintptr_t objects[HPH_CACHE_OBJECTS];	/* the racks' */
};

_Static_assert(sizeof(struct hph_rack) == 1 << HPH_SLAB_CLASS, "slab_page leads to the rack");

/* The rack for objects of a class, by its entry in slab_page without the way back. */
static inline struct hph_rack *hph_cache_rack_at(struct hph_cache *cache, unsigned int entry)
{
	return (struct hph_rack *)((char *)cache->racks + entry);
}

static inline struct hph_rack *hph_cache_rack(struct hph_cache *cache, unsigned int class)
{
	return &cache->racks[class + 1];
}

/* A heap's id is never used again, and never 0: that slot is empty. */
struct hph_slot {
	uint64_t heap;
	struct hph_cache *cache;	/* there, where a heap is */
};

/* What a thread knows of its caches. */
struct hph_thread {
	struct hph_slot slots[HPH_CACHE_SLOTS];
	bool known;	/* to the key whose destructor gives the caches up */
	bool ended;	/* they were given up: what comes now does without, */
	bool joining;	/* and so does what the C library needs for that key */
};

extern _Thread_local struct hph_thread hph_thread;

/* The calling thread's cache of the default heap, at hand; or one that is closed for ever. */
extern _Thread_local struct hph_cache *hph_own_cache;

/* cache.c: the calling thread's */
uintptr_t hph_cache_refill(struct hpheap *heap, const struct hph_want *want, bool *zero);
bool hph_cache_give(struct hpheap *heap, struct hph_unit *unit, size_t pages, uintptr_t addr);
bool hph_cache_flush(struct hpheap *heap);

/* cache.c: any that is closed, or the caller's */
void hph_cache_empty(struct hpheap *heap, struct hph_cache *cache);
void hph_cache_empty_locked(struct hpheap *heap, struct hph_cache *cache, bool idle);

void hph_cache_move_here(struct hpheap *heap, struct hph_cache *cache);

/* large.c: the part of a cache that is large spans */
uintptr_t hph_cache_refill_large(struct hpheap *heap, const struct hph_want *want, bool *zero);
bool hph_cache_make_room_large(struct hpheap *heap, struct hph_cache *cache, size_t pages);
void hph_cache_empty_large(struct hpheap *heap, struct hph_cache *cache);

/* racks.c: the part of a cache, and of a zone, that is objects */
void hph_racks_init(struct hph_cache *cache);
void hph_racks_empty(struct hpheap *heap, struct hph_cache *cache, bool idle);
void hph_racks_after_fork(struct hpheap *heap, struct hph_cache *cache);
void hph_bins_after_fork(struct hpheap *heap);
void hph_bins_lose(struct hpheap *heap);
void hph_objects_count(const struct hpheap *heap, uint64_t *slab_bytes, uint64_t *object_bytes);
void hph_bins_settle(struct hpheap *heap, struct hph_zone *zone);
void hph_bins_settle_idle(struct hpheap *heap, struct hph_zone *zone);
void hph_bins_lock(struct hph_zone *zone);
void hph_bins_unlock(struct hph_zone *zone);
size_t hph_bins_slack(const struct hpheap *heap, const struct hph_zone *zone);

/* caches.c */
void hph_caches_prepare(void);
void hph_cache_serve(struct hph_cache *cache, struct hph_zone *zone);
struct hph_cache *hph_cache_make_depot(struct hpheap *heap, struct hph_zone *zone);
struct hph_cache *hph_cache_join(struct hpheap *heap);

/* For all caches of a heap, under its grow lock. */
void hph_caches_close(struct hpheap *heap);
void hph_caches_open(struct hpheap *heap);
void hph_caches_count(const struct hpheap *heap, size_t *spans, size_t *pages);
void hph_caches_after_fork(struct hpheap *heap);

/* Takes the grow lock itself: gives back to the zones what all caches hold. */
void hph_caches_drain(struct hpheap *heap);
void hph_caches_drain_idle(struct hpheap *heap);

/* Is it a zone's own, for spans on their way from one thread to another? */
static inline bool hph_cache_is_depot(const struct hph_cache *cache)
{
	return cache->owner == cache->zone;
}

/* Heap pages that all its stacks may hold. */
static inline size_t hph_cache_most_pages(const struct hph_cache *cache)
{
	return hph_cache_is_depot(cache) ? HPH_DEPOT_PAGES : HPH_CACHE_PAGES;
}

/* Where a thread keeps its cache of a heap of this id: so many bytes into the slots. */
static inline size_t hph_cache_slot(uint64_t id)
{
	return id % HPH_CACHE_SLOTS * sizeof(struct hph_slot);
}

/* The calling thread's cache, or NULL. */
static inline struct hph_cache *hph_cache_of(const struct hpheap *heap)
{
	const struct hph_slot *slot =
		(struct hph_slot *)((char *)hph_thread.slots + heap->cache_slot);

	if (__builtin_expect(slot->heap != heap->id, 0))
		return NULL;
	if (!slot->cache)
		__builtin_unreachable();
	return slot->cache;
}

static inline void hph_cache_exit_with(struct hph_cache *cache, hph_half recent_pages)
{
	const union hph_door door = { .recent_pages = recent_pages };

	__atomic_store_n(&cache->door.word, door.word, __ATOMIC_RELEASE);
}

static inline hph_half hph_cache_recent(const struct hph_cache *cache)
{
	return atomic_load_explicit(&cache->door.recent_pages, memory_order_relaxed);
}

static inline void hph_cache_set_recent(struct hph_cache *cache, size_t pages)
{
	atomic_store_explicit(&cache->door.recent_pages, (hph_half)pages, memory_order_relaxed);
}

static inline void hph_cache_exit(struct hph_cache *cache)
{
	hph_cache_exit_with(cache, hph_cache_recent(cache));
}

/* What the guard is then. */
static inline uint32_t hph_cache_begin(struct hph_cache *cache)
{
	atomic_store_explicit(&cache->door.inside, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	return atomic_load_explicit(&cache->guard, memory_order_acquire);
}

/* Without the span that was freed last: for who has not looked at it. */
static inline void hph_cache_leave(struct hph_cache *cache)
{
	atomic_store_explicit(&cache->door.inside, 0, memory_order_release);
}

/* False: it is closed. */
static inline bool hph_cache_enter(struct hph_cache *cache)
{
	if (__builtin_expect(!(hph_cache_begin(cache) & HPH_GUARD_CLOSED), 1))
		return true;
	atomic_store_explicit(&cache->door.inside, 0, memory_order_release);
	return false;
}

/* False: it is closed, or an object in @unit is none for it. Shunned units are no matter here. */
static inline bool hph_cache_enter_for(struct hph_cache *cache, const struct hph_unit *unit)
{
	if (__builtin_expect(hph_cache_begin(cache) == hph_unit_tag(unit), 1))
		return true;
	atomic_store_explicit(&cache->door.inside, 0, memory_order_release);
	return false;
}

/* False: it is closed, or a span that begins in @unit is none for it. */
static inline bool hph_cache_enter_from(struct hph_cache *cache, const struct hph_unit *unit)
{
	if (__builtin_expect(hph_cache_begin(cache) == hph_unit_raw_tag(unit), 1))
		return true;
	atomic_store_explicit(&cache->door.inside, 0, memory_order_release);
	return false;
}

/* A span goes from the cache to the program. */
static inline uintptr_t hph_cached_out(const struct hph_cached *cached, size_t pages, bool *zero)
{
	const uintptr_t addr = cached->addr & ~(uintptr_t)HPH_CACHED_ZERO;

	*zero = cached->addr & HPH_CACHED_ZERO;
	atomic_store_explicit(cached->live, (uint8_t)hph_live_code(hph_page_in_unit(addr), pages),
			      memory_order_relaxed);
	return addr;
}

/* And back; it has been seen that it is live. */
static inline void hph_cached_in(struct hph_cached *cached, _Atomic uint8_t *live, uintptr_t addr)
{
	atomic_store_explicit(live, 0, memory_order_relaxed);
	cached->addr = addr;
	cached->live = live;
}

/**
 * hph_cache_take_small() - a span of any alignment, if it is small, from the thread's cache
 * @pages: of it, at least 1; that they are few is not looked at before it has to be
 *
 * Return: its address; 0: there is none, or no cache.
 */
static inline uintptr_t hph_cache_take_small(const struct hpheap *heap, size_t pages, bool *zero)
{
	struct hph_cache *cache = hph_cache_of(heap);
	struct hph_stack *stack;
	uintptr_t addr = 0;

	if (!cache || !hph_cache_enter(cache))
		return 0;
	if (__builtin_expect(hph_cache_recent(cache) == pages, 1)) {
		addr = cache->recent.addr;
		if (pages > HPH_SMALL_PAGES || !addr)
			__builtin_unreachable();
		*zero = false;
		atomic_store_explicit(cache->recent.live, (uint8_t)pages, memory_order_relaxed);
		hph_cache_exit_with(cache, 0);
		return addr;
	}
	if (pages <= HPH_SMALL_PAGES) {
		stack = &cache->stacks[pages];
		if (stack->count)
			addr = hph_cached_out(&cache->small[pages][--stack->count], pages, zero);
	}
	hph_cache_exit(cache);
	return addr;
}

/* The same for a large one. */
static inline uintptr_t hph_cache_take_large(const struct hpheap *heap, size_t pages, bool *zero)
{
	struct hph_cache *cache = hph_cache_of(heap);
	uintptr_t addr = 0;
	uint32_t i, last;

	if (!cache || !hph_cache_enter(cache))
		return 0;
	for (i = cache->nr_large; i-- > 0;) {
		if (cache->large_size[i] != pages)
			continue;
		addr = hph_cached_out(&cache->large[i], pages, zero);
		last = --cache->nr_large;
		cache->large_pages -= pages;
		if (i == last)	/* The copy would have to wait for its two halves. */
			break;
		cache->large[i] = cache->large[last];
		cache->large_size[i] = cache->large_size[last];
		break;
	}
	hph_cache_exit(cache);
	return addr;
}

/* A small one has room if none was freed since the last was taken, or its stack has. */
static inline bool hph_cache_push(struct hph_cache *cache, size_t pages,
				  const struct hph_unit *unit, _Atomic uint8_t *live,
				  uintptr_t addr)
{
	struct hph_stack *stack = &cache->stacks[pages];

	if (__builtin_expect(!hph_cache_recent(cache), 1)) {
		hph_cache_set_recent(cache, pages);
		cache->recent_size = (uint32_t)pages;
		cache->recent_unit = unit;
		hph_cached_in(&cache->recent, live, addr);
		return true;
	}
	if (stack->count == stack->most)
		return false;
	hph_cached_in(&cache->small[pages][stack->count++], live, addr);
	return true;
}

static inline bool hph_cache_push_large(struct hph_cache *cache, size_t pages,
					_Atomic uint8_t *live, uintptr_t addr)
{
	if (cache->nr_large == HPH_CACHE_LARGE || cache->large_pages + pages > cache->large_most)
		return false;
	cache->large_size[cache->nr_large] = pages;
	hph_cached_in(&cache->large[cache->nr_large++], live, addr);
	cache->large_pages += pages;
	return true;
}

/**
 * hph_cache_give_again() - give the span at cache->recent's address to a thread's cache
 *
 * If it is live, the program has it: there is room.
 *
 * Return: false when none of the size lives there that it had, or it is none of the cache's
 * zone.
 */
static inline bool hph_cache_give_again(struct hph_cache *cache)
{
	_Atomic uint8_t *live = cache->recent.live;
	const uint32_t pages = cache->recent_size;

	if (atomic_load_explicit(live, memory_order_relaxed) != pages ||
	    !hph_cache_enter_from(cache, cache->recent_unit))
		return false;
	atomic_store_explicit(live, 0, memory_order_relaxed);
	hph_cache_exit_with(cache, (hph_half)pages);
	return true;
}

/**
 * hph_cache_give_small() - give a live small span to a thread's cache
 * @unit: that it begins in
 * @live: of its head
 * @pages: of it
 *
 * Return: false when it is none of the cache's zone, or there is no room.
 */
static inline bool hph_cache_give_small(struct hph_cache *cache, const struct hph_unit *unit,
					_Atomic uint8_t *live, unsigned int pages, uintptr_t addr)
{
	bool given;

	if (!hph_cache_enter_from(cache, unit))
		return false;
	given = hph_cache_push(cache, pages, unit, live, addr);
	hph_cache_exit(cache);
	return given;
}

/* The same for a large one. */
static inline bool hph_cache_give_large(struct hph_cache *cache, const struct hph_unit *unit,
					_Atomic uint8_t *live, size_t pages, uintptr_t addr)
{
	bool given;

	if (!hph_cache_enter_from(cache, unit))
		return false;
	given = hph_cache_push_large(cache, pages, live, addr);
	hph_cache_exit(cache);
	return given;
}

#endif /* HPH_CACHE_H */
