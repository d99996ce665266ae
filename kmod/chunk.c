// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks: large folios from the page allocator, each physically contiguous.
 *
 * The one door through which memory comes in and goes out. What leaves
 * hpheap_chunk_alloc() is zeroed, free of poison, charged to the arena
 * creator's memory cgroup unless it is from the pool, and carries its file offset in
 * folio->index.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "chunk.h"

#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "account.h"
#include "compat.h"
#include "pool.h"
#include "purge.h"

/* The caller adds how hard to try. */
#define CHUNK_GFP	((GFP_USER & ~__GFP_RECLAIM) | __GFP_NOWARN)
#define LITTLE		(__GFP_RECLAIM | __GFP_NORETRY)
#define MUCH		(__GFP_RECLAIM | __GFP_RETRY_MAYFAIL)

/**
 * hpheap_chunk_pmd_bytes() - bytes that one PMD entry maps
 *
 * A run-time value on ppc64. 0 where the MMU maps no huge pages (ppc64 with
 * a hashed table may not).
 */
u64 hpheap_chunk_pmd_bytes(void)
{
	return has_transparent_hugepage() ? (u64)HPAGE_PMD_SIZE : 0;
}

/**
 * hpheap_chunk_sizes() - chunk sizes this system can give
 *
 * Powers of two from 2 MiB up to what one PMD maps, as far as the page
 * allocator has blocks of that size. Where a PMD maps less than 2 MiB or
 * nothing, 2 MiB alone.
 *
 * Return: a mask; bit n stands for 2^n bytes.
 */
u64 hpheap_chunk_sizes(void)
{
	u64 largest = (u64)PAGE_SIZE << COMPAT_MAX_ORDER;
	u64 smallest = BIT_ULL(HPHEAP_MIN_CHUNK_SHIFT);

	if (largest < smallest)
		return 0;
	largest = clamp(hpheap_chunk_pmd_bytes(), smallest, largest);
	return (largest << 1) - smallest;
}

/*
 * Has memory_failure() marked a base page of it? Asked of every chunk that
 * comes or goes, so the loop has nothing else in it.
 */
bool hpheap_chunk_has_poison(struct folio *folio)
{
	const long nr = folio_nr_pages(folio);
	long i;

	for (i = 0; i < nr; i++)
		if (PageHWPoison(folio_page(folio, i)))
			return true;
	return false;
}

/*
 * A chunk with a poisoned page must not go back: Linux 6.1 puts it on the free
 * lists whole and hands it out again. So its last reference is never dropped,
 * not even when the module goes.
 */
static void quarantine(struct folio *folio)
{
	atomic64_add(folio_size(folio), &hpheap_counters.quarantined_bytes);
	pr_warn("a chunk on node %d holds a poisoned page: %zu bytes withdrawn from use\n",
		folio_nid(folio), folio_size(folio));
}

/* Drops the reference on a folio that is no chunk, or no longer one. */
void hpheap_chunk_put(struct folio *folio)
{
	if (hpheap_chunk_has_poison(folio))
		quarantine(folio);
	else
		folio_put(folio);
}

static struct folio *alloc_sound(unsigned int order, int node, gfp_t gfp)
{
	struct folio *folio;

	for (;;) {
		folio = __folio_alloc_node(CHUNK_GFP | gfp, order, node);
		if (!folio || !hpheap_chunk_has_poison(folio))
			return folio;
		quarantine(folio);
	}
}

/**
 * hpheap_chunk_try() - take a folio of chunk size from one node
 * @supply: size and cgroup
 * @node: where to look first
 * @gfp: how hard to try (__GFP_RECLAIM and its modifiers), and __GFP_THISNODE
 *       to look nowhere else
 *
 * Not zeroed unless the kernel zeroes all it allocates.
 *
 * Return: the folio with one reference, or NULL.
 */
struct folio *hpheap_chunk_try(const struct hpheap_supply *supply, int node, gfp_t gfp)
{
	struct mem_cgroup *old = set_active_memcg(supply->memcg);
	struct folio *folio = alloc_sound(supply->order, node, gfp | __GFP_ACCOUNT);

	set_active_memcg(old);
	return folio;
}

/* One that nobody is charged for, of this node or none: for the pool. */
struct folio *hpheap_chunk_fresh(unsigned int order, int node)
{
	return alloc_sound(order, node, __GFP_THISNODE | LITTLE);
}

