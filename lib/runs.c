// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Runs of huge units: whole free ones, and empty ones.
 *
 * A run's first unit is a node of a treap ordered by address, with the length
 * of the longest run below each node: the lowest run that is long enough is
 * found in O(log n) steps, n the number of runs. First and last unit of a run
 * know its length, so that neighbours merge without a search.
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

static uint32_t longest(const struct hph_unit *tree)
{
	return tree ? tree->tree_max : 0;
}

static void update(struct hph_unit *node)
{
	const uint32_t below = longest(node->link[BELOW]), above = longest(node->link[ABOVE]);
	uint32_t max = node->run;

	if (below > max)
		max = below;
	if (above > max)
		max = above;
	node->tree_max = max;
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

static struct hph_unit *unit(const struct hph_runs *runs, uintptr_t number)
{
	return hph_unitmap_get(runs->map, number);
}

static void insert_run(struct hph_runs *runs, uintptr_t first, size_t units)
{
	struct hph_unit *node = unit(runs, first);

	node->run = (uint32_t)units;
	unit(runs, first + units - 1)->run = (uint32_t)units;
	runs->root = insert(runs->root, node);
}

static void erase_run(struct hph_runs *runs, uintptr_t first)
{
	runs->root = erase(runs->root, unit(runs, first));
}

/* The neighbour's run, if it has one of this state. */
static size_t adjoining(const struct hph_runs *runs, uintptr_t number)
{
	const struct hph_unit *neighbour = unit(runs, number);

	return neighbour && neighbour->state == runs->state ? neighbour->run : 0;
}

/* Gives units this state. */
void hph_runs_add(struct hph_runs *runs, uintptr_t first, size_t units)
{
	const size_t before = adjoining(runs, first - 1), after = adjoining(runs, first + units);
	size_t i;

	for (i = 0; i < units; i++)
		unit(runs, first + i)->state = (uint8_t)runs->state;
	if (before)
		erase_run(runs, first - before);
	if (after)
		erase_run(runs, first + units);
	insert_run(runs, first - before, before + units + after);
}

/* Takes units out of a run; what remains before and behind them stays. */
static void cut(struct hph_runs *runs, const struct hph_unit *run, uintptr_t first, size_t units)
{
	const uintptr_t begin = run->number, end = begin + run->run;
	size_t i;

	erase_run(runs, begin);
	for (i = 0; i < units; i++)
		unit(runs, first + i)->state = HPH_UNIT_BUSY;
	if (first > begin)
		insert_run(runs, begin, first - begin);
	if (first + units < end)
		insert_run(runs, first + units, end - first - units);
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
	struct hph_unit *node = runs->root;

	if (needed < units || longest(node) < needed)
		return false;
	for (;;) {
		if (longest(node->link[BELOW]) >= needed)
			node = node->link[BELOW];
		else if (node->run >= needed)
			break;
		else
			node = node->link[ABOVE];
	}
	*first = hph_round_up(node->number, align);
	cut(runs, node, *first, units);
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
	cut(runs, node, *first, units);
	return units;
}
