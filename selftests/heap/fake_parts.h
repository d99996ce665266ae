/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Units of which part of the memory goes and comes again. Part of fake_backend.h,
 * and included there.
 */
#ifndef SELFTESTS_FAKE_PARTS_H
#define SELFTESTS_FAKE_PARTS_H

/* Whole base pages of a unit that has memory? */
static inline bool fake_check_part(struct fake *fake, const char *call,
				   const struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	const uintptr_t unit = hph_round_down(addr, UNIT);

	if (!bytes || (addr | bytes) % fake->space.base_page || addr + bytes - unit > UNIT) {
		fake_wrong(fake, "%s(%#jx, %#zx) of no base pages", call, (uintmax_t)addr, bytes);
		return false;
	}
	return fake_check(fake, call, unit, UNIT, 1U << FAKE_COMMITTED) &&
	       fake_check_port(fake, call, backend, unit);
}

/* Pages have no memory, or have it again; before it was the other way round. */
static inline int fake_part(struct hph_backend *backend, enum fake_call call, uintptr_t addr,
			    size_t bytes)
{
	struct fake *fake = fake_begin(backend);
	struct fake_unit *unit = fake_unit(fake, hph_unit_of(addr));
	const unsigned int first = hph_page_in_unit(addr);
	const uint8_t before = call == FAKE_THIN ? 0 : FAKE_AWAY;
	int error = fake_injected(&fake->calls[call]);
	unsigned int i;

	if (!fake_check_part(fake, fake_names[call], backend, addr, bytes))
		error = -EIO;
	if (unit->split != (call == FAKE_THIN) && !fake->efence)
		fake_wrong(fake, "%s(%#jx) of a unit that is %ssplit", fake_names[call],
			   (uintmax_t)addr, unit->split ? "" : "not ");
	for (i = first; !error && i < first + bytes / PAGE; i++) {
		if (unit->page[i] & NAIVE_USED || (unit->page[i] & FAKE_AWAY) != before)
			fake_wrong(fake, "%s(%#jx, %#zx): page %u has %#x", fake_names[call],
				   (uintmax_t)addr, bytes, i, unit->page[i]);
		unit->page[i] = (unit->page[i] & NAIVE_FENCED) | (FAKE_AWAY ^ before);
		if (unit->page[i] & NAIVE_FENCED)
			continue;	/* that is for good, and counts nowhere */
		unit->away = (uint16_t)(before ? unit->away - 1 : unit->away + 1);
		fake->thinned += !before;
	}
	return fake_end(fake, call, addr, bytes, error);
}

static inline int fake_thin(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	return fake_part(backend, FAKE_THIN, addr, bytes);
}

static inline int fake_thicken(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	return fake_part(backend, FAKE_THICKEN, addr, bytes);
}

static inline void fake_split(struct hph_backend *backend, uintptr_t addr)
{
	struct fake *fake = fake_begin(backend);

	if (fake_check(fake, "split", addr, UNIT, 1U << FAKE_COMMITTED))
		fake_check_port(fake, "split", backend, addr);
	fake_unit(fake, hph_unit_of(addr))->split = true;
	pthread_mutex_unlock(&fake->lock);
}

static inline void fake_join(struct hph_backend *backend, uintptr_t addr)
{
	struct fake *fake = fake_begin(backend);
	struct fake_unit *unit = fake_unit(fake, hph_unit_of(addr));

	if (fake_check(fake, "join", addr, UNIT, 1U << FAKE_ATTACHED | 1U << FAKE_COMMITTED))
		fake_check_port(fake, "join", backend, addr);
	if (!unit->split)
		fake_wrong(fake, "join(%#jx) of a unit that is whole", (uintmax_t)addr);
	unit->split = false;
	pthread_mutex_unlock(&fake->lock);
}

/* It never can, so that thicken() is called for what is away. */
static inline int fake_collapse(struct hph_backend *backend, uintptr_t addr)
{
	struct fake *fake = fake_begin(backend);
	struct fake_unit *unit = fake_unit(fake, hph_unit_of(addr));

	if (fake_check(fake, "collapse", addr, UNIT, 1U << FAKE_COMMITTED))
		fake_check_port(fake, "collapse", backend, addr);
	if (unit->split)
		fake_wrong(fake, "collapse(%#jx) of a unit that shall be split", (uintmax_t)addr);
	pthread_mutex_unlock(&fake->lock);
	return -EAGAIN;
}

#endif /* SELFTESTS_FAKE_PARTS_H */
