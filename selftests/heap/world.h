/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A heap and a naive one beside it, on which interpret.h does what it is told,
 * and how the two are compared at a moment of rest.
 *
 * The program is linked with --wrap for the functions of lib/numa.c below: its
 * nodes are what the world says.
 */
#ifndef SELFTESTS_WORLD_H
#define SELFTESTS_WORLD_H

#include "invariants.h"
#include "naive.h"
#include "operations.h"
#include "regions.h"

#define WORLD_THREADS	4
#define WORLD_LOW	((uint64_t)1 << 28)

struct world_options {
	const char *name;
	enum hpheap_backend backend; /* AUTO: the fake one */
	size_t base_page;	/* 0: the system's */
	uint64_t high;		/* end of the addresses; of the fake backend, as what follows */
	uint64_t fragment;	/* largest piece of them, 0: one */
	enum fake_policy policy;
	bool fickle;
	bool fallback;
	bool efence;
	size_t block_bytes;	/* of an arena, 0: as the heap does it */
	size_t limit_units;	/* 0: none */
	unsigned int nodes;	/* 0: as the system has them */
	struct operation_style style;
	size_t operations;
	size_t check_every;
	size_t most_live;
};

struct world_thread {
	pthread_t thread;
	bool there;
	bool end;
	const struct operation *operation; /* to be done */
};

struct world {
	const struct world_options *options;
	struct hpheap *heap;
	struct fake fake;
	struct naive naive;
	struct naive_span *sorted;
	uintptr_t freed;	/* where the last freed span was */
	unsigned int current;	/* thread, and for so many operations yet; then the first one */
	unsigned int turns;
	struct world_thread threads[WORLD_THREADS];
	pthread_mutex_t lock;
	pthread_cond_t turn;
	const char *wrong;
	char text[240];
	struct walk walk;
};

static unsigned int world_nodes, world_node;
static bool world_real;

unsigned int __real_hph_numa_nodes(uint32_t *nodes, unsigned int most);
int __real_hph_numa_distance(unsigned int from, unsigned int to);
int __real_hph_numa_cpu(void);
void __real_hph_numa_mark_cpus(unsigned int node, uint8_t *cpus, uint8_t mark);
bool __real_hph_numa_node_valid(uint32_t node);
unsigned int __wrap_hph_numa_nodes(uint32_t *nodes, unsigned int most);
int __wrap_hph_numa_distance(unsigned int from, unsigned int to);
int __wrap_hph_numa_cpu(void);
void __wrap_hph_numa_mark_cpus(unsigned int node, uint8_t *cpus, uint8_t mark);
bool __wrap_hph_numa_node_valid(uint32_t node);
int __real_hph_os_forbid(uintptr_t addr, size_t bytes);
int __wrap_hph_os_forbid(uintptr_t addr, size_t bytes);

unsigned int __wrap_hph_numa_nodes(uint32_t *nodes, unsigned int most)
{
	unsigned int i;

	if (!world_nodes)
		return __real_hph_numa_nodes(nodes, most);
	for (i = 0; i < world_nodes && i < most; i++)
		nodes[i] = i;
	return i;
}

int __wrap_hph_numa_distance(unsigned int from, unsigned int to)
{
	if (!world_nodes)
		return __real_hph_numa_distance(from, to);
	return from == to ? 10 : 20;
}

/* A node has one CPU, with its own number. */
int __wrap_hph_numa_cpu(void)
{
	return world_nodes ? (int)world_node : __real_hph_numa_cpu();
}

void __wrap_hph_numa_mark_cpus(unsigned int node, uint8_t *cpus, uint8_t mark)
{
	if (!world_nodes)
		__real_hph_numa_mark_cpus(node, cpus, mark);
	else if (node < world_nodes)
		cpus[node] = mark;
}

bool __wrap_hph_numa_node_valid(uint32_t node)
{
	return world_nodes ? node < world_nodes : __real_hph_numa_node_valid(node);
}

/* What is not there need not be made inaccessible. */
int __wrap_hph_os_forbid(uintptr_t addr, size_t bytes)
{
	return world_real ? __real_hph_os_forbid(addr, bytes) : 0;
}

