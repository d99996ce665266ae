/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels from 6.1 on that the module meets,
 * and nowhere else. A difference that headers show is asked of the headers;
 * one that they do not show, of the version that brought it.
 */
#ifndef HPHEAP_COMPAT_H
#define HPHEAP_COMPAT_H

#include <linux/fs.h>
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "hpheap needs Linux 6.1 or newer"
#endif
#ifndef CONFIG_64BIT
#error "hpheap needs a kernel with 64 bits"
#endif
#ifndef CONFIG_TRANSPARENT_HUGEPAGE
#error "hpheap needs a kernel with CONFIG_TRANSPARENT_HUGEPAGE"
#endif

/* 6.3 made vm_flags read-only and write-locks the VMA in the setters. */
static inline void compat_vm_flags_mod(struct vm_area_struct *vma,
				       unsigned long set, unsigned long clear)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#else
	vm_flags_mod(vma, set, clear);
#endif
}

/* 6.3 passes the mount's id mapping in a type of its own. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define compat_idmap user_namespace
#else
#define compat_idmap mnt_idmap
#endif

/* 6.6 tells generic_fillattr() what was asked for. */
static inline void compat_fillattr(struct compat_idmap *idmap, u32 request_mask,
				   struct inode *inode, struct kstat *stat)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	generic_fillattr(idmap, inode, stat);
#else
	generic_fillattr(idmap, request_mask, inode, stat);
#endif
}

/* 6.4 takes faults under the lock of a mapping alone; 6.7 made it so for all. */
static inline void compat_vma_start_write(struct vm_area_struct *vma)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	vma_start_write(vma);
#endif
}

/*
 * 6.5 merges a new mapping with its neighbour, whatever its close does, without calling that
 * (mainline 714965ca8252); 6.13 does not. Flags that keep mappings from being merged.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define COMPAT_NEVER_MERGED VM_DONTEXPAND
#else
#define COMPAT_NEVER_MERGED 0
#endif

/* 6.2 has a name for it. */
static inline bool compat_memcg_tryget(struct mem_cgroup *memcg)
{
#ifdef CONFIG_MEMCG
	return css_tryget(&memcg->css);
#else
	return false;
#endif
}

/* The largest order of the buddy allocator: renamed in 6.8, inclusive since 6.4. */
#if defined(MAX_PAGE_ORDER)
#define COMPAT_MAX_ORDER MAX_PAGE_ORDER
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define COMPAT_MAX_ORDER MAX_ORDER
#else
#define COMPAT_MAX_ORDER (MAX_ORDER - 1)
#endif

/* 6.7 asks vm_operations_struct.get_policy for an interleave index, too. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define COMPAT_GET_POLICY_ARGS struct vm_area_struct *vma, unsigned long addr
#else
#define COMPAT_GET_POLICY_ARGS struct vm_area_struct *vma, unsigned long addr, pgoff_t *ilx
#endif

/*
 * Since 6.18 a fault that returns a page of a large folio maps the whole of
 * it (mainline 19773df031bc); before, one base page of it, unless the folio
 * fits a PMD.
 */
#define COMPAT_FAULT_MAPS_FOLIO (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0))

/*
 * That includes its broken pages, so what is beside one is mapped by itself there: 6.14 has a
 * call for that which needs no VM_MIXEDMAP. And 6.3 counts what broke on a node, without
 * which each touch would have to look at all pages.
 */
#if COMPAT_FAULT_MAPS_FOLIO && defined(CONFIG_MEMORY_FAILURE)
static inline bool compat_fault_maps_broken(const struct folio *folio)
{
	return READ_ONCE(NODE_DATA(folio_nid(folio))->mf_stats.total);
}

static inline vm_fault_t compat_insert_page(struct vm_fault *vmf, struct page *page)
{
	return vmf_insert_page_mkwrite(vmf, page, vmf->flags & FAULT_FLAG_WRITE);
}
#else
static inline bool compat_fault_maps_broken(const struct folio *folio)
{
	return false;
}

static inline vm_fault_t compat_insert_page(struct vm_fault *vmf, struct page *page)
{
	return VM_FAULT_SIGBUS;
}
#endif

/*
 * 6.7 makes shrinkers that the kernel owns; before, the module's own is one from its
 * registration on. Ours are cheap to lose: what they free costs no input or output.
 */
static inline struct shrinker *
compat_shrinker_alloc(const char *name, unsigned int flags,
		      unsigned long (*count)(struct shrinker *, struct shrink_control *),
		      unsigned long (*scan)(struct shrinker *, struct shrink_control *),
		      long batch)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (!shrinker)
		return NULL;
	shrinker->flags = flags;
#else
	struct shrinker *shrinker = shrinker_alloc(flags, "%s", name);

	if (!shrinker)
		return NULL;
#endif
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->batch = batch;
	shrinker->seeks = 1;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	if (register_shrinker(shrinker, "%s", name)) {
		kfree(shrinker);
		return NULL;
	}
#endif
	return shrinker;
}

static inline void compat_shrinker_register(struct shrinker *shrinker)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	shrinker_register(shrinker);
#endif
}

static inline void compat_shrinker_free(struct shrinker *shrinker)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	unregister_shrinker(shrinker);
	kfree(shrinker);
#else
	shrinker_free(shrinker);
#endif
}

/*
 * What a shrinker frees in whole pages, reclaim is told of, or it goes on as if there
 * was none. 6.4 has a call for that, and listens no more when it reclaims for a cgroup.
 */
static inline void compat_account_reclaimed(unsigned long pages)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += pages;
#else
	mm_account_reclaimed_pages(pages);
#endif
}

/* 6.8 gives the names to calls that are told node and cgroup. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define compat_list_lru_add list_lru_add
#define compat_list_lru_del list_lru_del
#else
#define compat_list_lru_add list_lru_add_obj
#define compat_list_lru_del list_lru_del_obj
#endif

/* 6.13 keeps the lock of a list to itself. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define COMPAT_LRU_WALK_LOCK spinlock_t *lock,
#else
#define COMPAT_LRU_WALK_LOCK
#endif

#endif /* HPHEAP_COMPAT_H */
