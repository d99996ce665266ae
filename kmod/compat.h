/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels from 6.1 on that the module meets,
 * and nowhere else. A difference that headers show is asked of the headers;
 * one that they do not show, of the version that brought it.
 */
#ifndef HPHEAP_COMPAT_H
#define HPHEAP_COMPAT_H

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "hpheap needs Linux 6.1 or newer"
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

#endif /* HPHEAP_COMPAT_H */
