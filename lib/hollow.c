// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Hollow pages: of slabs, given back to the system because no object lies on them.
 *
 * When a service has shrunk, a few objects are left in each of many slabs, and spans are as
 * scarcely free as before. So when a unit is thinned (thin.c), pages of its slabs on which all
 * objects are free go, too; and halves of pages, where base pages are so small. The slab stays a
 * slab. Free objects that lie on such a part, be it with one byte, are withdrawn: no bin hands
 * them out. Which ones these are need not be written down: it follows from the parts that are in
 * use and away. When these come back, the objects get their tags again (O1), and are free as
 * before; if the slab's last object goes before that, its span is freed, and the hollow pages are
 * away like any others, those of which a half is away, too.
 *
 * S4 an object on a part that is away is neither free[] nor anybody's, if the program keeps to
 *    the rules; nr_withdrawn of them are in a slab.
 *
 * All locks of the zone are held, those of its bins and its own, but where something else is said.
 */
#include <string.h>

#include "memcheck.h"
#include "object.h"

struct objects {
	unsigned int first, end;
};

/* Those of a slab that lie on bytes of it, at least in part. */
static struct objects lying_on(const struct hph_class *class, size_t offset, size_t bytes)
{
	struct objects objects = {
		.first = (unsigned int)offset / class->size,
		.end = (unsigned int)(offset + bytes - 1) / class->size + 1,
	};

	if (objects.end > class->objects)
		objects.end = class->objects;
	if (objects.first > objects.end)
		objects.first = objects.end;
	return objects;
}

/* Those on a page of it, counted from its first; and on a half of that. */
static struct objects on_page(const struct hph_class *class, unsigned int page)
{
	return lying_on(class, hph_page_addr(page), HPHEAP_PAGE_SIZE);
}

static struct objects on_half(const struct hph_class *class, unsigned int half)
{
	return lying_on(class, (size_t)half << HPH_HALF_SHIFT, (size_t)1 << HPH_HALF_SHIFT);
}

/* Is it on a part that is away? Some of its slab are. */
static bool lies_away(const struct hph_slab *slab, unsigned int index)
{
	const uintptr_t addr = slab->base + (uintptr_t)index * hph_classes[slab->class].size;
	const unsigned int base = hph_page_in_unit(addr) * HPH_HALVES;
	const size_t offset = addr & (HPHEAP_PAGE_SIZE - 1);
	const unsigned int first = base + (unsigned int)(offset >> HPH_HALF_SHIFT);
	const unsigned int last = base + (unsigned int)((offset + hph_classes[slab->class].size - 1)
							>> HPH_HALF_SHIFT);
	const struct hph_unit *unit = slab->unit;
	unsigned int half;

	if (hph_map_next(unit->away, first / HPH_HALVES, true) <= last / HPH_HALVES)
		return true;
	for (half = first; half <= last; half++)
		if (hph_map_test(unit->slabs->halves[half % HPH_HALVES], half / HPH_HALVES))
			return true;
	return false;
}