__attribute__((format(printf, 2, 3)))
static inline const char *world_says(struct world *world, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(world->text, sizeof(world->text), format, args);
	va_end(args);
	return world->text;
}

/* Regions add up (regions.h), and are the live spans. */
struct look {
	struct world *world;
	size_t spans;
	size_t left;	/* of the last span, to come */
	const char *wrong;
};

static inline const char *look_at_span(struct look *look, const struct hpheap_region *region)
{
	const struct naive_span *span = &look->world->sorted[look->spans];
	bool right = region->rest == (look->left != 0);

	if (!region->rest) {
		right &= look->spans++ < look->world->naive.nr_live && region->address == span->addr;
		look->left = right ? span->pages * PAGE : 0;
	}
	right &= region->bytes <= look->left;
	look->left -= right ? region->bytes : 0;
	if (!right)
		return world_says(look->world, "the walk finds a span %#jx + %#zx that is none",
				  (uintmax_t)region->address, region->bytes);
	return NULL;
}

static inline int look_at(const struct hpheap_region *region, void *arg)
{
	struct look *look = arg;

	note_region(region, &look->world->walk);
	if (region->kind == HPHEAP_REGION_SPAN)
		look->wrong = look_at_span(look, region);
	else if (look->left)
		look->wrong = "the walk finds a part of a span";
	return look->wrong != NULL;
}

static inline const char *compare_numbers(struct world *world, const struct hpheap_stats *stats,
					  const struct look *look)
{
	const struct naive *naive = &world->naive;
	const char *wrong = compare_walk(&world->walk, stats);

	if (wrong)
		return world_says(world, "the walk and the statistics do not agree: %s", wrong);
	if (stats->spans != naive->nr_live || stats->used_bytes != naive->used_pages * PAGE ||
	    look->spans != naive->nr_live || look->left)
		return world_says(world,
				  "%zu spans, %zu pages are alive; statistics: %ju, %ju; walk: %zu",
				  naive->nr_live, naive->used_pages, (uintmax_t)stats->spans,
				  (uintmax_t)stats->used_bytes / PAGE, look->spans);
	if (stats->peak_committed_bytes < stats->committed_bytes)
		return "there is more than there ever was";
	if (stats->commit_calls - stats->release_calls != stats->committed_bytes / UNIT)
		return "commits less releases are not what is committed";
	return NULL;
}

/* What the backend says of the same. */
static inline const char *compare_backend(struct world *world, const struct hpheap_stats *stats)
{
	const struct fake *fake = &world->fake;
	const struct fake_port *ports = fake->ports;

	if (stats->committed_bytes != (ports[0].committed + ports[1].committed) * UNIT)
		return world_says(world, "%zu units have memory, the statistics say %ju",
				  ports[0].committed + ports[1].committed,
				  (uintmax_t)stats->committed_bytes / UNIT);
	if (stats->fallback_bytes != ports[1].committed * UNIT ||
	    (world->options->fallback && stats->device_bytes != ports[0].committed * UNIT))
		return "the statistics do not know whose memory it is";
	if (stats->address_bytes != fake_reserved_bytes(fake))
		return world_says(world, "%#jx bytes are reserved, the statistics say %#jx",
				  (uintmax_t)fake_reserved_bytes(fake),
				  (uintmax_t)stats->address_bytes);
	return NULL;
}

static inline const char *world_look(struct world *world)
{
	struct hpheap_stats stats = { .size = sizeof(stats) };
	struct look look = { .world = world };
	const char *wrong;

	memcpy(world->sorted, world->naive.live, world->naive.nr_live * sizeof(world->sorted[0]));
	qsort(world->sorted, world->naive.nr_live, sizeof(world->sorted[0]), naive_order);
	begin_walk(&world->walk);
	if (hpheap_walk(world->heap, look_at, &look, &stats))
		return look.wrong ? look.wrong : "the walk fails";
	wrong = compare_numbers(world, &stats, &look);
	return wrong || world->naive.real ? wrong : compare_backend(world, &stats);
}

