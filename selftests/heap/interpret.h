/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interpreter of operations.h: does each on the heap, and says what it should
 * have done. One at a time, though it may be another thread for each.
 *
 * interpret() returns NULL, or what is wrong.
 */
#ifndef SELFTESTS_INTERPRET_H
#define SELFTESTS_INTERPRET_H

#include "world.h"

#include "os.h"

static inline size_t units_of(size_t pages)
{
	return (pages + HPH_UNIT_PAGES - 1) / HPH_UNIT_PAGES;
}

static inline size_t committed_units(const struct world *world)
{
	return stats_of(world->heap).committed_bytes / UNIT;
}

/* A failure must have a reason that is not the heap's, and leave all as it was. */
static inline const char *judge_failure(struct world *world, const struct operation *operation,
					size_t pages, size_t align, uint64_t failures, int error)
{
	const size_t units = units_of(pages), unit_align = align > UNIT ? align / UNIT : 1;
	const size_t limit = world->heap->limit_units;
	const struct fake_calls *calls = world->fake.calls;
	size_t spare;

	if (world->naive.real)
		return world_says(world, "no %zu pages: %s", pages, strerror(error));
	if (fake_failures(&world->fake) == failures &&
	    (limit == SIZE_MAX || world->naive.used_units + units <= limit))
		return world_says(world, "no %zu pages, though nothing failed: %s", pages,
				  strerror(error));
	/* Only addresses were short: there must not be any that could be used again. */
	spare = naive_spare_units(&world->naive, world->heap, operation->kind == RESERVE);
	if (!calls[FAKE_ATTACH].failed && !calls[FAKE_COMMIT].failed &&
	    !calls[FAKE_RELEASE].failed && !calls[FAKE_DETACH].failed &&
	    world->heap->nr_zones == 1 && limit == SIZE_MAX && spare >= units + unit_align - 1)
		return world_says(world, "no addresses for %zu pages, where %zu units are spare",
				  pages, spare);
	if (error != ENOMEM)
		return world_says(world, "no %zu pages, with the wrong error: %s", pages,
				  strerror(error));
	return world_check(world);
}

static inline const char *do_alloc(struct world *world, const struct operation *operation)
{
	const size_t bytes = operation->amount * PAGE - operation->which % PAGE;
	const size_t align = operation->align ? PAGE << operation->align : 0;
	const uint64_t failures = fake_failures(&world->fake);
	const bool whole = operation->flags & HPHEAP_SPAN_BASE_ALIGNED || world->naive.efence;
	size_t pages = operation->amount, unit = PAGE;
	uintptr_t addr;

	if (!pages || world->naive.nr_live >= world->options->most_live)
		return NULL;
	if (whole && world->heap->base_page > unit)
		unit = world->heap->base_page;
	pages = hph_round_up(bytes, unit) / PAGE;
	addr = (uintptr_t)hpheap_span_alloc(world->heap, bytes, align, operation->flags);
	if (!addr)
		return judge_failure(world, operation, pages, align, failures, errno);
	if ((align && addr % align) || addr % unit)
		return world_says(world, "%#jx is not aligned to %#zx and %#zx", (uintmax_t)addr,
				  align, unit);
	if (hpheap_span_size(world->heap, (void *)addr) != pages * PAGE)
		return world_says(world, "%zu pages have size %zu", pages,
				  hpheap_span_size(world->heap, (void *)addr));
	return naive_add(&world->naive, addr, pages, operation->flags & HPHEAP_SPAN_ZERO);
}

static inline const char *do_free(struct world *world, size_t which)
{
	struct naive_span span;
	const char *wrong;

	if (!world->naive.nr_live)
		return NULL;
	wrong = naive_remove(&world->naive, which % world->naive.nr_live, &span);
	if (wrong)
		return wrong;
	hpheap_span_free(world->heap, (void *)span.addr);
	world->freed = span.addr;
	if (hpheap_span_size(world->heap, (void *)span.addr))
		return "a span is alive after it was freed";
	return NULL;
}

