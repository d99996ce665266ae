// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may fail for want of memory, fails with ENOMEM or, at a touch, SIGBUS;
 * it changes nothing then, and nothing else ever fails. Holds on any system;
 * made for kernels that let the module's allocations fail at random
 * (fault injection), where all of these paths are taken.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "steps.h"

#define CHUNKS	6

/* Errors of a call as a bit mask of: worked, ENOMEM, something else. */
enum { WORKED = 1, NO_MEMORY = 2, OTHER = 4 };

static int outcome(int result)
{
	return !result ? WORKED : errno == ENOMEM ? NO_MEMORY : OTHER;
}

/* An arena, however often it takes; -errno other than ENOMEM. */
static int create_stubbornly(size_t bytes, size_t chunk, uint32_t flags)
{
	int fd, tries;

	for (tries = 0; tries < 1000; tries++) {
		fd = create_arena(bytes, chunk, flags);
		if (fd != -ENOMEM)
			return fd;
	}
	return -ENOMEM;
}

FIXTURE(faults) {
	long long arenas, reserved, resident, allocated, released;
};

FIXTURE_VARIANT(faults) {
	bool pmd;
};

FIXTURE_VARIANT_ADD(faults, default_chunks) { .pmd = false };
FIXTURE_VARIANT_ADD(faults, pmd_chunks) { .pmd = true };

FIXTURE_SETUP(faults)
{
	self->arenas = counter("arenas");
	self->reserved = counter("reserved_bytes");
	self->resident = counter("resident_bytes");
	self->allocated = counter("chunks_allocated");
	self->released = counter("chunks_released");
	the.stress = stress_new();
	the.chunk = variant->pmd ? pmd_chunk() : default_chunk();
	the.bytes = CHUNKS * the.chunk;
	the.fd = -EFBIG;
	if (!the.chunk || the.chunk > 64 * MIB)
		return;
	the.fd = create_stubbornly(the.bytes, the.chunk, 0);
	do
		the.map = map_arena(the.fd, the.bytes);
	while (the.fd >= 0 && the.map == MAP_FAILED && errno == ENOMEM);
}

/* Whatever failed: nothing is left over of it. */
FIXTURE_TEARDOWN(faults)
{
	if (the.fd >= 0) {
		munmap(the.map, the.bytes);
		close(the.fd);
	}
	EXPECT_TRUE(eventually(counter("arenas") == self->arenas));
	EXPECT_EQ(self->reserved, counter("reserved_bytes"));
	EXPECT_EQ(self->resident, counter("resident_bytes"));
	EXPECT_EQ(counter("chunks_allocated") - self->allocated,
		  counter("chunks_released") - self->released);
}

#define NEEDS_ARENA() do {							\
	if (the.fd == -EDQUOT || the.fd == -EFBIG)				\
		SKIP(return, "six chunks of %zu MiB: %s", the.chunk >> 20,	\
		     why_not(the.fd));					\
	ASSERT_LE(0, the.fd) { TH_LOG("%s", strerror(-the.fd)); }		\
	ASSERT_NE(MAP_FAILED, (void *)the.map);					\
} while (0)

TEST_F(faults, create_works_or_is_ENOMEM_and_leaves_no_descriptor)
{
	static const uint32_t flags[] = { 0, HPHEAP_CREATE_FORK_NONE, HPHEAP_CREATE_CONTIG };
	int i, fd, before, after;

	NEEDS_ARENA();
	before = open("/dev/null", O_RDONLY);
	close(before);
	for (i = 0; i < 90; i++) {
		fd = create_arena(2 * the.chunk, the.chunk, flags[i % 3]);
		if (fd >= 0)
			close(fd);
		else
			ASSERT_EQ(-ENOMEM, fd);
	}
	after = open("/dev/null", O_RDONLY);
	EXPECT_EQ(before, after);
	close(after);
}