/* Where the heap and the backend mean something else by a unit, or zero is not. */
static inline const char *compare_unit(struct world *world, uintptr_t number)
{
	const struct hph_unit *unit = hph_unitmap_find(&world->heap->map, number);
	const struct fake_unit *fake = fake_unit(&world->fake, number);
	const enum hph_unit_state state = unit ? hph_unit_state(unit) : HPH_UNIT_NONE;
	const bool memory = unit && has_memory(unit);
	unsigned int page;

	if (fake->state < FAKE_RESERVED || (fake->state == FAKE_COMMITTED) != memory)
		return world_says(world, "unit %#jx: state %u, the backend says %u",
				  (uintmax_t)number, state, fake->state);
	if (state == HPH_UNIT_FENCED)
		return NULL;
	if (unit && (unit->owner != NULL) != (fake->state > FAKE_RESERVED))
		return world_says(world, "unit %#jx: owner and state %u do not agree",
				  (uintmax_t)number, fake->state);
	if (unit && unit->owner && unit->owner != &world->fake.ports[fake->port].backend)
		return world_says(world, "unit %#jx: belongs to the other backend",
				  (uintmax_t)number);
	if (!memory)
		return NULL;
	if (unit->nr_away != fake->away)
		return world_says(world, "unit %#jx: %u pages away, the backend says %u",
				  (uintmax_t)number, unit->nr_away, fake->away);
	if (fake->split != (unit->nr_away != 0))
		return world_says(world, "unit %#jx: %u pages away, and %s", (uintmax_t)number,
				  unit->nr_away, fake->split ? "split" : "not split");
	for (page = hph_map_next(unit->zero, 0, true); page < HPH_UNIT_PAGES;
	     page = page + 1 < HPH_UNIT_PAGES ? hph_map_next(unit->zero, page + 1, true) :
						HPH_UNIT_PAGES)
		if (fake->page[page] & (NAIVE_USED | NAIVE_DIRTY))
			return world_says(world, "unit %#jx page %u: said to be zero, was used",
					  (uintmax_t)number, page);
	return NULL;
}

static inline const char *compare_units(struct world *world)
{
	const struct hph_block *block;
	uintptr_t number;
	const char *wrong = NULL;

	for (block = world->heap->arena.blocks; block; block = block->next)
		for (number = hph_unit_of(block->first); number < hph_unit_of(block->end);
		     number++) {
			wrong = compare_unit(world, number);
			if (wrong)
				return wrong;
		}
	return NULL;
}

/* A cached span of which the heap believes that it is zero. */
static inline bool is_clean(struct world *world, const struct hph_cached *cached, size_t pages)
{
	size_t i;

	for (i = 0; cached->addr & HPH_CACHED_ZERO && i < pages; i++)
		if (*naive_page(&world->naive, cached->addr + i * PAGE) & NAIVE_DIRTY)
			return false;
	return true;
}

static inline const char *compare_caches(struct world *world)
{
	const struct hph_cache *cache;
	size_t pages, i;
	bool clean = true;

	for (cache = world->heap->caches; cache; cache = cache->next) {
		for (pages = 1; pages <= HPH_SMALL_PAGES; pages++)
			for (i = 0; i < cache->stacks[pages].count; i++)
				clean &= is_clean(world, &cache->small[pages][i], pages);
		if (hph_cache_recent(cache))
			clean &= is_clean(world, &cache->recent, hph_cache_recent(cache));
		for (i = 0; i < cache->nr_large; i++)
			clean &= is_clean(world, &cache->large[i], cache->large_size[i]);
	}
	return clean ? NULL : "a cached span is said to be zero, and was used";
}

/* Everything, at a moment of rest. */
static inline const char *world_check(struct world *world)
{
	const char *wrong = invariants(world->heap);

	if (!wrong && !world->naive.real)
		wrong = compare_units(world);
	if (!wrong && !world->naive.real)
		wrong = compare_caches(world);
	return wrong ? wrong : world_look(world);
}

#endif /* SELFTESTS_WORLD_H */