static inline const char *do_free_some(struct world *world, const struct operation *operation)
{
	const size_t modulus = operation->amount ? operation->amount : 1;
	size_t i = world->naive.nr_live;
	const char *wrong = NULL;

	while (!wrong && i-- > 0)
		if (i % modulus == operation->which % modulus)
			wrong = do_free(world, i);
	return wrong;
}

/* From every address in a span the same is found. */
static inline const char *do_find(struct world *world, const struct operation *operation)
{
	const struct naive_span *span;
	uintptr_t addr, begin;
	size_t bytes = 0;

	if (!world->naive.nr_live)
		return NULL;
	span = &world->naive.live[operation->which % world->naive.nr_live];
	addr = span->addr + operation->amount % span->pages * PAGE + operation->amount % PAGE;
	begin = (uintptr_t)hpheap_span_find(world->heap, (void *)addr, &bytes);
	if (begin != span->addr || bytes != span->pages * PAGE)
		return world_says(world, "%#jx is in %#jx + %zu pages; found is %#jx + %#zx",
				  (uintmax_t)addr, (uintmax_t)span->addr, span->pages,
				  (uintmax_t)begin, bytes);
	if (addr != begin && hpheap_span_size(world->heap, (void *)addr))
		return "an address within a span has a size";
	return NULL;
}

static inline const char *do_stray(struct world *world, const struct operation *operation)
{
	uintptr_t addr = world->freed;
	bool used;

	if (world->naive.nr_live)
		addr = world->naive.live[operation->which % world->naive.nr_live].addr;
	addr += operation->amount * PAGE;
	if (!addr || addr >= world->fake.space.high)
		return NULL;
	used = *naive_page(&world->naive, addr) & NAIVE_USED;
	if (used != (hpheap_span_find(world->heap, (void *)addr, NULL) != NULL))
		return world_says(world, "%#jx should %sbe in a span", (uintmax_t)addr,
				  used ? "" : "not ");
	return NULL;
}

/* So much more than is free now; what is free does not make room for it. */
static inline const char *do_reserve(struct world *world, const struct operation *operation)
{
	const int node = (int)(operation->which % (world_nodes + 1)) - 1;
	const uint64_t failures = fake_failures(&world->fake);
	const size_t units = operation->amount, before = committed_units(world);
	const bool room = units <= world->heap->limit_units - before;
	size_t now_units;

	if (hpheap_reserve(world->heap, units * UNIT, node)) {
		now_units = committed_units(world);
		if (now_units > before && fake_failures(&world->fake) == failures)
			return "a reservation that failed has kept memory";
		if (!room && errno == ENOMEM)
			return world_check(world);
		return judge_failure(world, operation, units * HPH_UNIT_PAGES, 0, failures,
				     errno);
	}
	now_units = committed_units(world);
	if (!room)
		return "more is reserved than the limit allows";
	if (now_units != before + units && fake_failures(&world->fake) == failures)
		return world_says(world, "%zu units reserved: before %zu, now %zu have memory",
				  units,
				  before, now_units);
	if (stats_of(world->heap).free_huge_bytes < units * UNIT)
		return "less than what was reserved is free";
	return NULL;
}

/* What had no more than @most_used pages in use has given all it had. */
static inline const char *check_no_sparse(struct world *world, unsigned int most_used)
{
	const size_t base = world->heap->base_page;
	const unsigned int group = base > PAGE ? (unsigned int)(base / PAGE) : 1;
	const struct hph_block *block;
	uintptr_t number;

	for (block = world->heap->arena.blocks; block; block = block->next)
		for (number = hph_unit_of(block->first); number < hph_unit_of(block->end);
		     number++) {
			const struct hph_unit *unit = hph_unitmap_find(&world->heap->map, number);

			if (unit && hph_unit_state(unit) == HPH_UNIT_USED && unit->divisible &&
			    unit->nr_used <= most_used && unit->longest >= 2 * group - 1)
				return world_says(world,
						  "unit %#jx has %u pages in use and %u free",
						  (uintmax_t)number, unit->nr_used, unit->longest);
		}
	return NULL;
}

static inline uint64_t resident_bytes_of(struct hpheap *heap)
{
	const struct hpheap_stats stats = stats_of(heap);

	return stats.committed_bytes - stats.away_bytes;
}

