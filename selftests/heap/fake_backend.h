/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A backend of addresses without memory, for a heap that shall be pushed about.
 *
 * It answers reservations from a window of addresses (fake_space.h) where a
 * script or a policy says, fails the calls that it is told to fail, and holds
 * the heap to the contract in lib/backend.h: of every call it knows whether it
 * may be made of these addresses at this moment. The first that may not is
 * remembered in wrong.
 *
 * It has two ports, for a heap whose units fall back from one to the other.
 *
 * Nothing may read or write a span of such a heap: HPHEAP_SPAN_ZERO cannot be
 * asked for. Which pages may be dirty the test writes down beside the units
 * instead, and compares with what the heap believes to be zero.
 */
#ifndef SELFTESTS_FAKE_BACKEND_H
#define SELFTESTS_FAKE_BACKEND_H

#include <pthread.h>
#include <stdarg.h>

#include "fake_space.h"
#include "cache.h"

enum fake_call {
	FAKE_RESERVE,
	FAKE_UNRESERVE,
	FAKE_ATTACH,
	FAKE_DETACH,
	FAKE_COMMIT,
	FAKE_RELEASE,
	FAKE_THIN,
	FAKE_THICKEN,
	FAKE_CALLS,
};

static const char *const fake_names[FAKE_CALLS] = {
	"reserve", "unreserve", "attach", "detach", "commit", "release", "thin", "thicken",
};

enum fake_state {
	FAKE_NONE,
	FAKE_RESERVED,
	FAKE_ATTACHED,
	FAKE_COMMITTED,
};

/* What the test writes down of each heap page. */
#define NAIVE_USED	1u	/* in a live span */
#define NAIVE_DIRTY	2u	/* was in one since it was filled */
#define NAIVE_FENCED	4u	/* was in one, and shall never be in one again */

/* What the backend knows of it: its memory is gone, though that of the unit is not. */
#define FAKE_AWAY	8u

struct fake_unit {
	uint8_t state;
	uint8_t port;		/* that it is attached to */
	bool split;		/* it was said that it will be without some pages */
	uint16_t away;		/* that it is without */
	uint16_t naive_used;	/* pages of spans, as the test has written them down */
	uint8_t page[HPH_UNIT_PAGES];
};

#define FAKE_LEAF_BITS	9
#define FAKE_LEAF_UNITS	((size_t)1 << FAKE_LEAF_BITS)
#define FAKE_SCRIPT	16u
#define FAKE_TRACE	16u

struct fake_port {
	struct hph_backend backend;
	struct fake *fake;
	size_t committed;	/* units */
};

/* The calls of one kind. */
struct fake_calls {
	uint64_t done;
	uint64_t failed;
	unsigned int fail_at;	/* the call that fails, counted from 1; 0: none */
	unsigned int fail_count; /* so many from that one on */
	int fail_error;
};

struct fake {
	struct fake_port ports[2];
	struct fake_space space;
	pthread_mutex_t lock;
	struct hpheap *heap;	/* whose zones must not be locked; NULL: threads are about */
	bool efence;		/* thin() comes without split(): nothing will be joined */
	bool fickle;		/* attach() does less, release() more, as they may */
	uintptr_t script[FAKE_SCRIPT]; /* the next answers to reserve() */
	unsigned int scripted, answered;
	struct fake_unit **leaves; /* of all addresses below the window's end */
	size_t nr_leaves;
	struct fake_calls calls[FAKE_CALLS];
	struct {
		enum fake_call call;
		uintptr_t addr;
		size_t bytes;
		int result;
	} trace[FAKE_TRACE];	/* the last calls, in a ring */
	uint64_t traced;
	uint64_t thinned;	/* pages, ever */
	char wrong[160];
};

__attribute__((format(printf, 2, 3)))
static inline void fake_wrong(struct fake *fake, const char *format, ...)
{
	va_list args;

	if (fake->wrong[0])
		return;
	va_start(args, format);
	vsnprintf(fake->wrong, sizeof(fake->wrong), format, args);
	va_end(args);
}

/* What is known of a unit: made when asked for. */
static inline struct fake_unit *fake_unit(struct fake *fake, uintptr_t number)
{
	struct fake_unit **leaf;

	if (number / FAKE_LEAF_UNITS >= fake->nr_leaves)
		abort();
	leaf = &fake->leaves[number / FAKE_LEAF_UNITS];
	if (!*leaf)
		*leaf = calloc(FAKE_LEAF_UNITS, sizeof(**leaf));
	if (!*leaf)
		abort();
	return *leaf + number % FAKE_LEAF_UNITS;
}

