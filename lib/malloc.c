// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The malloc family: objects of up to 64 KiB from slabs, what is larger as spans.
 *
 * Small requests are most: their way is as short as it can be. What is wrong with an address that
 * is freed is found out where it is known that something is. What works leaves errno alone, as
 * glibc's functions do, whatever the system said on the way.
 */
#include <errno.h>
#include <string.h>

#include "bootstrap.h"
#include "guard.h"
#include "memcheck.h"
#include "object.h"
#include "os.h"

/*
 * Objects that no thread's cache keeps begin with a huge unit, so that realloc() can move their
 * memory.
 */
static bool is_movable(size_t bytes)
{
	return bytes > hph_page_addr(HPH_CACHE_LARGE_PAGES);
}

static __attribute__((noinline)) void *alloc_large(struct hpheap *heap, size_t bytes, size_t align,
						   unsigned int flags)
{
	const int before = errno;
	void *span;

	if (!heap) {
		errno = EINVAL;
		return NULL;
	}
	if (is_movable(bytes) && align < HPHEAP_HUGE_SIZE)
		align = HPHEAP_HUGE_SIZE;
	hph_memcheck_look_away();
	span = hpheap_span_alloc(heap, bytes ? bytes : 1, align, flags | HPHEAP_SPAN_LAZY);
	hph_memcheck_look_again();
	if (!span)
		return NULL;
	if (hph_memcheck)
		hph_memcheck_close(span, hpheap_span_size(heap, span));
	errno = before;
	return hph_memcheck_alloc(span, bytes, flags & HPHEAP_SPAN_ZERO);
}

/* Where the thread's cache did not serve. */
static __attribute__((noinline)) void *alloc_missed(struct hpheap *heap, size_t bytes,
						    unsigned int entry)
{
	void *object;

	hph_memcheck_look_away();
	object = hph_object_alloc_missed(heap, hph_entry_class(entry));
	hph_memcheck_look_again();
	return hph_memcheck_alloc(object, bytes, false);
}

/* An object of a class, with undefined content; or NULL with errno ENOMEM. */
static inline void *alloc_object(struct hpheap *heap, size_t bytes, unsigned int entry)
{
	struct hph_cache *cache = hph_cache_of(heap);
	void *object = cache ? hph_object_try(cache, entry) : NULL;

	return __builtin_expect(object != NULL, 1) ? object : alloc_missed(heap, bytes, entry);
}

void *hpheap_malloc_in(struct hpheap *heap, size_t bytes)
{
	if (__builtin_expect(bytes > HPH_OBJECT_MAX || !heap, 0))
		return alloc_large(heap, bytes, 0, 0);
	return alloc_object(heap, bytes, hph_entry_of(bytes));
}

