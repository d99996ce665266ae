// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool: chunks of one size, zeroed ahead, for each node.
 *
 * Zeroing is nearly all that a first touch costs. A thread for each node does it
 * before, at the lowest priority and at a bounded rate, until the node's pool is as
 * large as the administrator wants it. Chunks that leave their arena come back here
 * as long as there is room.
 *
 * The pool is the administrator's reserve: no memory cgroup is charged for it, nor
 * for what is taken from it, for a page that is allocated already can be charged by
 * the kernel proper only. So what comes back must be uncharged: what was charged
 * goes to the page allocator. When memory is short the pool shrinks to its floor, and
 * is not filled again for a while.
 *
 * Invariants, under a node's lock:
 *  L1 a chunk in a list has one reference, the pool's, and no mapping.
 *  L2 held is the length of both lists, ready that of the zeroed ones.
 *  L3 all have the pool's order, which its thread changes when there is none.
 */
#include "pool.h"

#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/topology.h>
#include <linux/wait.h>

#include "account.h"
#include "chunk.h"
#include "compat.h"

#define MIN_CHUNK_PAGES	(1UL << (HPHEAP_MIN_CHUNK_SHIFT - PAGE_SHIFT))

/* The thread works so often; in between its rate is a sum of bytes. */
#define PERIOD		(HZ / 50)

/* So long nothing is filled after memory was short, or could not be had. */
#define REST		(10 * HZ)

struct pool {
	spinlock_t lock;	/* all but the thread and what is its own */
	struct list_head zeroed;
	struct list_head dirty;
	unsigned int order;
	unsigned long held;
	unsigned long ready;
	unsigned long rest_until; /* in jiffies */
	bool resting;
	wait_queue_head_t wake;
	struct task_struct *thread;
	int node;
	char name[16];
	struct device_attribute attr;
};

static struct pool **pools;	/* by node; NULL where there is no memory */
static struct attribute *node_attrs[MAX_NUMNODES + 1];

const struct attribute_group hpheap_pool_group = { .name = "pool", .attrs = node_attrs };

static struct shrinker *shrinker;

static unsigned long long pool_bytes;
static unsigned long long pool_floor_bytes;
static unsigned long long pool_rate = 256 << 20;
static unsigned long long pool_chunk_bytes = 1ULL << HPHEAP_MIN_CHUNK_SHIFT;

static unsigned int wanted_order(void)
{
	return ilog2(READ_ONCE(pool_chunk_bytes)) - PAGE_SHIFT;
}

static unsigned long to_chunks(const struct pool *pool, u64 bytes)
{
	return bytes >> (READ_ONCE(pool->order) + PAGE_SHIFT);
}

/* None of another size than shall be there. */
static unsigned long wanted(const struct pool *pool)
{
	if (READ_ONCE(pool->order) != wanted_order())
		return 0;
	return to_chunks(pool, READ_ONCE(pool_bytes));
}

static unsigned long floor_of(const struct pool *pool)
{
	return to_chunks(pool, READ_ONCE(pool_floor_bytes));
}

static void wake_all(void)
{
	int node;

	for (node = 0; pools && node < nr_node_ids; node++)
		if (pools[node])
			wake_up(&pools[node]->wake);
}

static int set_size(const char *text, const struct kernel_param *param)
{
	int err = param_set_ullong(text, param);

	if (!err)
		wake_all();
	return err;
}

/* What the administrator wants to be there is tried at once, whatever was short before. */
static int set_bytes(const char *text, const struct kernel_param *param)
{
	int node;

	for (node = 0; pools && node < nr_node_ids; node++)
		if (pools[node])
			WRITE_ONCE(pools[node]->resting, false);
	return set_size(text, param);
}

/* Of the sizes that this system has. */
static int set_chunk(const char *text, const struct kernel_param *param)
{
	unsigned long long bytes;
	int err = kstrtoull(text, 0, &bytes);

	if (err)
		return err;
	if (!is_power_of_2(bytes) || !(bytes & hpheap_chunk_sizes()))
		return -EINVAL;
	WRITE_ONCE(pool_chunk_bytes, bytes);
	wake_all();
	return 0;
}

