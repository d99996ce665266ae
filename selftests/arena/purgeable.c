// SPDX-License-Identifier: GPL-2.0-only
/*
 * Purgeable chunks: warm until the kernel needs their memory, zero afterwards, and
 * nothing between.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "cgroup.h"
#include "steps.h"

#include <sys/uio.h>
#include <sys/utsname.h>

#define CHUNKS	8

FIXTURE(purgeable) {
	size_t chunk, bytes;
	int fd;
	char *p;
	const volatile uint8_t *status;
	long long marked, reused, taken, purgeable;
};

FIXTURE_VARIANT(purgeable) {
	bool pmd;
};

FIXTURE_VARIANT_ADD(purgeable, default_chunks) { .pmd = false };
FIXTURE_VARIANT_ADD(purgeable, pmd_chunks) { .pmd = true };

/* Chunks full of their number plus 1. */
FIXTURE_SETUP(purgeable)
{
	size_t i;

	self->chunk = variant->pmd ? pmd_chunk() : default_chunk();
	self->fd = -1;
	if (!self->chunk || self->chunk > 64 * MIB)
		return;
	self->marked = counter("chunks_marked");
	self->reused = counter("chunks_reused");
	self->taken = counter("chunks_taken");
	self->purgeable = counter("purgeable_bytes");
	self->bytes = CHUNKS * self->chunk;
	NEW_ARENA(self->fd, self->bytes, self->chunk, 0);
	MAP_ARENA(self->p, self->fd, self->bytes);
	self->status = map_status(self->fd, self->bytes, self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)self->status);
	for (i = 0; i < CHUNKS; i++)
		memset(self->p + i * self->chunk, i + 1, self->chunk);
}

FIXTURE_TEARDOWN(purgeable)
{
	if (self->fd < 0)
		return;
	munmap((void *)self->status, CHUNKS);
	munmap(self->p, self->bytes);
	close(self->fd);
	EXPECT_EQ(self->purgeable, counter("purgeable_bytes"));
}

#define NEEDS_CHUNKS() do {								\
	if (self->fd < 0)							\
		SKIP(return, "eight chunks of %zu MiB", self->chunk >> 20);	\
} while (0)

#define EXPECT_COUNTS(marks, reuses, takes) do {					\
	EXPECT_EQ(self->marked + (marks), counter("chunks_marked"));		\
	EXPECT_EQ(self->reused + (reuses), counter("chunks_reused"));		\
	EXPECT_EQ(self->taken + (takes), counter("chunks_taken"));		\
	EXPECT_EQ(((marks) - (reuses) - (takes)) * (long long)self->chunk,	\
		  fdinfo_number(self->fd, "hpheap_purgeable:"));			\
} while (0)

static char *chunk_at(const FIXTURE_DATA(purgeable) *self, size_t i)
{
	return self->p + i * self->chunk;
}

/* What was written, whole, or zero, whole. */
static bool is_warm(const FIXTURE_DATA(purgeable) *self, size_t i)
{
	return !not_all(chunk_at(self, i), self->chunk, i + 1);
}

static bool is_gone(const FIXTURE_DATA(purgeable) *self, size_t i)
{
	return is_zero(chunk_at(self, i), self->chunk);
}

TEST_F(purgeable, is_announced)
{
	NEEDS_CHUNKS();
	EXPECT_TRUE(get_info().features & HPHEAP_FEATURE_PURGEABLE);
}

TEST_F(purgeable, chunks_are_not_mapped_and_a_touch_finds_them_as_they_were)
{
	NEEDS_CHUNKS();
	EXPECT_EQ(3, mark(self->fd, self->chunk, 3 * self->chunk));
	EXPECT_COUNTS(3, 0, 0);
	EXPECT_TRUE(is_present(chunk_at(self, 0)));
	EXPECT_FALSE(is_present(chunk_at(self, 1)));
	EXPECT_FALSE(is_present(chunk_at(self, 3)));
	EXPECT_TRUE(is_present(chunk_at(self, 4)));
	EXPECT_EQ(self->bytes, resident(self->fd));

	EXPECT_TRUE(is_warm(self, 2));
	EXPECT_COUNTS(3, 1, 0);
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, self->status[2]);
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, self->status[1]);

	/* What is marked already, or has no memory, is passed over. */
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 7 * self->chunk, self->chunk));
	EXPECT_EQ(CHUNKS - 3, mark(self->fd, 0, self->bytes));
	EXPECT_EQ(1, keep(self->fd, 0, self->bytes));
	EXPECT_TRUE(is_warm(self, 0));
	EXPECT_TRUE(is_warm(self, 6));
	EXPECT_TRUE(is_gone(self, 7));
}

