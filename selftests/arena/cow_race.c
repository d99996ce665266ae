// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trees of processes at work on an arena that is copied on write, each beside a model of
 * what it must see: nobody ever sees what another one wrote since they parted.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "stress.h"
#include "cgroup.h"
#include "purgeable.h"

#include <sys/prctl.h>

#define CHUNKS	8
#define DEPTH	4
#define STEPS	60

/* A chunk holds its value in some words; what was marked may be gone. */
struct model {
	uint64_t value[CHUNKS];
	bool marked[CHUNKS];
};

static struct {
	struct stress *stress;
	size_t chunk;
	int fd;
	char *map, *aside;	/* room for another chunk */
	bool limited;	/* who finds no memory is killed by it */
} the;

static const size_t spots[] = { 0, 1, 7 };	/* eighths of a chunk */

/* A call has failed. At a limit that ends who made it, as a touch would. */
static void failed(const char *what)
{
	if (the.limited && errno == ENOMEM)
		kill(getpid(), SIGKILL);
	stress_fail(the.stress, "%s: %s", what, strerror(errno));
}

static volatile uint64_t *word(size_t i, size_t spot)
{
	return (volatile uint64_t *)(the.map + i * the.chunk + spots[spot] * (the.chunk / 8));
}

static void check(struct model *model, size_t i)
{
	const uint64_t first = *word(i, 0);
	size_t spot;

	if (model->marked[i] && !first)
		model->value[i] = 0;
	model->marked[i] = false;
	for (spot = 0; spot < 3; spot++)
		if (*word(i, spot) != model->value[i])
			stress_fail(the.stress, "process %d: chunk %zu has %llx at %zu/8, not %llx",
				    getpid(), i, (long long)*word(i, spot), spots[spot],
				    (long long)model->value[i]);
}

static void write_chunk(struct model *model, size_t i, uint64_t value)
{
	size_t spot;

	for (spot = 0; spot < 3; spot++)
		*word(i, spot) = value;
	model->value[i] = value;
	model->marked[i] = false;
}

static void mark_chunk(struct model *model, size_t i)
{
	check(model, i);
	if (mark(the.fd, i * the.chunk, the.chunk) < 0)
		failed("mark");
	model->marked[i] = true;
}

static void live(struct model *model, uint64_t *random, unsigned int depth);

static void have_child(struct model *model, uint64_t *random, unsigned int depth)
{
	const uint64_t seed = next_random(random) | 1;
	const unsigned int fate = next_random(random) % 4;
	struct model childs = *model;
	uint64_t own = seed;
	pid_t child;
	size_t i;

	child = fork();
	if (!child) {
		live(&childs, &own, depth + 1);
		if (fate == 1)
			execl("/bin/true", "true", NULL);
		_exit(0);
	}
	if (child < 0) {
		failed("fork");
		return;
	}
	for (i = 0; i < STEPS / 4; i++)
		write_chunk(model, next_random(random) % CHUNKS, next_random(random));
	if (fate == 0)
		kill(child, SIGKILL);
	if (waitpid(child, NULL, 0) != child)
		stress_fail(the.stress, "a child is gone");
}

static char *reserve(char *addr, size_t bytes)
{
	return mmap(addr, bytes, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | (addr ? MAP_FIXED_NOREPLACE : 0), -1, 0);
}

/* A chunk's mapping goes aside, and back again; not one in pieces, which Linux moves not at once. */
static void move_about(char *chunk)
{
	const int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	const char *moved = mremap(chunk, the.chunk, the.chunk, flags, the.aside);

	if (moved == MAP_FAILED && errno == EFAULT)
		return;
	if (moved != the.aside ||
	    mremap(the.aside, the.chunk, the.chunk, flags, chunk) != chunk ||
	    reserve(the.aside, the.chunk) != the.aside)
		failed("mremap");
}

/* What was in it stays: the other chunks are mapped. */
static void map_anew(size_t i)
{
	char *chunk = the.map + i * the.chunk;

	if (munmap(chunk, the.chunk) ||
	    mmap(chunk, the.chunk, RW, MAP_SHARED | MAP_FIXED_NOREPLACE, the.fd,
		 (off_t)(i * the.chunk)) != chunk)
		failed("mapped anew");
}

