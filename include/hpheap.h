/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libhpheap: a heap of huge pages.
 *
 * A heap hands out spans: runs of 8 KiB heap pages, taken from arenas of
 * 2 MiB huge units. Arenas come from /dev/hpheap where the module is there
 * and permits it, from anonymous memory with transparent huge pages elsewhere
 * (the embedded default: no module, no privilege). hpheap(7) is the overview.
 *
 * Every function is thread-safe unless it says otherwise. None is
 * async-signal-safe. Failure is a null pointer or -1, with errno set; the
 * library writes to stderr only for a wrong value in its environment, and
 * aborts only on a broken invariant of its own or heap corruption.
 *
 * After fork() both processes have a heap that works, and what was in it: their memory is
 * copied on write, that of the device in whole chunks. See enum hpheap_fork.
 */
#ifndef HPHEAP_H
#define HPHEAP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HPHEAP_API __attribute__((visibility("default")))
#else
#define HPHEAP_API
#endif

#define HPHEAP_VERSION		"0.1.0"

/* Units: the same on every system, whatever its base page is. */
#define HPHEAP_PAGE_SIZE	((size_t)8 << 10)	/* heap page: what spans are counted in */
#define HPHEAP_HUGE_SIZE	((size_t)2 << 20)	/* huge unit: what is placed and released */
#define HPHEAP_MIN_BASE_PAGE	((size_t)4 << 10)	/* bounds of the system's page size, */
#define HPHEAP_MAX_BASE_PAGE	((size_t)64 << 10)	/* which is read at run time */

struct hpheap;

enum hpheap_backend {
	HPHEAP_BACKEND_AUTO,	/* device when it can be opened, else THP */
	HPHEAP_BACKEND_DEVICE,	/* /dev/hpheap or failure */
	HPHEAP_BACKEND_THP,	/* anonymous memory, transparent huge pages */
	HPHEAP_BACKEND_SMALL,	/* anonymous memory, base pages only */
};

enum hpheap_placement {
	HPHEAP_PLACE_LOCAL,	 /* near the CPU that makes the heap grow */
	HPHEAP_PLACE_INTERLEAVE, /* huge units in turn over all nodes */
	HPHEAP_PLACE_NODE,	 /* hpheap_options.node, others when it is full */
};

/* What a child of fork() has of a heap's memory on the device; other memory is always copied. */
enum hpheap_fork {
	HPHEAP_FORK_AUTO,	/* as HPHEAP_FORK in the environment says, else COW */
	HPHEAP_FORK_COW,	/* a copy, made chunk by chunk where either writes; if the module */
				/* cannot: NONE */
	HPHEAP_FORK_SHARE,	/* the same memory: see hpheap_options.fork */
	HPHEAP_FORK_NONE,	/* nothing: a touch there is SIGSEGV */
};

/*
 * hpheap_options.flags: a freed span becomes inaccessible, and its addresses are
 * never used again, so that a use after free faults at once. To find such errors:
 * slow, and it ends with ENOMEM when the system has no more mappings or addresses.
 */
#define HPHEAP_EFENCE		(1U << 0)

/**
 * struct hpheap_options - how to make a heap; all zeroes is the default
 * @size: sizeof(struct hpheap_options), or 0 for the same
 * @backend: enum hpheap_backend; AUTO is then decided by HPHEAP_BACKEND in
 *           the environment
 * @placement: enum hpheap_placement; LOCAL is then decided by HPHEAP_NODE
 * @node: for HPHEAP_PLACE_NODE
 * @flags: 0 or HPHEAP_EFENCE, which HPHEAP_EFENCE=1 in the environment also sets
 * @limit_bytes: most bytes of memory the heap may hold, 0 = no limit
 * @device: path of the device, NULL = HPHEAP_DEVICE or /dev/hpheap
 * @fork: enum hpheap_fork. With SHARE the heap is on the device whole, and spans that are
 *        there at fork() are the parent's: both processes see what either writes there, until
 *        the parent frees it. What the child frees of them it just forgets; what it allocates
 *        since is its own
 * @padding: 0
 */