static inline uint64_t fake_failures(const struct fake *fake)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < FAKE_CALLS; i++)
		sum += fake->calls[i].failed;
	return sum;
}

/* The @nth call from now fails, and @count - 1 after it. */
static inline void fake_fail(struct fake *fake, enum fake_call call, unsigned int nth,
			     unsigned int count, int error)
{
	fake->calls[call].fail_at = nth;
	fake->calls[call].fail_count = count;
	fake->calls[call].fail_error = error;
}

static inline int fake_injected(struct fake_calls *calls)
{
	if (!calls->fail_at || --calls->fail_at)
		return 0;
	if (--calls->fail_count)
		calls->fail_at = 1;
	return -calls->fail_error;
}

static inline struct fake *fake_begin(struct hph_backend *backend)
{
	struct fake *fake = ((struct fake_port *)backend)->fake;
	unsigned int i;

	pthread_mutex_lock(&fake->lock);
	for (i = 0; fake->heap && i < fake->heap->nr_zones; i++) {
		if (pthread_mutex_trylock(&fake->heap->zones[i].lock))
			fake_wrong(fake, "the backend is called under a zone's lock");
		else
			pthread_mutex_unlock(&fake->heap->zones[i].lock);
	}
	return fake;
}

static inline int fake_end(struct fake *fake, enum fake_call call, uintptr_t addr, size_t bytes,
			   int result)
{
	const size_t at = fake->traced++ % FAKE_TRACE;

	fake->trace[at].call = call;
	fake->trace[at].addr = addr;
	fake->trace[at].bytes = bytes;
	fake->trace[at].result = result;
	fake->calls[call].done += !result;
	fake->calls[call].failed += result != 0;
	pthread_mutex_unlock(&fake->lock);
	return result;
}

/* Whole units of the heap's, each in one of the states in the set @allowed? */
static inline bool fake_check(struct fake *fake, const char *call, uintptr_t addr, size_t bytes,
			      unsigned int allowed)
{
	uintptr_t number = hph_unit_of(addr);
	size_t i;

	if (!bytes || (addr | bytes) % UNIT || !fake_is_ours(&fake->space, addr, bytes)) {
		fake_wrong(fake, "%s(%#jx, %#zx) of what are no units", call, (uintmax_t)addr,
			   bytes);
		return false;
	}
	for (i = 0; i < bytes / UNIT; i++, number++) {
		if (allowed & 1U << fake_unit(fake, number)->state)
			continue;
		fake_wrong(fake, "%s(%#jx, %#zx): unit %zu has state %u", call,
			   (uintmax_t)addr, bytes, i, fake_unit(fake, number)->state);
		return false;
	}
	return true;
}

static inline void fake_set_state(struct fake *fake, uintptr_t addr, enum fake_state state)
{
	struct fake_unit *unit = fake_unit(fake, hph_unit_of(addr));

	fake->ports[unit->port].committed -= unit->state == FAKE_COMMITTED;
	unit->state = (uint8_t)state;
	fake->ports[unit->port].committed += state == FAKE_COMMITTED;
}

static inline int fake_reserve(struct hph_backend *backend, uintptr_t hint, size_t bytes,
			       uintptr_t *base)
{
	struct fake *fake = fake_begin(backend);
	struct fake_space *space = &fake->space;
	uint64_t addr, first, end;
	int error = fake_injected(&fake->calls[FAKE_RESERVE]);

	if (!bytes || bytes % space->base_page || hint % space->base_page)
		fake_wrong(fake, "reserve(%#jx, %#zx) of no base pages", (uintmax_t)hint, bytes);
	if (error)
		return fake_end(fake, FAKE_RESERVE, hint, bytes, error);
	if (fake->answered < fake->scripted)
		addr = fake->script[fake->answered++];
	else
		addr = fake_choose(space, hint, bytes);
	if (!addr)
		return fake_end(fake, FAKE_RESERVE, hint, bytes, -ENOMEM);
	if (!fake_is_free(space, addr, bytes))
		fake_wrong(fake, "the test answers reserve() with what is taken");
	fake_insert(space, addr, bytes, false);
	first = (addr + UNIT - 1) / UNIT;
	end = (addr + bytes) / UNIT;
	for (; first < end; first++)
		fake_set_state(fake, (uintptr_t)(first * UNIT), FAKE_RESERVED);
	*base = (uintptr_t)addr;
	return fake_end(fake, FAKE_RESERVE, (uintptr_t)addr, bytes, 0);
}