static const struct kernel_param_ops chunk_ops = { .set = set_chunk, .get = param_get_ullong };
static const struct kernel_param_ops size_ops = { .set = set_size, .get = param_get_ullong };
static const struct kernel_param_ops bytes_ops = { .set = set_bytes, .get = param_get_ullong };

module_param_cb(pool_bytes, &bytes_ops, &pool_bytes, 0644);
MODULE_PARM_DESC(pool_bytes, "bytes of zeroed chunks to hold ready on each node (0: none)");
module_param_cb(pool_floor_bytes, &size_ops, &pool_floor_bytes, 0644);
MODULE_PARM_DESC(pool_floor_bytes, "bytes of them that stay when memory is short");
module_param_cb(pool_rate, &size_ops, &pool_rate, 0644);
MODULE_PARM_DESC(pool_rate, "bytes to zero in a second on each node, at most");
module_param_cb(pool_chunk_bytes, &chunk_ops, &pool_chunk_bytes, 0644);
MODULE_PARM_DESC(pool_chunk_bytes, "size of the chunks that the pool is for (2 MiB)");

static struct pool *pool_of(int node)
{
	return pools ? pools[node] : NULL;
}

/* nodeN: what the pool of a node holds, in bytes. */
static ssize_t node_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct pool *pool = container_of(attr, struct pool, attr);

	return sysfs_emit(buf, "%llu\n",
			  (u64)READ_ONCE(pool->held) << (READ_ONCE(pool->order) + PAGE_SHIFT));
}

static struct folio *take_from(struct pool *pool, struct list_head *list)
{
	struct folio *folio;

	lockdep_assert_held(&pool->lock);
	folio = list_first_entry_or_null(list, struct folio, lru);
	if (!folio)
		return NULL;
	list_del(&folio->lru);
	pool->held--;
	pool->ready -= list == &pool->zeroed;
	atomic64_sub(folio_size(folio), &hpheap_counters.pool_bytes);
	return folio;
}

static void put_into(struct pool *pool, struct list_head *list, struct folio *folio)
{
	lockdep_assert_held(&pool->lock);
	list_add(&folio->lru, list);
	pool->held++;
	pool->ready += list == &pool->zeroed;
	atomic64_add(folio_size(folio), &hpheap_counters.pool_bytes);
}

/* Who takes one need not pay for a wake-up each time: the thread looks now and then by itself. */
static void wake_if_low(struct pool *pool)
{
	unsigned long most = wanted(pool);

	if (READ_ONCE(pool->ready) + most / 8 < most && wq_has_sleeper(&pool->wake))
		wake_up(&pool->wake);
}

/**
 * hpheap_pool_take() - a zeroed chunk of a node
 * @order: of the chunk
 * @node: the node
 *
 * Return: the folio with one reference, or NULL.
 */
struct folio *hpheap_pool_take(unsigned int order, int node)
{
	struct pool *pool = pool_of(node);
	struct folio *folio;

	if (!pool || order != READ_ONCE(pool->order))
		return NULL;
	spin_lock(&pool->lock);
	folio = pool->order == order ? take_from(pool, &pool->zeroed) : NULL;
	spin_unlock(&pool->lock);
	if (folio)
		atomic64_inc(&hpheap_counters.pool_hits);
	wake_if_low(pool);
	return folio;
}

/**
 * hpheap_pool_give() - take back a chunk that its arena has no use for
 * @folio: not poisoned, not mapped
 *
 * Return: false if it must go to the page allocator: there is no room, somebody has
 * pages of it pinned, or a cgroup is charged for it.
 */
bool hpheap_pool_give(struct folio *folio)
{
	struct pool *pool = pool_of(folio_nid(folio));
	bool room;

	if (!pool || folio_ref_count(folio) != 1 || folio_memcg_kmem(folio))
		return false;
	spin_lock(&pool->lock);
	room = folio_order(folio) == pool->order && pool->held < wanted(pool) && !pool->resting;
	if (room)
		put_into(pool, &pool->dirty, folio);
	spin_unlock(&pool->lock);
	if (room)
		wake_if_low(pool);
	return room;
}

