// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Heaps as a whole: made, registered, kept through fork(), destroyed.
 *
 * All of a heap lies in mappings of its own, the heap structure included.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bootstrap.h"
#include "cache.h"
#include "guard.h"
#include "options.h"
#include "os.h"
#include "publish.h"
#include "scavenger.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hpheap *registry;
/* Made under the registry's lock, and never destroyed. */
static struct hpheap *_Atomic default_heap;
static uint64_t heaps_made;	/* under the registry's lock */
static int cancel_state;	/* of who has the registry's lock */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void lock_registry(void)
{
	const int state = hph_os_hold_cancel();

	pthread_mutex_lock(&registry_lock);
	cancel_state = state;
	hph_bootstrap_making(true);
}

static void unlock_registry(void)
{
	const int state = cancel_state;

	hph_bootstrap_making(false);
	pthread_mutex_unlock(&registry_lock);
	hph_os_allow_cancel(state);
}

void hph_heap_stop(struct hpheap *heap)
{
	unsigned int i;

	pthread_mutex_lock(&heap->grow);
	hph_caches_close(heap);
	for (i = 0; i < heap->nr_zones; i++)
		hph_bins_lock(&heap->zones[i]);
	hph_zones_lock(heap);
}

void hph_heap_resume(struct hpheap *heap)
{
	unsigned int i;

	hph_zones_unlock(heap);
	for (i = 0; i < heap->nr_zones; i++)
		hph_bins_unlock(&heap->zones[i]);
	hph_caches_open(heap);
	pthread_mutex_unlock(&heap->grow);
}

/*
 * fork() copies one thread: no lock may be in another one's hands, nor what it
 * protects half changed.
 */
static void before_fork(void)
{
	struct hpheap *heap;

	pthread_mutex_lock(&registry_lock);
	hph_scavenger_before_fork();
	for (heap = registry; heap; heap = heap->next) {
		hph_heap_stop(heap);
		hph_before_fork(heap);
	}
	hph_guard_lock();
	hph_bootstrap_lock();
}

static void unlock_all(bool in_child)
{
	struct hpheap *heap;

	hph_bootstrap_unlock();
	hph_guard_unlock();
	for (heap = registry; heap; heap = heap->next)
		hph_heap_resume(heap);
	hph_scavenger_after_fork(in_child);
	pthread_mutex_unlock(&registry_lock);
}

static void after_fork_in_parent(void)
{
	unlock_all(false);
}

static void after_fork_in_child(void)
{
	struct hpheap *heap;

	for (heap = registry; heap; heap = heap->next)
		hph_after_fork(heap);
	unlock_all(true);
}

/* Without memory for the handlers heaps still work; forks of threaded programs may not. */
static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/*
 * Before the program sets up handlers of its own, so that these run while the heaps
 * are at work: the last that came is the first before a fork, and the last behind it.
 */
__attribute__((constructor)) static void watch_forks_early(void)
{
	pthread_once(&once, watch_forks);
}

/* The default heap, or NULL: nobody has asked for it yet. */
struct hpheap *hph_heap_default_there(void)
{
	return atomic_load(&default_heap);
}

bool hph_heap_is_default(const struct hpheap *heap)
{
	return heap == atomic_load(&default_heap);
}

/* Calls @visit for every heap; none is made, destroyed or forked meanwhile. */
void hph_heaps_visit(void (*visit)(struct hpheap *heap, void *arg), void *arg)
{
	struct hpheap *heap;

	pthread_mutex_lock(&registry_lock);
	for (heap = registry; heap; heap = heap->next)
		visit(heap, arg);
	pthread_mutex_unlock(&registry_lock);
}

static int check_options(const struct hpheap_options *options)
{
	if ((options->size && options->size != sizeof(*options)) ||
	    options->flags & ~HPHEAP_EFENCE ||
	    options->backend > HPHEAP_BACKEND_SMALL ||
	    options->fork > HPHEAP_FORK_NONE || options->padding ||
	    options->placement > HPHEAP_PLACE_NODE)
		return -EINVAL;
	if (options->placement == HPHEAP_PLACE_NODE && !hph_numa_node_valid(options->node))
		return -EINVAL;
	return 0;
}

