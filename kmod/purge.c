// SPDX-License-Identifier: GPL-2.0-only
/*
 * Purgeable chunks: free for their user, who would like to have them back warm.
 *
 * A marked chunk keeps its content and loses its mappings, so that the next touch
 * is seen: it takes the mark away. Until then the kernel may take the chunk when
 * memory is short, before it swaps or kills, of each node the one marked longest ago
 * first; and so does an arena that needs a chunk, where free memory lies in pieces.
 *
 * Marks stand in a list_lru: by node and by memory cgroup, so that a cgroup at its
 * limit takes its own. Linux finds out both by the mark: it is a slab object on the
 * chunk's node, charged like the chunk. A shrinker walks the list.
 *
 * Invariants:
 *  U1 folio->private of a chunk is its mark, or how many views share it (chunk.c), or
 *     NULL; it changes with the folio locked.
 *  U2 a chunk with a mark is in its slot and is not mapped: it is mapped only with
 *     the folio locked and the mark taken away.
 *  U3 a mark is in the list until its chunk leaves it with the folio locked.
 *  U4 a view lives as long as it counts a mark: to take the mark off is the last
 *     that the shrinker does with it.
 *
 * The shrinker runs wherever somebody allocates, also under this module's own
 * locks: it takes none but by trying, and sleeps nowhere.
 */
#include "purge.h"

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/hpheap.h>

#include "account.h"
#include "arena.h"
#include "arg.h"
#include "compat.h"
#include "fork.h"
#include "map.h"
#include "trace.h"
#include "view.h"

/* What the first published structure holds; later fields come after it. */
#define PURGEABLE_SIZE_VER0	32

/* Who asks for pages is told of chunks as if all were the smallest. */
#define MIN_CHUNK_PAGES	(1UL << (HPHEAP_MIN_CHUNK_SHIFT - PAGE_SHIFT))

struct mark {
	struct list_head lru;
	struct hpheap_view *view;
	struct folio *folio;
};

static struct kmem_cache *marks;
static struct list_lru lru;
static struct shrinker *shrinker;
static bool ready;	/* the list is there: Linux 6.1 asks as soon as the shrinker is */

static void count_marked(struct hpheap_view *view, struct folio *folio, long sign)
{
	atomic64_add(sign * (long)folio_size(folio), &hpheap_counters.purgeable_bytes);
	atomic_long_add_return_release(sign, &view->purgeable);
}

/*
 * A mark where Linux will look for it. The first call makes the list of the cgroup; it
 * has no word in it for the node.
 */
static struct mark *alloc_mark(gfp_t gfp, int node)
{
	struct mark *mark = kmem_cache_alloc_lru(marks, &lru, gfp), *near;

	if (!mark || page_to_nid(virt_to_page(mark)) == node)
		return mark;
	near = kmem_cache_alloc_node(marks, gfp | __GFP_THISNODE | __GFP_NOWARN, node);
	if (!near)
		return mark;
	kmem_cache_free(marks, mark);
	return near;
}

/* The cgroup that is charged for a chunk, to be put; NULL: none is. */
static struct mem_cgroup *payer_of(struct folio *folio)
{
	struct mem_cgroup *memcg;

	rcu_read_lock();
	do {
		memcg = folio_memcg(folio);
	} while (memcg && !compat_memcg_tryget(memcg));
	rcu_read_unlock();
	return memcg;
}

/* Nobody pays for what came from the pool: no cgroup gets anything for it. */
static struct mark *new_mark(struct hpheap_view *view, struct folio *folio)
{
	struct mem_cgroup *memcg = payer_of(folio), *old = set_active_memcg(memcg);
	struct mark *mark = alloc_mark(memcg ? GFP_KERNEL_ACCOUNT : GFP_KERNEL,
				       folio_nid(folio));

	set_active_memcg(old);
	mem_cgroup_put(memcg);
	if (mark) {
		INIT_LIST_HEAD(&mark->lru);
		mark->view = view;
		mark->folio = folio;
	}
	return mark;
}

