/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Purgeable chunks, the status that tells of them, and pressure that takes them. To
 * be included after arena.h and system.h.
 */
#ifndef SELFTESTS_ARENA_PURGEABLE_H
#define SELFTESTS_ARENA_PURGEABLE_H

static inline struct hpheap_purgeable purge_arg(uint64_t start, uint64_t bytes, uint32_t flags)
{
	return (struct hpheap_purgeable){
		.size = sizeof(struct hpheap_purgeable), .flags = flags,
		.start = start, .bytes = bytes,
	};
}

/* Chunks that were marked, or with KEEP those that are gone; or -errno. */
static inline long purge(int fd, uint64_t start, uint64_t bytes, uint32_t flags)
{
	struct hpheap_purgeable arg = purge_arg(start, bytes, flags);

	return ioctl(fd, HPHEAP_ARENA_PURGEABLE, &arg) ? -errno : (long)arg.chunks;
}

static inline long mark(int fd, uint64_t start, uint64_t bytes)
{
	return purge(fd, start, bytes, 0);
}

static inline long keep(int fd, uint64_t start, uint64_t bytes)
{
	return purge(fd, start, bytes, HPHEAP_PURGEABLE_KEEP);
}

/* By address, through the device. */
static inline long purge_at(const void *addr, uint64_t bytes, uint32_t flags)
{
	struct hpheap_purgeable arg = purge_arg((uintptr_t)addr, bytes, flags);
	int dev = open_device();
	long result = ioctl(dev, HPHEAP_IOC_PURGEABLE, &arg) ? -errno : (long)arg.chunks;

	close(dev);
	return result;
}

static inline const volatile uint8_t *map_status(int fd, size_t bytes, size_t chunk)
{
	return mmap(NULL, bytes / chunk, PROT_READ, MAP_SHARED, fd, bytes);
}

/* All that shrinkers can give: root may ask for it at any time. */
static inline int drop_slab(void)
{
	return write_file("/proc/sys/vm/drop_caches", "2");
}

#endif /* SELFTESTS_ARENA_PURGEABLE_H */