TEST_F(purgeable, every_mapping_of_a_chunk_goes)
{
	char *other = map_arena(self->fd, self->bytes);

	NEEDS_CHUNKS();
	ASSERT_NE(MAP_FAILED, (void *)other);
	ASSERT_EQ(0, touch_read(other));
	EXPECT_EQ(1, mark(self->fd, 0, self->chunk));
	EXPECT_FALSE(is_present(other));
	EXPECT_FALSE(is_present(self->p));
	ASSERT_EQ(0, touch_write(other, 99));
	EXPECT_EQ(99, *self->p);
	munmap(other, self->bytes);
}

TEST_F(purgeable, chunks_are_taken_when_memory_is_asked_for_and_read_zero)
{
	size_t i;

	NEEDS_CHUNKS();
	if (!is_root())
		SKIP(return, "only root may drop caches");
	EXPECT_EQ(4, mark(self->fd, 2 * self->chunk, 4 * self->chunk));
	ASSERT_EQ(0, drop_slab());
	EXPECT_COUNTS(4, 0, 4);
	EXPECT_EQ(self->bytes - 4 * self->chunk, resident(self->fd));
	for (i = 0; i < CHUNKS; i++)
		EXPECT_EQ(i >= 2 && i < 6 ? HPHEAP_CHUNK_TAKEN : HPHEAP_CHUNK_RESIDENT,
			  self->status[i]);
	EXPECT_EQ(2 * self->chunk, lseek(self->fd, 0, SEEK_HOLE));
	EXPECT_EQ(6 * self->chunk, data_at(self->fd, 2 * self->chunk));
	EXPECT_EQ(4, keep(self->fd, 0, self->bytes));
	for (i = 0; i < CHUNKS; i++)
		EXPECT_TRUE(i >= 2 && i < 6 ? is_gone(self, i) : is_warm(self, i));
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, self->status[3]);
}

TEST_F(purgeable, chunks_that_were_kept_are_not_taken)
{
	NEEDS_CHUNKS();
	if (!is_root())
		SKIP(return, "only root may drop caches");
	ASSERT_EQ(CHUNKS, mark(self->fd, 0, self->bytes));
	EXPECT_EQ(0, keep(self->fd, 0, self->chunk));
	EXPECT_EQ(0, touch_read(chunk_at(self, 1)));
	ASSERT_EQ(0, fallocate(self->fd, 0, 2 * self->chunk, self->chunk));
	ASSERT_EQ(0, madvise(chunk_at(self, 3), self->chunk, MADV_POPULATE_READ));
	ASSERT_EQ(0, drop_slab());
	EXPECT_COUNTS(CHUNKS, 4, CHUNKS - 4);
	EXPECT_TRUE(is_warm(self, 0));
	EXPECT_TRUE(is_warm(self, 1));
	EXPECT_TRUE(is_warm(self, 2));
	EXPECT_TRUE(is_warm(self, 3));
	EXPECT_TRUE(is_gone(self, 4));
}

/* Who has pages of a chunk pinned has a use for it that nobody sees. */
TEST_F(purgeable, chunks_with_pinned_pages_stay)
{
	struct iovec vec = { .iov_base = self->p, .iov_len = base_page() };
	char read_back[64];
	int end[2];

	NEEDS_CHUNKS();
	if (!is_root())
		SKIP(return, "only root may drop caches");
	ASSERT_EQ(0, pipe(end));
	ASSERT_EQ(base_page(), vmsplice(end[1], &vec, 1, 0));
	ASSERT_EQ(2, mark(self->fd, 0, 2 * self->chunk));
	ASSERT_EQ(0, drop_slab());
	EXPECT_COUNTS(2, 0, 1);
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, self->status[0]);
	ASSERT_EQ(sizeof(read_back), read(end[0], read_back, sizeof(read_back)));
	EXPECT_EQ(1, read_back[0]);
	close(end[0]);
	close(end[1]);
	ASSERT_EQ(0, drop_slab());
	EXPECT_COUNTS(2, 0, 2);
}

