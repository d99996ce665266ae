// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Depots: where objects wait that go from one thread's cache to another's.
 *
 * There is one for each class and node, in its bin. Addresses are copied in and out, and no slab
 * is looked at, as long as it has some, or room. (Bonwick and Adams, "Magazines and Vmem", USENIX
 * 2001.) The bin's lock is all that threads meet at, and only those that want the same
 * class on the same node.
 */
#include <string.h>

#include "object.h"

/* What was never handed out gets its tag. */
static void tag_fresh(const struct hpheap *heap, uintptr_t *slots, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (!(slots[i] & HPH_FRESH))
			continue;
		slots[i] &= ~HPH_FRESH;
		*hph_object_word(slots[i]) = slots[i] ^ heap->secret;
	}
}

/* Up to @wanted objects, from the depot or the slabs. */
unsigned int hph_depot_take(const struct hpheap *heap, struct hph_bin *bin, uintptr_t *slots,
			    unsigned int wanted)
{
	unsigned int got;

	hph_lock(bin->lock);
	if (bin->ready) {
		got = bin->ready < wanted ? bin->ready : wanted;
		bin->ready -= got;
		memcpy(slots, bin->depot + bin->ready, got * sizeof(slots[0]));
	} else {
		got = hph_bin_take(bin, slots, wanted);
	}
	hph_unlock(bin->lock);
	tag_fresh(heap, slots, got);
	return got;
}

/* Back to the bin: the depot, if it has room, or the slabs. */
void hph_depot_put(struct hpheap *heap, struct hph_zone *zone, unsigned int class,
		   const uintptr_t *slots, unsigned int count)
{
	struct hph_bin *bin = &zone->bins[class];
	struct hph_slab *emptied = NULL;

	hph_lock(bin->lock);
	if (count > 1 && bin->ready + count <= 2u * hph_classes[class].most) {
		memcpy(bin->depot + bin->ready, slots, count * sizeof(slots[0]));
		bin->ready += count;
	} else {
		hph_bin_put(heap, bin, slots, count, true, &emptied);
	}
	hph_unlock(bin->lock);
	hph_slabs_free(zone, bin, emptied);
}
