// SPDX-License-Identifier: GPL-2.0-only
/*
 * hpheap: arenas of huge, physically contiguous, NUMA-placed chunks.
 *
 * The module and its device /dev/hpheap: what it offers (INFO) and the making
 * of arenas (CREATE). include/uapi/linux/hpheap.h is the interface,
 * docs/abi.md its description. A request's way goes main.c, arena.c, chunk.c;
 * a fault's way map.c, arena.c, chunk.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/uaccess.h>
#include <linux/hpheap.h>

#include "account.h"
#include "arena.h"
#include "arg.h"
#include "chunk.h"
#include "file.h"
#include "pool.h"
#include "purge.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* What the first published structures hold; later fields come after it. */
#define INFO_SIZE_VER0		328
#define CREATE_SIZE_VER0	160

#define CREATE_FORK_FLAGS	(HPHEAP_CREATE_FORK_SHARE | HPHEAP_CREATE_FORK_NONE | \
				 HPHEAP_CREATE_FORK_COW)
#define CREATE_FLAGS		(HPHEAP_CREATE_CONTIG | HPHEAP_CREATE_STRICT_NODE | \
				 CREATE_FORK_FLAGS)

static void node_words(u64 *words, enum node_states state)
{
	unsigned int node;

	for_each_node_state(node, state)
		words[node / 64] |= BIT_ULL(node % 64);
}

static int ioctl_info(struct hpheap_info __user *uarg)
{
	struct hpheap_info info;
	u32 size;
	int err;

	BUILD_BUG_ON(sizeof(info) != INFO_SIZE_VER0);
	BUILD_BUG_ON(MAX_NUMNODES > HPHEAP_MAX_NODES);

	err = hpheap_copy_arg(&info, sizeof(info), INFO_SIZE_VER0, uarg);
	if (err)
		return err;
	if (info.flags)
		return -EINVAL;
	size = info.size;

	memset(&info, 0, sizeof(info));
	info.size = sizeof(info);
	info.abi_version = HPHEAP_ABI_VERSION;
	info.base_page_bytes = PAGE_SIZE;
	info.features = HPHEAP_FEATURE_CONTIG | HPHEAP_FEATURE_PURGEABLE |
			HPHEAP_FEATURE_STATUS | HPHEAP_FEATURE_FORK_COW |
			(IS_ENABLED(CONFIG_MEMCG) ? HPHEAP_FEATURE_MEMCG : 0);
	info.chunk_sizes = hpheap_chunk_sizes();
	info.pmd_bytes = hpheap_chunk_pmd_bytes();
	info.default_chunk_bytes = BIT_ULL(HPHEAP_MIN_CHUNK_SHIFT);
	info.max_bytes = hpheap_max_bytes();
	info.reserved_bytes = atomic64_read(&hpheap_counters.reserved_bytes);
	info.resident_bytes = atomic64_read(&hpheap_counters.resident_bytes);
	node_words(info.memory_nodes, N_MEMORY);
	node_words(info.cpu_nodes, N_CPU);

	return copy_to_user(uarg, &info, min_t(size_t, size, sizeof(info))) ? -EFAULT : 0;
}

/* Checks all that does not depend on the moment; gives the chunk size and the place. */
static int check_create(const struct hpheap_create *arg, unsigned int *chunk_shift,
			struct hpheap_place *place)
{
	u64 chunk = arg->chunk_bytes ? : BIT_ULL(HPHEAP_MIN_CHUNK_SHIFT);
	int err;

	if (arg->flags & ~CREATE_FLAGS || arg->fd)
		return -EINVAL;
	if (hweight32(arg->flags & CREATE_FORK_FLAGS) > 1)
		return -EINVAL;
	/* A copy of a chunk lies elsewhere. */
	if (arg->flags & HPHEAP_CREATE_CONTIG && arg->flags & HPHEAP_CREATE_FORK_COW)
		return -EINVAL;
	if (!is_power_of_2(chunk) || !arg->bytes || arg->bytes & (chunk - 1))
		return -EINVAL;

	err = hpheap_place_init(place, arg->policy, arg->flags & HPHEAP_CREATE_STRICT_NODE,
				arg->nodemask);
	if (err)
		return err;
	/* One run lies on one node. */
	if (arg->flags & HPHEAP_CREATE_CONTIG && place->policy == HPHEAP_POLICY_INTERLEAVE &&
	    nodes_weight(place->nodes) > 1)
		return -EINVAL;

