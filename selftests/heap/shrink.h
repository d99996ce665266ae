/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lives of a heap, each in a process of its own, and the shortest one that still
 * goes wrong.
 *
 * Shrinking is delta debugging: drop half of the operations, or a quarter and so
 * on, as long as what remains fails, for whatever reason. (Zeller and Hildebrandt,
 * "Simplifying and isolating failure-inducing input", IEEE TSE 2002.)
 */
#ifndef SELFTESTS_SHRINK_H
#define SELFTESTS_SHRINK_H

#include "interpret.h"

#define SHRINK_SECONDS	20

/* What a life tells whoever watches it. */
struct verdict {
	size_t step;		/* that was being done */
	size_t failed_calls;	/* of the backend */
	char why[240];		/* empty: all is well */
};

struct life {
	const struct world_options *options;
	const struct operation *operations; /* NULL: as chance says */
	size_t count;
	uint64_t seed;
	size_t check_every;
	double seconds;		/* for which it goes on */
	/* Does damage to the heap, that shall be found. */
	void (*spoil)(struct world *world, size_t step);
};

static inline struct verdict *new_verdict(void)
{
	struct verdict *verdict = mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (verdict == MAP_FAILED)
		abort();
	return verdict;
}

static inline const char *live_on(const struct life *life, struct world *world,
				  struct verdict *verdict)
{
	const double end = now() + life->seconds;
	struct chance chance = { life->seed };
	const char *wrong = NULL;
	size_t i;

	for (i = 0; i < life->count && !wrong && (i % 64 || now() < end); i++) {
		const struct operation operation = life->operations ? life->operations[i] :
			some_operation(&chance, i, &life->options->style);

		verdict->step = i;
		wrong = world_step(world, &operation);
		if (life->spoil)
			life->spoil(world, i);
		if (!wrong && (i + 1) % life->check_every == 0)
			wrong = world_check(world);
	}
	verdict->step = i;
	verdict->failed_calls = fake_failures(&world->fake);
	return wrong ? wrong : world_end(world);
}

static inline void live(const struct life *life, struct verdict *verdict)
{
	static struct world world;
	const char *wrong = "there is no heap";

	if (world_init(&world, life->options, life->seed))
		wrong = live_on(life, &world, verdict);
	if (wrong)
		snprintf(verdict->why, sizeof(verdict->why), "%s", wrong);
}

/* Returns whether it went well. */
static inline bool try_life(const struct life *life, struct verdict *verdict)
{
	int code;
	pid_t pid;

	memset(verdict, 0, sizeof(*verdict));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		live(life, verdict);
		_exit(0);
	}
	code = pid < 0 ? -1 : wait_child(pid);
	if (code && !verdict->why[0])
		snprintf(verdict->why, sizeof(verdict->why), "it ended with %d", code);
	return !verdict->why[0];
}

/* The same without [@first, @first + @length). */
static inline void copy_without(const struct operation *from, size_t count, size_t first,
				size_t length, struct operation *to)
{
	memcpy(to, from, first * sizeof(*to));
	memcpy(to + first, from + first + length, (count - first - length) * sizeof(*to));
}

/* What is to become shorter, and another one that may do. */
struct shrinking {
	struct life life;
	struct operation *operations, *other;
	size_t count;
	struct verdict *attempt;
	struct verdict verdict;	/* of what remains */
	double end;
};

/* Does the other one, of so many operations, go wrong as well? Then it is kept. */
static inline bool shrink_to_other(struct shrinking *shrinking, size_t count)
{
	shrinking->life.operations = shrinking->other;
	shrinking->life.count = count;
	if (now() > shrinking->end || try_life(&shrinking->life, shrinking->attempt))
		return false;
	shrinking->verdict = *shrinking->attempt;
	if (shrinking->verdict.step < count)
		count = shrinking->verdict.step;
	shrinking->count = count;
	memcpy(shrinking->operations, shrinking->other, count * sizeof(*shrinking->other));
	return true;
}

/* Drops pieces of @length; returns whether that went. */
static inline bool shrink_by(struct shrinking *shrinking, size_t length)
{
	bool any = false;
	size_t first = 0;

	while (first < shrinking->count) {
		const size_t left = shrinking->count - first, here = length < left ? length : left;

		copy_without(shrinking->operations, shrinking->count, first, here,
			     shrinking->other);
		if (shrink_to_other(shrinking, shrinking->count - here))
			any = true;
		else
			first += here;
	}
	return any;
}

/* Makes numbers of what remains small, where that does not matter. */
static inline void shrink_numbers(struct shrinking *shrinking)
{
	size_t i;

#define SIMPLER(field_, value_) do {							\
	const struct operation was = shrinking->operations[i];				\
											\
	if (i >= shrinking->count || was.field_ == (value_))				\
		break;									\
	memcpy(shrinking->other, shrinking->operations, shrinking->count * sizeof(was));	\
	shrinking->other[i].field_ = (value_);						\
	shrink_to_other(shrinking, shrinking->count);					\
} while (0)
	for (i = 0; i < shrinking->count; i++) {
		SIMPLER(which, 0);
		SIMPLER(which, was.which % 16);
		SIMPLER(align, 0);
		SIMPLER(flags, 0);
		SIMPLER(amount, 1);
		SIMPLER(amount, was.amount / 2);
	}
}

/* Shortens @operations in place, and tells what is wrong with what remains. */
static inline size_t shrink(const struct life *life, struct operation *operations, size_t count,
			    struct verdict *verdict)
{
	struct shrinking shrinking = {
		.life = *life, .operations = operations, .count = count, .verdict = *verdict,
		.other = calloc(count, sizeof(*operations)), .attempt = new_verdict(),
		.end = now() + SHRINK_SECONDS,
	};
	size_t length = count / 2;

	if (!shrinking.other)
		abort();
	shrinking.life.check_every = 1;
	while (length && now() < shrinking.end)
		if (!shrink_by(&shrinking, length) || length > 1)
			length /= 2;
	shrink_numbers(&shrinking);
	*verdict = shrinking.verdict;
	free(shrinking.other);
	munmap(shrinking.attempt, sizeof(*shrinking.attempt));
	return shrinking.count;
}

static inline void write_life(FILE *file, const struct life *life, const struct verdict *verdict)
{
	size_t i;

	fprintf(file, "/* %s, seed %" PRIu64 ": %s */\n", life->options->name, life->seed,
		verdict->why);
	fprintf(file, "static const struct operation %s_%" PRIu64 "[] = {\n", life->options->name,
		life->seed);
	for (i = 0; i < life->count; i++)
		write_operation(file, &life->operations[i]);
	fprintf(file, "};\n");
}

/* Writes the shortest life found that goes as wrong as this one did. */
static inline size_t explain(FILE *file, struct life life, struct verdict *verdict)
{
	struct chance chance = { life.seed };
	const size_t count = verdict->step < life.count ? verdict->step + 1 : life.count;
	struct operation *operations = calloc(count, sizeof(*operations));
	size_t i;

	if (!operations)
		abort();
	for (i = 0; i < count; i++)
		operations[i] = life.operations ? life.operations[i] :
			some_operation(&chance, i, &life.options->style);
	life.count = shrink(&life, operations, count, verdict);
	life.operations = operations;
	write_life(file, &life, verdict);
	free(operations);
	return life.count;
}

#endif /* SELFTESTS_SHRINK_H */