static bool has_too_much(const struct pool *pool)
{
	return READ_ONCE(pool->held) > wanted(pool);
}

/* Is there something to zero, or room for more at a time when more may be taken? */
static bool has_to_fill(struct pool *pool)
{
	if (!list_empty_careful(&pool->dirty))
		return true;
	if (READ_ONCE(pool->resting) && time_before(jiffies, READ_ONCE(pool->rest_until)))
		return false;
	return READ_ONCE(pool->held) < wanted(pool);
}

static void rest(struct pool *pool)
{
	WRITE_ONCE(pool->rest_until, jiffies + REST);
	WRITE_ONCE(pool->resting, true);
}

static struct folio *take_any(struct pool *pool, unsigned long floor)
{
	struct folio *folio = NULL;

	spin_lock(&pool->lock);
	if (pool->held > floor) {
		folio = take_from(pool, &pool->dirty);
		if (!folio)
			folio = take_from(pool, &pool->zeroed);
	}
	spin_unlock(&pool->lock);
	return folio;
}

static void give_up(struct pool *pool)
{
	struct folio *folio = take_any(pool, wanted(pool));

	if (folio)
		hpheap_chunk_put(folio);
}

/* Once there is none of the old size. */
static void change_order(struct pool *pool)
{
	spin_lock(&pool->lock);
	if (!pool->held)
		WRITE_ONCE(pool->order, wanted_order());
	spin_unlock(&pool->lock);
}

/* One chunk more that is zeroed; returns its bytes. */
static u64 fill(struct pool *pool)
{
	struct folio *folio;
	bool is_zero = false;
	u64 bytes;

	spin_lock(&pool->lock);
	folio = take_from(pool, &pool->dirty);
	spin_unlock(&pool->lock);
	if (!folio) {
		folio = hpheap_chunk_fresh(pool->order, pool->node);
		if (!folio) {
			rest(pool);
			return 0;
		}
		WRITE_ONCE(pool->resting, false);
		is_zero = want_init_on_alloc(0);
	}
	if (!is_zero)
		hpheap_chunk_clear(folio);
	if (hpheap_chunk_has_poison(folio)) {
		hpheap_chunk_put(folio);
		return 0;
	}
	bytes = folio_size(folio);
	spin_lock(&pool->lock);
	put_into(pool, &pool->zeroed, folio);
	spin_unlock(&pool->lock);	/* and from now on somebody else's */
	return bytes;
}

/* How long there is nothing to do if nobody says so; a rest ends by itself. */
static long patience(const struct pool *pool)
{
	long rests = (long)(READ_ONCE(pool->rest_until) - jiffies);

	if (!wanted(pool))
		return MAX_SCHEDULE_TIMEOUT;
	return READ_ONCE(pool->resting) ? clamp(rests, 1L, (long)REST) : REST;
}

/*
 * A period's share of the rate, and what is left of it: a chunk may take more than
 * that, then it costs some periods.
 */
static int run(void *arg)
{
	struct pool *pool = arg;
	s64 may = 0;

	set_user_nice(current, MAX_NICE);
	while (!kthread_should_stop()) {
		wait_event_interruptible_timeout(pool->wake,
						 kthread_should_stop() || has_too_much(pool) ||
						 pool->order != wanted_order() ||
						 has_to_fill(pool), patience(pool));
		while (has_too_much(pool)) {
			give_up(pool);
			cond_resched();
		}
		if (pool->order != wanted_order())
			change_order(pool);
		may = min_t(s64, may, 0) + max_t(s64, READ_ONCE(pool_rate) / 50, 1);
		while (may > 0 && !kthread_should_stop() && has_to_fill(pool)) {
			may -= fill(pool);
			cond_resched();
		}
		if (!kthread_should_stop())
			schedule_timeout_interruptible(PERIOD);
	}
	return 0;
}