/**
 * hpheap_purge_unmark() - take a chunk's mark away
 * @view: the view
 * @folio: a chunk of it, locked, or of an arena that nobody else knows any more
 *
 * Return: whether it had one.
 */
bool hpheap_purge_unmark(struct hpheap_view *view, struct folio *folio)
{
	struct mark *mark = folio->private;

	if (!mark || hpheap_chunk_was_shared(folio))
		return false;
	WARN_ON_ONCE(!compat_list_lru_del(&lru, &mark->lru));
	folio->private = NULL;
	count_marked(view, folio, -1);
	kmem_cache_free(marks, mark);
	return true;
}

/* The same for who goes on using it. */
void hpheap_purge_reuse(struct hpheap_view *view, struct folio *folio)
{
	unsigned long index = folio->index >> folio_order(folio);

	if (!hpheap_purge_unmark(view, folio))
		return;
	hpheap_view_set_status(view, index, HPHEAP_CHUNK_RESIDENT);
	atomic64_inc(&hpheap_counters.chunks_reused);
	trace_hpheap_chunk_reuse(view->arena->id, index, folio_nid(folio));
}

/**
 * hpheap_purge_wait() - until no shrinker knows a view any more
 * @view: without chunks
 *
 * One that emptied the last slot may still be about to say so, under a spinlock.
 */
void hpheap_purge_wait(struct hpheap_view *view)
{
	while (atomic_long_read_acquire(&view->purgeable))
		schedule_timeout_uninterruptible(1);
}

/*
 * A chunk that another view has, too, can be given up at once: the memory is in use
 * there. With the folio locked.
 */
static void give_up(struct hpheap_view *view, struct address_space *mapping,
		    unsigned long index, struct folio *folio)
{
	hpheap_view_remove(view, index, folio, HPHEAP_CHUNK_TAKEN);
	hpheap_chunk_unshare(folio);
	hpheap_view_unmap(view, index, mapping);
	folio_put(folio);
	atomic64_inc(&hpheap_counters.chunks_marked);
	atomic64_inc(&hpheap_counters.chunks_taken);
}

/* Marks the chunk of a slot, if there is one: 1 if it is now marked and was not, or -ENOMEM. */
static int mark_chunk(struct hpheap_view *view, struct address_space *mapping,
		      unsigned long index)
{
	struct folio *folio = hpheap_view_get(view, index);
	struct mark *mark;
	int marked = 0;

	if (!folio)
		return 0;
	mark = new_mark(view, folio);
	if (!mark) {
		folio_put(folio);
		return -ENOMEM;
	}
	folio_lock(folio);
	/* What is broken goes to nobody. */
	if (!hpheap_view_holds(view, index, folio) || hpheap_chunk_has_poison(folio)) {
		marked = 0;
	} else if (hpheap_chunk_is_shared(folio)) {
		give_up(view, mapping, index, folio);
		marked = 1;
	} else if (hpheap_fork_own(view, index, folio, mapping)) {
		hpheap_view_unmap(view, index, mapping);
		folio->private = mark;
		hpheap_view_set_status(view, index, HPHEAP_CHUNK_PURGEABLE);
		count_marked(view, folio, 1);
		atomic64_inc(&hpheap_counters.chunks_marked);
		trace_hpheap_chunk_mark(view->arena->id, index, folio_nid(folio));
		compat_list_lru_add(&lru, &mark->lru);
		mark = NULL;
		marked = 1;
	}
	folio_unlock(folio);
	folio_put(folio);
	if (mark)
		kmem_cache_free(marks, mark);
	return marked;
}

/* How many chunks are now marked that were not; -ENOMEM; -EINTR killed. */
static long mark_range(struct hpheap_view *view, struct address_space *mapping,
		       unsigned long index, unsigned long end)
{
	long marked = 0;
	int result;

	for (index = hpheap_view_next(view, index, true); index < end;
	     index = hpheap_view_next(view, index + 1, true)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		result = mark_chunk(view, mapping, index);
		if (result < 0)
			return result;
		marked += result;
		cond_resched();
	}
	return marked;
}

/**
 * hpheap_purge_keep() - take the marks of a range away
 * @view: the view
 * @index: the first slot
 * @end: the slot behind the last one
 *
 * Return: how many slots have no chunk.
 */