static inline const char *do_scavenge(struct world *world, const struct operation *operation)
{
	const bool all = operation->amount == ALL;
	const size_t asked = all ? SIZE_MAX : operation->amount * UNIT;
	const uint64_t failures = fake_failures(&world->fake);
	const uint64_t before_bytes = resident_bytes_of(world->heap);
	const size_t before = committed_units(world);
	size_t spare = before - world->naive.used_units, expected, done, gone;

	spare = world->naive.efence ? 0 : spare;
	expected = all || operation->amount > spare ? spare : operation->amount;
	done = hpheap_scavenge(world->heap, asked);
	gone = before - committed_units(world);
	if (done != before_bytes - resident_bytes_of(world->heap))
		return world_says(world, "scavenged %#zx, gone are %#jx", done,
				  (uintmax_t)(before_bytes - resident_bytes_of(world->heap)));
	if (fake_failures(&world->fake) != failures)
		return NULL;
	/* More units than that only if something of them was away before. */
	if (!world->naive.efence && (gone < expected || (!all && done >= asked + UNIT)))
		return world_says(world, "scavenged %zu units, not %zu: %zu, of them %zu in use",
				  gone,
				  expected, before, world->naive.used_units);
	if (asked <= gone * UNIT || done >= asked)
		return NULL;
	return check_no_sparse(world, all ? HPH_UNIT_PAGES : HPH_UNIT_PAGES / 2);
}

static inline void do_fail(struct world *world, const struct operation *operation)
{
	static const uint8_t calls[] = {
		FAKE_COMMIT, FAKE_ATTACH, FAKE_RESERVE, FAKE_RELEASE, FAKE_DETACH, FAKE_THIN,
		FAKE_THICKEN,
	};
	static const int errors[] = { ENOMEM, EAGAIN, ENOSPC, EINVAL };
	const enum fake_call call = calls[operation->which % sizeof(calls)];

	/* Memory that cannot be given back is the end of a heap in efence mode. */
	if (call == FAKE_RELEASE && world->naive.efence)
		return;
	fake_fail(&world->fake, call, operation->amount, operation->flags ? operation->flags : 1,
		  errors[operation->align % 4]);
}

static inline const char *interpret(struct world *world, const struct operation *operation)
{
	switch (operation->kind) {
	case ALLOC:
		return do_alloc(world, operation);
	case FREE:
		return do_free(world, operation->which);
	case FREE_SOME:
		return do_free_some(world, operation);
	case FIND:
		return do_find(world, operation);
	case STRAY:
		return do_stray(world, operation);
	case RESERVE:
		return do_reserve(world, operation);
	case SCAVENGE:
		return do_scavenge(world, operation);
	case DRAIN:
		hph_caches_drain(world->heap);
		return NULL;
	case FAIL:
		do_fail(world, operation);
		return NULL;
	case MOVE:
		world_node = world_nodes ? operation->which % world_nodes : 0;
		return NULL;
	default:
		return world_look(world);
	}
}

/* Another thread than the first: waits for its turn, does one, and gives it back. */
static inline void *world_thread(void *arg)
{
	struct world *world = arg;
	struct world_thread *self = &world->threads[world->current];

	pthread_mutex_lock(&world->lock);
	for (;;) {
		while (!self->operation && !self->end)
			pthread_cond_wait(&world->turn, &world->lock);
		if (self->end)
			break;
		world->wrong = interpret(world, self->operation);
		self->operation = NULL;
		pthread_cond_broadcast(&world->turn);
	}
	pthread_mutex_unlock(&world->lock);
	return NULL;
}

static inline void world_end_thread(struct world *world, unsigned int number)
{
	struct world_thread *thread = &world->threads[number];

	if (!thread->there)
		return;
	pthread_mutex_lock(&world->lock);
	thread->end = true;
	pthread_cond_broadcast(&world->turn);
	pthread_mutex_unlock(&world->lock);
	pthread_join(thread->thread, NULL);
	*thread = (struct world_thread){ 0 };
}

