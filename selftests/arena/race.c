// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once: touching, punching, allocating, forking, splitting,
 * moving, passing and killing, by threads and processes, on one arena. Every
 * word that anybody writes follows from its offset, so whatever is neither
 * that nor zero came from elsewhere. Whoever changes protections does so on a
 * mapping of its own.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "steps.h"
#include "passing.h"

#define CHUNKS	6

static int ends[2];	/* of a socket, to pass the arena by */

static void touch(uint64_t *random)
{
	touch_some(the.map, random, 100);
}

static void punch(uint64_t *random)
{
	size_t offset = next_random(random) % the.bytes & -base_page();
	size_t bytes = next_random(random) % (3 * the.chunk) + 1;

	if (next_random(random) & 1) {
		if (fallocate(the.fd, PUNCH, offset, bytes))
			stress_fail(the.stress, "punch: %s", strerror(errno));
	} else if (bytes <= the.bytes - offset) {
		if (madvise(the.map + offset, bytes, MADV_REMOVE))
			stress_fail(the.stress, "MADV_REMOVE: %s", strerror(errno));
	}
}

static void allocate(uint64_t *random)
{
	size_t offset = next_random(random) % CHUNKS * the.chunk;

	if (next_random(random) & 1) {
		if (fallocate(the.fd, 0, offset, the.chunk))
			stress_fail(the.stress, "fallocate: %s", strerror(errno));
	} else if (madvise(the.map + offset, the.chunk, MADV_POPULATE_WRITE)) {
		stress_fail(the.stress, "MADV_POPULATE_WRITE: %s", strerror(errno));
	}
}

static void fork_child(uint64_t *random)
{
	pid_t pid = fork();

	if (!pid) {
		touch_some(the.map, random, 20);
		_exit(0);
	}
	if (pid < 0 || wait_child(pid))
		stress_fail(the.stress, "a child did not end well");
}

/* On a mapping of its own: protect a part, unmap a part, and mend both. */
static void split(uint64_t *random)
{
	char *map = map_arena(the.fd, the.bytes);
	size_t page = base_page(), at = next_random(random) % (the.bytes / page - 2) * page;

	if (map == MAP_FAILED) {
		stress_fail(the.stress, "mmap: %s", strerror(errno));
		return;
	}
	touch_some(map, random, 20);
	if (mprotect(map + at, page, PROT_READ))
		stress_fail(the.stress, "mprotect: %s", strerror(errno));
	check_word(map, at);
	check_word(map, at + page);
	mprotect(map + at, page, RW);
	touch_some(map, random, 20);
	munmap(map + at, page);
	check_word(map, at + page);
	if (mmap(map + at, page, RW, MAP_SHARED | MAP_FIXED, the.fd, at) == MAP_FAILED)
		stress_fail(the.stress, "mmap(MAP_FIXED): %s", strerror(errno));
	touch_some(map, random, 20);
	madvise(map, the.bytes, MADV_DONTNEED);
	touch_some(map, random, 5);
	munmap(map, the.bytes);
}