/* Is each of them free, or withdrawn? */
static bool all_free(const struct hph_slab *slab, struct objects objects)
{
	unsigned int i = objects.first;

	while (i < objects.end) {
		const unsigned int word = 64 - i % 64, left = objects.end - i;
		const unsigned int here = left < word ? left : word;
		uint64_t taken = ~(slab->free[i / 64] >> i % 64) & UINT64_MAX >> (64 - here);

		for (; taken; taken &= taken - 1)
			if (!slab->nr_withdrawn ||
			    !lies_away(slab, i + (unsigned int)__builtin_ctzll(taken)))
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

/* A page of a slab, if all objects on it are free; else a half of it, if @halves may go. */
static void add_bare(const struct hph_slab *slab, unsigned int index, bool halves,
		     struct hph_parts *bare)
{
	const struct hph_class *class = &hph_classes[slab->class];
	const unsigned int page = hph_page_in_unit(slab->base) + index;
	unsigned int h;

	if (all_free(slab, on_page(class, index))) {
		hph_map_set(bare->pages, page, 1);
		return;
	}
	for (h = 0; halves && h < HPH_HALVES; h++)
		if (!hph_map_test(slab->unit->slabs->halves[h], page) &&
		    all_free(slab, on_half(class, index * HPH_HALVES + h)))
			hph_map_set(bare->halves[h], page, 1);
}

/* Parts of slabs on which all objects are free. */
void hph_slabs_bare(const struct hph_unit *unit, bool halves, struct hph_parts *bare)
{
	const struct hph_slab *slab;
	unsigned int next = 0, i;

	memset(bare, 0, sizeof(*bare));
	while ((slab = hph_slab_next(unit, &next)))
		for (i = 0; slab->nr_free && has_objects(slab) &&
			    i < hph_classes[slab->class].pages; i++)
			add_bare(slab, i, halves, bare);
}

static struct hph_bin *bin_of(const struct hph_zone *zone, const struct hph_slab *slab)
{
	return &zone->bins[slab->class];
}

/* Nobody gets the objects on bare parts that have just become @away. */
void hph_slabs_withdraw(const struct hph_zone *zone, const struct hph_unit *unit,
			const struct hph_parts *away)
{
	struct hph_slab *slab;
	unsigned int next = 0, i;

	while ((slab = hph_slab_next(unit, &next))) {
		const struct hph_class *class = &hph_classes[slab->class];
		const unsigned int page = hph_page_in_unit(slab->base), before = slab->nr_free;

		if (!hph_parts_any(away, page, class->pages))
			continue;
		for (i = 0; i < class->pages * HPH_HALVES; i++) {
			const struct objects objects = on_half(class, i);

			if (hph_parts_test(away, page * HPH_HALVES + i))
				hph_map_clear(slab->free, objects.first,
					      objects.end - objects.first);
		}
		slab->nr_free = (uint16_t)count_free(slab);
		slab->nr_withdrawn = (uint16_t)(slab->nr_withdrawn + before - slab->nr_free);
		hph_slab_refile(bin_of(zone, slab), slab, before);
	}
}

/* Does an object lie on a part that is away? Under the lock of the slab's bin. */
bool hph_slab_is_withdrawn(const struct hph_slab *slab, unsigned int index)
{
	return slab->nr_withdrawn && lies_away(slab, index);
}

/* It lies on nothing any more that is away. If it begins before @begin it has no tag (O1). */
static void return_object(uintptr_t secret, struct hph_slab *slab, unsigned int index,
			  uintptr_t begin)
{
	const uintptr_t addr = slab->base + (uintptr_t)index * hph_classes[slab->class].size;

	if (lies_away(slab, index))
		return;
	if (addr < begin)
		*hph_object_word(addr) = addr ^ secret;
	hph_map_set(slab->free, index, 1);
}

/* Only the first and the last object on a half may lie on others, too. */
static void return_half(uintptr_t secret, struct hph_slab *slab, unsigned int half)
{
	const struct objects objects = on_half(&hph_classes[slab->class], half);
	const uintptr_t begin = slab->base + ((uintptr_t)half << HPH_HALF_SHIFT);

	if (objects.first == objects.end)
		return;
	if (objects.end - objects.first > 2)
		hph_map_set(slab->free, objects.first + 1, objects.end - objects.first - 2);
	return_object(secret, slab, objects.first, begin);
	return_object(secret, slab, objects.end - 1, begin);
	if (objects.first / 64 < slab->word)
		slab->word = (uint16_t)(objects.first / 64);
}

/* Parts came @back: what lies on none that is away any more is free again. */
void hph_slabs_return(const struct hpheap *heap, const struct hph_zone *zone,
		      const struct hph_unit *unit, const struct hph_parts *back)
{
	struct hph_slab *slab;
	unsigned int next = 0, i;

	hph_memcheck_look_away();
	while ((slab = hph_slab_next(unit, &next))) {
		const unsigned int pages = hph_classes[slab->class].pages;
		const unsigned int page = hph_page_in_unit(slab->base), before = slab->nr_free;
		const bool leaves = !has_objects(slab);

		if (!slab->nr_withdrawn || !hph_parts_any(back, page, pages))
			continue;
		for (i = 0; i < pages * HPH_HALVES; i++)
			if (hph_parts_test(back, page * HPH_HALVES + i))
				return_half(heap->secret, slab, i);
		slab->nr_free = (uint16_t)count_free(slab);
		slab->nr_withdrawn = (uint16_t)(slab->nr_withdrawn - (slab->nr_free - before));
		if (!leaves)
			hph_slab_refile(bin_of(zone, slab), slab, before);
	}
	hph_memcheck_look_again();
}

/* To the objects that begin on a half, if its page is a slab's. */
static void tag_half(uintptr_t secret, const struct hph_unit *unit, unsigned int half)
{
	const unsigned int page = half / HPH_HALVES;
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
	half -= first * HPH_HALVES;
	objects = on_half(class, half);
	if (objects.first < objects.end &&
	    (size_t)objects.first * class->size < (size_t)half << HPH_HALF_SHIFT)
		objects.first++;
	for (i = objects.first; i < objects.end; i++) {
		const uintptr_t addr = base + (uintptr_t)i * class->size;

		*hph_object_word(addr) = addr ^ secret;
	}
}

/**
 * hph_slabs_tag() - write the tags of withdrawn objects that begin where was just brought @back
 *
 * Without locks: the unit is thinning, and the objects are not handed out before
 * hph_slabs_return(). If their slab is freed meanwhile, what was away stays so until then. Others,
 * that only reach there, get theirs from hph_slabs_return(): where they begin may be somebody
 * else's by then.
 */
void hph_slabs_tag(uintptr_t secret, const struct hph_unit *unit, const struct hph_parts *back)
{
	unsigned int half;

	hph_memcheck_look_away();
	for (half = hph_parts_next(back, 0, true); half < HPH_UNIT_HALVES;
	     half = hph_parts_next(back, half + 1, true))
		tag_half(secret, unit, half);
	hph_memcheck_look_again();
}