TEST_F(purgeable, chunks_go_with_a_punch_and_with_their_arena)
{
	const long long arenas = counter("arenas");
	int fd = create_arena(4 * self->chunk, self->chunk, 0);

	NEEDS_CHUNKS();
	ASSERT_EQ(2, mark(self->fd, 0, 2 * self->chunk));
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->chunk));
	EXPECT_EQ(self->purgeable + (long long)self->chunk, counter("purgeable_bytes"));
	EXPECT_TRUE(is_gone(self, 0));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fallocate(fd, 0, 0, 4 * self->chunk));
	ASSERT_EQ(4, mark(fd, 0, 4 * self->chunk));
	close(fd);
	EXPECT_TRUE(eventually(counter("arenas") == arenas));
	EXPECT_EQ(self->purgeable + (long long)self->chunk, counter("purgeable_bytes"));
}

TEST_F(purgeable, chunks_can_be_named_by_address)
{
	char *part;

	NEEDS_CHUNKS();
	EXPECT_EQ(2, purge_at(chunk_at(self, 3), 2 * self->chunk, 0));
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, self->status[2]);
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, self->status[3]);
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, self->status[4]);
	EXPECT_EQ(0, purge_at(chunk_at(self, 3), 2 * self->chunk, HPHEAP_PURGEABLE_KEEP));
	EXPECT_EQ(HPHEAP_CHUNK_RESIDENT, self->status[4]);

	/* A mapping of a part begins elsewhere in the arena. */
	part = mmap(NULL, 2 * self->chunk, RW, MAP_SHARED, self->fd, 5 * self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)part);
	EXPECT_EQ(1, purge_at(part + self->chunk, self->chunk, 0));
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, self->status[6]);
	munmap(part, 2 * self->chunk);
}

TEST_F(purgeable, what_makes_no_sense_is_refused)
{
	struct hpheap_purgeable arg = purge_arg(0, self->chunk, 0);
	const size_t page = base_page();
	char *other, *seen;
	int fd, dev;

	NEEDS_CHUNKS();
	EXPECT_EQ(-EINVAL, mark(self->fd, 0, 0));
	EXPECT_EQ(-EINVAL, mark(self->fd, page, self->chunk));
	EXPECT_EQ(-EINVAL, mark(self->fd, 0, self->chunk + page));
	EXPECT_EQ(-EINVAL, mark(self->fd, 0, self->bytes + self->chunk));
	EXPECT_EQ(-EINVAL, mark(self->fd, self->bytes, self->chunk));
	EXPECT_EQ(-EINVAL, mark(self->fd, -self->chunk, self->chunk));
	EXPECT_EQ(-EINVAL, mark(self->fd, self->chunk, -self->chunk));
	EXPECT_EQ(-EINVAL, purge(self->fd, 0, self->chunk, 2));
	arg.chunks = 1;
	EXPECT_EQ(-1, ioctl(self->fd, HPHEAP_ARENA_PURGEABLE, &arg));
	EXPECT_EQ(EINVAL, errno);
	arg.chunks = 0;
	arg.size--;
	EXPECT_EQ(-1, ioctl(self->fd, HPHEAP_ARENA_PURGEABLE, &arg));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->fd, HPHEAP_ARENA_PURGEABLE, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, HPHEAP_IOC_PURGEABLE, &arg));
	EXPECT_EQ(ENOTTY, errno);
	dev = open_device();
	EXPECT_EQ(-1, ioctl(dev, HPHEAP_ARENA_PURGEABLE, &arg));
	EXPECT_EQ(ENOTTY, errno);
	close(dev);

	/* Addresses: of no arena, of one that may only be read, and of half a chunk. */
	other = mmap(NULL, self->chunk, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT_EQ(-EINVAL, purge_at(other, self->chunk, 0));
	munmap(other, self->chunk);
	EXPECT_EQ(-EINVAL, purge_at(other, self->chunk, 0));
	EXPECT_EQ(-EINVAL, purge_at((const void *)self->status, self->chunk, 0));
	EXPECT_EQ(-EINVAL, purge_at(self->p + page, self->chunk, 0));
	EXPECT_EQ(-EINVAL, purge_at(chunk_at(self, CHUNKS - 1), 2 * self->chunk, 0));
	EXPECT_EQ(-EINVAL, purge_at((void *)-1, self->chunk, 0));
	seen = mmap(NULL, self->bytes, PROT_READ, MAP_SHARED, self->fd, 0);
	EXPECT_EQ(-EACCES, purge_at(seen, self->chunk, 0));
	EXPECT_EQ(0, purge_at(seen, self->chunk, HPHEAP_PURGEABLE_KEEP));
	EXPECT_EQ(0, mprotect(seen, self->bytes, PROT_NONE));
	EXPECT_EQ(0, purge_at(seen, self->chunk, HPHEAP_PURGEABLE_KEEP));
	munmap(seen, self->bytes);

	NEW_ARENA(fd, 2 * self->chunk, self->chunk, HPHEAP_CREATE_CONTIG);
	EXPECT_EQ(-EOPNOTSUPP, mark(fd, 0, self->chunk));
	close(fd);
	EXPECT_COUNTS(0, 0, 0);
}

