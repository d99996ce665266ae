/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that must hold of the slabs of a heap while no thread is in it: S1 to S4 of lib/slab.c and
 * lib/hollow.c, what a page that is in use and away may be (P5), and the sums that follow.
 *
 * slab_invariants() returns NULL, or a sentence about what is wrong.
 */
#ifndef SELFTESTS_INVARIANTS_SLABS_H
#define SELFTESTS_INVARIANTS_SLABS_H

#include "invariants_maps.h"

/* What is counted in the slabs, of one bin and of one zone. */
struct slab_census {
	size_t slabs[HPH_CLASSES], taken[HPH_CLASSES], partial[HPH_CLASSES];
	size_t used_pages, hollow_pages, halves;
};

/* Is this half of a page away? */
static inline bool half_is_away(const struct hph_unit *unit, unsigned int page, unsigned int half)
{
	return hph_map_test(unit->away, page) ||
	       (unit->slabs && hph_map_test(unit->slabs->halves[half], page));
}

/* Is a byte of an object on a part that is away? */
static inline bool lies_away(const struct hph_slab *slab, unsigned int index)
{
	const uint32_t size = hph_classes[slab->class].size;
	const uintptr_t first = slab->base + (uintptr_t)index * size;
	uintptr_t addr;

	for (addr = first & ~(PAGE / 2 - 1); addr < first + size; addr += PAGE / 2)
		if (half_is_away(slab->unit, hph_page_in_unit(addr), addr / (PAGE / 2) % 2))
			return true;
	return false;
}

static inline const char *check_slab(const struct hph_slab *slab, struct slab_census *census)
{
	const unsigned int objects = hph_classes[slab->class].objects;
	unsigned int i, free = 0, withdrawn = 0;

	for (i = 0; i < objects; i++) {
		const bool is_free = slab->free[i / 64] >> i % 64 & 1;

		REQUIRE(!is_free || i / 64 >= slab->word, "slab %#jx: %u is free before word %u (S1)",
			(uintmax_t)slab->base, i, slab->word);
		REQUIRE(!is_free || !lies_away(slab, i), "slab %#jx: %u is free, and away (S4)",
			(uintmax_t)slab->base, i);
		free += is_free;
		withdrawn += lies_away(slab, i);
	}
	REQUIRE(free == slab->nr_free && withdrawn == slab->nr_withdrawn,
		"slab %#jx: %u are free and %u withdrawn, not %u and %u (S1, S4)",
		(uintmax_t)slab->base, slab->nr_free, slab->nr_withdrawn, free, withdrawn);
	census->slabs[slab->class]++;
	census->taken[slab->class] += objects - free - withdrawn;
	census->partial[slab->class] += free && free + withdrawn < objects;
	return NULL;
}

static inline const char *check_slabs_of(const struct hph_unit *unit, struct slab_census *census)
{
	unsigned int next = 0, page, h, hollow = 0, halves = 0;
	const struct hph_slab *slab;
	const char *wrong = NULL;

	for (page = 0; unit->slabs && page < HPH_UNIT_PAGES; page++) {
		REQUIRE(!hph_map_test(unit->slabs->remnants, page) ||
			hph_map_test(unit->away, page),
			"unit %#jx: half of page %u is away and all of it is there (P5)",
			(uintmax_t)unit->number, page);
		for (h = 0; h < HPH_HALVES; h++) {
			if (!hph_map_test(unit->slabs->halves[h], page))
				continue;
			REQUIRE(hph_unit_state(unit) == HPH_UNIT_USED && unit->slab_page[page] &&
				!hph_map_test(unit->away, page) &&
				!hph_map_test(unit->slabs->halves[!h], page),
				"unit %#jx: page %u is halved (P5)", (uintmax_t)unit->number, page);
			halves++;
		}
	}
	REQUIRE(halves == unit->nr_halves, "unit %#jx: %u halves are away, not %u",
		(uintmax_t)unit->number, halves, unit->nr_halves);
	census->halves += halves;
	if (hph_unit_state(unit) != HPH_UNIT_USED)
		return NULL;
	for (page = 0; page < HPH_UNIT_PAGES; page++) {
		if (!hph_map_test(unit->used, page) || !hph_map_test(unit->away, page))
			continue;
		REQUIRE(unit->slab_page[page], "unit %#jx: page %u is in use and away (P5)",
			(uintmax_t)unit->number, page);
		hollow++;
	}
	census->hollow_pages += hollow;
	census->used_pages += (size_t)unit->nr_used - hollow;
	while (!wrong && (slab = hph_slab_next(unit, &next))) {
		REQUIRE(slab->unit == unit, "slab %#jx: is of another unit (S3)",
			(uintmax_t)slab->base);
		wrong = check_slab(slab, census);
	}
	return wrong;
}

static inline const char *check_object_bin(const struct hph_bin *bin, unsigned int class,
				    const struct slab_census *census)
{
	const struct hph_slab *slab;
	size_t partial = 0;
	unsigned int i;

	for (i = 0; i < HPH_FILLS; i++)
		for (slab = bin->partial[i]; slab; slab = slab->link[1], partial++)
			REQUIRE(slab->fill == i && slab->nr_free, "slab %#jx: %u free, in list %u (S2)",
				(uintmax_t)slab->base, slab->nr_free, i);
	REQUIRE(bin->slabs == census->slabs[class] && bin->taken == census->taken[class] &&
		partial == census->partial[class],
		"class %u: %zu slabs, %zu taken, %zu partial, not %zu, %zu, %zu", class, bin->slabs,
		bin->taken, partial, census->slabs[class], census->taken[class],
		census->partial[class]);
	return NULL;
}

static inline const char *check_slabs_in(const struct hpheap *heap, const struct hph_zone *zone)
{
	struct slab_census census = { .used_pages = 0 };
	const struct hph_block *block;
	const char *wrong = NULL;
	uintptr_t number;
	unsigned int i;

	for (block = heap->arena.blocks; block; block = block->next) {
		for (number = hph_unit_of(block->first); number < hph_unit_of(block->end); number++) {
			const struct hph_unit *unit = hph_unitmap_find(&heap->map, number);

			if (unit && hph_unit_zone(unit) == zone->pages.zone)
				wrong = check_slabs_of(unit, &census);
			if (wrong)
				return wrong;
		}
	}
	REQUIRE(census.used_pages == zone->pages.used_pages &&
		census.hollow_pages == zone->pages.hollow_pages &&
		census.halves == zone->pages.away_halves,
		"zone %u: %zu pages used, %zu hollow, %zu halves away, not %zu, %zu, %zu (P5)",
		zone->pages.zone, zone->pages.used_pages, zone->pages.hollow_pages,
		zone->pages.away_halves, census.used_pages, census.hollow_pages, census.halves);
	for (i = 0; zone->bins && i < HPH_CLASSES && !wrong; i++)
		wrong = check_object_bin(&zone->bins[i], i, &census);
	return wrong;
}

static inline const char *slab_invariants(const struct hpheap *heap)
{
	const char *wrong = NULL;
	unsigned int i;

	for (i = 0; i < heap->nr_zones && !wrong; i++)
		wrong = check_slabs_in(heap, &heap->zones[i]);
	return wrong;
}

#endif
