// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The caches of all threads: whose they are, and what others do with them.
 *
 * A thread's first span of a heap gives it a cache there, an ended thread's or a new
 * one. A cache is never freed: whoever walks the list may look at any of them. What
 * a thread does with its own is in cache.c.
 */
#include "cache.h"
#include "guard.h"

#include <sched.h>
#include <string.h>

#include "memcheck.h"
#include "os.h"

/* Before the thread that is waited for may be one that a yield does not let run. */
#define YIELDS	16

_Thread_local struct hph_thread hph_thread;
/* Of nobody: who has no cache finds it closed, and need not ask whether he has one. */
static struct hph_cache no_cache = { .guard = HPH_GUARD_CLOSED, .leaf_number = UINTPTR_MAX };

_Thread_local struct hph_cache *hph_own_cache = &no_cache;

#if __has_include(<valgrind/memcheck.h>)
bool hph_memcheck;
#endif

static pthread_key_t thread_key;
static bool usable;	/* set once, before the first heap is there */

static void leave(struct hpheap *heap, void *thread);

static void end_thread(void *thread)
{
	memset(hph_thread.slots, 0, sizeof(hph_thread.slots));
	hph_thread.ended = true;
	hph_own_cache = &no_cache;
	hph_heaps_visit(leave, thread);
}

/* Once, before there is a heap. */
void hph_caches_prepare(void)
{
	hph_memcheck_start();
	usable = !hph_os_fence_prepare() && !pthread_key_create(&thread_key, end_thread);
}

/* Its spans are from there, from now on. */
void hph_cache_serve(struct hph_cache *cache, struct hph_zone *zone)
{
	const uint32_t before = atomic_load_explicit(&cache->guard, memory_order_relaxed);
	const uint32_t tag = hph_tag(zone->pages.zone, HPH_UNIT_USED);

	/* Whether it is closed is another's to say, perhaps just now. */
	atomic_fetch_xor(&cache->guard, (before ^ tag) & ~HPH_GUARD_CLOSED);
	cache->zone = zone;
}

/* Of the span that no cache has seen yet. */
static _Atomic uint8_t nothing_lives;

static struct hph_cache *make(struct hpheap *heap, const void *owner, struct hph_zone *zone)
{
	struct hph_cache *cache = hph_meta_alloc(&heap->meta, sizeof(*cache));

	if (!cache)
		return NULL;
	memset(cache, 0, offsetof(struct hph_cache, objects));	/* so that no fault comes later */
	cache->heap = heap;
	cache->leaf_number = SIZE_MAX;
	cache->secret = heap->secret;
	hph_racks_init(cache);
	cache->number = heap->caches ? heap->caches->number + 1 : 0;
	cache->next = heap->caches;
	heap->caches = cache;
	cache->owner = owner;
	cache->recent.live = &nothing_lives;
	cache->recent_size = UINT32_MAX;
	hph_cache_serve(cache, zone);
	return cache;
}

/* While its heap is made. NULL: no memory for it. */
struct hph_cache *hph_cache_make_depot(struct hpheap *heap, struct hph_zone *zone)
{
	return make(heap, zone, zone);
}

/* The thread's own cache, an ended thread's, or a new one. NULL: no memory for it. */
static struct hph_cache *find_cache(struct hpheap *heap)
{
	struct hph_cache *cache, *left = NULL;

	for (cache = heap->caches; cache && cache->owner != &hph_thread; cache = cache->next)
		if (!cache->owner)
			left = cache;
	if (cache)
		return cache;
	if (!left)
		return make(heap, &hph_thread, hph_zone_here(heap));
	left->owner = &hph_thread;
	hph_cache_serve(left, hph_zone_here(heap));
	return left;
}

/* Makes the calling thread's cache the one that hph_cache_of() finds. */
struct hph_cache *hph_cache_join(struct hpheap *heap)
{
	struct hph_slot *slot = &hph_thread.slots[heap->id % HPH_CACHE_SLOTS];
	struct hph_cache *cache;

	if (!usable || hph_memcheck || hph_thread.ended || hph_thread.joining || heap->efence)
		return NULL;
	if (!hph_thread.known) {
		hph_thread.joining = true;
		hph_thread.known = !pthread_setspecific(thread_key, &hph_thread);
		hph_thread.joining = false;
	}
	if (!hph_thread.known)
		return NULL;
	pthread_mutex_lock(&heap->grow);
	cache = find_cache(heap);
	pthread_mutex_unlock(&heap->grow);
	if (cache) {
		slot->cache = cache;
		slot->heap = heap->id;
		if (hph_heap_is_default(heap) && !hph_guard_rate)
			hph_own_cache = cache;
	}
	return cache;
}