static unsigned long count_objects(struct shrinker *self, struct shrink_control *sc)
{
	struct pool *pool = pool_of(sc->nid);
	unsigned long held, floor;

	if (!pool)
		return SHRINK_EMPTY;
	held = READ_ONCE(pool->held);
	floor = floor_of(pool);
	return held > floor ? (held - floor) << READ_ONCE(pool->order) : SHRINK_EMPTY;
}

/* Who fills the pool does not do it with what it takes from the pool. */
static unsigned long scan_objects(struct shrinker *self, struct shrink_control *sc)
{
	struct pool *pool = pool_of(sc->nid);
	unsigned long pages = 0;
	struct folio *folio;

	if (!pool || current == pool->thread)
		return SHRINK_STOP;
	rest(pool);
	while (pages < sc->nr_to_scan && (folio = take_any(pool, floor_of(pool)))) {
		pages += folio_nr_pages(folio);
		hpheap_chunk_put(folio);
	}
	sc->nr_scanned = max(pages, sc->nr_to_scan);
	compat_account_reclaimed(pages);
	return pages ? : SHRINK_STOP;
}

static struct pool *new_pool(int node)
{
	struct pool *pool = kzalloc_node(sizeof(*pool), GFP_KERNEL, node);

	if (!pool)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->zeroed);
	INIT_LIST_HEAD(&pool->dirty);
	init_waitqueue_head(&pool->wake);
	pool->node = node;
	pool->order = wanted_order();
	snprintf(pool->name, sizeof(pool->name), "node%d", node);
	sysfs_attr_init(&pool->attr.attr);
	pool->attr.attr.name = pool->name;
	pool->attr.attr.mode = 0444;
	pool->attr.show = node_show;
	pool->thread = kthread_create_on_node(run, pool, node, "hpheap-pool/%d", node);
	if (IS_ERR(pool->thread)) {
		int err = PTR_ERR(pool->thread);

		kfree(pool);
		return ERR_PTR(err);
	}
	if (!cpumask_empty(cpumask_of_node(node)))
		set_cpus_allowed_ptr(pool->thread, cpumask_of_node(node));
	return pool;
}

static void free_pool(struct pool *pool)
{
	struct folio *folio;

	kthread_stop(pool->thread);
	while ((folio = take_any(pool, 0))) {
		hpheap_chunk_put(folio);
		cond_resched();
	}
	kfree(pool);
}

static void free_pools(struct pool **all)
{
	int node;

	for (node = 0; node < nr_node_ids; node++)
		if (all[node])
			free_pool(all[node]);
	kfree(all);
}

/* Who writes to a parameter wakes their threads. */
static void end_pools(void)
{
	struct pool **all = pools;

	kernel_param_lock(THIS_MODULE);
	pools = NULL;
	kernel_param_unlock(THIS_MODULE);
	free_pools(all);
}

int hpheap_pool_init(void)
{
	struct pool **all = kcalloc(nr_node_ids, sizeof(*all), GFP_KERNEL);
	int node, nr = 0;

	if (!all)
		return -ENOMEM;
	for_each_node_state(node, N_MEMORY) {
		struct pool *pool = new_pool(node);

		if (IS_ERR(pool)) {
			free_pools(all);
			return PTR_ERR(pool);
		}
		all[node] = pool;
		node_attrs[nr++] = &pool->attr.attr;
	}
	pools = all;
	shrinker = compat_shrinker_alloc("hpheap-pool", SHRINKER_NUMA_AWARE, count_objects,
					 scan_objects, MIN_CHUNK_PAGES);
	if (!shrinker) {
		end_pools();
		return -ENOMEM;
	}
	compat_shrinker_register(shrinker);
	for (node = 0; node < nr_node_ids; node++)
		if (all[node])
			wake_up_process(all[node]->thread);
	return 0;
}

/* No arena lives. Parameters may still be written to. */
void hpheap_pool_exit(void)
{
	compat_shrinker_free(shrinker);
	end_pools();
}