static inline const char *world_delegate(struct world *world, const struct operation *operation)
{
	struct world_thread *thread = &world->threads[world->current];

	pthread_mutex_lock(&world->lock);
	thread->operation = operation;
	if (!thread->there && pthread_create(&thread->thread, NULL, world_thread, world))
		abort();
	thread->there = true;
	pthread_cond_broadcast(&world->turn);
	while (thread->operation)
		pthread_cond_wait(&world->turn, &world->lock);
	pthread_mutex_unlock(&world->lock);
	return world->wrong;
}

/* One operation, whichever thread's turn it is. */
static inline const char *world_step(struct world *world, const struct operation *operation)
{
	const char *wrong = NULL;

	if (world->current && !world->turns--)
		world->current = 0;
	if (operation->kind == SWITCH) {
		world->current = operation->which % WORLD_THREADS;
		world->turns = operation->amount;
	} else if (operation->kind == LEAVE) {
		world_end_thread(world, operation->which % WORLD_THREADS);
	} else if (world->current) {
		wrong = world_delegate(world, operation);
	} else {
		wrong = interpret(world, operation);
	}
	return wrong || !world->fake.wrong[0] ? wrong : world->fake.wrong;
}

static inline bool world_init(struct world *world, const struct world_options *options,
			      uint64_t seed)
{
	const struct hpheap_options heap_options = {
		.size = sizeof(heap_options), .backend = options->backend,
		.limit_bytes = (uint64_t)options->limit_units * UNIT,
		.flags = options->efence ? HPHEAP_EFENCE : 0,
	};
	const bool real = options->backend != HPHEAP_BACKEND_AUTO;
	const size_t base = options->base_page ? options->base_page : hph_os_base_page();

	memset(world, 0, sizeof(*world));
	world->options = options;
	world_nodes = options->nodes;
	world_node = 0;
	world_real = real;
	fake_init(&world->fake, WORLD_LOW, real ? (uint64_t)1 << HPH_ADDRESS_BITS : options->high,
		  base, options->policy, seed);
	if (options->fragment)
		fake_fragment(&world->fake.space, options->fragment);
	world->fake.fickle = options->fickle;
	world->fake.efence = options->efence;
	naive_init(&world->naive, &world->fake, real, options->efence);
	world->sorted = calloc(NAIVE_MOST, sizeof(world->sorted[0]));
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->turn, NULL);
	if (!world->sorted || hph_heap_create(&heap_options, real ? NULL :
					      &world->fake.ports[0].backend, base, &world->heap))
		return false;
	world->fake.heap = world->heap;
	if (options->block_bytes)
		world->heap->arena.block_bytes = options->block_bytes;
	if (!real)
		world->heap->kind = HPHEAP_BACKEND_THP;
	if (options->fallback) {
		world->heap->kind = HPHEAP_BACKEND_DEVICE;
		world->fake.ports[0].backend.ops = &fake_whole_ops;
		world->heap->fallback = &world->fake.ports[1].backend;
	}
	return true;
}

/* Frees all, gives back all, and sees that nothing is left. */
static inline const char *world_end(struct world *world)
{
	const char *wrong = NULL;
	unsigned int i;

	memset(world->fake.calls, 0, sizeof(world->fake.calls));
	while (!wrong && world->naive.nr_live)
		wrong = do_free(world, world->naive.nr_live - 1);
	for (i = 0; i < WORLD_THREADS; i++)
		world_end_thread(world, i);
	if (!wrong)
		wrong = do_scavenge(world, &(struct operation){ .amount = ALL });
	if (!wrong && committed_units(world) && !world->naive.efence)
		wrong = "memory is left when all was freed and scavenged";
	if (!wrong)
		wrong = world_check(world);
	if (wrong)
		return wrong;
	world->fake.heap = NULL;
	hpheap_destroy(world->heap);
	if (!world->naive.real && fake_reserved_bytes(&world->fake))
		wrong = "addresses are left when the heap was destroyed";
	if (world->fake.wrong[0])
		wrong = world->fake.wrong;
	naive_free(&world->naive);
	fake_free(&world->fake);
	free(world->sorted);
	return wrong;
}

#endif /* SELFTESTS_INTERPRET_H */