static void step(struct model *model, uint64_t *random, unsigned int depth)
{
	const size_t i = next_random(random) % CHUNKS;
	char *chunk = the.map + i * the.chunk;

	switch (next_random(random) % 12) {
	case 0:
		if (fallocate(the.fd, PUNCH, i * the.chunk, the.chunk))
			failed("punch");
		model->value[i] = 0;
		break;
	case 1:
		mark_chunk(model, i);
		break;
	case 2:
		if (depth < DEPTH)
			have_child(model, random, depth);
		break;
	case 3:
		if (mprotect(chunk, base_page(), PROT_READ))
			failed("mprotect");
		check(model, i);
		if (mprotect(chunk, base_page(), RW))
			failed("mprotect");
		break;
	case 4:
		if (madvise(chunk, the.chunk, MADV_POPULATE_WRITE) && !the.limited)
			stress_fail(the.stress, "MADV_POPULATE_WRITE: %s", strerror(errno));
		break;
	case 5:
		move_about(chunk);
		break;
	case 6:
		map_anew(i);
		break;
	case 7:
	case 8:
		check(model, i);
		break;
	default:
		write_chunk(model, i, next_random(random));
	}
}

static void live(struct model *model, uint64_t *random, unsigned int depth)
{
	unsigned int n;
	size_t i;

	for (n = 0; n < STEPS && stress_goes_on(the.stress); n++)
		step(model, random, depth);
	for (i = 0; i < CHUNKS; i++)
		check(model, i);
}

/* A family of its own, again and again. */
static void *run_family(void *arg)
{
	uint64_t random = (uintptr_t)arg * 0x9e3779b97f4a7c15ULL + 1;
	struct model model;
	size_t i;

	while (!atomic_load(&the.stress->stop)) {
		for (i = 0; i < CHUNKS; i++)
			write_chunk(&model, i, i + 1);
		live(&model, &random, 0);
	}
	return NULL;
}

static void press_on(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!atomic_load(&the.stress->stop)) {
		drop_slab();
		usleep(20000);
	}
}

FIXTURE(cow_race) {
	const char *missing;
};

FIXTURE_VARIANT(cow_race) {
	bool pmd;
};

FIXTURE_VARIANT_ADD(cow_race, default_chunks) { .pmd = false };
FIXTURE_VARIANT_ADD(cow_race, pmd_chunks) { .pmd = true };

FIXTURE_SETUP(cow_race)
{
	the.chunk = variant->pmd ? pmd_chunk() : default_chunk();
	self->missing = "chunks of this size are too much to copy";
	if (!the.chunk || the.chunk > 32 * MIB)
		return;
	self->missing = NULL;
	the.stress = stress_new();
	ASSERT_NE(NULL, the.stress);
	NEW_ARENA(the.fd, CHUNKS * the.chunk, the.chunk, HPHEAP_CREATE_FORK_COW);
	MAP_ARENA(the.map, the.fd, CHUNKS * the.chunk);
	the.aside = reserve(NULL, 2 * the.chunk);
	ASSERT_NE(MAP_FAILED, (void *)the.aside);
	the.aside += -(uintptr_t)the.aside & (the.chunk - 1);
}

FIXTURE_TEARDOWN(cow_race)
{
	if (!self->missing) {
		munmap(the.map, CHUNKS * the.chunk);
		close(the.fd);
	}
}

#define NEEDS_CHUNKS() do {							\
	if (self->missing)							\
		SKIP(return, "%s", self->missing);				\
} while (0)

TEST_F(cow_race, nobody_sees_what_another_process_wrote)
{
	pthread_t family;
	pid_t presser;

	NEEDS_CHUNKS();
	presser = fork();
	ASSERT_LE(0, presser);
	if (!presser) {
		press_on();
		_exit(0);
	}
	ASSERT_EQ(0, pthread_create(&family, NULL, run_family, (void *)1));
	stress_run(the.stress);
	pthread_join(family, NULL);
	waitpid(presser, NULL, 0);
	EXPECT_EQ(0, atomic_load(&the.stress->failed)) { TH_LOG("%s", the.stress->why); }
	/* With chunks of 32 MiB an emulated machine gets not far. */
	EXPECT_LT(5, atomic_load(&the.stress->steps));
	TH_LOG("%lu steps", atomic_load(&the.stress->steps));
	/* Of all these processes nothing is left. */
	EXPECT_TRUE(eventually(get_info().resident_bytes <= CHUNKS * the.chunk));
	EXPECT_EQ(0, atomic_load(&the.stress->failed)) { TH_LOG("%s", the.stress->why); }
}

