/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The user interface of /dev/hpheap: one source for the module and the library.
 *
 * Ioctls on the device (INFO, CREATE, PURGEABLE) and on an arena (EXTENTS,
 * PURGEABLE); all else is done with the calls Linux already has for files in memory: mmap,
 * fallocate, madvise, lseek, fstat. docs/abi.md tells the whole story.
 *
 * Every structure is extensible. The caller stores its sizeof in @size; a
 * shorter structure than the module's means zeroes in the missing tail, a
 * longer one is taken as long as the unknown tail is zero (E2BIG otherwise).
 * Flags and padding that the module does not know must be zero (EINVAL).
 * Layouts are the same for 32-bit and 64-bit callers. No physical address is
 * ever part of this interface.
 */
#ifndef _UAPI_LINUX_HPHEAP_H
#define _UAPI_LINUX_HPHEAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HPHEAP_DEVICE_NAME	"hpheap"

/* Counts breaking changes only; what was added shows in hpheap_info.features. */
#define HPHEAP_ABI_VERSION	0

/* Nodes a mask can name; the kernel's own limit is the same 1024. */
#define HPHEAP_NODE_WORDS	16
#define HPHEAP_MAX_NODES	(HPHEAP_NODE_WORDS * 64)

/*
 * The request numbers carry no size (as in iommufd), so that a structure can
 * grow without a new number. 0xBC is unclaimed in the kernel's ioctl list.
 */
#define HPHEAP_IOC_MAGIC	0xBC
#define HPHEAP_IOC_INFO		_IO(HPHEAP_IOC_MAGIC, 0x80)	/* device */
#define HPHEAP_IOC_CREATE	_IO(HPHEAP_IOC_MAGIC, 0x81)	/* device */
#define HPHEAP_IOC_PURGEABLE	_IO(HPHEAP_IOC_MAGIC, 0x82)	/* device */
#define HPHEAP_ARENA_EXTENTS	_IO(HPHEAP_IOC_MAGIC, 0xc0)	/* arena */
#define HPHEAP_ARENA_PURGEABLE	_IO(HPHEAP_IOC_MAGIC, 0xc1)	/* arena */

/* hpheap_info.features: what this module can do beyond the first ABI. */
#define HPHEAP_FEATURE_CONTIG		(1ULL << 0)	/* CREATE_CONTIG */
#define HPHEAP_FEATURE_MEMCG		(1ULL << 1)	/* charged to a cgroup */
#define HPHEAP_FEATURE_PURGEABLE	(1ULL << 2)	/* ARENA_PURGEABLE, IOC_PURGEABLE */
#define HPHEAP_FEATURE_STATUS		(1ULL << 3)	/* status behind the arena's end */
#define HPHEAP_FEATURE_FORK_COW		(1ULL << 4)	/* CREATE_FORK_COW */

/**
 * struct hpheap_info - what the module offers on this system
 * @size: in: sizeof(struct hpheap_info) as the caller knows it
 * @flags: in: must be 0
 * @abi_version: out: HPHEAP_ABI_VERSION of the module
 * @base_page_bytes: out: size of a base page
 * @features: out: HPHEAP_FEATURE_*
 * @chunk_sizes: out: bit n set: chunks of 2^n bytes can be asked for
 * @pmd_bytes: out: chunk size that one PMD entry maps
 * @default_chunk_bytes: out: what CREATE takes for chunk_bytes == 0
 * @max_bytes: out: most bytes that all arenas together may have
 * @reserved_bytes: out: bytes of all arenas (what counts against @max_bytes)
 * @resident_bytes: out: bytes of chunks that hold memory now
 * @memory_nodes: out: mask of nodes that have memory
 * @cpu_nodes: out: mask of nodes that have CPUs
 */
struct hpheap_info {
	__u32 size;
	__u32 flags;
	__u32 abi_version;
	__u32 base_page_bytes;
	__u64 features;
	__u64 chunk_sizes;
	__u64 pmd_bytes;
	__u64 default_chunk_bytes;
	__u64 max_bytes;
	__u64 reserved_bytes;
	__u64 resident_bytes;
	__u64 memory_nodes[HPHEAP_NODE_WORDS];
	__u64 cpu_nodes[HPHEAP_NODE_WORDS];
};

/* hpheap_create.policy: which node a chunk is taken from */
#define HPHEAP_POLICY_LOCAL		0	/* the allocating CPU's, then near ones */
#define HPHEAP_POLICY_BIND		1	/* only nodes of the mask, nearest first */
#define HPHEAP_POLICY_PREFERRED		2	/* nodes of the mask, then all others */
#define HPHEAP_POLICY_INTERLEAVE	3	/* chunk i: the (i mod n)th node of the mask */