unsigned long hpheap_purge_keep(struct hpheap_view *view, unsigned long index,
				unsigned long end)
{
	unsigned long empty = 0;
	struct folio *folio;

	for (; index < end; index++) {
		folio = hpheap_view_get(view, index);
		if (folio) {
			folio_lock(folio);
			if (hpheap_view_holds(view, index, folio))
				hpheap_purge_reuse(view, folio);
			else
				empty++;
			folio_unlock(folio);
			folio_put(folio);
		} else {
			empty++;
		}
		cond_resched();
	}
	return empty;
}

/* What a walk of the list takes: the chunks leave their slots, and are locked. */
struct taking {
	struct list_head marks;
	unsigned long left;	/* to look at */
	unsigned int order;	/* no smaller chunk */
	bool one;		/* and no more */
};

/* In the walk, under the list's lock: nobody frees the view before the mark is counted off. */
static enum lru_status isolate(struct list_head *item, struct list_lru_one *list,
			       COMPAT_LRU_WALK_LOCK void *arg)
{
	struct mark *mark = container_of(item, struct mark, lru);
	struct folio *folio = mark->folio;
	struct taking *taking = arg;

	if (folio_order(folio) < taking->order)
		return LRU_SKIP;
	if (!folio_trylock(folio))
		return LRU_ROTATE;
	/* One reference is the slot's. Who has another has the chunk pinned, or touches it. */
	if (folio_ref_count(folio) != 1 ||
	    !hpheap_view_remove(mark->view, folio->index >> folio_order(folio), folio,
				 HPHEAP_CHUNK_TAKEN)) {
		folio_unlock(folio);
		return LRU_ROTATE;
	}
	trace_hpheap_chunk_take(mark->view->arena->id, folio->index >> folio_order(folio),
				folio_nid(folio));
	list_lru_isolate(list, item);
	list_add_tail(item, &taking->marks);
	if (taking->one)
		taking->left = 0;
	hpheap_arena_uncount(mark->view->arena);
	count_marked(mark->view, folio, -1);	/* U4 */
	return LRU_REMOVED;
}

static unsigned long free_taken(struct taking *taking)
{
	struct mark *mark, *next;
	unsigned long pages = 0;

	list_for_each_entry_safe(mark, next, &taking->marks, lru) {
		struct folio *folio = mark->folio;

		pages += folio_nr_pages(folio);
		folio->private = NULL;
		atomic64_inc(&hpheap_counters.chunks_taken);
		folio_unlock(folio);
		hpheap_chunk_surrender(folio);
		kmem_cache_free(marks, mark);
	}
	return pages;
}

/**
 * hpheap_purge_take() - give one marked chunk back to the page allocator
 * @order: it is at least as large
 * @node: where it is
 *
 * Whose it was does not matter. Reclaim does not do this where memory is free in
 * pieces that are too small: it leaves that to compaction, which cannot move chunks.
 *
 * Return: whether there was one.
 */
bool hpheap_purge_take(unsigned int order, int node)
{
	struct taking taking = { .order = order, .one = true };

	INIT_LIST_HEAD(&taking.marks);
	/* What cannot be taken goes to the end of the list: it is looked at once. */
	taking.left = list_lru_count_node(&lru, node);
	list_lru_walk_node(&lru, node, isolate, &taking, &taking.left);
	return free_taken(&taking);
}

static long purge(struct file *file, const struct hpheap_purgeable *arg, u64 offset)
{
	struct hpheap_arena *arena = file->private_data;
	unsigned int shift = hpheap_arena_chunk_shift(arena);
	u64 misplaced = (offset | arg->bytes) & (hpheap_arena_chunk_bytes(arena) - 1);
	unsigned long index = offset >> shift, end = (offset + arg->bytes) >> shift;
	struct hpheap_view *view;
	long chunks;

	if (misplaced || arg->bytes > arena->bytes || offset > arena->bytes - arg->bytes)
		return -EINVAL;
	/* The run could not be had back chunk by chunk. */
	if (arena->flags & HPHEAP_CREATE_CONTIG)
		return -EOPNOTSUPP;
	view = hpheap_view_find(arena, current->mm);
	if (!view)
		return -EPERM;
	if (arg->flags & HPHEAP_PURGEABLE_KEEP)
		chunks = hpheap_purge_keep(view, index, end);
	else
		chunks = mark_range(view, file->f_mapping, index, end);
	hpheap_view_put(view);
	return chunks;
}

