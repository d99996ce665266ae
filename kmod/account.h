/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_ACCOUNT_H
#define HPHEAP_ACCOUNT_H

#include <linux/atomic.h>
#include <linux/skbuff.h>
#include <linux/sysfs.h>
#include <linux/types.h>

/*
 * The module's counters, shown one to a file in /sys/class/misc/hpheap/.
 * Invariant: resident <= reserved; both are zero when no arena lives.
 */
struct hpheap_counters {
	atomic64_t arenas;		/* alive now */
	atomic64_t reserved_bytes;	/* of all arenas and copies, counts against max_bytes */
	atomic64_t resident_bytes;	/* of chunks that arenas hold */
	atomic64_t quarantined_bytes;	/* of chunks withdrawn for poison */
	atomic64_t chunks_allocated;	/* ever */
	atomic64_t chunks_released;	/* ever */
	atomic64_t alloc_failures;	/* ever */
	atomic64_t purgeable_bytes;	/* of resident_bytes */
	atomic64_t chunks_marked;	/* made purgeable, ever */
	atomic64_t chunks_reused;	/* of these: touched or kept */
	atomic64_t chunks_taken;	/* of these: taken by the kernel */
	atomic64_t pool_bytes;		/* of chunks in the pool, of no arena */
	atomic64_t pool_hits;		/* chunks that came from there, ever */
	atomic64_t faults;		/* page faults answered with memory, ever */
};

extern struct hpheap_counters hpheap_counters;
extern const struct attribute_group *hpheap_account_groups[];

/* What one arena was charged, and to whom. */
struct hpheap_charge {
	u64 bytes;
	struct mmpin memlock;
};

u64 hpheap_max_bytes(void);
int hpheap_charge(struct hpheap_charge *charge, u64 bytes);
void hpheap_uncharge(struct hpheap_charge *charge);
int hpheap_charge_copy(u64 bytes);
void hpheap_uncharge_copy(u64 bytes);

#endif /* HPHEAP_ACCOUNT_H */