static void move(uint64_t *random)
{
	size_t page = base_page(), room_bytes = the.bytes + the.chunk;
	char *map = map_arena(the.fd, the.bytes), *to;
	char *room = mmap(NULL, room_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED || room == MAP_FAILED) {
		stress_fail(the.stress, "mmap: %s", strerror(errno));
		return;
	}
	touch_some(map, random, 20);
	to = room + next_random(random) % (the.chunk / page) * page;
	if (mremap(map, the.bytes, the.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		stress_fail(the.stress, "mremap: %s", strerror(errno));
	else
		touch_some(to, random, 20);
	munmap(room, room_bytes);
}

static void look(uint64_t *random)
{
	struct hpheap_extent list[CHUNKS];
	struct hpheap_extents arg = {
		.size = sizeof(arg), .extents = (uintptr_t)list, .count = CHUNKS,
	};
	size_t offset = random_offset(random);

	if (ioctl(the.fd, HPHEAP_ARENA_EXTENTS, &arg))
		stress_fail(the.stress, "EXTENTS: %s", strerror(errno));
	lseek(the.fd, offset, SEEK_DATA);
	lseek(the.fd, offset, SEEK_HOLE);
	if (resident(the.fd) > the.bytes)
		stress_fail(the.stress, "more resident than there is");
	if (fdinfo_number(the.fd, "hpheap_resident:") > (long long)the.bytes)
		stress_fail(the.stress, "more resident in fdinfo than there is");
}

/* A process that is killed in the midst of it. */
static void kill_child(uint64_t *random)
{
	pid_t pid = fork();

	if (!pid) {
		for (;;) {
			touch_some(the.map, random, 10);
			punch(random);
			allocate(random);
		}
	}
	usleep(next_random(random) % 20000);
	kill(pid, SIGKILL);
	if (wait_child(pid) != 128 + SIGKILL)
		stress_fail(the.stress, "a child ended otherwise than by SIGKILL");
}

static void pass(uint64_t *random)
{
	(void)random;
	if (pass_fd(ends[0], the.fd))
		stress_fail(the.stress, "sendmsg: %s", strerror(errno));
}

/* The other process: all it has of the arena came through the socket. */
static int receive(void *unused)
{
	uint64_t random = 99;
	char *map;
	int fd;

	(void)unused;
	close(ends[0]);
	munmap(the.map, the.bytes);
	close(the.fd);
	while ((fd = take_fd(ends[1])) >= 0) {
		map = map_arena(fd, the.bytes);
		close(fd);
		if (map == MAP_FAILED)
			return 1;
		touch_some(map, &random, 20);
		munmap(map, the.bytes);
	}
	return 0;
}

FIXTURE(race) {
	long long arenas, allocated, released, resident;
	pid_t receiver;
};

FIXTURE_VARIANT(race) {
	bool pmd;
};

FIXTURE_VARIANT_ADD(race, default_chunks) { .pmd = false };
FIXTURE_VARIANT_ADD(race, pmd_chunks) { .pmd = true };

FIXTURE_SETUP(race)
{
	self->arenas = counter("arenas");
	self->allocated = counter("chunks_allocated");
	self->released = counter("chunks_released");
	self->resident = counter("resident_bytes");
	the.stress = stress_new();
	the.chunk = variant->pmd ? pmd_chunk() : default_chunk();
	the.bytes = CHUNKS * the.chunk;
	the.fd = -EFBIG;
	if (!the.chunk || the.chunk > 64 * MIB)
		return;
	the.fd = create_arena(the.bytes, the.chunk, 0);
	the.map = map_arena(the.fd, the.bytes);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

FIXTURE_TEARDOWN(race)
{
}

/* What the arena says of itself in four ways must be the same, and its contents right. */
static void check_survivors(struct __test_metadata *_metadata)
{
	struct hpheap_extent list[CHUNKS];
	struct hpheap_extents arg = {
		.size = sizeof(arg), .extents = (uintptr_t)list, .count = CHUNKS,
	};
	uint64_t sum = 0;
	unsigned int i;

	ASSERT_EQ(0, ioctl(the.fd, HPHEAP_ARENA_EXTENTS, &arg));
	for (i = 0; i < arg.count; i++)
		sum += list[i].bytes;
	EXPECT_EQ(sum, resident(the.fd));
	EXPECT_EQ(sum, fdinfo_number(the.fd, "hpheap_resident:"));
	EXPECT_EQ(-1, first_wrong(the.map, the.bytes));
}

TEST_F(race, everything_at_once_leaves_only_right_contents_and_no_chunk_behind)
{
	static const step_fn steps[] = {
		touch, touch, punch, allocate, fork_child, split, move, look, kill_child, pass,
		mark_some, take_some,
	};

	if (the.fd == -EDQUOT || the.fd == -EFBIG)
		SKIP(return, "six chunks of %zu MiB: %s", the.chunk >> 20, why_not(the.fd));
	ASSERT_LE(0, the.fd);
	ASSERT_NE(MAP_FAILED, (void *)the.map);
	self->receiver = start_child(receive, NULL);
	close(ends[1]);

	run_steps(steps, ARRAY_SIZE(steps));
	close(ends[0]);
	EXPECT_EQ(0, wait_child(self->receiver));
	EXPECT_EQ(0, the.stress->failed) { TH_LOG("%s", the.stress->why); }
	check_survivors(_metadata);

	munmap(the.map, the.bytes);
	close(the.fd);
	EXPECT_TRUE(eventually(counter("arenas") == self->arenas));
	EXPECT_EQ(self->resident, counter("resident_bytes"));
	EXPECT_EQ(counter("chunks_allocated") - self->allocated,
		  counter("chunks_released") - self->released);
}

TEST_HARNESS_MAIN