void *hpheap_calloc_in(struct hpheap *heap, size_t count, size_t bytes)
{
	size_t all;
	void *object;

	if (__builtin_mul_overflow(count, bytes, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	if (all > HPH_OBJECT_MAX || !heap)
		return alloc_large(heap, all, 0, HPHEAP_SPAN_ZERO);
	object = alloc_object(heap, all, hph_entry_of(all));
	return object ? memset(object, 0, all) : NULL;
}

/* Of a class of which objects have the alignment, which is at most a heap page. */
static unsigned int aligned_entry(size_t align, size_t bytes)
{
	unsigned int class = hph_class_of(bytes > align ? bytes : align);

	while (hph_classes[class].size & (align - 1))
		class++;
	return hph_class_entry(class);
}

void *hpheap_aligned_alloc_in(struct hpheap *heap, size_t align, size_t bytes)
{
	if (!hph_is_power_of_two(align)) {
		errno = EINVAL;
		return NULL;
	}
	if (align <= HPH_GRANULE)
		return hpheap_malloc_in(heap, bytes);
	if (align > HPHEAP_PAGE_SIZE || bytes > HPH_OBJECT_MAX || !heap)
		return alloc_large(heap, bytes, align, 0);
	return alloc_object(heap, bytes, aligned_entry(align, bytes));
}

/* What is known of an address that nothing begins at. Does not come back. */
static _Noreturn void no_object(struct hpheap *heap, const char *function, uintptr_t addr)
{
	const struct hph_unit *unit =
		heap ? hph_unitmap_find(&heap->map, hph_unit_of(addr)) : NULL;
	unsigned int entry, class;
	size_t bytes;
	void *span;

	if (!unit || hph_unit_state(unit) == HPH_UNIT_NONE)
		hph_os_die("%s(%#jx): no memory of this heap", function, (uintmax_t)addr);
	entry = atomic_load_explicit(&unit->slab_page[hph_page_in_unit(addr)],
				     memory_order_relaxed);
	class = hph_entry_class(entry);
	if (class < HPH_CLASSES)
		hph_os_die("%s(%#jx): not the beginning of an object, which have %u bytes there",
			   function, (uintmax_t)addr, (unsigned int)hph_classes[class].size);
	span = hpheap_span_find(heap, (void *)addr, &bytes);
	if (span)
		hph_os_die("%s(%#jx): not the beginning of an object: that is %#jx, with %zu bytes",
			   function, (uintmax_t)addr, (uintmax_t)(uintptr_t)span, bytes);
	hph_os_die("%s(%#jx): no object is there; it may have been freed already", function,
		   (uintmax_t)addr);
}

/* False: nothing of the heap begins there. */
static bool free_anything(struct hpheap *heap, void *object)
{
	if (!heap)
		return false;
	if (hph_object_free_missed(heap, (uintptr_t)object))
		return true;
	if (!hpheap_span_size(heap, object))
		return false;
	hpheap_span_free(heap, object);
	return true;
}

/* Where the thread's cache did not serve. */
static __attribute__((noinline)) void free_missed(struct hpheap *heap, void *object)
{
	const int before = errno;

	if (!object)
		return;
	hph_memcheck_free(object);
	hph_memcheck_look_away();
	if (!free_anything(heap, object))
		no_object(heap, "free", (uintptr_t)object);
	hph_memcheck_look_again();
	errno = before;
}

void hpheap_free_in(struct hpheap *heap, void *object)
{
	struct hph_cache *cache = heap ? hph_cache_of(heap) : NULL;

	if (__builtin_expect(!cache || !hph_object_free(cache, (uintptr_t)object), 0))
		free_missed(heap, object);
}

static size_t size_of(struct hpheap *heap, const char *function, uintptr_t addr)
{
	const struct hph_unit *unit =
		heap ? hph_unitmap_find(&heap->map, hph_unit_of(addr)) : NULL;
	const unsigned int class = unit ? hph_object_class(unit, addr) : HPH_CLASSES;
	size_t bytes;

	if (class < HPH_CLASSES)
		return hph_classes[class].size;
	bytes = hpheap_span_size(heap, (void *)addr);
	if (!bytes)
		no_object(heap, function, addr);
	return bytes;
}

size_t hpheap_malloc_usable_size_in(struct hpheap *heap, const void *object)
{
	return object ? size_of(heap, "malloc_usable_size", (uintptr_t)object) : 0;
}

/*
 * Who makes an object longer does it again, as a rule. Where memory that is not touched costs
 * nothing, a large one gets room for that, an eighth of it.
 */
static size_t with_room(const struct hpheap *heap, size_t bytes)
{
	if (!is_movable(bytes) || !heap->backend->ops->open || bytes > PTRDIFF_MAX - bytes / 8)
		return bytes;
	return bytes + bytes / 8;
}

/* Another object, with the content, if there is memory for it. */
static void *move(struct hpheap *heap, void *object, size_t has, size_t bytes)
{
	const size_t kept = has < bytes ? has : bytes;
	size_t moved = 0;
	char *other = NULL;

	if (bytes > has)
		other = hpheap_malloc_in(heap, with_room(heap, bytes));
	if (!other)
		other = hpheap_malloc_in(heap, bytes);
	if (!other)
		return bytes <= has ? object : NULL;	/* To make one shorter does not fail. */
	if (is_movable(kept) && !hph_memcheck)
		moved = hph_lazy_move(heap, (uintptr_t)object, kept, (uintptr_t)other);
	hph_memcheck_look_away();	/* What is copied may be more than was asked for. */
	memcpy(other + moved, (char *)object + moved, kept - moved);
	hph_memcheck_look_again();
	hpheap_free_in(heap, object);
	return other;
}

/*
 * Is it better where it is? Half of it would be waste at most. (Memcheck knows how much of it the
 * program may use: another one has another length.)
 */
static bool may_stay(size_t has, size_t bytes)
{
	return !hph_memcheck && bytes <= has && (bytes > has / 2 || has <= HPH_LINEAR);
}

void *hpheap_realloc_in(struct hpheap *heap, void *object, size_t bytes)
{
	const int before = errno;
	void *other;
	size_t has;

	if (!object)
		return hpheap_malloc_in(heap, bytes);
	if (!bytes) {
		hpheap_free_in(heap, object);
		return NULL;
	}
	has = size_of(heap, "realloc", (uintptr_t)object);
	if (may_stay(has, bytes))
		return object;
	other = move(heap, object, has, bytes);
	if (other)
		errno = before;
	return other;
}

/* Where objects are guarded, all of the default heap come this way, and not the fastest. */
static void *guarded(size_t bytes, size_t align)
{
	return __builtin_expect(hph_guard_rate != 0, 0) ? hph_guard_sample(bytes, align) : NULL;
}

static __attribute__((noinline)) void *malloc_missed(size_t bytes)
{
	bool later;
	struct hpheap *heap = hph_bootstrap_heap(&later);
	void *object;

	if (later)
		return hph_bootstrap_alloc(bytes, 0);
	if (!heap)
		return NULL;
	object = guarded(bytes, 0);
	return object ? object : hpheap_malloc_in(heap, bytes);
}

void *hpheap_malloc(size_t bytes)
{
	void *object = NULL;

	if (__builtin_expect(bytes <= HPH_OBJECT_MAX, 1))
		object = hph_object_try(hph_own_cache, hph_entry_of(bytes));
	return __builtin_expect(object != NULL, 1) ? object : malloc_missed(bytes);
}

void *hpheap_calloc(size_t count, size_t bytes)
{
	bool later;
	struct hpheap *heap = hph_bootstrap_heap(&later);
	size_t all;
	void *object;

	if (__builtin_mul_overflow(count, bytes, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	if (later)
		return hph_bootstrap_alloc(all, 0);
	if (!heap)
		return NULL;
	object = guarded(all, 0);
	return object ? object : hpheap_calloc_in(heap, 1, all);
}

/* What is of no heap moves. */
static void *realloc_into_heap(void *object, size_t has, size_t bytes)
{
	void *other = bytes ? hpheap_malloc(bytes) : NULL;

	if (other)
		memcpy(other, object, has < bytes ? has : bytes);
	if (other || !bytes)
		hpheap_free(object);
	return other;
}

void *hpheap_realloc(void *object, size_t bytes)
{
	bool later;
	struct hpheap *heap;

	if (!object)
		return hpheap_malloc(bytes);
	if (hph_bootstrap_has(object))
		return realloc_into_heap(object, hph_bootstrap_size(object), bytes);
	if (hph_guard_has(object))
		return realloc_into_heap(object, hph_guard_size(object), bytes);
	heap = hph_bootstrap_heap(&later);
	return heap ? hpheap_realloc_in(heap, object, bytes) : NULL;
}

void *hpheap_aligned_alloc(size_t align, size_t bytes)
{
	bool later;
	struct hpheap *heap = hph_bootstrap_heap(&later);
	void *object;

	if (!hph_is_power_of_two(align)) {
		errno = EINVAL;
		return NULL;
	}
	if (later)
		return hph_bootstrap_alloc(bytes, align);
	if (!heap)
		return NULL;
	object = guarded(bytes, align);
	return object ? object : hpheap_aligned_alloc_in(heap, align, bytes);
}

static __attribute__((noinline)) void free_in_default(void *object)
{
	const int before = errno;
	bool later;

	if (hph_guard_has(object))
		hph_guard_free(object);
	else if (object && !hph_bootstrap_has(object))
		hpheap_free_in(hph_bootstrap_heap(&later), object);
	errno = before;
}

void hpheap_free(void *object)
{
	if (__builtin_expect(!hph_object_free(hph_own_cache, (uintptr_t)object), 0))
		free_in_default(object);
}

size_t hpheap_malloc_usable_size(const void *object)
{
	bool later;

	if (object && hph_bootstrap_has(object))
		return hph_bootstrap_size(object);
	if (hph_guard_has(object))
		return hph_guard_size(object);
	return hpheap_malloc_usable_size_in(hph_bootstrap_heap(&later), object);
}