/* What is of a unit in part is no more than addresses. */
static inline void fake_unreserve(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	struct fake *fake = fake_begin(backend);
	const uint64_t end = (uint64_t)addr + bytes;
	uint64_t number;

	if (!bytes || (addr | bytes) % fake->space.base_page ||
	    !fake_is_ours(&fake->space, addr, bytes)) {
		fake_wrong(fake, "unreserve(%#jx, %#zx) of what is not reserved", (uintmax_t)addr,
			   bytes);
	} else {
		for (number = addr / UNIT; number * UNIT < end; number++) {
			const bool whole = number * UNIT >= addr && (number + 1) * UNIT <= end;

			if (!whole && fake_unit(fake, (uintptr_t)number)->state >
				      FAKE_RESERVED)
				fake_wrong(fake, "unreserve(%#jx, %#zx) cuts a unit",
					   (uintmax_t)addr, bytes);
			fake_set_state(fake, (uintptr_t)(number * UNIT), FAKE_NONE);
		}
		fake_erase(&fake->space, addr, end);
	}
	fake_end(fake, FAKE_UNRESERVE, addr, bytes, 0);
}

static inline int fake_attach(struct hph_backend *backend, uintptr_t addr, size_t bytes,
			      const struct hph_place *place, size_t *attached)
{
	struct fake *fake = fake_begin(backend);
	int error = fake_injected(&fake->calls[FAKE_ATTACH]);
	size_t units = bytes / UNIT, i;

	(void)place;
	if (!fake_check(fake, "attach", addr, bytes, 1U << FAKE_RESERVED))
		error = -EIO;
	if (error)
		return fake_end(fake, FAKE_ATTACH, addr, bytes, error);
	if (fake->fickle)
		units = random_next(&fake->space.random) % units + 1;
	for (i = 0; i < units; i++) {
		fake_unit(fake, hph_unit_of(addr) + i)->port = backend != &fake->ports[0].backend;
		fake_unit(fake, hph_unit_of(addr) + i)->split = false;
		fake_set_state(fake, addr + i * UNIT, FAKE_ATTACHED);
	}
	*attached = units * UNIT;
	return fake_end(fake, FAKE_ATTACH, addr, *attached, 0);
}

/* Is a unit asked of the port that it is attached to? */
static inline bool fake_check_port(struct fake *fake, const char *call,
				   const struct hph_backend *backend, uintptr_t addr)
{
	const unsigned int port = fake_unit(fake, hph_unit_of(addr))->port;

	if (&fake->ports[port].backend == backend)
		return true;
	fake_wrong(fake, "%s(%#jx) of the other backend", call, (uintmax_t)addr);
	return false;
}

static inline int fake_detach(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	struct fake *fake = fake_begin(backend);
	int error = fake_injected(&fake->calls[FAKE_DETACH]);
	size_t i;

	if (!fake_check(fake, "detach", addr, bytes,
			1U << FAKE_RESERVED | 1U << FAKE_ATTACHED | 1U << FAKE_COMMITTED))
		error = -EIO;
	for (i = 0; !error && i < bytes / UNIT; i++) {
		fake_check_port(fake, "detach", backend, addr + i * UNIT);
		fake_set_state(fake, addr + i * UNIT, FAKE_RESERVED);
	}
	return fake_end(fake, FAKE_DETACH, addr, bytes, error);
}

static inline int fake_commit(struct hph_backend *backend, uintptr_t addr)
{
	struct fake *fake = fake_begin(backend);
	struct fake_unit *unit = fake_unit(fake, hph_unit_of(addr));
	int error = fake_injected(&fake->calls[FAKE_COMMIT]);
	unsigned int i;

	if (!fake_check(fake, "commit", addr, UNIT, 1U << FAKE_ATTACHED) ||
	    !fake_check_port(fake, "commit", backend, addr))
		error = -EIO;
	if (!error) {
		fake_set_state(fake, addr, FAKE_COMMITTED);
		for (i = 0; i < HPH_UNIT_PAGES; i++)
			unit->page[i] &= NAIVE_FENCED;
	}
	return fake_end(fake, FAKE_COMMIT, addr, UNIT, error);
}

