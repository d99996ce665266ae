// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits and counters.
 *
 * An arena is charged in full when it is made: to the module's max_bytes and
 * to the RLIMIT_MEMLOCK of the creating user. A charge that can be refused is
 * refused in CREATE, which can say why, never at a touch, which can only kill.
 * The memory cgroup is different: the kernel charges it chunk by chunk as the
 * memory is allocated (chunk.c).
 */
#include "account.h"

#include <linux/device.h>
#include <linux/mm.h>
#include <linux/module.h>

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

#define COUNTER_ATTR(name)						\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%lld\n",				\
			  (long long)atomic64_read(&hpheap_counters.name)); \
}									\
static DEVICE_ATTR_RO(name)

COUNTER_ATTR(arenas);
COUNTER_ATTR(reserved_bytes);
COUNTER_ATTR(resident_bytes);
COUNTER_ATTR(quarantined_bytes);
COUNTER_ATTR(chunks_allocated);
COUNTER_ATTR(chunks_released);
COUNTER_ATTR(alloc_failures);
COUNTER_ATTR(faults);

static struct attribute *account_attrs[] = {
	&dev_attr_arenas.attr,
	&dev_attr_reserved_bytes.attr,
	&dev_attr_resident_bytes.attr,
	&dev_attr_quarantined_bytes.attr,
	&dev_attr_chunks_allocated.attr,
	&dev_attr_chunks_released.attr,
	&dev_attr_alloc_failures.attr,
	&dev_attr_faults.attr,
	NULL
};

static const struct attribute_group account_group = { .attrs = account_attrs };

const struct attribute_group *hpheap_account_groups[] = { &account_group, NULL };