struct hpheap_options {
	size_t size;
	uint32_t backend;
	uint32_t placement;
	uint32_t node;
	uint32_t flags;
	uint64_t limit_bytes;
	const char *device;
	uint32_t fork;
	uint32_t padding;
};

/* hpheap_span_alloc() flags */
#define HPHEAP_SPAN_ZERO	(1U << 0) /* contents are zero */
#define HPHEAP_SPAN_BASE_ALIGNED (1U << 1) /* begins on a base page and shares none */
#define HPHEAP_SPAN_LAZY	(1U << 2) /* huge units of it may get their memory when touched */

/* hpheap_reserve(): no node in particular */
#define HPHEAP_NODE_ANY		(-1)

/**
 * struct hpheap_stats - what a heap holds, in bytes unless named otherwise
 *
 * address_bytes >= committed_bytes and committed_bytes = used_bytes +
 * free_bytes + away_bytes + fenced_bytes hold always.
 */
struct hpheap_stats {
	size_t size;		/* in: sizeof(struct hpheap_stats); out: bytes filled */
	uint32_t backend;	/* enum hpheap_backend in use, never AUTO */
	uint32_t backend_wanted; /* what options and environment asked for */
	char backend_reason[120]; /* one line: why this backend */
	uint64_t base_page_bytes;
	uint64_t address_bytes;	/* address space held by arenas */
	uint64_t committed_bytes; /* of huge units that were committed and not released, and lazy */
	uint64_t device_bytes;	/* of them: in device chunks */
	uint64_t fallback_bytes; /* of them: THP where the device was wanted */
	uint64_t used_bytes;	/* in live spans: whole heap pages, or halves of 4 KiB of slabs */
	uint64_t free_bytes;	/* in committed heap pages without a span */
	uint64_t free_huge_bytes; /* of them: in whole free huge units */
	uint64_t spans;		/* live spans, those that objects are cut from among them */
	uint64_t arenas;	/* contiguous pieces of address space */
	uint64_t grow_calls;	/* reservations of address space, ever */
	uint64_t commit_calls;	/* huge units committed, ever */
	uint64_t release_calls;	/* huge units given back, ever */
	uint64_t fallback_units; /* huge units that fell back from the device, ever */
	int32_t fallback_errno;	/* why the last of them did */
	uint32_t device_lost;	/* times somebody had closed the device's descriptor */
	uint64_t peak_committed_bytes;
	int32_t placement_errno; /* why a placement was refused last, 0 = it was not */
	uint32_t padding;
	uint64_t cached_bytes;	/* of free_bytes: in caches of threads, and between them */
	uint64_t away_bytes;	/* of committed_bytes: given back out of huge units with spans, */
				/* and out of slabs, which then have fewer used_bytes */
	uint64_t fenced_bytes;	/* of committed_bytes: freed, and never used again (efence) */
	uint64_t purgeable_bytes; /* not committed; there until the system needs it (device) */
	uint64_t scavenged_bytes; /* given back or made purgeable by the scavenger, ever */
	uint64_t slab_bytes;	/* of used_bytes: in spans that small objects are cut from */
	uint64_t object_bytes;	/* of slab_bytes: in objects that the program has */
	uint64_t lazy_bytes;	/* of used_bytes: in huge units that get memory when touched */
};

/**
 * hpheap_create - make a heap
 * @options: how, or NULL for the default
 *
 * Reserves nothing yet: the first span does. The heap lives until
 * hpheap_destroy().
 *
 * Returns the heap, or NULL with errno: EINVAL a bad option; ENOMEM; with
 * HPHEAP_FORK_SHARE, EOPNOTSUPP the backend is to be another than the device; with that or
 * HPHEAP_BACKEND_DEVICE also what open() of the device said, ENODEV where it
 * is no hpheap device, EPROTO where its ABI is another one, EOPNOTSUPP where it
 * has no chunks of the size of a huge unit.
 */
HPHEAP_API struct hpheap *hpheap_create(const struct hpheap_options *options);

/**
 * hpheap_destroy - give back all memory of a heap
 * @heap: the heap, or NULL
 *
 * Every span of it becomes invalid. Not thread-safe against other calls on
 * the same heap. The default heap cannot be destroyed: that is ignored.
 */
HPHEAP_API void hpheap_destroy(struct hpheap *heap);