static inline int fake_release(struct hph_backend *backend, uintptr_t addr, bool *detached)
{
	struct fake *fake = fake_begin(backend);
	struct fake_unit *unit = fake_unit(fake, hph_unit_of(addr));
	int error = fake_injected(&fake->calls[FAKE_RELEASE]);
	unsigned int i;

	if (!fake_check(fake, "release", addr, UNIT, 1U << FAKE_COMMITTED) ||
	    !fake_check_port(fake, "release", backend, addr))
		error = -EIO;
	for (i = 0; !error && i < HPH_UNIT_PAGES; i++)
		if (unit->page[i] & NAIVE_USED)
			fake_wrong(fake, "release(%#jx) with a span in it", (uintmax_t)addr);
	if (!error) {
		unit->away = 0;
		for (i = 0; i < HPH_UNIT_PAGES; i++)
			unit->page[i] &= NAIVE_FENCED;
		*detached = fake->fickle && random_next(&fake->space.random) % 2;
		fake_set_state(fake, addr, *detached ? FAKE_RESERVED : FAKE_ATTACHED);
	}
	return fake_end(fake, FAKE_RELEASE, addr, UNIT, error);
}

#include "fake_parts.h"

static inline void fake_query(struct hph_backend *backend, struct hph_backend_facts *facts)
{
	(void)backend;
	*facts = (struct hph_backend_facts){ 0 };
}

static inline void fake_close(struct hph_backend *backend)
{
	(void)backend;
}

static inline bool fake_nobodys(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	struct fake *fake = fake_begin(backend);
	const bool nobodys = fake_is_free(&fake->space, addr, bytes);

	if (!bytes || (addr | bytes) % fake->space.base_page)
		fake_wrong(fake, "is_free(%#jx, %#zx) of no base pages", (uintmax_t)addr, bytes);
	pthread_mutex_unlock(&fake->lock);
	return nobodys;
}

#define FAKE_WHOLE									\
	.is_free = fake_nobodys,							\
	.reserve = fake_reserve, .unreserve = fake_unreserve, .attach = fake_attach,	\
	.detach = fake_detach, .commit = fake_commit, .release = fake_release,		\
	.query = fake_query, .close = fake_close

/* As anonymous memory is, and as the device is. */
static const struct hph_backend_ops fake_ops = {
	FAKE_WHOLE,
	.split = fake_split,
	.thin = fake_thin,
	.thicken = fake_thicken,
	.join = fake_join,
	.collapse = fake_collapse,
};
static const struct hph_backend_ops fake_whole_ops = { FAKE_WHOLE };

static inline void fake_init(struct fake *fake, uint64_t low, uint64_t high, size_t base_page,
			     enum fake_policy policy, uint64_t seed)
{
	unsigned int i;

	memset(fake, 0, sizeof(*fake));
	pthread_mutex_init(&fake->lock, NULL);
	fake->space = (struct fake_space){
		.base_page = base_page, .low = low, .high = high, .policy = policy, .random = seed,
	};
	for (i = 0; i < 2; i++)
		fake->ports[i] = (struct fake_port){ .backend.ops = &fake_ops, .fake = fake };
	fake->nr_leaves = (size_t)(high / UNIT / FAKE_LEAF_UNITS) + 1;
	fake->leaves = calloc(fake->nr_leaves, sizeof(fake->leaves[0]));
	if (!fake->leaves)
		abort();
}

/* Bytes that the heap has reserved and not given back. */
static inline uint64_t fake_reserved_bytes(const struct fake *fake)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < fake->space.nr_ranges; i++)
		if (!fake->space.ranges[i].foreign)
			sum += fake->space.ranges[i].end - fake->space.ranges[i].first;
	return sum;
}

static inline void fake_free(struct fake *fake)
{
	size_t i;

	for (i = 0; i < fake->nr_leaves; i++)
		free(fake->leaves[i]);
	free(fake->leaves);
	free(fake->space.ranges);
	pthread_mutex_destroy(&fake->lock);
}

#endif /* SELFTESTS_FAKE_BACKEND_H */
