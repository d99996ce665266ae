/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OWNER_H
#define OWNER_H

/*
 * Who has the one byte that stands for all addresses (it is the first of any base
 * page; nobody has less than those, see B1, B4 and G1), what may be given back to
 * the system, and what stands for the functions that were shown already.
 */
enum owner { SYSTEM, ARENA, USER };

static struct hph_arena arena;
static uintptr_t byte;
static enum owner owner;
static bool closing;		/* the arena is being destroyed */
static bool answered;		/* the system had something, */
static uintptr_t answer;	/* there */

static void unreserve(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)backend;
	always(bytes > 0 && multiple(bytes, BASE_PAGE) && multiple(addr, BASE_PAGE),
	       "B1 addresses go back in whole base pages, at least one");
	always(bytes - 1 <= UINTPTR_MAX - addr, "B2 a range that goes back does not wrap");
	if (!in(byte, addr, bytes))
		return;
	always(owner == ARENA || (closing && owner == USER),
	       "B3 what goes back was reserved, goes back once, and not while the user has it");
	owner = SYSTEM;
}

/* The system: any error, or any place that is free. All it gives fits in the address space. */
static int reserve_anywhere(struct hph_backend *backend, uintptr_t hint, size_t bytes,
			    uintptr_t *base)
{
	const int error = nondet_int();

	(void)backend;
	(void)hint;	/* is a wish, which need not be granted */
	always(bytes > 0 && multiple(bytes, BASE_PAGE), "B4 what is reserved is whole base pages");
	given(error <= 0);
	if (error)
		return error;
	answered = true;
	answer = nondet_uintptr();
	given(answer && multiple(answer, BASE_PAGE) && bytes - 1 <= UINTPTR_MAX - answer);
	given(bytes <= SIZE_MAX - arena.address_bytes);
	if (in(byte, answer, bytes)) {
		given(owner == SYSTEM);
		owner = ARENA;
	}
	*base = answer;
	return 0;
}

/* Whether a range is free may have changed already when it is told. */
static bool any_is_free(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)backend;
	(void)addr;
	(void)bytes;
	return nondet_bool();
}

_Noreturn void hph_os_die(const char *format, ...)
{
	(void)format;
	always(false, "D1 the arena's own checks find nothing");
	given(false);
}

/* Do they end at an address, of those that the heap has a map for? */
static inline bool usable(uintptr_t addr, size_t bytes)
{
	return bytes <= UINTPTR_MAX - addr && !((uint64_t)(addr + bytes - 1) >> HPH_ADDRESS_BITS);
}

/* What reserve.c shows of reserve(), C1 to C6, and nothing else. */
int any_reservation(struct hph_arena *of, size_t bytes, uintptr_t hint, uintptr_t *first,
		    uintptr_t *end)
{
	const int error = nondet_int();

	(void)hint;
	given(error <= 0);
	if (error)
		return error;
	*first = any_multiple(HPH_HUGE_SHIFT);
	given(*first && usable(*first, bytes));
	given(bytes <= SIZE_MAX - of->address_bytes);
	*end = *first + bytes;
	if (between(byte, *first, *end)) {
		given(owner == SYSTEM);
		owner = ARENA;
	}
	return 0;
}

/* And of reserve_tight(). */
int any_tight(struct hph_arena *of, size_t bytes, uintptr_t *first)
{
	uintptr_t end;

	return any_reservation(of, bytes, 0, first, &end);
}

/* What retry.c shows of reserve_some(). */
int any_retries(struct hph_arena *of, size_t bytes, size_t wanted, uintptr_t hint, uintptr_t *first,
		uintptr_t *end)
{
	const size_t had = any_multiple(HPH_HUGE_SHIFT);

	given(had >= bytes && had <= wanted);
	return any_reservation(of, had, 0, first, end);
}

#endif /* OWNER_H */