__attribute__((format(printf, 2, 3)))
static void set_reason(struct hpheap *heap, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(heap->reason, sizeof(heap->reason), format, args);
	va_end(args);
}

/* What does without the device, and what is to be said about that. */
static int use_anonymous(struct hpheap *heap, bool huge, const char *why, const char *path)
{
	const char *shortcoming = huge ? hph_anon_shortcoming() : NULL;

	heap->backend = hph_anon_open(&heap->meta, huge);
	if (!heap->backend)
		return -ENOMEM;
	heap->kind = huge ? HPHEAP_BACKEND_THP : HPHEAP_BACKEND_SMALL;
	if (path)
		set_reason(heap, "%.40s: %s%s%s", path, why, shortcoming ? "; " : "",
			   shortcoming ? shortcoming : "");
	else
		set_reason(heap, "%s%s%s", why, shortcoming ? "; " : "",
			   shortcoming ? shortcoming : "");
	return 0;
}

/* Anonymous memory cannot be shared: where the device's is, nothing else will do. */
static int use_device(struct hpheap *heap, const char *path, enum hpheap_fork fork)
{
	int error;

	/* First: what is opened after it needs no undoing. */
	if (fork != HPHEAP_FORK_SHARE) {
		heap->fallback = hph_anon_open(&heap->meta, true);
		if (!heap->fallback)
			return -ENOMEM;
	}
	error = hph_device_open(&heap->meta, path, fork, &heap->backend);
	if (error) {
		heap->fallback = NULL;
		return error;
	}
	heap->kind = HPHEAP_BACKEND_DEVICE;
	set_reason(heap, "%.40s: in use", path);
	return 0;
}

static int choose_backend(struct hpheap *heap, const char *path, enum hpheap_fork fork)
{
	int error;

	switch (heap->wanted) {
	case HPHEAP_BACKEND_SMALL:
		return use_anonymous(heap, false, "base pages were asked for", NULL);
	case HPHEAP_BACKEND_THP:
		return use_anonymous(heap, true, "transparent huge pages were asked for", NULL);
	case HPHEAP_BACKEND_DEVICE:
		return use_device(heap, path, fork);
	default:
		error = use_device(heap, path, fork);
		if (error)
			error = use_anonymous(heap, true, hph_device_shortcoming(error), path);
		return error;
	}
}

/* The path outlives what the caller passed. */
static const char *copy_path(struct hpheap *heap, const char *path)
{
	const size_t bytes = strlen(path) + 1;
	char *copy = hph_meta_alloc(&heap->meta, bytes);

	return copy ? memcpy(copy, path, bytes) : NULL;
}

/* In whole units; 0 bytes are no limit. */
static size_t to_limit(uint64_t bytes)
{
	return bytes && bytes >> HPH_HUGE_SHIFT < SIZE_MAX ? (size_t)(bytes >> HPH_HUGE_SHIFT) :
							      SIZE_MAX;
}

static int init(struct hpheap *heap, const struct hpheap_options *options,
		struct hph_backend *backend)
{
	const struct hph_environment *env = hph_environment();
	const char *path = copy_path(heap, options->device ? options->device : env->device);
	const uint64_t limit = options->limit_bytes ? options->limit_bytes : env->limit_bytes;
	const enum hpheap_fork fork = options->fork ? (enum hpheap_fork)options->fork : env->fork;
	int error;

	if (!path)
		return -ENOMEM;
	heap->wanted = options->backend == HPHEAP_BACKEND_AUTO ? env->backend : options->backend;
	if (options->fork == HPHEAP_FORK_SHARE) {
		if (heap->wanted == HPHEAP_BACKEND_AUTO)
			heap->wanted = HPHEAP_BACKEND_DEVICE;
		if (heap->wanted != HPHEAP_BACKEND_DEVICE)
			return -EOPNOTSUPP;
	}
	heap->place = (struct hph_place){
		.placement = (enum hpheap_placement)options->placement, .node = options->node,
	};
	if (options->placement == HPHEAP_PLACE_LOCAL)
		heap->place = env->place;
	heap->efence = options->flags & HPHEAP_EFENCE || env->efence;
	atomic_init(&heap->limit_units, to_limit(limit));

