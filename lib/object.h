/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_OBJECT_H
#define HPH_OBJECT_H

#include "cache.h"

/*
 * Objects: what malloc() hands out, up to HPH_OBJECT_MAX bytes, from the calling thread's
 * cache. Here is the way that almost all take; object.c has the rest.
 */

/* The compiler would rather not, and each of them is in one place or two. */
#define HPH_INLINE static inline __attribute__((always_inline))

void *hph_object_alloc_missed(struct hpheap *heap, unsigned int class);
bool hph_object_free_missed(struct hpheap *heap, uintptr_t addr);
_Noreturn void hph_object_broken(uintptr_t secret, uintptr_t addr);

/* depot.c */
unsigned int hph_depot_take(const struct hpheap *heap, struct hph_bin *bin, uintptr_t *slots,
			    unsigned int wanted);
void hph_depot_put(struct hpheap *heap, struct hph_zone *zone, unsigned int class,
		   const uintptr_t *slots, unsigned int count);

/* What stands in the second word of an object that is free. */
static inline uintptr_t *hph_object_word(uintptr_t addr)
{
	return (uintptr_t *)addr + 1;
}

/*
 * How far an address is from the beginning of its slab, if it is in one, by what slab_page says.
 */
static inline uintptr_t hph_slab_offset(unsigned int entry, uintptr_t addr)
{
	return addr % HPHEAP_PAGE_SIZE + hph_page_addr(entry & HPH_SLAB_BACK);
}

static inline unsigned int hph_slab_page(const struct hph_unit *unit, uintptr_t addr)
{
	return atomic_load_explicit(&unit->slab_page[hph_page_in_unit(addr)],
				    memory_order_relaxed);
}

/* The class of the object that begins at an address; HPH_CLASSES: none does. */
unsigned int hph_object_class(const struct hph_unit *unit, uintptr_t addr);

/* From the cache to the program. */
static inline void *hph_object_out(uintptr_t secret, uintptr_t addr)
{
	uintptr_t *word = hph_object_word(addr);

	if (__builtin_expect(*word != (addr ^ secret), 0))
		hph_object_broken(secret, addr);
	*word = 0;
	return (void *)addr;
}

/* And back. */
static inline void hph_object_in(uintptr_t secret, uintptr_t addr)
{
	uintptr_t *word = hph_object_word(addr);

	if (__builtin_expect(*word == (addr ^ secret), 0))
		hph_object_broken(secret, addr);
	*word = addr ^ secret;
}

/**
 * hph_object_try() - an object of a class, if the thread's cache has one
 * @cache: the calling thread's
 * @entry: of the class, see hph_entry_of()
 *
 * The next one's tag is fetched for the next time: it was freed long ago, as a rule. (So does
 * Google's TCMalloc, PrefetchNextObject() in its percpu_tcmalloc.h.)
 *
 * Return: it, with undefined content, or NULL.
 */
HPH_INLINE void *hph_object_try(struct hph_cache *cache, unsigned int entry)
{
	uintptr_t addr = 0;

	if (__builtin_expect(!hph_cache_enter(cache), 0))
		return NULL;
	if (cache->last_entry == entry) {
		addr = cache->last;
		cache->last_entry = 0;
	} else {
		struct hph_rack *rack = hph_cache_rack_at(cache, entry);
		const uint32_t count = rack->count;

		if (__builtin_expect(count != 0, 1)) {
			addr = rack->slots[count - 1];
			rack->count = count - 1;
			if (__builtin_expect(count > 1, 1))
				__builtin_prefetch(hph_object_word(rack->slots[count - 2]), 1);
		}
	}
	hph_cache_leave(cache);
	return __builtin_expect(addr != 0, 1) ? hph_object_out(cache->secret, addr) : NULL;
}

/* Of the object that was freed last to its rack. False: that is full. */
HPH_INLINE bool hph_object_push_last(struct hph_cache *cache)
{
	struct hph_rack *rack = hph_cache_rack_at(cache, cache->last_entry);
	const uint32_t count = rack->count;

	if (__builtin_expect(count == rack->most, 0))
		return false;
	rack->slots[count] = cache->last;
	rack->count = count + 1;
	return true;
}

/**
 * hph_object_free() - free an object into the calling thread's cache
 * @cache: that
 * @addr: anything
 *
 * Return: false: it must be looked at more closely; nothing was done.
 */
HPH_INLINE bool hph_object_free(struct hph_cache *cache, uintptr_t addr)
{
	const uintptr_t number = hph_unit_of(addr);
	const struct hph_unit *unit;
	const struct hph_rack *rack;
	unsigned int entry;
	uintptr_t offset;

	if (__builtin_expect(number / HPH_LEAF_UNITS != cache->leaf_number, 0))
		return false;
	unit = (const struct hph_unit *)(cache->leaf_units + number * sizeof(*unit));
	__asm__("" : "+r"(unit));	/* Two of its fields are needed: one way is enough. */
	entry = hph_slab_page(unit, addr);
	rack = hph_cache_rack_at(cache, entry & ~HPH_SLAB_BACK);
	offset = hph_slab_offset(entry, addr);
	if (__builtin_expect(offset * rack->inverse >= rack->inverse, 0) ||
	    __builtin_expect(offset >= rack->bytes, 0) ||
	    __builtin_expect(!hph_cache_enter_for(cache, unit), 0))
		return false;
	if (cache->last_entry && __builtin_expect(!hph_object_push_last(cache), 0)) {
		hph_cache_leave(cache);
		return false;
	}
	cache->last_entry = entry & ~HPH_SLAB_BACK;
	cache->last = addr;
	hph_object_in(cache->secret, addr);
	hph_cache_leave(cache);
	return true;
}

#endif /* HPH_OBJECT_H */