/* hpheap_create.flags */
#define HPHEAP_CREATE_CONTIG		(1U << 0) /* one physical run, allocated now */
#define HPHEAP_CREATE_STRICT_NODE	(1U << 1) /* fail rather than leave the policy's nodes */
#define HPHEAP_CREATE_FORK_SHARE	(1U << 2) /* a child shares the memory (default) */
#define HPHEAP_CREATE_FORK_NONE		(1U << 3) /* a child does not get the mapping */
#define HPHEAP_CREATE_FORK_COW		(1U << 4) /* a child gets a copy, chunk by chunk */

/**
 * struct hpheap_create - make an arena
 * @size: in: sizeof(struct hpheap_create) as the caller knows it
 * @flags: in: HPHEAP_CREATE_*; of the FORK flags at most one
 * @bytes: in: size of the arena, a multiple of the chunk size, not 0
 * @chunk_bytes: in: chunk size, one of hpheap_info.chunk_sizes; 0 = default
 * @policy: in: HPHEAP_POLICY_*
 * @fd: out: the arena, close-on-exec; in: must be 0
 * @nodemask: in: nodes for the policy; empty for HPHEAP_POLICY_LOCAL, at
 *            least one node for the others
 *
 * errno: EINVAL a value, flag or combination that no system takes;
 * EOPNOTSUPP a chunk size that this system cannot give; EFBIG more than the
 * allowed nodes have memory; ENODEV a node that is not there; ENXIO a node
 * without memory; EDQUOT over the caller's RLIMIT_MEMLOCK; ENOSPC over the
 * module's max_bytes; ENOMEM no memory, or no free run for CONTIG, now;
 * EMFILE/ENFILE no descriptor; EFAULT, E2BIG for the structure itself;
 * EINTR killed while a CONTIG run was searched.
 */
struct hpheap_create {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	__u64 chunk_bytes;
	__u32 policy;
	__s32 fd;
	__u64 nodemask[HPHEAP_NODE_WORDS];
};

/**
 * struct hpheap_extent - chunks adjacent in the arena and in physical memory
 * @offset: of the first byte in the arena
 * @bytes: length
 * @node: the memory's node
 * @flags: 0
 */
struct hpheap_extent {
	__u64 offset;
	__u64 bytes;
	__u32 node;
	__u32 flags;
};

/**
 * struct hpheap_extents - read the physical layout of an arena
 * @size: in: sizeof(struct hpheap_extents) as the caller knows it
 * @flags: in: must be 0
 * @start: in: arena offset to begin at; out: where to go on, the arena's
 *         size at its end
 * @extents: in: address of an array of struct hpheap_extent
 * @count: in: room in the array, at least 1; out: entries written
 * @pad: must be 0
 *
 * A snapshot of each extent, not of the arena: chunks may come and go meanwhile.
 * errno: EINVAL, E2BIG, EFAULT; EINTR when killed.
 */
struct hpheap_extents {
	__u32 size;
	__u32 flags;
	__u64 start;
	__u64 extents;
	__u32 count;
	__u32 pad;
};

/* hpheap_purgeable.flags */
#define HPHEAP_PURGEABLE_KEEP		(1U << 0) /* take the marks away */

/**
 * struct hpheap_purgeable - let the kernel take chunks when memory is short
 * @size: in: sizeof(struct hpheap_purgeable) as the caller knows it
 * @flags: in: HPHEAP_PURGEABLE_*
 * @start: in: of the first chunk, a multiple of the chunk size: its offset in
 *         the arena; on the device, an address where the caller has mapped it
 * @bytes: in: a multiple of the chunk size, not 0, all of it in the arena; on
 *         the device, all of it in one mapping
 * @chunks: out: how many chunks are marked that were not; with KEEP, how many
 *          chunks of the range hold no memory: what was in them is gone
 *
 * A marked chunk keeps its content; its mappings go. The next touch finds it as it
 * was and takes the mark away, unless the kernel has taken the chunk: then it reads
 * zeroes. Chunks without memory are passed over.
 *
 * errno: EINVAL a value that is out of place, or no mapping of an arena there;
 * EACCES the mapping there is not writable, without KEEP; EOPNOTSUPP the arena is
 * CONTIG; ENOMEM no memory for a mark, some chunks may be marked; EINTR killed;
 * EFAULT, E2BIG for the structure itself.
 */
struct hpheap_purgeable {
	__u32 size;
	__u32 flags;
	__u64 start;
	__u64 bytes;
	__u64 chunks;
};

/*
 * What a chunk is, one byte for each in an arena's status: mmap() it shared and
 * read-only, at the offset where the arena ends.
 */
#define HPHEAP_CHUNK_ABSENT		0	/* no memory: a touch allocates it */
#define HPHEAP_CHUNK_ZEROED		1	/* allocated, not touched yet */
#define HPHEAP_CHUNK_RESIDENT		2	/* in use */
#define HPHEAP_CHUNK_PURGEABLE		3	/* marked */
#define HPHEAP_CHUNK_TAKEN		4	/* was marked; no memory: the kernel took it */
#define HPHEAP_CHUNK_POISONED		5	/* in use, and a page of it is broken */

#endif /* _UAPI_LINUX_HPHEAP_H */