	error = hph_unitmap_init(&heap->map, &heap->meta);
	if (!error)
		error = hph_zones_init(heap);
	if (error)
		return error;
	heap->backend = backend;
	if (!backend)
		error = choose_backend(heap, path, fork);
	if (error)
		return error;
	hph_arena_init(&heap->arena, heap->backend, &heap->meta, heap->base_page);
	return 0;
}

/* The registry's lock is held. */
static int create(const struct hpheap_options *options, struct hph_backend *backend,
		  size_t base_page, struct hpheap **result)
{
	struct hph_meta meta = { 0 };
	struct hpheap *heap = hph_meta_alloc(&meta, sizeof(*heap));
	int error;

	if (!heap)
		return -ENOMEM;
	if (!heaps_made) {
		hph_classes_init();
		hph_guard_start(hph_environment()->guard);
	}
	heap->meta = meta;
	heap->base_page = base_page;
	heap->secret = hph_os_random();
	error = init(heap, options, backend);
	if (error) {
		meta = heap->meta;
		hph_meta_destroy(&meta);
		return error;
	}
	pthread_mutex_init(&heap->grow, NULL);
	pthread_once(&once, watch_forks);	/* in a constructor before ours */
	if (!heaps_made) {
		hph_caches_prepare();
		hph_publish(&registry);
	}
	heap->id = ++heaps_made;
	heap->cache_slot = hph_cache_slot(heap->id);
	heap->next = registry;
	registry = heap;
	*result = heap;
	return 0;
}

/**
 * hph_heap_create() - a heap on any backend, on a system with any base page
 * @backend: NULL: as options, environment and system say
 */
int hph_heap_create(const struct hpheap_options *options, struct hph_backend *backend,
		    size_t base_page, struct hpheap **result)
{
	int error = check_options(options);

	if (error)
		return error;
	lock_registry();
	error = create(options, backend, base_page, result);
	unlock_registry();
	return error;
}

struct hpheap *hpheap_create(const struct hpheap_options *options)
{
	static const struct hpheap_options defaults;
	struct hpheap *heap = NULL;
	int error;

	error = hph_heap_create(options ? options : &defaults, NULL, hph_os_base_page(), &heap);
	if (error)
		errno = -error;
	return heap;
}

struct hpheap *hpheap_default(void)
{
	static const struct hpheap_options defaults;
	struct hpheap *heap = atomic_load(&default_heap);
	int error = 0;

	if (heap)
		return heap;
	lock_registry();
	heap = atomic_load(&default_heap);
	if (!heap) {
		error = create(&defaults, NULL, hph_os_base_page(), &heap);
		atomic_store(&default_heap, heap);
	}
	unlock_registry();
	if (error)
		errno = -error;
	return heap;
}

/* What is free above it goes at once, what is in use when it becomes free. */
int hpheap_set_limit(struct hpheap *heap, uint64_t bytes)
{
	const size_t limit = to_limit(bytes);
	size_t held, released = 0;
	unsigned int i;

	if (!heap) {
		errno = EINVAL;
		return -1;
	}
	atomic_store(&heap->limit_units, limit);
	held = atomic_load(&heap->held_units);
	if (held > limit)
		hph_shrink(heap, held - limit, &released);
	if (limit != SIZE_MAX)
		hph_ahead_close(heap);
	for (i = 0; limit != SIZE_MAX && i < heap->nr_zones; i++)
		hph_purgeable_release(heap, &heap->zones[i], SIZE_MAX);
	return 0;
}

void hpheap_destroy(struct hpheap *heap)
{
	struct hpheap **link;
	struct hph_meta meta;
	int cancel;

	if (!heap)
		return;
	if (heap == atomic_load(&default_heap))
		return;
	lock_registry();
	for (link = &registry; *link != heap; link = &(*link)->next)
		if (!*link)
			hph_os_die("hpheap_destroy(%p): no such heap", (void *)heap);
	*link = heap->next;
	unlock_registry();

	cancel = hph_os_hold_cancel();
	hph_arena_destroy(&heap->arena);
	heap->backend->ops->close(heap->backend);
	if (heap->fallback)
		heap->fallback->ops->close(heap->fallback);
	hph_zones_destroy(heap);
	pthread_mutex_destroy(&heap->grow);
	meta = heap->meta;
	hph_meta_destroy(&meta);
	hph_os_allow_cancel(cancel);
}