/* Takes anonymous memory in a cgroup until there is @bytes of it; 0, or the signal. */
struct hog {
	struct cgroup group;
	size_t bytes;
};

static int hog(void *arg)
{
	const struct hog *hog = arg;
	char *p;

	if (cgroup_enter(&hog->group))
		return 1;
	p = mmap(NULL, hog->bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(p, hog->bytes, MADV_NOHUGEPAGE);
	memset(p, 1, hog->bytes);
	return 0;
}

/*
 * Since 6.4 Linux leaves that out where it reclaims for a cgroup: if there is nothing else
 * to be had, it goes on until it has all.
 */
static bool kernel_counts_what_shrinkers_free(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%u.%u", &major, &minor);
	return major < 6 || (major == 6 && minor < 4);
}

/* In no order that anything else could have. */
static size_t chosen(size_t i, size_t count)
{
	return (i * 5 + 3) % count;
}

/* A cgroup at its limit takes what is its own, the oldest first, and kills nobody. */
TEST_F(purgeable, chunks_of_a_cgroup_at_its_limit_are_taken_the_oldest_first)
{
	/* Each CPU that charges has up to 64 pages in stock, which count as used. */
	const size_t stock = sysconf(_SC_NPROCESSORS_ONLN) * 64 * base_page();
	const size_t count = self->chunk > 2 * MIB ? CHUNKS : 4 * CHUNKS;
	const size_t bytes = count * self->chunk;
	const uint64_t nodes = get_info().memory_nodes[0];
	const volatile uint8_t *status;
	size_t i, taken = 0;
	struct hog it;
	bool warm = false;
	char *p;
	int fd;

	NEEDS_CHUNKS();
	NEW_CGROUP(&it.group, "purge");
	ASSERT_EQ(0, cgroup_enter(&it.group));
	/* Marks stand in the order of their age for each node. */
	fd = create_bound(nodes & -nodes, bytes, self->chunk, 0);
	p = map_arena(fd, bytes);
	status = map_status(fd, bytes, self->chunk);
	ASSERT_NE(MAP_FAILED, (void *)status);
	memset(p, 1, bytes);
	/* What others have marked before is not to be touched. */
	ASSERT_EQ(2, mark(self->fd, 0, 2 * self->chunk));
	for (i = 0; i < count; i++)
		ASSERT_EQ(1, mark(fd, chosen(i, count) * self->chunk, self->chunk));
	ASSERT_EQ(0, cgroup_leave());
	it.bytes = stock + 2 * self->chunk + 4 * MIB;
	ASSERT_EQ(0, cgroup_limit(&it.group, cgroup_current(&it.group) + 3 * MIB));
	EXPECT_EQ(0, in_child(hog, &it));
	EXPECT_EQ(0, cgroup_read(&it.group, "memory.events", "oom_kill "));
	for (i = 0; i < count; i++) {
		const uint8_t is = status[chosen(i, count)];

		taken += is == HPHEAP_CHUNK_TAKEN;
		warm |= is == HPHEAP_CHUNK_PURGEABLE;
		EXPECT_FALSE(warm && is == HPHEAP_CHUNK_TAKEN) {
			TH_LOG("the %zuth is taken, an older one is not", i);
		}
	}
	EXPECT_LE(1, taken);
	if (kernel_counts_what_shrinkers_free())
		EXPECT_GT(count, taken);
	TH_LOG("%zu of %zu chunks were taken", taken, count);
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, self->status[0]);
	munmap((void *)status, count);
	munmap(p, bytes);
	close(fd);
	EXPECT_TRUE(cgroup_remove(&it.group));
	EXPECT_TRUE(is_warm(self, 0));
}