/**
 * hpheap_default - the process's own heap, made at the first call
 *
 * Returns the heap, or NULL with errno as hpheap_create() sets it.
 */
HPHEAP_API struct hpheap *hpheap_default(void);

/**
 * hpheap_span_alloc - allocate a span
 * @heap: where from
 * @bytes: at least so many, more than 0; rounded up to heap pages
 * @align: of the address, a power of two; 0 or less than a heap page = heap page
 * @flags: HPHEAP_SPAN_*
 *
 * Contents are undefined without HPHEAP_SPAN_ZERO. The memory is committed:
 * touching it cannot fail for want of memory, but for copies after fork(). With
 * HPHEAP_SPAN_LAZY, and no memory at hand, whole huge units of anonymous memory (thp, small)
 * come as they are touched, as they do from mmap(): what is not used costs nothing. A span of no
 * more than one unit has its memory all the same: any touch would bring all of a huge page.
 *
 * Returns the first byte, or NULL with errno: EINVAL no bytes, bad alignment
 * or flag; ENOMEM no memory, no address space, or over the heap's limit.
 */
HPHEAP_API void *hpheap_span_alloc(struct hpheap *heap, size_t bytes, size_t align,
				   unsigned int flags);

/**
 * hpheap_span_free - free a span
 * @heap: the heap it came from
 * @span: what hpheap_span_alloc() returned, or NULL
 *
 * Aborts with one line when @span is not the start of a live span of @heap:
 * going on would corrupt it.
 */
HPHEAP_API void hpheap_span_free(struct hpheap *heap, void *span);

/**
 * hpheap_span_find - the span that an address lies in
 * @heap: the heap it may be of
 * @address: any; it is not read
 * @bytes: out, if not NULL: the size of the span
 *
 * Takes constant time. Returns the first byte of the live span, or NULL with
 * errno EINVAL: there is none.
 */
HPHEAP_API void *hpheap_span_find(struct hpheap *heap, const void *address, size_t *bytes);

/**
 * hpheap_span_size - usable bytes of a span, a multiple of the heap page
 * @heap: the heap it came from
 * @span: what hpheap_span_alloc() returned
 *
 * Returns 0 with errno EINVAL when @span is not the start of a live span.
 */
HPHEAP_API size_t hpheap_span_size(struct hpheap *heap, const void *span);

/**
 * hpheap_reserve - commit and map memory ahead of its use
 * @heap: the heap that shall have it
 * @bytes: so many more than are free now, rounded up to huge units
 * @node: memory of this node, or HPHEAP_NODE_ANY
 *
 * After success spans up to @bytes in all are taken without a system call or
 * page fault, as far as their sizes fit the units, by threads that run on that node
 * (HPHEAP_NODE_ANY: on the caller's). On failure nothing is kept.
 *
 * Returns 0, or -1 with errno: EINVAL no such node; ENOMEM as above.
 */
HPHEAP_API int hpheap_reserve(struct hpheap *heap, size_t bytes, int node);

/**
 * hpheap_scavenge - return free memory to the system now
 * @heap: the heap
 * @bytes: at least so many if there are as many, SIZE_MAX for all
 *
 * Whole free huge units first, highest addresses first; if these are not enough
 * and the memory is anonymous, the free base pages of sparse huge units (the policy's
 * sparse_percent), or of all if @bytes is SIZE_MAX, and the pages of slabs on which no object
 * lies: these are huge pages no more until they fill or empty. What threads hold in their caches
 * is freed for that.
 *
 * Returns the bytes returned.
 */
HPHEAP_API size_t hpheap_scavenge(struct hpheap *heap, size_t bytes);

/**
 * hpheap_set_limit - how much memory a heap may hold from now on
 * @heap: the heap
 * @bytes: counted in whole huge units, as hpheap_options.limit_bytes; 0 = no limit
 *
 * If the heap holds more, free memory goes at once, as far as there is some; what is in
 * use stays, and while it is more than the limit all requests that need more memory get
 * ENOMEM, and the scavenger gives back whatever becomes free.
 *
 * Returns 0, or -1 with errno EINVAL: no heap.
 */
HPHEAP_API int hpheap_set_limit(struct hpheap *heap, uint64_t bytes);