TEST_F(faults, fallocate_does_all_or_nothing)
{
	uint64_t now_resident;
	int i, how;

	NEEDS_ARENA();
	for (i = 0; i < 40; i++) {
		how = outcome(fallocate(the.fd, 0, 0, the.bytes));
		ASSERT_NE(OTHER, how) { TH_LOG("fallocate: %s", strerror(errno)); }
		now_resident = resident(the.fd);
		EXPECT_EQ(how == WORKED ? the.bytes : 0, now_resident);
		ASSERT_EQ(0, fallocate(the.fd, PUNCH, 0, the.bytes));
		EXPECT_EQ(0, resident(the.fd));
	}
}

TEST_F(faults, populate_works_or_is_ENOMEM)
{
	int i, how;

	NEEDS_ARENA();
	for (i = 0; i < 40; i++) {
		how = outcome(madvise(the.map, the.bytes,
				      i & 1 ? MADV_POPULATE_WRITE : MADV_POPULATE_READ));
		ASSERT_NE(OTHER, how) { TH_LOG("populate: %s", strerror(errno)); }
		if (how == WORKED)
			EXPECT_EQ(the.bytes, resident(the.fd));
		ASSERT_EQ(0, madvise(the.map, the.bytes, MADV_REMOVE));
	}
}

TEST_F(faults, a_touch_works_or_is_SIGBUS_and_may_be_tried_again)
{
	int i, index, sig, tries;

	NEEDS_ARENA();
	for (i = 0; i < 40; i++) {
		index = i % CHUNKS;
		for (tries = 0; tries < 1000; tries++) {
			sig = touch_write(the.map + index * the.chunk + i, i);
			if (!sig)
				break;
			ASSERT_EQ(SIGBUS, sig);
		}
		ASSERT_EQ(0, sig);
		EXPECT_EQ((char)i, the.map[index * the.chunk + i]);
		if (index == CHUNKS - 1)
			ASSERT_EQ(0, fallocate(the.fd, PUNCH, 0, the.bytes));
	}
}

static bool tolerable(int sig)
{
	if (sig && sig != SIGBUS)
		stress_fail(the.stress, "signal %d", sig);
	return !sig;
}

/* The chunk may be punched between two accesses: each may end in SIGBUS. */
static void touch_or_fault(uint64_t *random)
{
	if (sigsetjmp(fault_env, 1)) {
		tolerable(fault_info.si_signo);
		return;
	}
	fault_expected = true;
	touch_some(the.map, random, 1);
	fault_expected = false;
}

static size_t random_chunk(uint64_t *random)
{
	return next_random(random) % CHUNKS * the.chunk;
}

static void allocate(uint64_t *random)
{
	size_t offset = random_chunk(random);
	int result = next_random(random) & 1 ?
		fallocate(the.fd, 0, offset, the.chunk) :
		madvise(the.map + offset, the.chunk, MADV_POPULATE_WRITE);

	if (outcome(result) == OTHER)
		stress_fail(the.stress, "allocating: %s", strerror(errno));
}

static void punch_two(uint64_t *random)
{
	if (fallocate(the.fd, PUNCH, random_chunk(random), 2 * the.chunk))
		stress_fail(the.stress, "punch: %s", strerror(errno));
}

static void remap(uint64_t *random)
{
	char *map = map_arena(the.fd, the.bytes);

	if (map == MAP_FAILED) {
		if (errno != ENOMEM)
			stress_fail(the.stress, "mmap: %s", strerror(errno));
		return;
	}
	tolerable(touch_read(map + random_chunk(random)));
	mprotect(map + the.chunk / 2, base_page(), PROT_READ);
	tolerable(touch_read(map + the.chunk / 2));
	munmap(map, the.bytes);
}

TEST_F(faults, threads_go_on_and_contents_stay_right)
{
	static const step_fn steps[] = {
		touch_or_fault, touch_or_fault, allocate, punch_two, remap,
	};

	NEEDS_ARENA();
	run_steps(steps, ARRAY_SIZE(steps));
	EXPECT_EQ(0, the.stress->failed) { TH_LOG("%s", the.stress->why); }
}

TEST_HARNESS_MAIN
