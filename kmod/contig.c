// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contiguous runs: many chunks, one behind the other in physical memory.
 *
 * The page allocator knows no block above its largest order, and what does
 * (alloc_contig_pages()) is not exported by the kernels in use; its relative
 * alloc_contig_range() gives no compound pages before 6.12 and memory that no
 * cgroup can be charged for on all. So: take chunks from a node, sort them by
 * address, look for a run, take more, and give back the rest. The buddy
 * allocator splits its largest blocks in address order, so that on memory
 * that is not fragmented the first few dozen chunks already hold the run.
 */
#include "contig.h"

#include <linux/gfp.h>
#include <linux/list_sort.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "account.h"
#include "chunk.h"

/*
 * A search holds memory that others may want. It takes no more than four
 * times the run and these chunks, and on its first try nothing that would
 * have to be reclaimed.
 */
#define SEARCH_FACTOR	4
#define SEARCH_EXTRA	128

static int by_pfn(void *priv, const struct list_head *a, const struct list_head *b)
{
	unsigned long pa = folio_pfn(list_entry(a, struct folio, lru));
	unsigned long pb = folio_pfn(list_entry(b, struct folio, lru));

	return pa < pb ? -1 : pa > pb;
}

/* Moves the first run of @nr chunks out of the sorted list, if it has one. */
static bool cut_run(struct list_head *sorted, unsigned long nr, struct list_head *run)
{
	struct list_head *first = NULL, before;
	unsigned long next_pfn = 0, length = 0;
	struct folio *folio;

	list_for_each_entry(folio, sorted, lru) {
		if (!length || folio_pfn(folio) != next_pfn) {
			first = &folio->lru;
			length = 0;
		}
		next_pfn = folio_pfn(folio) + folio_nr_pages(folio);
		if (++length == nr) {
			list_cut_before(&before, sorted, first);
			list_cut_position(run, sorted, &folio->lru);
			list_splice(&before, sorted);
			return true;
		}
	}
	return false;
}

static int search_node(const struct hpheap_supply *supply, int node, gfp_t gfp,
		       unsigned long nr, struct list_head *run)
{
	unsigned long taken = 0, target = nr, most = nr * SEARCH_FACTOR + SEARCH_EXTRA;
	struct folio *folio;
	LIST_HEAD(found);
	int err = -ENOMEM;

	/* What cannot be is not searched for: the search would empty the node. */
	if (nr > node_present_pages(node) >> supply->order)
		return -ENOMEM;

	while (taken < most) {
		while (taken < target) {
			if (fatal_signal_pending(current)) {
				err = -EINTR;
				goto out;
			}
			folio = hpheap_chunk_try(supply, node, __GFP_THISNODE | gfp);
			if (!folio)
				break;
			list_add(&folio->lru, &found);
			taken++;
			cond_resched();
		}
		list_sort(NULL, &found, by_pfn);
		if (cut_run(&found, nr, run)) {
			err = 0;
			goto out;
		}
		if (taken < target)
			goto out;
		target = min(most, target + max(nr / 4, 8UL));
	}
out:
	hpheap_chunk_free_list(&found);
	return err;
}

/**
 * hpheap_contig_alloc() - allocate chunks 0 to @nr - 1 as one physical run
 * @supply: the arena's
 * @nr: chunks
 * @run: empty list, filled in order, linked by lru
 *
 * The run lies on one node: of the candidates the nearest that has one, and
 * where the policy may fall back, of the others.
 *
 * Return: 0, -ENOMEM no such run, -EINTR killed.
 */
int hpheap_contig_alloc(const struct hpheap_supply *supply, unsigned long nr,
			struct list_head *run)
{
	/* without reclaim; then with reclaim and compaction */
	static const gfp_t effort[] = { 0, __GFP_RECLAIM | __GFP_NORETRY };
	unsigned long index = 0;
	nodemask_t candidates, others;
	struct folio *folio;
	int node, err, i;

	for (i = 0; i < ARRAY_SIZE(effort); i++) {
		hpheap_place_candidates(&supply->place, 0, &candidates);
		nodes_clear(others);
		if (hpheap_place_may_fall_back(&supply->place))
			nodes_andnot(others, node_states[N_MEMORY], candidates);
		while ((node = hpheap_place_take_nearest(&candidates)) != NUMA_NO_NODE ||
		       (node = hpheap_place_take_nearest(&others)) != NUMA_NO_NODE) {
			err = search_node(supply, node, effort[i], nr, run);
			if (!err)
				goto found;
			if (err == -EINTR)
				return err;
		}
	}
	atomic64_inc(&hpheap_counters.alloc_failures);
	return -ENOMEM;
found:
	list_for_each_entry(folio, run, lru)
		hpheap_chunk_prepare(folio, index++);
	return 0;
}