/* It was left either by a store of the word, or by one of inside alone: both are acquired. */
static bool is_inside(struct hph_cache *cache)
{
	const union hph_door door = {
		.word = __atomic_load_n(&cache->door.word, __ATOMIC_ACQUIRE),
	};

	return door.inside ||
	       atomic_load_explicit(&cache->door.inside, memory_order_acquire);
}

/* Until hph_caches_open() their threads do without them. */
void hph_caches_close(struct hpheap *heap)
{
	struct hph_cache *cache;
	unsigned int looks = 0;

	if (!heap->caches)
		return;
	for (cache = heap->caches; cache; cache = cache->next)
		atomic_fetch_or(&cache->guard, HPH_GUARD_CLOSED);
	hph_os_fence();
	for (cache = heap->caches; cache; cache = cache->next)
		while (cache->owner != &hph_thread && is_inside(cache)) {
			if (looks++ < YIELDS)
				sched_yield();
			else
				hph_os_nap();
		}
}

void hph_caches_open(struct hpheap *heap)
{
	struct hph_cache *cache;

	for (cache = heap->caches; cache; cache = cache->next)
		atomic_fetch_and(&cache->guard, ~HPH_GUARD_CLOSED);
}

/* What the zones count as used, and nobody holds. */
void hph_caches_count(const struct hpheap *heap, size_t *spans, size_t *pages)
{
	const struct hph_cache *cache;
	size_t size;

	*spans = *pages = 0;
	for (cache = heap->caches; cache; cache = cache->next) {
		for (size = 1; size <= HPH_SMALL_PAGES; size++) {
			*spans += cache->stacks[size].count;
			*pages += cache->stacks[size].count * size;
		}
		*spans += cache->nr_large + (hph_cache_recent(cache) != 0);
		*pages += cache->large_pages + hph_cache_recent(cache);
	}
}

void hph_caches_drain(struct hpheap *heap)
{
	struct hph_cache *cache;
	unsigned int i;

	pthread_mutex_lock(&heap->grow);
	hph_caches_close(heap);
	for (cache = heap->caches; cache; cache = cache->next)
		hph_cache_empty_locked(heap, cache, true);
	for (i = 0; i < heap->nr_zones; i++)
		hph_bins_settle(heap, &heap->zones[i]);
	hph_caches_open(heap);
	pthread_mutex_unlock(&heap->grow);
}

/*
 * Something that changes when a cache is used, as a rule. A thread that takes and frees in
 * turn may leave it as it was; it then fills its cache once a window, for no more than that.
 */
static uint64_t look_of(const struct hph_cache *cache)
{
	uint64_t look = hph_cache_recent(cache) ? cache->recent.addr : 0;
	size_t i;

	for (i = 0; i < cache->nr_large; i++)
		look = look * 31 + cache->large[i].addr;
	for (i = 1; i <= HPH_SMALL_PAGES; i++)
		if (cache->stacks[i].count)
			look = look * 31 + cache->small[i][cache->stacks[i].count - 1].addr;
	for (i = 1; i <= HPH_CLASSES; i++)
		if (cache->racks[i].count)
			look = look * 31 + cache->racks[i].slots[cache->racks[i].count - 1];
	return look * 31 + (cache->last_entry ? cache->last : 0);
}

/* Frees what is in caches that look as they did when this was called the last time. */
void hph_caches_drain_idle(struct hpheap *heap)
{
	struct hph_cache *cache;
	unsigned int i;
	uint64_t look;

	pthread_mutex_lock(&heap->grow);
	hph_caches_close(heap);
	/* Before what the caches had comes there. */
	for (i = 0; i < heap->nr_zones; i++)
		hph_bins_settle_idle(heap, &heap->zones[i]);
	for (cache = heap->caches; cache; cache = cache->next) {
		look = look_of(cache);
		if (look && look == cache->look)
			hph_cache_empty_locked(heap, cache, true);
		cache->look = look;
	}
	hph_caches_open(heap);
	pthread_mutex_unlock(&heap->grow);
}

static void leave(struct hpheap *heap, void *thread)
{
	struct hph_cache *cache;

	pthread_mutex_lock(&heap->grow);
	for (cache = heap->caches; cache; cache = cache->next) {
		if (cache->owner != thread)
			continue;
		hph_cache_empty_locked(heap, cache, false);
		/* It may be from there. */
		hph_cache_empty_locked(heap, cache->zone->depot, false);
		cache->owner = NULL;
	}
	pthread_mutex_unlock(&heap->grow);
}

/*
 * In the child: the other threads are not there, and what their caches hold goes
 * back. The caches are closed, and the locks of the zones held.
 */
void hph_caches_after_fork(struct hpheap *heap)
{
	struct hph_cache *cache;

	for (cache = heap->caches; cache; cache = cache->next) {
		hph_racks_after_fork(heap, cache);
		hph_cache_empty(heap, cache);
		if (cache->owner != &hph_thread && cache->owner != cache->zone)
			cache->owner = NULL;
		hph_cache_exit(cache);
	}
}