/* Of the caller's own mapping; the file that is mapped there goes with a reference. */
static long purge_mapped(const struct hpheap_purgeable *arg)
{
	struct file *file;
	long chunks;
	u64 offset;

	/* What is kept may be closed just now. */
	file = hpheap_map_lookup(arg->start, arg->bytes, !(arg->flags & HPHEAP_PURGEABLE_KEEP),
				 &offset);
	if (IS_ERR(file))
		return PTR_ERR(file);
	chunks = purge(file, arg, offset);
	fput(file);
	return chunks;
}

/**
 * hpheap_purge_ioctl() - HPHEAP_ARENA_PURGEABLE and HPHEAP_IOC_PURGEABLE
 * @file: the arena's, where offsets count; NULL: addresses of the caller do
 * @uarg: struct hpheap_purgeable
 */
long hpheap_purge_ioctl(struct file *file, struct hpheap_purgeable __user *uarg)
{
	struct hpheap_purgeable arg;
	long chunks;
	int err;

	BUILD_BUG_ON(sizeof(arg) != PURGEABLE_SIZE_VER0);

	err = hpheap_copy_arg(&arg, sizeof(arg), PURGEABLE_SIZE_VER0, uarg);
	if (err)
		return err;
	if (arg.flags & ~HPHEAP_PURGEABLE_KEEP || arg.chunks || !arg.bytes)
		return -EINVAL;
	chunks = file ? purge(file, &arg, arg.start) : purge_mapped(&arg);
	if (chunks < 0)
		return chunks;
	return put_user((u64)chunks, &uarg->chunks) ? -EFAULT : 0;
}

static unsigned long count_objects(struct shrinker *self, struct shrink_control *sc)
{
	unsigned long count;

	if (!smp_load_acquire(&ready))	/* pairs with hpheap_purge_init() */
		return SHRINK_EMPTY;
	count = list_lru_shrink_count(&lru, sc);
	return count ? count * MIN_CHUNK_PAGES : SHRINK_EMPTY;
}

static unsigned long scan_objects(struct shrinker *self, struct shrink_control *sc)
{
	struct taking taking = { .left = DIV_ROUND_UP(sc->nr_to_scan, MIN_CHUNK_PAGES) };
	unsigned long pages;

	INIT_LIST_HEAD(&taking.marks);
	sc->nr_scanned = taking.left * MIN_CHUNK_PAGES;
	list_lru_walk_one(&lru, sc->nid, sc->memcg, isolate, &taking, &taking.left);
	pages = free_taken(&taking);
	compat_account_reclaimed(pages);
	/* None is no reason to stop: what cannot be taken is last in the list by now. */
	return pages;
}

int hpheap_purge_init(void)
{
	int err = -ENOMEM;

	marks = kmem_cache_create("hpheap_mark", sizeof(struct mark), 0, 0, NULL);
	if (!marks)
		return -ENOMEM;
	shrinker = compat_shrinker_alloc("hpheap-purgeable",
					 SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE,
					 count_objects, scan_objects, MIN_CHUNK_PAGES);
	if (!shrinker)
		goto err_cache;
	err = list_lru_init_memcg(&lru, shrinker);
	if (err)
		goto err_shrinker;
	smp_store_release(&ready, true);	/* pairs with count_objects() */
	compat_shrinker_register(shrinker);
	return 0;

err_shrinker:
	compat_shrinker_free(shrinker);
err_cache:
	kmem_cache_destroy(marks);
	return err;
}

/* No arena lives, so no mark does. */
void hpheap_purge_exit(void)
{
	compat_shrinker_free(shrinker);
	list_lru_destroy(&lru);
	kmem_cache_destroy(marks);
}