/**
 * struct hpheap_policy - when the scavenger gives back, and how fast
 * @size: sizeof(struct hpheap_policy)
 * @window_ms: memory that was not needed for so long goes (usually 1000; 10 to 600000)
 * @cpu_permille: of one CPU, what giving back may cost (10; 1 to 1000)
 * @margin_percent: of the huge units in use, so many stay free beside them (6; to 100)
 * @margin_units: and at least so many (2)
 * @loose_percent: when of used units so much is free, against what is in use, free base pages
 *                 of sparse units go (50; to 10000),
 * @tight_percent: until it is so much (10; to 10000), and come back when a quarter more is in use,
 *                 or a sixteenth and, with them, less than three quarters of @loose_percent would
 *                 be free; of a heap that has shrunk by a quarter in the last minutes, they go
 *                 whenever it is more than that
 * @sparse_percent: a huge unit of which at most so much is in use is sparse (70; to 100)
 * @idle_windows: of a sparse unit that did not change in so many windows the free base
 *                pages go (2; 1 to 10000)
 * @whole_windows: and of the same unit not again for so many (60; 1 to 10000)
 * @purgeable_windows: memory that was made purgeable is released after so many (10; 1 to 10000)
 * @headroom_percent: of a limit of the memory cgroup, so much is left (6; to 50)
 * @pressure_ms: threads waited for memory so long in two seconds, and pages are reclaimed: all
 *               that is free goes (200; to 2000, 0: nobody looks)
 * @ahead_units: a growing heap gets so many of the units that stay free beside those in use before
 *               it asks for them (8; to 1024)
 */
struct hpheap_policy {
	size_t size;
	uint32_t window_ms;
	uint32_t cpu_permille;
	uint32_t margin_percent;
	uint32_t margin_units;
	uint32_t loose_percent;
	uint32_t tight_percent;
	uint32_t sparse_percent;
	uint32_t idle_windows;
	uint32_t whole_windows;
	uint32_t purgeable_windows;
	uint32_t headroom_percent;
	uint32_t pressure_ms;
	uint32_t ahead_units;
};

/**
 * hpheap_get_policy - what the scavenger of this process goes by
 * @policy: filled; policy->size says that the caller knows the structure
 *
 * Returns 0, or -1 with errno EINVAL.
 */
HPHEAP_API int hpheap_get_policy(struct hpheap_policy *policy);

/**
 * hpheap_set_policy - what it shall go by from its next look on
 * @policy: all of it, as from hpheap_get_policy()
 *
 * Goes before what HPHEAP_SCAVENGE says. Returns 0, or -1 with errno EINVAL: a number is
 * out of its bounds; nothing was changed.
 */
HPHEAP_API int hpheap_set_policy(const struct hpheap_policy *policy);

/**
 * hpheap_stats - read a heap's numbers
 * @heap: the heap
 * @stats: filled; stats->size says how much of it the caller knows
 *
 * All numbers are of one moment. Returns 0, or -1 with errno EINVAL.
 */
HPHEAP_API int hpheap_stats(struct hpheap *heap, struct hpheap_stats *stats);

/**
 * hpheap_malloc and the others - as malloc(), from the default heap
 *
 * Alignment, zero sizes and errors are those of the C library's functions: memory is
 * aligned to 16 bytes, one of 0 bytes has an address of its own; NULL with errno ENOMEM: no
 * memory, or more than PTRDIFF_MAX bytes; hpheap_aligned_alloc() also EINVAL: @align is no power
 * of two. hpheap_realloc() to 0 bytes frees, and returns NULL. hpheap_free() leaves
 * errno as it is, and ignores NULL.
 *
 * Up to 64 KiB memory comes out of size classes that waste less than a ninth, beyond the
 * alignment; from there on it is whole heap pages. Each thread has a cache. What is
 * freed twice, not the address that was given out, or written to after it was freed is
 * noticed in most cases: one line, then abort().
 */
HPHEAP_API void *hpheap_malloc(size_t bytes);
HPHEAP_API void *hpheap_calloc(size_t count, size_t bytes);
HPHEAP_API void *hpheap_realloc(void *object, size_t bytes);
HPHEAP_API void *hpheap_aligned_alloc(size_t align, size_t bytes);
HPHEAP_API void hpheap_free(void *object);

