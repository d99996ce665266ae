// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits and counters.
 *
 * An arena is charged in full when it is made: to the module's max_bytes and
 * to the RLIMIT_MEMLOCK of the creating user. A charge that can be refused is
 * refused in CREATE, which can say why, never at a touch, which can only kill. But for
 * copies after a fork: nobody knows how many there will be.
 * The memory cgroup is different: the kernel charges it chunk by chunk as the
 * memory is allocated (chunk.c).
 */
#include "account.h"

#include <linux/device.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "pool.h"

struct hpheap_counters hpheap_counters;

static unsigned long long max_bytes;
module_param(max_bytes, ullong, 0644);
MODULE_PARM_DESC(max_bytes, "most bytes that all arenas together may have (0: all memory)");

u64 hpheap_max_bytes(void)
{
	u64 limit = READ_ONCE(max_bytes);

	return limit ? limit : (u64)totalram_pages() << PAGE_SHIFT;
}

static int charge_module(u64 bytes)
{
	s64 old = atomic64_read(&hpheap_counters.reserved_bytes);
	u64 limit = hpheap_max_bytes();

	do {
		if (bytes > limit || old > limit - bytes)
			return -ENOSPC;
	} while (!atomic64_try_cmpxchg(&hpheap_counters.reserved_bytes, &old, old + bytes));
	return 0;
}

/*
 * mm_account_pinned_pages() is made for buffers that begin inside a page and
 * adds two pages for their ends; an arena has none, so ask for two fewer.
 * It lets CAP_IPC_LOCK pass uncharged.
 */
static int charge_memlock(struct mmpin *memlock, u64 bytes)
{
	return mm_account_pinned_pages(memlock, bytes - 2 * PAGE_SIZE) ? -EDQUOT : 0;
}

/**
 * hpheap_charge() - charge a new arena to the module and to the caller
 * @charge: filled
 * @bytes: size of the arena, more than two base pages
 *
 * Return: 0, -ENOSPC over max_bytes, -EDQUOT over RLIMIT_MEMLOCK.
 */
int hpheap_charge(struct hpheap_charge *charge, u64 bytes)
{
	int err;

	err = charge_module(bytes);
	if (err)
		return err;
	charge->memlock = (struct mmpin){};
	err = charge_memlock(&charge->memlock, bytes);
	if (err) {
		atomic64_sub(bytes, &hpheap_counters.reserved_bytes);
		return err;
	}
	charge->bytes = bytes;
	return 0;
}

void hpheap_uncharge(struct hpheap_charge *charge)
{
	mm_unaccount_pinned_pages(&charge->memlock);
	atomic64_sub(charge->bytes, &hpheap_counters.reserved_bytes);
}

/**
 * hpheap_charge_copy() - charge a chunk more than an arena's size to the module
 * @bytes: its size
 *
 * Not to RLIMIT_MEMLOCK: who made the arena may have been free of it, or have given
 * his rights up since.
 *
 * Return: 0, -ENOSPC over max_bytes.
 */
int hpheap_charge_copy(u64 bytes)
{
	return charge_module(bytes);
}

void hpheap_uncharge_copy(u64 bytes)
{
	atomic64_sub(bytes, &hpheap_counters.reserved_bytes);
}

static ssize_t counter_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const atomic64_t *counter = container_of(attr, struct dev_ext_attribute, attr)->var;

	return sysfs_emit(buf, "%lld\n", (long long)atomic64_read(counter));
}

static struct dev_ext_attribute counter_attrs[] = {
	{ __ATTR(arenas, 0444, counter_show, NULL), &hpheap_counters.arenas },
	{ __ATTR(reserved_bytes, 0444, counter_show, NULL), &hpheap_counters.reserved_bytes },
	{ __ATTR(resident_bytes, 0444, counter_show, NULL), &hpheap_counters.resident_bytes },
	{ __ATTR(quarantined_bytes, 0444, counter_show, NULL), &hpheap_counters.quarantined_bytes },
	{ __ATTR(chunks_allocated, 0444, counter_show, NULL), &hpheap_counters.chunks_allocated },
	{ __ATTR(chunks_released, 0444, counter_show, NULL), &hpheap_counters.chunks_released },
	{ __ATTR(alloc_failures, 0444, counter_show, NULL), &hpheap_counters.alloc_failures },
	{ __ATTR(faults, 0444, counter_show, NULL), &hpheap_counters.faults },
	{ __ATTR(purgeable_bytes, 0444, counter_show, NULL), &hpheap_counters.purgeable_bytes },
	{ __ATTR(chunks_marked, 0444, counter_show, NULL), &hpheap_counters.chunks_marked },
	{ __ATTR(chunks_reused, 0444, counter_show, NULL), &hpheap_counters.chunks_reused },
	{ __ATTR(chunks_taken, 0444, counter_show, NULL), &hpheap_counters.chunks_taken },
	{ __ATTR(pool_bytes, 0444, counter_show, NULL), &hpheap_counters.pool_bytes },
	{ __ATTR(pool_hits, 0444, counter_show, NULL), &hpheap_counters.pool_hits },
};

static struct attribute *account_attrs[] = {
	&counter_attrs[0].attr.attr,
	&counter_attrs[1].attr.attr,
	&counter_attrs[2].attr.attr,
	&counter_attrs[3].attr.attr,
	&counter_attrs[4].attr.attr,
	&counter_attrs[5].attr.attr,
	&counter_attrs[6].attr.attr,
	&counter_attrs[7].attr.attr,
	&counter_attrs[8].attr.attr,
	&counter_attrs[9].attr.attr,
	&counter_attrs[10].attr.attr,
	&counter_attrs[11].attr.attr,
	&counter_attrs[12].attr.attr,
	&counter_attrs[13].attr.attr,
	NULL
};

static const struct attribute_group account_group = { .attrs = account_attrs };

const struct attribute_group *hpheap_account_groups[] = {
	&account_group, &hpheap_pool_group, NULL
};
