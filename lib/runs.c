// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Runs of huge units: whole free ones, and empty ones.
 *
 * A run's first unit is a node of a treap ordered by address, with the farthest
 * reach of all below each node: the lowest run that is long enough is found in
 * O(log n) steps, n the number of runs. First and last unit of a run know its
 * length, so that neighbours merge without a search.
 *
 * The free pages at the end of the unit before a run, and at the beginning of
 * the one behind it, count: large spans then lie back to back, whatever
 * their size, instead of each beginning at a unit of its own.
 *
 * The treap's priorities are a hash of the unit number: no state, no random
 * numbers, and the same shape for the same runs.
 */
#include "runs.h"

#include "os.h"

enum { BELOW, ABOVE };

static uint64_t priority(const struct hph_unit *node)
{
	uint64_t x = node->number * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static size_t farthest(const struct hph_unit *tree)
{
	return tree ? tree->tree_reach : 0;
}

static size_t reach(const struct hph_unit *node)
{
	return (size_t)node->run * HPH_UNIT_PAGES + node->lead + node->trail;
}

static size_t longest(const struct hph_unit *tree)
{
	return tree ? tree->tree_run : 0;
}

static size_t length(const struct hph_unit *node)
{
	return node->run;
}

static void update(struct hph_unit *node)
{
	unsigned int side;

	node->tree_reach = reach(node);
	node->tree_run = node->run;
	for (side = BELOW; side <= ABOVE; side++) {
		if (farthest(node->link[side]) > node->tree_reach)
			node->tree_reach = farthest(node->link[side]);
		if (longest(node->link[side]) > node->tree_run)
			node->tree_run = (uint32_t)longest(node->link[side]);
	}
}

/* Splits a tree into what lies below @number and what lies above. */
static void split(struct hph_unit *tree, uintptr_t number, struct hph_unit **below,
		  struct hph_unit **above)
{
	if (!tree) {
		*below = *above = NULL;
	} else if (tree->number < number) {
		*below = tree;
		split(tree->link[ABOVE], number, &tree->link[ABOVE], above);
		update(tree);
	} else {
		*above = tree;
		split(tree->link[BELOW], number, below, &tree->link[BELOW]);
		update(tree);
	}
}

/* Of two trees, all of @below below all of @above. */
static struct hph_unit *merge(struct hph_unit *below, struct hph_unit *above)
{
	if (!below)
		return above;
	if (!above)
		return below;
	if (priority(below) > priority(above)) {
		below->link[ABOVE] = merge(below->link[ABOVE], above);
		update(below);
		return below;
	}
	above->link[BELOW] = merge(below, above->link[BELOW]);
	update(above);
	return above;
}

static struct hph_unit *insert(struct hph_unit *tree, struct hph_unit *node)
{
	if (!tree || priority(node) > priority(tree)) {
		split(tree, node->number, &node->link[BELOW], &node->link[ABOVE]);
		update(node);
		return node;
	}
	if (node->number < tree->number)
		tree->link[BELOW] = insert(tree->link[BELOW], node);
	else
		tree->link[ABOVE] = insert(tree->link[ABOVE], node);
	update(tree);
	return tree;
}

static struct hph_unit *erase(struct hph_unit *tree, const struct hph_unit *node)
{
	if (!tree)
		hph_os_die("unit %#jx is not in its index", (uintmax_t)node->number);
	if (tree == node)
		return merge(tree->link[BELOW], tree->link[ABOVE]);
	if (node->number < tree->number)
		tree->link[BELOW] = erase(tree->link[BELOW], node);
	else
		tree->link[ABOVE] = erase(tree->link[ABOVE], node);
	update(tree);
	return tree;
}

static struct hph_unit *get(const struct hph_runs *runs, uintptr_t number)
{
	return hph_unitmap_get(runs->map, number);
}

/* A used neighbour of this zone, where its free pages count. */
static const struct hph_unit *used_neighbour(const struct hph_runs *runs, uintptr_t number)
{
	const struct hph_unit *unit;

	if (runs->state != HPH_UNIT_FREE)
		return NULL;
	unit = hph_unitmap_find(runs->map, number);
	return unit && hph_unit_tag(unit) == hph_tag(runs->zone, HPH_UNIT_USED) ? unit : NULL;
}

static void measure(const struct hph_runs *runs, struct hph_unit *node)
{
	const struct hph_unit *before = used_neighbour(runs, node->number - 1);
	const struct hph_unit *behind = used_neighbour(runs, node->number + node->run);

	node->lead = before ? before->tail : 0;
	node->trail = behind ? behind->front : 0;
}

static void insert_run(struct hph_runs *runs, uintptr_t first, size_t units)
{
	struct hph_unit *node = get(runs, first);

	node->run = (uint32_t)units;
	get(runs, first + units - 1)->run = (uint32_t)units;
	measure(runs, node);
	runs->root = insert(runs->root, node);
}

static void erase_run(struct hph_runs *runs, uintptr_t first)
{
	runs->root = erase(runs->root, get(runs, first));
}

/* Length of the run that a unit is an end of, if it is one of these. */
static size_t adjoining(const struct hph_runs *runs, uintptr_t number)
{
	const struct hph_unit *unit = hph_unitmap_find(runs->map, number);

	return unit && hph_unit_tag(unit) == hph_tag(runs->zone, runs->state) ? unit->run : 0;
}

/* Units in a row from this one on, if a run of these begins with it: else 0. */
size_t hph_runs_length(const struct hph_runs *runs, uintptr_t first)
{
	return adjoining(runs, first - 1) ? 0 : adjoining(runs, first);
}

/* Gives units this zone and this state. */
void hph_runs_add(struct hph_runs *runs, uintptr_t first, size_t units)
{
	const size_t before = adjoining(runs, first - 1), behind = adjoining(runs, first + units);
	size_t i;

	for (i = 0; i < units; i++)
		hph_unit_set_tag(get(runs, first + i), hph_tag(runs->zone, runs->state));
	if (before)
		erase_run(runs, first - before);
	if (behind)
		erase_run(runs, first + units);
	insert_run(runs, first - before, before + units + behind);
}

/**
 * hph_runs_cut() - take units out of a run
 *
 * What remains of it before and behind them stays. They are BUSY then.
 */
void hph_runs_cut(struct hph_runs *runs, const struct hph_unit *run, uintptr_t first, size_t units)
{
	const uintptr_t begin = run->number, end = begin + run->run;
	size_t i;

	erase_run(runs, begin);
	for (i = 0; i < units; i++)
		hph_unit_set_tag(get(runs, first + i), hph_tag(runs->zone, HPH_UNIT_BUSY));
	if (first > begin)
		insert_run(runs, begin, first - begin);
	if (first + units < end)
		insert_run(runs, first + units, end - first - units);
}

/* The lowest node that has @least, of what a tree has the most of its nodes; or NULL. */
static inline struct hph_unit *lowest(struct hph_unit *tree, size_t least,
				      size_t (*of_tree)(const struct hph_unit *),
				      size_t (*of_node)(const struct hph_unit *))
{
	if (of_tree(tree) < least)
		return NULL;
	while (of_tree(tree->link[BELOW]) >= least || of_node(tree) < least)
		tree = tree->link[of_tree(tree->link[BELOW]) >= least ? BELOW : ABOVE];
	return tree;
}

/* The lowest run that reaches over @pages, or NULL. */
struct hph_unit *hph_runs_find(const struct hph_runs *runs, size_t pages)
{
	return lowest(runs->root, pages, farthest, reach);
}

/* The run that a unit is part of, or NULL. */
struct hph_unit *hph_runs_of(const struct hph_runs *runs, uintptr_t number)
{
	struct hph_unit *node = runs->root, *run = NULL;

	while (node) {
		if (node->number <= number)
			run = node;
		node = node->link[node->number <= number ? ABOVE : BELOW];
	}
	return run && number - run->number < run->run ? run : NULL;
}

/* The lowest of the runs with the most units, or NULL if there is none. */
struct hph_unit *hph_runs_longest(const struct hph_runs *runs)
{
	const size_t most = longest(runs->root);

	return most ? lowest(runs->root, most, longest, length) : NULL;
}

/**
 * hph_runs_take() - take @units in a row, of the lowest run that has them
 * @align: of the first one's number, a power of two
 *
 * A run of @units + @align - 1 surely has an aligned place. Shorter ones are
 * not looked at, even where one would do: that search would have no bound.
 *
 * Return: true, with the units BUSY.
 */
bool hph_runs_take(struct hph_runs *runs, size_t units, size_t align, uintptr_t *first)
{
	const size_t needed = units + align - 1;
	const struct hph_unit *run;

	run = needed < units ? NULL : lowest(runs->root, needed, longest, length);
	if (!run)
		return false;
	*first = hph_round_up(run->number, align);
	hph_runs_cut(runs, run, *first, units);
	return true;
}

/**
 * hph_runs_take_last() - take at most @units, of the highest run
 *
 * Return: how many, 0 when there are none.
 */
size_t hph_runs_take_last(struct hph_runs *runs, size_t units, uintptr_t *first)
{
	struct hph_unit *node = runs->root;

	if (!node)
		return 0;
	while (node->link[ABOVE])
		node = node->link[ABOVE];
	if (units > node->run)
		units = node->run;
	*first = node->number + node->run - units;
	hph_runs_cut(runs, node, *first, units);
	return units;
}

/* Brings the nodes from the root down to @node up to date. */
static void refresh(struct hph_unit *tree, const struct hph_unit *node)
{
	if (tree != node)
		refresh(tree->link[node->number < tree->number ? BELOW : ABOVE], node);
	update(tree);
}

static void remeasure(struct hph_runs *runs, uintptr_t first)
{
	struct hph_unit *node = get(runs, first);

	measure(runs, node);
	refresh(runs->root, node);
}

/* The free pages at an end of a used unit have changed: runs beside it reach as far. */
void hph_runs_adjoin(struct hph_runs *runs, const struct hph_unit *used)
{
	const size_t before = adjoining(runs, used->number - 1);

	if (before)
		remeasure(runs, used->number - before);
	if (adjoining(runs, used->number + 1))
		remeasure(runs, used->number + 1);
}
