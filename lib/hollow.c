// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Hollow pages: of slabs, given back to the system because no object lies on them.
 *
 * When a service has shrunk, a few objects are left in each of many slabs, and spans are as
 * scarcely free as before. So when a unit is thinned (thin.c), pages of its slabs on which all
 * objects are free go, too. The slab stays a slab. Free objects that lie on such a page, if only
 * in part, are withdrawn: no bin hands them out. Which ones these are need not be written down: it
 * follows from the pages that are in use and away. When these come back, the objects get
 * their tags again (O1), and are free as before; if the slab's last object goes before that,
 * its span is freed, and the hollow pages are away like any others.
 *
 * S4 an object on a page that is away is neither free[] nor anybody's, if the program keeps to
 *    the rules; nr_withdrawn of them are in a slab.
 *
 * All locks of the zone are held, those of its bins and its own, but where something else is said.
 */
#include "memcheck.h"
#include "object.h"

struct objects {
	unsigned int first, end;
};

/* Those of a slab that lie on a page of it, counted from its first, at least in part. */
static struct objects on_page(const struct hph_class *class, unsigned int page)
{
	struct objects objects = {
		.first = (unsigned int)hph_page_addr(page) / class->size,
		.end = ((unsigned int)hph_page_addr(page + 1) - 1) / class->size + 1,
	};

	if (objects.end > class->objects)
		objects.end = class->objects;
	if (objects.first > objects.end)
		objects.first = objects.end;
	return objects;
}

static bool all_free(const struct hph_slab *slab, struct objects objects)
{
	unsigned int i = objects.first;

	while (i < objects.end) {
		const unsigned int word = 64 - i % 64, left = objects.end - i;
		const unsigned int here = left < word ? left : word;

		if (~(slab->free[i / 64] >> i % 64) & UINT64_MAX >> (64 - here))
			return false;
		i += here;
	}
	return true;
}

static unsigned int count_free(const struct hph_slab *slab)
{
	const unsigned int words = (hph_classes[slab->class].objects + 63u) / 64;
	unsigned int word, count = 0;

	for (word = 0; word < words; word++)
		count += (unsigned int)__builtin_popcountll(slab->free[word]);
	return count;
}

/* One without any is about to be a span again, or kept empty for a moment. */
static bool has_objects(const struct hph_slab *slab)
{
	return slab->nr_free + slab->nr_withdrawn < hph_classes[slab->class].objects;
}

/* Pages of slabs on which all objects are free. */
void hph_slabs_bare(const struct hph_unit *unit, hph_pagemap bare)
{
	const struct hph_slab *slab;
	unsigned int next = 0, i;

	hph_map_clear(bare, 0, HPH_UNIT_PAGES);
	while ((slab = hph_slab_next(unit, &next))) {
		const struct hph_class *class = &hph_classes[slab->class];
		const unsigned int page = hph_page_in_unit(slab->base);

		for (i = 0; slab->nr_free && has_objects(slab) && i < class->pages; i++)
			if (all_free(slab, on_page(class, i)))
				hph_map_set(bare, page + i, 1);
	}
}

static struct hph_bin *bin_of(const struct hph_zone *zone, const struct hph_slab *slab)
{
	return &zone->bins[slab->class];
}

/* Nobody gets the objects on bare pages that have just become @away. */
void hph_slabs_withdraw(const struct hph_zone *zone, const struct hph_unit *unit,
			const hph_pagemap away)
{
	struct hph_slab *slab;
	unsigned int next = 0, i;

	while ((slab = hph_slab_next(unit, &next))) {
		const struct hph_class *class = &hph_classes[slab->class];
		const unsigned int page = hph_page_in_unit(slab->base), before = slab->nr_free;

		if (hph_map_next(away, page, true) >= page + class->pages)
			continue;
		for (i = 0; i < class->pages; i++) {
			const struct objects objects = on_page(class, i);

			if (!hph_map_test(away, page + i))
				continue;
			hph_map_clear(slab->free, objects.first, objects.end - objects.first);
		}
		slab->nr_free = (uint16_t)count_free(slab);
		slab->nr_withdrawn = (uint16_t)(slab->nr_withdrawn + before - slab->nr_free);
		hph_slab_refile(bin_of(zone, slab), slab, before);
	}
}