	if (!(chunk & hpheap_chunk_sizes()))
		return -EOPNOTSUPP;
	if (arg->bytes > hpheap_place_bytes(place))
		return -EFBIG;
	*chunk_shift = ilog2(chunk);
	return 0;
}

static struct file *create_arena(const struct hpheap_create *arg, unsigned int chunk_shift,
				 const struct hpheap_place *place)
{
	struct hpheap_arena *arena;
	struct file *file;
	int err;

	arena = hpheap_arena_new(arg->bytes, chunk_shift, arg->flags, place);
	if (IS_ERR(arena))
		return ERR_CAST(arena);

	file = hpheap_file_new(arena);
	if (IS_ERR(file)) {
		hpheap_arena_free(arena);
		return file;
	}
	trace_hpheap_arena_create(arena->id, arena->bytes, hpheap_arena_chunk_bytes(arena),
				  place->policy, arg->flags);

	if (arg->flags & HPHEAP_CREATE_CONTIG) {
		err = hpheap_arena_fill_contig(arena);
		if (err) {
			fput(file);
			return ERR_PTR(err);
		}
	}
	return file;
}

static int ioctl_create(struct hpheap_create __user *uarg)
{
	struct hpheap_create arg;
	struct hpheap_place place;
	unsigned int chunk_shift;
	struct file *file;
	int err, fd;

	BUILD_BUG_ON(sizeof(arg) != CREATE_SIZE_VER0);

	err = hpheap_copy_arg(&arg, sizeof(arg), CREATE_SIZE_VER0, uarg);
	if (err)
		return err;
	err = check_create(&arg, &chunk_shift, &place);
	if (err)
		return err;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = create_arena(&arg, chunk_shift, &place);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto err_put_fd;
	}
	if (put_user(fd, &uarg->fd)) {
		err = -EFAULT;
		goto err_put_file;
	}
	fd_install(fd, file);
	return 0;

err_put_file:
	fput(file);
err_put_fd:
	put_unused_fd(fd);
	return err;
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case HPHEAP_IOC_INFO:
		return ioctl_info((void __user *)arg);
	case HPHEAP_IOC_CREATE:
		return ioctl_create((void __user *)arg);
	case HPHEAP_IOC_PURGEABLE:
		return hpheap_purge_ioctl(NULL, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.llseek = noop_llseek,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = HPHEAP_DEVICE_NAME,
	.fops = &device_fops,
	.groups = hpheap_account_groups,
	.mode = 0660,
};

static int __init hpheap_init(void)
{
	int err;

	if (!hpheap_chunk_sizes()) {
		pr_err("this kernel has no blocks of 2 MiB\n");
		return -EOPNOTSUPP;
	}
	err = hpheap_purge_init();
	if (err)
		return err;
	err = hpheap_pool_init();
	if (err)
		goto err_purge;
	err = misc_register(&device);
	if (!err)
		return 0;

	pr_err("cannot register /dev/%s: %d\n", HPHEAP_DEVICE_NAME, err);
	hpheap_pool_exit();
err_purge:
	hpheap_purge_exit();
	return err;
}

/* No arena lives: each holds a reference on the module. */
static void __exit hpheap_exit(void)
{
	misc_deregister(&device);
	hpheap_pool_exit();
	hpheap_purge_exit();
	WARN(atomic64_read(&hpheap_counters.reserved_bytes) ||
	     atomic64_read(&hpheap_counters.resident_bytes) ||
	     atomic64_read(&hpheap_counters.purgeable_bytes) ||
	     atomic64_read(&hpheap_counters.pool_bytes),
	     "hpheap: leaked: %lld bytes reserved, %lld resident, %lld purgeable, %lld in the pool\n",
	     (long long)atomic64_read(&hpheap_counters.reserved_bytes),
	     (long long)atomic64_read(&hpheap_counters.resident_bytes),
	     (long long)atomic64_read(&hpheap_counters.purgeable_bytes),
	     (long long)atomic64_read(&hpheap_counters.pool_bytes));
}

module_init(hpheap_init);
module_exit(hpheap_exit);

MODULE_DESCRIPTION("Arenas of huge, physically contiguous, NUMA-placed memory");
MODULE_AUTHOR("The hpheap developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