static int live_at_a_limit(void *arg)
{
	static struct model model;	/* as a new arena is */
	const struct cgroup *group = arg;
	uint64_t random = (uint64_t)getpid();

	if (cgroup_enter(group))
		return 1;
	the.fd = create_arena(CHUNKS * the.chunk, the.chunk, HPHEAP_CREATE_FORK_COW);
	the.map = map_arena(the.fd, CHUNKS * the.chunk);
	if (the.map == MAP_FAILED)
		return 2;
	live(&model, &random, 0);
	return 0;
}

/* All others have what they had. */
TEST_F(cow_race, who_finds_no_memory_ends_alone)
{
	const double end = now() + stress_seconds();
	unsigned int killed = 0, lived = 0;
	struct cgroup group;
	pid_t child;
	int status;

	NEEDS_CHUNKS();
	NEW_CGROUP(&group, "cow-race");
	ASSERT_EQ(0, cgroup_limit(&group, (CHUNKS + CHUNKS / 2) * the.chunk));
	the.limited = true;
	while (now() < end && !atomic_load(&the.stress->failed)) {
		child = start_child(live_at_a_limit, &group);
		ASSERT_EQ(child, waitpid(child, &status, 0));
		if (WIFSIGNALED(status))
			killed++;
		else if (!WEXITSTATUS(status))
			lived++;
		EXPECT_TRUE(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS ||
						  WTERMSIG(status) == SIGKILL : !WEXITSTATUS(status));
	}
	the.limited = false;
	TH_LOG("%u lived, %u were killed", lived, killed);
	EXPECT_EQ(0, atomic_load(&the.stress->failed)) { TH_LOG("%s", the.stress->why); }
	EXPECT_LT(0, killed);
	EXPECT_TRUE(cgroup_remove(&group));
	EXPECT_TRUE(eventually(get_info().resident_bytes <= CHUNKS * the.chunk));
}

/* One number after the other into the first chunk, and then into the last. */
static void *count_up(void *unused)
{
	uint64_t n;

	(void)unused;
	for (n = 1; !atomic_load(&the.stress->stop); n++) {
		*word(0, 0) = n;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		*word(CHUNKS - 1, 2) = n;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void look_at_a_moment(void)
{
	const uint64_t first = *word(0, 0), last = *word(CHUNKS - 1, 2);

	if (first != last && first != last + 1)
		stress_fail(the.stress, "%llu and %llu were never there at once",
			    (long long)first, (long long)last);
	usleep(1000);
	if (*word(0, 0) != first || *word(CHUNKS - 1, 2) != last)
		stress_fail(the.stress, "the snapshot of %llu has changed", (long long)first);
	atomic_fetch_add(&the.stress->steps, 1);
}

TEST_F(cow_race, child_has_one_moment_of_a_process_at_work)
{
	const double end = now() + stress_seconds();
	pthread_t writer;
	pid_t child;

	NEEDS_CHUNKS();
	ASSERT_EQ(0, pthread_create(&writer, NULL, count_up, NULL));
	while (now() < end && !atomic_load(&the.stress->failed)) {
		child = fork();
		if (!child) {
			look_at_a_moment();
			_exit(0);
		}
		ASSERT_EQ(0, wait_child(child));
	}
	atomic_store(&the.stress->stop, true);
	pthread_join(writer, NULL);
	EXPECT_EQ(0, atomic_load(&the.stress->failed)) { TH_LOG("%s", the.stress->why); }
	EXPECT_LT(3, atomic_load(&the.stress->steps));
	TH_LOG("%lu snapshots", atomic_load(&the.stress->steps));
}

TEST_HARNESS_MAIN
