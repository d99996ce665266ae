// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arena files: what memfd and hugetlbfs files answer, in whole chunks.
 *
 * Each is a regular file of its own on a file system nobody can mount, so
 * that fallocate(), lseek(), fstat() and the madvise() calls that end there
 * reach it. Its size is fixed. It cannot be opened again through /proc.
 */
#include "file.h"

#include <linux/fs.h>
#include <linux/falloc.h>	/* after fs.h: it does not include what it uses */
#include <linux/fs_context.h>
#include <linux/list.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/nodemask.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/hpheap.h>

#include "arena.h"
#include "arg.h"
#include "compat.h"
#include "fork.h"
#include "map.h"
#include "purge.h"
#include "view.h"

/* What the first published structure holds; later fields come after it. */
#define EXTENTS_SIZE_VER0	32

static struct vfsmount *arena_mount;
static int arena_mount_count;

static int arena_init_fs_context(struct fs_context *fc)
{
	if (!init_pseudo(fc, HPHEAP_IOC_MAGIC << 24 | 0x687068))
		return -ENOMEM;
	fc->s_iflags |= SB_I_NOEXEC | SB_I_NODEV;
	return 0;
}

static struct file_system_type arena_fs_type = {
	.owner = THIS_MODULE,
	.name = "hpheap",
	.init_fs_context = arena_init_fs_context,
	.kill_sb = kill_anon_super,
};

/* Allocates chunks for the empty slots of a range, without filling them. */
static int stage_chunks(struct hpheap_view *view, unsigned long index, unsigned long end,
			struct list_head *staged)
{
	struct folio *folio;

	for (index = hpheap_view_next(view, index, false); index < end;
	     index = hpheap_view_next(view, index + 1, false)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		folio = hpheap_arena_alloc(view->arena, index);
		if (!folio)
			return -ENOMEM;
		list_add_tail(&folio->lru, staged);
	}
	return 0;
}

/*
 * All or nothing: every chunk is at hand before the first slot is filled, so
 * that ENOMEM leaves the arena as it was, whoever touches it meanwhile.
 */
static int allocate_range(struct hpheap_view *view, u64 begin, u64 end)
{
	const struct hpheap_arena *arena = view->arena;
	unsigned int shift = hpheap_arena_chunk_shift(arena);
	struct folio *folio, *next;
	LIST_HEAD(staged);
	int err;

	if (end > arena->bytes)
		return -EFBIG;

	/* What is there shall stay: first, so that none of it is taken unnoticed. */
	hpheap_purge_keep(view, begin >> shift, ((end - 1) >> shift) + 1);
	err = stage_chunks(view, begin >> shift, ((end - 1) >> shift) + 1, &staged);
	list_for_each_entry_safe(folio, next, &staged, lru) {
		list_del(&folio->lru);
		if (err || !hpheap_view_install(view, folio->index >> arena->supply.order,
						folio))
			hpheap_arena_drop(view->arena, folio);
		cond_resched();
	}
	return err;
}

static int punch_range(struct hpheap_view *view, struct address_space *mapping,
		       u64 begin, u64 end)
{
	const struct hpheap_arena *arena = view->arena;
	unsigned int shift = hpheap_arena_chunk_shift(arena);
	unsigned long index, last = min(end, arena->bytes) >> shift;

	/* The run could not be had back chunk by chunk. */
	if (arena->flags & HPHEAP_CREATE_CONTIG)
		return -EOPNOTSUPP;

	index = (begin + hpheap_arena_chunk_bytes(arena) - 1) >> shift;
	for (index = hpheap_view_next(view, index, true); index < last;
	     index = hpheap_view_next(view, index + 1, true)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		hpheap_view_release(view, index, mapping);
		cond_resched();
	}
	return 0;
}

/* The VFS has checked that offset and length are positive and do not overflow. */
static long arena_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct hpheap_view *view = hpheap_view_find(file->private_data, current->mm);
	long result = -EOPNOTSUPP;

	if (!view)
		return -EPERM;
	if (!(mode & ~FALLOC_FL_KEEP_SIZE))
		result = allocate_range(view, offset, offset + len);
	else if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		result = punch_range(view, file->f_mapping, offset, offset + len);
	hpheap_view_put(view);
	return result;
}

static loff_t arena_llseek(struct file *file, loff_t offset, int whence)
{
	const struct hpheap_arena *arena = file->private_data;
	unsigned int shift = hpheap_arena_chunk_shift(arena);
	struct hpheap_view *view;
	unsigned long index;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return fixed_size_llseek(file, offset, whence, arena->bytes);

	if (offset < 0 || offset >= arena->bytes)
		return -ENXIO;
	view = hpheap_view_find(file->private_data, current->mm);
	if (!view)
		return -EPERM;
	index = hpheap_view_next(view, offset >> shift, whence == SEEK_DATA);
	hpheap_view_put(view);
	if (whence == SEEK_DATA && index == hpheap_arena_nr_chunks(arena))
		return -ENXIO;
	offset = max_t(loff_t, offset, (loff_t)index << shift);
	return vfs_setpos(file, offset, arena->bytes);
}