/* Does an object lie on a page that is away? Under the lock of the slab's bin. */
bool hph_slab_is_withdrawn(const struct hph_slab *slab, unsigned int index)
{
	const uintptr_t addr = slab->base + (uintptr_t)index * hph_classes[slab->class].size;
	const unsigned int first = hph_page_in_unit(addr);
	const unsigned int last = hph_page_in_unit(addr + hph_classes[slab->class].size - 1);

	return slab->nr_withdrawn && hph_map_next(slab->unit->away, first, true) <= last;
}

/* Only the first and the last object on a page may lie on others, too. */
static void return_page(struct hph_slab *slab, unsigned int page)
{
	const struct objects objects = on_page(&hph_classes[slab->class], page);

	if (objects.first == objects.end)
		return;
	if (objects.end - objects.first > 2)
		hph_map_set(slab->free, objects.first + 1, objects.end - objects.first - 2);
	if (!hph_slab_is_withdrawn(slab, objects.first))
		hph_map_set(slab->free, objects.first, 1);
	if (!hph_slab_is_withdrawn(slab, objects.end - 1))
		hph_map_set(slab->free, objects.end - 1, 1);
	if (objects.first / 64 < slab->word)
		slab->word = (uint16_t)(objects.first / 64);
}

/* Pages came @back: what lies on none that is away any more is free again. It has its tag. */
void hph_slabs_return(const struct hph_zone *zone, const struct hph_unit *unit,
		      const hph_pagemap back)
{
	struct hph_slab *slab;
	unsigned int next = 0, i;

	while ((slab = hph_slab_next(unit, &next))) {
		const unsigned int pages = hph_classes[slab->class].pages;
		const unsigned int page = hph_page_in_unit(slab->base), before = slab->nr_free;
		const bool leaves = !has_objects(slab);

		if (!slab->nr_withdrawn || hph_map_next(back, page, true) >= page + pages)
			continue;
		for (i = 0; i < pages; i++)
			if (hph_map_test(back, page + i))
				return_page(slab, i);
		slab->nr_free = (uint16_t)count_free(slab);
		slab->nr_withdrawn = (uint16_t)(slab->nr_withdrawn - (slab->nr_free - before));
		if (!leaves)
			hph_slab_refile(bin_of(zone, slab), slab, before);
	}
}

/* To the objects on a page in use, if it is a slab's. */
static void tag_page(uintptr_t secret, const struct hph_unit *unit, unsigned int page,
		     const hph_pagemap back)
{
	const unsigned int entry = atomic_load_explicit(&unit->slab_page[page],
							memory_order_relaxed);
	const unsigned int first = page - (entry & HPH_SLAB_BACK);
	const uintptr_t base = hph_unit_addr(unit->number) + hph_page_addr(first);
	const struct hph_class *class;
	struct objects objects;
	unsigned int i;

	if (!entry)
		return;
	class = &hph_classes[hph_entry_class(entry)];
	objects = on_page(class, page - first);
	for (i = objects.first; i < objects.end; i++) {
		const uintptr_t addr = base + (uintptr_t)i * class->size;
		const unsigned int begins = hph_page_in_unit(addr);

		if (hph_map_test(back, begins) || !hph_map_test(unit->away, begins))
			*hph_object_word(addr) = addr ^ secret;
	}
}

/**
 * hph_slabs_tag() - write the tags of withdrawn objects whose pages were just brought @back
 *
 * Without locks: the unit is thinning, and the objects are not handed out before
 * hph_slabs_return(). If their slab is freed meanwhile, its pages stay away until then.
 */
void hph_slabs_tag(uintptr_t secret, const struct hph_unit *unit, const hph_pagemap back)
{
	unsigned int page;

	hph_memcheck_look_away();
	for (page = hph_map_next(back, 0, true); page < HPH_UNIT_PAGES;
	     page = hph_map_next(back, page + 1, true))
		tag_page(secret, unit, page, back);
	hph_memcheck_look_again();
}