/* Bytes of a node that are free; 0: it does not say. */
static size_t free_on(int node)
{
	char path[64], key[32];
	long long kib;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	snprintf(key, sizeof(key), "Node %d MemFree:", node);
	kib = value_of(path, key);
	return kib < 0 ? 0 : (size_t)kib << 10;
}

/* Whoever marked them, and wherever that thread runs. */
TEST_F(purgeable, a_node_that_is_short_takes_its_own_chunks)
{
	const uint64_t nodes = get_info().memory_nodes[0];
	const int near = __builtin_ctzll(nodes), node = 63 - __builtin_clzll(nodes);
	const size_t free = free_on(node);
	size_t bytes, other;
	struct stat stat;
	int fd, second;

	NEEDS_CHUNKS();
	if (near == node)
		SKIP(return, "this system has one node with memory");
	if (run_on_node(near))
		SKIP(return, "no CPU is on the other node");
	if (!free || free > 2048 * MIB)
		SKIP(return, "this system has too much memory to fill");
	bytes = free / 4 * 3 / self->chunk * self->chunk;
	other = free / 2 / self->chunk * self->chunk;
	fd = create_bound(1ULL << node, bytes, self->chunk, HPHEAP_CREATE_STRICT_NODE);
	ASSERT_LE(0, fd) { TH_LOG("%s", strerror(-fd)); }
	ASSERT_EQ(0, fallocate(fd, 0, 0, bytes));
	ASSERT_EQ(bytes / self->chunk, mark(fd, 0, bytes));
	second = create_bound(1ULL << node, other, self->chunk, HPHEAP_CREATE_STRICT_NODE);
	ASSERT_LE(0, second) { TH_LOG("%s", strerror(-second)); }
	EXPECT_EQ(0, fallocate(second, 0, 0, other)) { TH_LOG("%s", strerror(errno)); }
	ASSERT_EQ(0, fstat(fd, &stat));
	EXPECT_LE(self->chunk, bytes - stat.st_blocks * 512);
	close(second);
	close(fd);
}

/* Reclaim finds memory enough, and compaction cannot move chunks. */
TEST_F(purgeable, free_memory_in_pieces_spares_no_marked_chunk)
{
	const int node = 63 - __builtin_clzll(get_info().memory_nodes[0]);
	const size_t free = free_on(node), piece = 2 * MIB;
	const size_t pieces = free / 2 / self->chunk * self->chunk;
	struct stat before, after;
	int small, large, fd, fails;
	size_t i;

	NEEDS_CHUNKS();
	if (self->chunk == piece)
		SKIP(return, "this system has chunks of one size, or none that are smaller");
	if (!free || free > 2048 * MIB)
		SKIP(return, "this system has too much memory to fill");
	small = create_bound(1ULL << node, pieces, piece, HPHEAP_CREATE_STRICT_NODE);
	ASSERT_LE(0, small) { TH_LOG("%s", strerror(-small)); }
	ASSERT_EQ(0, fallocate(small, 0, 0, pieces));
	large = create_bound(1ULL << node, free / self->chunk * self->chunk, self->chunk,
			     HPHEAP_CREATE_STRICT_NODE);
	ASSERT_LE(0, large) { TH_LOG("%s", strerror(-large)); }
	for (i = 0; i < pieces; i += 2 * piece)
		ASSERT_EQ(0, fallocate(small, PUNCH, i, piece));
	/* What once fails may come later, when compaction has moved something else. */
	for (i = fails = 0; fails < 5; )
		if (fallocate(large, 0, i * self->chunk, self->chunk))
			fails++;
		else
			i++;
	ASSERT_LE(2, i);
	TH_LOG("%zu chunks, then %llu MiB free in pieces", i, (unsigned long long)free_on(node) >> 20);
	ASSERT_EQ(2, mark(large, 0, 2 * self->chunk));
	ASSERT_EQ(0, fstat(large, &before));
	fd = create_bound(1ULL << node, CHUNKS * self->chunk, self->chunk,
			  HPHEAP_CREATE_STRICT_NODE);
	ASSERT_LE(0, fd) { TH_LOG("%s", strerror(-fd)); }
	/* None fails as long as there is a marked one. */
	for (after = before, i = 0; i < CHUNKS && after.st_blocks == before.st_blocks; i++) {
		ASSERT_EQ(0, fallocate(fd, 0, i * self->chunk, self->chunk)) {
			TH_LOG("%s", strerror(errno));
		}
		ASSERT_EQ(0, fstat(large, &after));
	}
	EXPECT_GT(before.st_blocks, after.st_blocks);
	close(fd);
	close(large);
	close(small);
}