struct extent_writer {
	struct hpheap_extent __user *to;
	u32 room;
	u32 written;
};

static int write_extent(struct extent_writer *writer, const struct hpheap_extent *extent)
{
	if (copy_to_user(&writer->to[writer->written], extent, sizeof(*extent)))
		return -EFAULT;
	writer->written++;
	return 0;
}

/* Writes extents from chunk @index on; returns the chunk to go on at, or an error. */
static long walk_extents(struct hpheap_view *view, unsigned long index,
			 struct extent_writer *writer)
{
	const struct hpheap_arena *arena = view->arena;
	unsigned int shift = hpheap_arena_chunk_shift(arena);
	struct hpheap_extent extent = {};
	unsigned long pfn, next_pfn = 0;
	int node, err;

	for (index = hpheap_view_next(view, index, true); index < view->nr_chunks;
	     index = hpheap_view_next(view, index + 1, true)) {
		u64 offset = (u64)index << shift;

		if (fatal_signal_pending(current))
			return -EINTR;
		if (!hpheap_view_locate(view, index, &pfn, &node))
			continue;
		if (extent.bytes && pfn == next_pfn && node == extent.node &&
		    offset == extent.offset + extent.bytes) {
			extent.bytes += 1ULL << shift;
		} else {
			if (extent.bytes) {
				err = write_extent(writer, &extent);
				if (err)
					return err;
				if (writer->written == writer->room)
					return index;
			}
			extent = (struct hpheap_extent){
				.offset = offset, .bytes = 1ULL << shift, .node = node,
			};
		}
		next_pfn = pfn + (1UL << arena->supply.order);
		cond_resched();
	}
	if (extent.bytes) {
		err = write_extent(writer, &extent);
		if (err)
			return err;
	}
	return view->nr_chunks;
}

static int ioctl_extents(struct hpheap_arena *arena, struct hpheap_extents __user *uarg)
{
	unsigned int shift = hpheap_arena_chunk_shift(arena);
	struct hpheap_extents arg;
	struct extent_writer writer = {};
	struct hpheap_view *view;
	long index;
	int err;

	BUILD_BUG_ON(sizeof(arg) != EXTENTS_SIZE_VER0);
	BUILD_BUG_ON(sizeof(struct hpheap_extent) != 24);

	err = hpheap_copy_arg(&arg, sizeof(arg), EXTENTS_SIZE_VER0, uarg);
	if (err)
		return err;
	if (arg.flags || arg.pad || !arg.count || arg.start > arena->bytes ||
	    arg.start & (hpheap_arena_chunk_bytes(arena) - 1))
		return -EINVAL;

	writer.to = u64_to_user_ptr(arg.extents);
	writer.room = arg.count;
	view = hpheap_view_find(arena, current->mm);
	if (!view)
		return -EPERM;
	index = walk_extents(view, arg.start >> shift, &writer);
	hpheap_view_put(view);
	if (index < 0)
		return index;
	if (put_user((u64)index << shift, &uarg->start) ||
	    put_user(writer.written, &uarg->count))
		return -EFAULT;
	return 0;
}

