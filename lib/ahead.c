// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Addresses opened ahead of their memory, and closed again.
 *
 * A heap that grows opens addresses for units to come (batch.c). What is open counts against
 * RLIMIT_DATA, which may leave nothing for units elsewhere, of this heap or for the rest of the
 * program; and mlockall() would fill it. So it is closed when a window of the scavenger's has
 * passed without its being used, and at once when memory is refused.
 */
#include "ahead.h"

#include "batch.h"
#include "os.h"

static struct hph_unit *get(const struct hpheap *heap, uintptr_t number)
{
	return hph_unitmap_get(&heap->map, number);
}

/*
 * The next units in a row of a range that are empty and open; BUSY then. Returns how many.
 * @sure: out: the first was not on its way, to this zone or another
 */
static size_t take_open(struct hpheap *heap, uintptr_t first, uintptr_t end, bool *sure)
{
	const unsigned int index = hph_unit_zone(get(heap, first));
	struct hph_zone *zone = &heap->zones[index];
	const struct hph_unit *run;
	uintptr_t number = first;

	hph_lock(&zone->lock);
	*sure = hph_unit_zone(get(heap, first)) == index &&
		hph_unit_state(get(heap, first)) != HPH_UNIT_BUSY;
	run = hph_runs_of(&zone->pages.empty, first);
	if (run && end > run->number + run->run)
		end = run->number + run->run;
	while (run && number < end && get(heap, number)->open)
		number++;
	if (number > first)
		hph_runs_cut(&zone->pages.empty, run, first, number - first);
	atomic_fetch_add(&heap->busy_units, number - first);
	hph_unlock(&zone->lock);
	return number - first;
}

/*
 * Closes what is open of a range, but for units on their way. Returns whether that is all of it.
 * @any: out: set if something was closed
 */
static bool close_range(struct hpheap *heap, const struct hph_ahead_range *range, bool *any)
{
	const uintptr_t end = range->first + range->units;
	uintptr_t number = range->first;
	bool all = true, sure;

	while (number < end) {
		const size_t units = take_open(heap, number, end, &sure);

		if (units) {
			const struct hph_batch batch = { .first = number, .reach = units };
			const bool closed = !hph_batch_detach(heap, number, units);

			hph_batch_put_empty(heap, &heap->zones[hph_unit_zone(get(heap, number))],
					    &batch);
			*any |= closed;
			sure = closed;
		}
		all &= sure;
		number += units ? units : 1;
	}
	return all;
}

/* Closes all of them, or the @old ones. Under the grow lock. */
static bool close_ranges(struct hpheap *heap, bool old)
{
	struct hph_ahead *ahead = &heap->ahead;
	unsigned int i, kept = 0;
	bool any = false;

	for (i = 0; i < ahead->nr; i++) {
		struct hph_ahead_range range = ahead->ranges[i];

		if ((!old || range.old) && close_range(heap, &range, &any))
			continue;
		range.old = true;
		ahead->ranges[kept++] = range;
	}
	ahead->nr = kept;
	return any;
}

/* Can one range more be noted? What is open elsewhere is closed for it. Under the grow lock. */
bool hph_ahead_has_room(struct hpheap *heap)
{
	if (heap->ahead.nr == HPH_AHEAD_RANGES)
		close_ranges(heap, false);
	return heap->ahead.nr < HPH_AHEAD_RANGES;
}

/* Units were opened ahead; there is room. Under the grow lock. */
void hph_ahead_note(struct hpheap *heap, uintptr_t first, size_t units)
{
	heap->ahead.ranges[heap->ahead.nr++] = (struct hph_ahead_range){
		.first = first, .units = units,
	};
}

static bool close_some(struct hpheap *heap, bool old)
{
	const int cancel = hph_os_hold_cancel();
	bool any;

	pthread_mutex_lock(&heap->grow);
	any = close_ranges(heap, old);
	pthread_mutex_unlock(&heap->grow);
	hph_os_allow_cancel(cancel);
	return any;
}

/* Closes what is open and not about to be filled. Returns whether anything was. */
bool hph_ahead_close(struct hpheap *heap)
{
	return close_some(heap, false);
}

/* Of what is open that which was so when this was called last. */
void hph_ahead_close_old(struct hpheap *heap)
{
	close_some(heap, true);
}