/* So many bytes of @object may be used; 0: NULL. Aborts where there is no object. */
HPHEAP_API size_t hpheap_malloc_usable_size(const void *object);

/* The same from any heap; freed is where it came from. NULL with errno EINVAL: no heap. */
HPHEAP_API void *hpheap_malloc_in(struct hpheap *heap, size_t bytes);
HPHEAP_API void *hpheap_calloc_in(struct hpheap *heap, size_t count, size_t bytes);
HPHEAP_API void *hpheap_realloc_in(struct hpheap *heap, void *object, size_t bytes);
HPHEAP_API void *hpheap_aligned_alloc_in(struct hpheap *heap, size_t align, size_t bytes);
HPHEAP_API void hpheap_free_in(struct hpheap *heap, void *object);
HPHEAP_API size_t hpheap_malloc_usable_size_in(struct hpheap *heap, const void *object);

/* What a region is. */
enum hpheap_region_kind {
	HPHEAP_REGION_SPAN,	/* of a live span, counted in used_bytes */
	HPHEAP_REGION_CACHED,	/* a free one in a cache, counted in cached_bytes */
	HPHEAP_REGION_FREE,	/* memory without a span; with the cached, free_bytes */
	HPHEAP_REGION_EMPTY,	/* addresses without memory; some of away_bytes are among them */
	HPHEAP_REGION_FENCED,	/* freed and never used again, counted in fenced_bytes */
	HPHEAP_REGION_LOST,	/* of a live span; its memory is the parent's since fork() */
	HPHEAP_REGION_HOLLOW,	/* of a live span that objects are cut from; of away_bytes */
};

/**
 * struct hpheap_region - a piece of a heap's addresses
 * @address: of its first byte
 * @bytes: whole heap pages; of slabs that are hollow in part, halves of 4 KiB
 * @kind: enum hpheap_region_kind
 * @node: that its memory was asked of, HPHEAP_NODE_ANY: of none in particular
 * @backend: enum hpheap_backend that its memory is of; AUTO: it has none
 * @rest: 1: its span begins in a region before it; else 0
 */
struct hpheap_region {
	uintptr_t address;
	size_t bytes;
	uint32_t kind;
	int32_t node;
	uint32_t backend;
	uint32_t rest;
};

/* Returns 0 to go on, anything else to end the walk. */
typedef int (*hpheap_visitor)(const struct hpheap_region *region, void *arg);

/**
 * hpheap_walk - visit all regions of a heap, in the order of their addresses
 * @heap: the heap
 * @visit: called for each
 * @arg: given to it
 * @stats: out, if not NULL: statistics of the same moment; stats->size as for
 *         hpheap_stats()
 *
 * Regions do not overlap, and together are address_bytes; of each kind they add up to the
 * statistics. All is of one moment, in which the heap stood still; visits are
 * made after it, so the visitor may use the heap.
 *
 * Returns 0, what @visit returned if that was not 0, or -1 with errno: EINVAL;
 * ENOMEM no memory to write the regions down.
 */
HPHEAP_API int hpheap_walk(struct hpheap *heap, hpheap_visitor visit, void *arg,
			   struct hpheap_stats *stats);

enum hpheap_map_format {
	HPHEAP_MAP_PICTURE,	/* for a terminal: a line for each huge unit */
	HPHEAP_MAP_CSV,		/* for a program: a line for each region, as hpheap_walk() has it */
	HPHEAP_MAP_SVG,		/* to look at: a cell for each huge unit, with a legend */
	HPHEAP_MAP_PNG,		/* the same as a bitmap */
};

/**
 * hpheap_map_write - write a map of a heap
 * @heap: the heap
 * @file: where to
 * @format: how
 *
 * All of it is of one moment, in which the heap stood still.
 *
 * Returns 0, or -1 with errno: EINVAL; ENOMEM; EIO the file takes no more.
 */
HPHEAP_API int hpheap_map_write(struct hpheap *heap, FILE *file, enum hpheap_map_format format);

#ifdef __cplusplus
}
#endif

#endif /* HPHEAP_H */
