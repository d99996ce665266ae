/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Addresses to be given away: a window in which parts may be taken already.
 * Where something is reserved, a policy says, as systems have different ones.
 */
#ifndef SELFTESTS_FAKE_SPACE_H
#define SELFTESTS_FAKE_SPACE_H

#include "heap.h"

/* Where reservations lie. */
enum fake_policy {
	FAKE_ANYWHERE,	/* at the hint, below, above, adjacent, between, by chance */
	FAKE_UPWARD,	/* the lowest place */
	FAKE_DOWNWARD,	/* the hint or the highest place, as Linux has it */
};

struct fake_range {
	uint64_t first;
	uint64_t end;
	bool foreign;		/* somebody else's */
};

struct fake_space {
	size_t base_page;
	uint64_t low, high;	/* the window */
	enum fake_policy policy;
	uint64_t random;
	struct fake_range *ranges; /* by address, apart */
	size_t nr_ranges, room;
};

/* The first range that ends above @addr. */
static inline size_t fake_range_at(const struct fake_space *space, uint64_t addr)
{
	size_t low = 0, high = space->nr_ranges;

	while (low < high) {
		const size_t middle = (low + high) / 2;

		if (space->ranges[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline bool fake_is_free(const struct fake_space *space, uint64_t first, uint64_t bytes)
{
	const size_t at = fake_range_at(space, first);

	return first >= space->low && first <= space->high && bytes <= space->high - first &&
	       (at == space->nr_ranges || space->ranges[at].first >= first + bytes);
}

static inline void fake_insert(struct fake_space *space, uint64_t first, uint64_t bytes,
			       bool foreign)
{
	const size_t at = fake_range_at(space, first);

	if (space->nr_ranges == space->room) {
		space->room = space->room ? 2 * space->room : 64;
		space->ranges = realloc(space->ranges, space->room * sizeof(space->ranges[0]));
		if (!space->ranges)
			abort();
	}
	memmove(space->ranges + at + 1, space->ranges + at,
		(space->nr_ranges - at) * sizeof(space->ranges[0]));
	space->ranges[at] = (struct fake_range){ first, first + bytes, foreign };
	space->nr_ranges++;
}

/* Is all of it reserved by the heap? */
static inline bool fake_is_ours(const struct fake_space *space, uint64_t first, uint64_t bytes)
{
	size_t at = fake_range_at(space, first);

	for (; bytes; at++) {
		const struct fake_range *range = &space->ranges[at];

		if (at == space->nr_ranges || range->foreign || range->first > first)
			return false;
		if (range->end - first >= bytes)
			return true;
		bytes -= range->end - first;
		first = range->end;
	}
	return true;
}

static inline void fake_erase(struct fake_space *space, uint64_t first, uint64_t end)
{
	while (first < end) {
		const size_t at = fake_range_at(space, first);
		struct fake_range *range = &space->ranges[at];
		const uint64_t range_end = range->end;

		if (range->first < first) {
			range->end = first;
			if (range_end > end)
				fake_insert(space, end, range_end - end, false);
		} else if (range_end > end) {
			range->first = end;
		} else {
			space->nr_ranges--;
			memmove(range, range + 1, (space->nr_ranges - at) * sizeof(*range));
		}
		first = range_end;
	}
}

/* The lowest or the highest place for @bytes; 0: there is none. */
static inline uint64_t fake_first_fit(const struct fake_space *space, uint64_t bytes, bool highest)
{
	uint64_t begin = space->low, found = 0;
	size_t at;

	for (at = 0; at <= space->nr_ranges; at++) {
		const uint64_t end = at < space->nr_ranges ? space->ranges[at].first : space->high;

		if (end > begin && end - begin >= bytes) {
			found = highest ? end - bytes : begin;
			if (!highest)
				return found;
		}
		if (at < space->nr_ranges)
			begin = space->ranges[at].end;
	}
	return found;
}

/* Beside what is there, or anywhere: as systems do that are asked for more. */
static inline uint64_t fake_by_chance(struct fake_space *space, uintptr_t hint, uint64_t bytes)
{
	const uint64_t pages = (space->high - space->low) / space->base_page;
	const struct fake_range *range = NULL;
	uint64_t addr = 0;

	if (space->nr_ranges)
		range = &space->ranges[random_next(&space->random) % space->nr_ranges];
	switch (random_next(&space->random) % 8) {
	case 0:
	case 1:
		addr = hint;
		break;
	case 2:
		addr = range ? range->end : 0;
		break;
	case 3:
		addr = range && range->first > bytes ? range->first - bytes : 0;
		break;
	case 4:
		return fake_first_fit(space, bytes, false);
	case 5:
		return fake_first_fit(space, bytes, true);
	default:
		addr = space->low + ((uint64_t)random_next(&space->random) << 31 ^
				    random_next(&space->random)) % pages * space->base_page;
		break;
	}
	if (addr && fake_is_free(space, addr, bytes))
		return addr;
	return fake_first_fit(space, bytes, random_next(&space->random) % 2);
}

/* Where @bytes are to be reserved; 0: nowhere. */
static inline uint64_t fake_choose(struct fake_space *space, uintptr_t hint, uint64_t bytes)
{
	if (space->policy == FAKE_ANYWHERE)
		return fake_by_chance(space, hint, bytes);
	if (space->policy == FAKE_UPWARD)
		return fake_first_fit(space, bytes, false);
	if (hint && fake_is_free(space, hint, bytes))
		return hint;
	return fake_first_fit(space, bytes, true);
}

/* Takes parts of the window for others: what remains is in pieces of @most at most. */
static inline void fake_fragment(struct fake_space *space, uint64_t most)
{
	uint64_t addr = space->low;

	while (addr + most < space->high) {
		const uint64_t gap = ((uint64_t)random_next(&space->random) << 12) % most;

		addr += gap / space->base_page * space->base_page;
		fake_insert(space, addr, space->base_page, true);
		addr += space->base_page;
	}
}

#endif /* SELFTESTS_FAKE_SPACE_H */
