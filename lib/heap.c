// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Heaps as a whole: made, registered, kept through fork(), destroyed.
 *
 * All of a heap lies in mappings of its own, the heap structure included.
 */
#include "heap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "os.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hpheap *registry;
static struct hpheap *default_heap;	/* under the registry's lock */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/*
 * fork() copies one thread: no lock may be in another one's hands, nor what it
 * protects half changed.
 */
static void before_fork(void)
{
	struct hpheap *heap;

	pthread_mutex_lock(&registry_lock);
	for (heap = registry; heap; heap = heap->next) {
		pthread_mutex_lock(&heap->grow);
		pthread_mutex_lock(&heap->lock);
	}
}

static void unlock_all(void)
{
	struct hpheap *heap;

	for (heap = registry; heap; heap = heap->next) {
		pthread_mutex_unlock(&heap->lock);
		pthread_mutex_unlock(&heap->grow);
	}
	pthread_mutex_unlock(&registry_lock);
}

static void after_fork_in_child(void)
{
	struct hpheap *heap;

	for (heap = registry; heap; heap = heap->next)
		hph_after_fork(heap);
	unlock_all();
}

static void watch_forks(void)
{
	/* Without memory for the handlers heaps still work; forks of threaded programs may not. */
	pthread_atfork(before_fork, unlock_all, after_fork_in_child);
}

static int check_options(const struct hpheap_options *options)
{
	if ((options->size && options->size != sizeof(*options)) || options->flags ||
	    options->backend > HPHEAP_BACKEND_SMALL ||
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

static int use_device(struct hpheap *heap, const char *path)
{
	int error;

	/* First: what is opened after it needs no undoing. */
	heap->fallback = hph_anon_open(&heap->meta, true);
	if (!heap->fallback)
		return -ENOMEM;
	error = hph_device_open(&heap->meta, path, &heap->backend);
	if (error) {
		heap->fallback = NULL;
		return error;
	}
	heap->kind = HPHEAP_BACKEND_DEVICE;
	set_reason(heap, "%.40s: in use", path);
	return 0;
}

static int choose_backend(struct hpheap *heap, const char *path)
{
	int error;

	switch (heap->wanted) {
	case HPHEAP_BACKEND_SMALL:
		return use_anonymous(heap, false, "base pages were asked for", NULL);
	case HPHEAP_BACKEND_THP:
		return use_anonymous(heap, true, "transparent huge pages were asked for", NULL);
	case HPHEAP_BACKEND_DEVICE:
		return use_device(heap, path);
	default:
		error = use_device(heap, path);
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

static int init(struct hpheap *heap, const struct hpheap_options *options)
{
	const struct hph_environment *env = hph_environment();
	const char *path = copy_path(heap, options->device ? options->device : env->device);
	uint64_t limit = options->limit_bytes ? options->limit_bytes : env->limit_bytes;
	int error;

	if (!path)
		return -ENOMEM;
	heap->wanted = options->backend == HPHEAP_BACKEND_AUTO ? env->backend : options->backend;
	heap->place = (struct hph_place){
		.placement = (enum hpheap_placement)options->placement, .node = options->node,
	};
	if (options->placement == HPHEAP_PLACE_LOCAL)
		heap->place = env->place;
	limit >>= HPH_HUGE_SHIFT;
	heap->limit_units = SIZE_MAX;
	if ((options->limit_bytes || env->limit_bytes) && limit < SIZE_MAX)
		heap->limit_units = (size_t)limit;

	error = hph_pages_init(&heap->pages, &heap->meta);
	if (error)
		return error;
	heap->base_page = hph_os_base_page();
	error = choose_backend(heap, path);
	if (error)
		return error;
	hph_arena_init(&heap->arena, heap->backend, &heap->meta, heap->base_page);
	return 0;
}

/* The registry's lock is held. */
static int create(const struct hpheap_options *options, struct hpheap **result)
{
	struct hph_meta meta = { 0 };
	struct hpheap *heap = hph_meta_alloc(&meta, sizeof(*heap));
	int error;

	if (!heap)
		return -ENOMEM;
	heap->meta = meta;
	error = init(heap, options);
	if (error) {
		meta = heap->meta;
		hph_meta_destroy(&meta);
		return error;
	}
	pthread_mutex_init(&heap->lock, NULL);
	pthread_mutex_init(&heap->grow, NULL);
	pthread_once(&fork_once, watch_forks);
	heap->next = registry;
	registry = heap;
	*result = heap;
	return 0;
}

struct hpheap *hpheap_create(const struct hpheap_options *options)
{
	static const struct hpheap_options defaults;
	struct hpheap *heap = NULL;
	int error;

	if (!options)
		options = &defaults;
	error = check_options(options);
	if (!error) {
		pthread_mutex_lock(&registry_lock);
		error = create(options, &heap);
		pthread_mutex_unlock(&registry_lock);
	}
	if (error)
		errno = -error;
	return heap;
}

struct hpheap *hpheap_default(void)
{
	static const struct hpheap_options defaults;
	int error = 0;
	struct hpheap *heap;

	pthread_mutex_lock(&registry_lock);
	if (!default_heap)
		error = create(&defaults, &default_heap);
	heap = default_heap;
	pthread_mutex_unlock(&registry_lock);
	if (error)
		errno = -error;
	return heap;
}

void hpheap_destroy(struct hpheap *heap)
{
	struct hpheap **link;
	struct hph_meta meta;

	if (!heap)
		return;
	pthread_mutex_lock(&registry_lock);
	if (heap == default_heap) {
		pthread_mutex_unlock(&registry_lock);
		return;
	}
	for (link = &registry; *link != heap; link = &(*link)->next)
		if (!*link)
			hph_os_die("hpheap_destroy(%p): no such heap", (void *)heap);
	*link = heap->next;
	pthread_mutex_unlock(&registry_lock);

	hph_arena_destroy(&heap->arena);
	heap->backend->ops->close(heap->backend);
	if (heap->fallback)
		heap->fallback->ops->close(heap->fallback);
	pthread_mutex_destroy(&heap->lock);
	pthread_mutex_destroy(&heap->grow);
	meta = heap->meta;
	hph_meta_destroy(&meta);
}