/*
 * Page by page, with a chance to reschedule: the page allocator has none when asked
 * to zero, and a chunk may be 512 MiB.
 */
void hpheap_chunk_clear(struct folio *folio)
{
	long i;

	for (i = 0; i < folio_nr_pages(folio); i++) {
		clear_highpage(folio_page(folio, i));
		cond_resched();
	}
}

/*
 * The page allocator leaves an old folio->index behind, and finish_fault()
 * compares it with the file's size before it dares a PMD (mainline 6.18,
 * stable 6.12.95): unset, chunks are mapped with base pages at random.
 */
static void begin(struct folio *folio, unsigned long index)
{
	folio->index = index << folio_order(folio);
	folio->private = NULL;
	atomic64_inc(&hpheap_counters.chunks_allocated);
	atomic64_add(folio_size(folio), &hpheap_counters.resident_bytes);
}

/**
 * hpheap_chunk_prepare() - make a fresh folio a chunk of an arena
 * @folio: from hpheap_chunk_try()
 * @index: its number in the arena
 *
 * Clears it. With init_on_alloc it is cleared already.
 */
void hpheap_chunk_prepare(struct folio *folio, unsigned long index)
{
	if (!want_init_on_alloc(0))
		hpheap_chunk_clear(folio);
	begin(folio, index);
}

/*
 * From the pool of a node where the task may have memory; it is zeroed. It is not searched for
 * poison again: whether its memory broke there or would have in the arena, the touch
 * of such a page finds out.
 */
static struct folio *alloc_pooled(const struct hpheap_supply *supply, unsigned long index,
				  int node)
{
	struct folio *folio;

	if (!node_isset(node, cpuset_current_mems_allowed))
		return NULL;
	folio = hpheap_pool_take(supply->order, node);
	if (folio)
		begin(folio, index);
	return folio;
}

static struct folio *alloc_fresh(const struct hpheap_supply *supply, unsigned long index,
				 int node, gfp_t gfp, bool zero)
{
	struct folio *folio = hpheap_chunk_try(supply, node, gfp);

	if (folio && zero)
		hpheap_chunk_prepare(folio, index);
	else if (folio)
		begin(folio, index);
	return folio;
}

/*
 * At the cost of a chunk that its user can do without. Who may not have more does not get it
 * by others having less.
 */
static struct folio *alloc_purging(const struct hpheap_supply *supply, unsigned long index,
				   int node, bool zero)
{
	struct folio *folio;

	if (!node_isset(node, cpuset_current_mems_allowed))
		return NULL;
	folio = alloc_sound(supply->order, node, __GFP_THISNODE);
	if (folio)
		hpheap_chunk_put(folio);
	else if (hpheap_purge_take(supply->order, node))
		return alloc_fresh(supply, index, node, __GFP_THISNODE | LITTLE, zero);
	return NULL;
}

enum effort {
	LIGHT,	/* the pool, or one round of reclaim and compaction, as transparent huge pages do */
	PURGE,	/* a marked chunk, of whomever */
	HARD,	/* all that Linux does short of killing */
	EFFORTS
};

/*
 * Each effort on each candidate node, but the hard one anywhere if the policy may fall
 * back. An order above PAGE_ALLOC_COSTLY_ORDER never calls the OOM killer.
 */
static struct folio *alloc_placed(const struct hpheap_supply *supply, unsigned long index,
				  bool zero)
{
	const bool anywhere = hpheap_place_may_fall_back(&supply->place);
	nodemask_t candidates;
	enum effort effort;
	struct folio *folio;
	int node;

	for (effort = LIGHT; effort < EFFORTS; effort++) {
		hpheap_place_candidates(&supply->place, index, &candidates);
		while ((node = hpheap_place_take_nearest(&candidates)) != NUMA_NO_NODE) {
			folio = NULL;
			switch (effort) {
			case LIGHT:
				folio = alloc_pooled(supply, index, node);
				if (!folio)
					folio = alloc_fresh(supply, index, node,
							    __GFP_THISNODE | LITTLE, zero);
				break;
			case PURGE:
				folio = alloc_purging(supply, index, node, zero);
				break;
			default:
				if (anywhere)
					return alloc_fresh(supply, index, node, MUCH, zero);
				folio = alloc_fresh(supply, index, node, __GFP_THISNODE | MUCH,
						    zero);
			}
			if (folio)
				return folio;
			if (fatal_signal_pending(current))
				return NULL;
		}
	}
	return NULL;
}

