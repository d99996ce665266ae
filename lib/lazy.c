// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lazy spans: their memory comes as it is touched.
 *
 * A span is there before anybody touches it, as a rule: faults are for other threads. But programs
 * that were written for another malloc() ask for a gigabyte and use a corner of it. Such a
 * span is taken where there is memory; if there is none, the whole units of it are opened, and
 * the system fills what is touched. A span of one unit is not lazy: where units are huge, the
 * system fills all of it at any touch, in twice the time that it takes ahead (anon_fill()).
 *
 * What became of them is looked at when the span is freed. A unit that is whole by then is
 * like any other, from that moment on. The others leave the heap at once: the next
 * span there would find holes.
 */
#include "batch.h"
#include "cache.h"
#include "os.h"

/* So many units more of a span are lazy, or fewer. */
static void add_lazy(struct hpheap *heap, const struct hph_unit *first, size_t units)
{
	struct hph_zone *zone = &heap->zones[hph_unit_zone(first)];

	hph_lock(&zone->lock);
	zone->pages.lazy_units += units;
	hph_unlock(&zone->lock);
}

static struct hph_unit *get(const struct hpheap *heap, uintptr_t number)
{
	return hph_unitmap_get(&heap->map, number);
}

/*
 * A lazy span that begins at @first, the caller's, is about to be freed: of its units those that
 * are whole are lazy no more. Return: whether none is.
 */
bool hph_lazy_settle(struct hpheap *heap, const struct hph_unit *first, size_t pages)
{
	size_t i, lazy = 0, whole = 0;

	for (i = 0; i < pages / HPH_UNIT_PAGES; i++) {
		struct hph_unit *unit = get(heap, first->number + i);

		if (!unit->lazy)
			continue;
		unit->lazy = !unit->owner->ops->is_whole(unit->owner, hph_unit_addr(unit->number));
		lazy += unit->lazy;
		whole += !unit->lazy;
	}
	add_lazy(heap, first, -whole);
	return !lazy;
}

/* A unit that lost its memory, or got that of one which may be lazy. Returns 1 if it was not. */
static size_t make_lazy(struct hph_unit *unit)
{
	const bool was = unit->lazy;

	unit->lazy = true;
	return !was;
}

/*
 * Linux takes away what is at the new place before it looks at the old one, and then may refuse:
 * where the program has made a mapping of its own of a part (mlock(), madvise()), or memory may
 * not be promised twice for a moment. Nothing is there then, not even the addresses: they are
 * fetched again, before anybody else has them.
 */
static void mend(struct hpheap *heap, struct hph_unit *unit)
{
	struct hph_backend *owner = unit->owner;
	const uintptr_t addr = hph_unit_addr(unit->number);

	if (owner->ops->detach(owner, addr, HPHEAP_HUGE_SIZE) ||
	    hph_batch_attach(heap, unit, owner, unit->node) ||
	    owner->ops->open(owner, addr, HPHEAP_HUGE_SIZE))
		hph_os_die("the addresses %#jx were lost in realloc()", (uintmax_t)addr);
}

static bool move_unit(struct hpheap *heap, const struct hph_unit *old, struct hph_unit *new)
{
	const struct hph_backend_ops *ops = old->owner->ops;

	if (!ops->move || old->owner != new->owner || old->node != new->node)
		return false;
	if (!ops->move(old->owner, hph_unit_addr(old->number), hph_unit_addr(new->number)))
		return true;
	mend(heap, new);
	return false;
}

/*
 * What the first whole units of a span have goes to those of another, of at least as many: to
 * move pages takes a hundredth of the time that it takes to copy them.
 *
 * Return: how many bytes; what is behind them is still where it was.
 */
size_t hph_lazy_move(struct hpheap *heap, uintptr_t from, size_t bytes, uintptr_t to)
{
	const size_t units = bytes >> HPH_HUGE_SHIFT;
	size_t i, old_lazy = 0, new_lazy = 0;
	struct hph_unit *old, *new;

	if (heap->efence || from % HPHEAP_HUGE_SIZE || to % HPHEAP_HUGE_SIZE)
		return 0;
	for (i = 0; i < units; i++) {
		old = get(heap, hph_unit_of(from) + i);
		new = get(heap, hph_unit_of(to) + i);
		if (!move_unit(heap, old, new)) {
			new_lazy += make_lazy(new);	/* It may be empty now. */
			break;
		}
		old_lazy += make_lazy(old);
		new_lazy += make_lazy(new);
	}
	add_lazy(heap, get(heap, hph_unit_of(from)), old_lazy);
	add_lazy(heap, get(heap, hph_unit_of(to)), new_lazy);
	return i << HPH_HUGE_SHIFT;
}