static int take_without_right(void *arg)
{
	const struct hog *it = arg;
	int fd;

	if (cgroup_enter(&it->group))
		return 1;
	/* Wherever the marked ones are. */
	fd = create_bound(get_info().memory_nodes[0], it->bytes, it->bytes, 0);
	if (fd < 0)
		return 2;
	return fallocate(fd, 0, 0, it->bytes) && errno == ENOMEM ? 0 : 3;
}

/* There is memory enough, but not for this cgroup. */
TEST_F(purgeable, who_may_not_have_more_takes_no_marked_chunk_of_others)
{
	struct hog it = { .bytes = self->chunk };

	NEEDS_CHUNKS();
	NEW_CGROUP(&it.group, "purgeable-poor");
	ASSERT_EQ(0, cgroup_limit(&it.group, MIB));
	ASSERT_EQ(2, mark(self->fd, 0, 2 * self->chunk));
	EXPECT_EQ(0, in_child(take_without_right, &it));
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, self->status[0]);
	EXPECT_EQ(HPHEAP_CHUNK_PURGEABLE, self->status[1]);
	EXPECT_TRUE(is_warm(self, 0));
	EXPECT_TRUE(cgroup_remove(&it.group));
}

static void punch_some(uint64_t *random)
{
	if (fallocate(the.fd, PUNCH, next_random(random) % CHUNKS * the.chunk, the.chunk))
		stress_fail(the.stress, "punch: %s", strerror(errno));
	usleep(1000);
}

static void come_and_go(uint64_t *random)
{
	int fd = create_arena(2 * the.chunk, the.chunk, 0);

	(void)random;
	if (fd < 0)
		return;
	if (!fallocate(fd, 0, 0, 2 * the.chunk))
		mark(fd, 0, 2 * the.chunk);
	close(fd);
}

TEST_F(purgeable, chunks_are_right_or_zero_whatever_happens_at_once)
{
	static const step_fn steps[] = {
		touch_word, touch_word, mark_some, mark_some, punch_some, take_some, come_and_go,
	};

	NEEDS_CHUNKS();
	the.stress = stress_new();
	the.chunk = self->chunk;
	the.bytes = self->bytes;
	the.fd = self->fd;
	the.map = self->p;
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->bytes));
	run_steps(steps, ARRAY_SIZE(steps));
	EXPECT_EQ(0, the.stress->failed) { TH_LOG("%s", the.stress->why); }
	EXPECT_EQ(-1, first_wrong(self->p, self->bytes));
	EXPECT_TRUE(!is_root() || counter("chunks_taken") > self->taken);
	EXPECT_LT(self->reused, counter("chunks_reused"));
	EXPECT_EQ(0, fdinfo_number(self->fd, "hpheap_purgeable:"));
	TH_LOG("%lld marked, %lld reused, %lld taken", counter("chunks_marked") - self->marked,
	       counter("chunks_reused") - self->reused, counter("chunks_taken") - self->taken);
}

TEST_HARNESS_MAIN