static struct folio *alloc_counted(const struct hpheap_supply *supply, unsigned long index,
				   bool zero)
{
	struct folio *folio = alloc_placed(supply, index, zero);

	if (!folio)
		atomic64_inc(&hpheap_counters.alloc_failures);
	return folio;
}

/**
 * hpheap_chunk_alloc() - allocate one chunk by an arena's policy
 * @supply: the arena's
 * @index: the chunk's number in the arena
 *
 * Context: may sleep and reclaim; process context.
 * Return: the chunk with one reference, zeroed, or NULL when there is no memory or
 * the cgroup may not have more.
 */
struct folio *hpheap_chunk_alloc(const struct hpheap_supply *supply, unsigned long index)
{
	return alloc_counted(supply, index, true);
}

/**
 * hpheap_chunk_copy() - the same with the content of another one
 * @supply: the arena's
 * @from: the other one, which nobody writes to
 *
 * Return: the chunk; -ENOMEM; -EHWPOISON a page of @from is broken.
 */
struct folio *hpheap_chunk_copy(const struct hpheap_supply *supply, struct folio *from)
{
	struct folio *folio = alloc_counted(supply, from->index >> supply->order, false);
	long i;

	if (!folio)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < folio_nr_pages(folio); i++) {
		if (PageHWPoison(folio_page(from, i))) {
			hpheap_chunk_free(folio);
			return ERR_PTR(-EHWPOISON);
		}
		copy_highpage(folio_page(folio, i), folio_page(from, i));
		cond_resched();
	}
	return folio;
}

/*
 * A chunk that several views have, and each a reference, says in folio->private how
 * many; that is odd, and a mark's address is not (purge.c). It stays so when one is left:
 * others may have pages of it still, in a pipe or for I/O, and must not see what that one
 * writes then, until hpheap_chunk_own(). All with the folio locked.
 */
#define SHARED	1UL

static unsigned long views_of(const struct folio *folio)
{
	unsigned long private = (unsigned long)READ_ONCE(folio->private);

	return private & SHARED ? private >> 1 : 0;
}

static void set_views(struct folio *folio, unsigned long views)
{
	WRITE_ONCE(folio->private, views ? (void *)(views << 1 | SHARED) : NULL);
}

/* Has another view it, too? */
bool hpheap_chunk_is_shared(const struct folio *folio)
{
	return views_of(folio) > 1;
}

/* Or had one, since this one wrote to it last? */
bool hpheap_chunk_was_shared(const struct folio *folio)
{
	return views_of(folio);
}

/* One view more has it. */
void hpheap_chunk_share(struct folio *folio)
{
	set_views(folio, max(views_of(folio), 1UL) + 1);
}

/* One view less; false: there was no other. */
bool hpheap_chunk_unshare(struct folio *folio)
{
	unsigned long views = views_of(folio);

	if (views)
		set_views(folio, views - 1);
	return views > 1;
}

/* The only view that has it may write to it. */
void hpheap_chunk_own(struct folio *folio)
{
	WARN_ON_ONCE(views_of(folio) != 1);
	set_views(folio, 0);
}

/**
 * hpheap_chunk_free() - give back what hpheap_chunk_alloc() returned
 * @folio: no longer in an arena, no longer mapped
 *
 * To the pool, if that has room. Somebody may still have pages of it pinned (a
 * pipe, io_uring): then it goes back to the system when the last pin does.
 */
void hpheap_chunk_free(struct folio *folio)
{
	atomic64_inc(&hpheap_counters.chunks_released);
	atomic64_sub(folio_size(folio), &hpheap_counters.resident_bytes);
	if (hpheap_chunk_has_poison(folio))
		quarantine(folio);
	else if (!hpheap_pool_give(folio))
		folio_put(folio);
}

/* The same for reclaim, which wants it at once and for others. */
void hpheap_chunk_surrender(struct folio *folio)
{
	atomic64_inc(&hpheap_counters.chunks_released);
	atomic64_sub(folio_size(folio), &hpheap_counters.resident_bytes);
	hpheap_chunk_put(folio);
}

/* Frees folios of hpheap_chunk_try(), linked by their lru, that never were chunks. */
void hpheap_chunk_free_list(struct list_head *folios)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, folios, lru) {
		list_del(&folio->lru);
		hpheap_chunk_put(folio);
		cond_resched();
	}
}