static long arena_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case HPHEAP_ARENA_EXTENTS:
		return ioctl_extents(file->private_data, (void __user *)arg);
	case HPHEAP_ARENA_PURGEABLE:
		return hpheap_purge_ioctl(file, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static void arena_show_fdinfo(struct seq_file *seq, struct file *file)
{
	static const char * const policies[] = {
		[HPHEAP_POLICY_LOCAL] = "local",
		[HPHEAP_POLICY_BIND] = "bind",
		[HPHEAP_POLICY_PREFERRED] = "preferred",
		[HPHEAP_POLICY_INTERLEAVE] = "interleave",
	};
	struct hpheap_arena *arena = file->private_data;
	struct hpheap_view *view = hpheap_view_find(arena, current->mm);
	unsigned int shift = hpheap_arena_chunk_shift(arena);
	unsigned long chunks;
	unsigned int node;

	seq_printf(seq, "hpheap_id:\t%llu\n", arena->id);
	seq_printf(seq, "hpheap_size:\t%llu\n", arena->bytes);
	seq_printf(seq, "hpheap_chunk:\t%llu\n", hpheap_arena_chunk_bytes(arena));
	seq_printf(seq, "hpheap_policy:\t%s\n", policies[arena->supply.place.policy]);
	seq_printf(seq, "hpheap_nodes:\t%*pbl\n", nodemask_pr_args(&arena->supply.place.nodes));
	seq_printf(seq, "hpheap_flags:\t%s%s%s\n",
		   arena->flags & HPHEAP_CREATE_FORK_NONE ? "fork-none" :
		   arena->flags & HPHEAP_CREATE_FORK_COW ? "fork-cow" : "fork-share",
		   arena->flags & HPHEAP_CREATE_CONTIG ? ",contig" : "",
		   arena->flags & HPHEAP_CREATE_STRICT_NODE ? ",strict-node" : "");
	/* Of the reader's, if he has any. */
	if (!view) {
		view = arena->own;
		refcount_inc(&view->users);
	}
	seq_printf(seq, "hpheap_resident:\t%llu\n", (u64)READ_ONCE(view->resident) << shift);
	seq_printf(seq, "hpheap_purgeable:\t%llu\n",
		   (u64)atomic_long_read(&view->purgeable) << shift);
	for (node = 0; node < nr_node_ids; node++) {
		chunks = READ_ONCE(view->node_chunks[node]);
		if (chunks)
			seq_printf(seq, "hpheap_node%u:\t%llu\n", node, (u64)chunks << shift);
	}
	hpheap_view_put(view);
}

static int arena_flush(struct file *file, fl_owner_t id)
{
	hpheap_fork_flush(file->private_data, file);
	return 0;
}

static int arena_release(struct inode *inode, struct file *file)
{
	hpheap_arena_free(file->private_data);
	simple_release_fs(&arena_mount, &arena_mount_count);
	return 0;
}

static const struct file_operations arena_fops = {
	.owner = THIS_MODULE,
	.llseek = arena_llseek,
	.unlocked_ioctl = arena_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = hpheap_map,
	.get_unmapped_area = hpheap_map_find,
	.flush = arena_flush,
	.release = arena_release,
	.fsync = noop_fsync,
	.fallocate = arena_fallocate,
	.show_fdinfo = arena_show_fdinfo,
};

/* Size, mode and owner are fixed for life. */
static int arena_setattr(struct compat_idmap *idmap, struct dentry *dentry,
			 struct iattr *attr)
{
	return -EPERM;
}

/* Of what the caller has. */
static int arena_getattr(struct compat_idmap *idmap, const struct path *path,
			 struct kstat *stat, u32 request_mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct hpheap_arena *arena = inode->i_private;
	struct hpheap_view *view = hpheap_view_find(arena, current->mm);

	compat_fillattr(idmap, request_mask, inode, stat);
	stat->blocks = 0;
	if (!view)
		return 0;
	stat->blocks = (u64)READ_ONCE(view->resident) <<
		       (hpheap_arena_chunk_shift(arena) - SECTOR_SHIFT);
	hpheap_view_put(view);
	return 0;
}

static const struct inode_operations arena_iops = {
	.setattr = arena_setattr,
	.getattr = arena_getattr,
};

static struct inode *new_arena_inode(const struct hpheap_arena *arena)
{
	struct inode *inode = new_inode(arena_mount->mnt_sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | 0600;
	inode->i_uid = current_fsuid();
	inode->i_gid = current_fsgid();
	inode->i_flags |= S_PRIVATE | S_NOCMTIME;
	inode->i_blkbits = hpheap_arena_chunk_shift(arena);
	inode->i_op = &arena_iops;
	i_size_write(inode, arena->bytes);
	return inode;
}

/**
 * hpheap_file_new() - put an arena behind a file
 * @arena: the arena; on success the file owns it and frees it when the last
 *         descriptor and mapping are gone
 *
 * Return: the file, not yet installed in a descriptor table, or an error.
 */
struct file *hpheap_file_new(struct hpheap_arena *arena)
{
	struct inode *inode;
	struct file *file;
	int err;

	/* A mount per arena alive, so that the module can go when none is. */
	err = simple_pin_fs(&arena_fs_type, &arena_mount, &arena_mount_count);
	if (err)
		return ERR_PTR(err);

	inode = new_arena_inode(arena);
	if (!inode) {
		err = -ENOMEM;
		goto err_release_fs;
	}

	/* alloc_file_pseudo() takes no reference for the operations; fput() drops one. */
	__module_get(THIS_MODULE);
	file = alloc_file_pseudo(inode, arena_mount, "hpheap-arena", O_RDWR, &arena_fops);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto err_put_inode;
	}
	file->private_data = arena;
	inode->i_private = arena;
	arena->id = inode->i_ino;
	return file;

err_put_inode:
	module_put(THIS_MODULE);
	iput(inode);
err_release_fs:
	simple_release_fs(&arena_mount, &arena_mount_count);
	return ERR_PTR(err);
}
