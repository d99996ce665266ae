// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that the kernel holds for somebody (a pipe, io_uring, direct I/O) stay
 * what they are when their chunk is punched or the arena goes, and return to
 * the system when the hold ends.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

#include <sys/uio.h>
#include <linux/io_uring.h>

FIXTURE(pins) {
	size_t chunk;
	size_t page;
	int fd;
	char *p;
	int pipe[2];
};

FIXTURE_SETUP(pins)
{
	self->chunk = default_chunk();
	self->page = base_page();
	self->fd = create_arena(16 * self->chunk, self->chunk, 0);
	if (self->fd >= 0)
		self->p = map_arena(self->fd, 16 * self->chunk);
	ASSERT_EQ(0, pipe(self->pipe));
}

FIXTURE_TEARDOWN(pins)
{
	close(self->fd);
}

#define NEEDS_ARENA() do {							\
	if (self->fd == -EDQUOT)						\
		SKIP(return, "RLIMIT_MEMLOCK does not allow 16 chunks");	\
	ASSERT_LE(0, self->fd);							\
	ASSERT_NE(MAP_FAILED, (void *)self->p);					\
} while (0)

static void destroy_arena(char **p, int *fd, size_t bytes)
{
	munmap(*p, bytes);
	close(*fd);
	*fd = -1;
}

/* Puts a page into the pipe by reference. */
static bool lend_page(int pipefd, char *page, size_t bytes)
{
	struct iovec iov = { page, bytes };

	return vmsplice(pipefd, &iov, 1, 0) == (ssize_t)bytes;
}

static bool pipe_holds(int pipefd, char value, size_t bytes)
{
	char *copy = malloc(bytes);
	size_t done = 0;
	ssize_t n;
	bool right;

	while (done < bytes && (n = read(pipefd, copy + done, bytes - done)) > 0)
		done += n;
	right = done == bytes && !not_all(copy, bytes, value);
	free(copy);
	return right;
}

/* Pages that nobody has, with those that CPUs keep at hand. */
static long long free_memory(void)
{
	long long pages = value_of("/proc/vmstat", "nr_free_pages "), n;
	FILE *file = fopen("/proc/zoneinfo", "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %lld", &n) == 1)
			pages += n;
	if (file)
		fclose(file);
	return pages * base_page();
}

TEST_F(pins, a_pipe_keeps_its_page_over_a_punch)
{
	NEEDS_ARENA();
	memset(self->p, 0x11, self->chunk);
	ASSERT_TRUE(lend_page(self->pipe[1], self->p + 3 * self->page, self->page));
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->chunk));
	EXPECT_TRUE(is_zero(self->p, self->chunk));
	memset(self->p, 0x22, self->chunk);
	EXPECT_TRUE(pipe_holds(self->pipe[0], 0x11, self->page));
	EXPECT_EQ(NULL, not_all(self->p, self->chunk, 0x22));
}

TEST_F(pins, a_pipe_keeps_its_page_when_the_arena_is_gone)
{
	int fd;
	char *p;

	NEEDS_ARENA();
	memset(self->p, 0x11, 16 * self->chunk);
	ASSERT_TRUE(lend_page(self->pipe[1], self->p + 7 * self->chunk, self->page));
	destroy_arena(&self->p, &self->fd, 16 * self->chunk);
	/* others get what was freed, and write all over it */
	NEW_ARENA(fd, 16 * self->chunk, 0, 0);
	MAP_ARENA(p, fd, 16 * self->chunk);
	memset(p, 0x33, 16 * self->chunk);
	EXPECT_TRUE(pipe_holds(self->pipe[0], 0x11, self->page));
	EXPECT_EQ(NULL, not_all(p, 16 * self->chunk, 0x33));
}

TEST_F(pins, a_pipe_keeps_a_page_of_a_contiguous_arena)
{
	char *p;
	int fd;

	NEEDS_ARENA();
	fd = create_arena(4 * self->chunk, 0, HPHEAP_CREATE_CONTIG);
	if (fd == -ENOMEM || fd == -EDQUOT)
		SKIP(return, "no run of four chunks: %s", strerror(-fd));
	ASSERT_LE(0, fd);
	MAP_ARENA(p, fd, 4 * self->chunk);
	memset(p, 0x44, 4 * self->chunk);
	ASSERT_TRUE(lend_page(self->pipe[1], p + 2 * self->chunk, self->page));
	destroy_arena(&p, &fd, 4 * self->chunk);
	memset(self->p, 0x55, 16 * self->chunk);
	EXPECT_TRUE(pipe_holds(self->pipe[0], 0x44, self->page));
}

#define LENT	12

/* Chunks that a pipe has a page of are punched: so much of the system's memory was free before. */
static long long lend_and_punch(FIXTURE_DATA(pins) *self)
{
	long long before = free_memory();
	unsigned int i;

	memset(self->p, 0x11, 16 * self->chunk);
	for (i = 0; i < LENT; i++)
		if (!lend_page(self->pipe[1], self->p + i * self->chunk, 64))
			return -1;
	return fallocate(self->fd, PUNCH, 0, 16 * self->chunk) ? -1 : before;
}

/* Others free memory, too, a debug kernel tens of MiB at once: then it is tried again. */
TEST_F(pins, the_memory_returns_when_the_pipe_is_closed)
{
	long long before = 0, held = 0, tolerance = 4 * self->chunk;
	const long long least = LENT * (long long)self->chunk - tolerance;
	int round;

	NEEDS_ARENA();
	/* tables and lists that stay are made by a first round */
	memset(self->p, 0x11, 16 * self->chunk);
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, 16 * self->chunk));
	for (round = 0; round < 5 && held < least; round++) {
		if (round)
			ASSERT_TRUE(pipe_holds(self->pipe[0], 0x11, LENT * 64));
		before = lend_and_punch(self);
		ASSERT_LE(0, before);
		held = before - free_memory();
	}
	EXPECT_LE(least, held) {
		TH_LOG("only %lld bytes are held: pinned chunks went back", held);
	}
	close(self->pipe[0]);
	close(self->pipe[1]);
	EXPECT_TRUE(eventually(before - free_memory() < tolerance)) {
		TH_LOG("%lld bytes are lost", before - free_memory());
	}
}

TEST_F(pins, other_processes_can_read_and_write_the_memory)
{
	struct iovec local, remote;
	char *copy = malloc(self->chunk);
	pid_t pid;
	int go[2];
	char byte;

	NEEDS_ARENA();
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	if (!pid) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) < 0);
	}
	memset(self->p, 0x11, self->chunk);
	local = (struct iovec){ copy, self->chunk };
	remote = (struct iovec){ self->p, self->chunk };
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 && errno == ENOSYS)
		SKIP(goto out, "this kernel has no process_vm_readv()");
	EXPECT_EQ(self->chunk, process_vm_readv(pid, &local, 1, &remote, 1, 0));
	EXPECT_EQ(NULL, not_all(copy, self->chunk, 0x11));
	memset(copy, 0x22, self->chunk);
	remote.iov_base = self->p + self->chunk;	/* not resident yet */
	EXPECT_EQ(self->chunk, process_vm_writev(pid, &local, 1, &remote, 1, 0));
	EXPECT_EQ(NULL, not_all(self->p + self->chunk, self->chunk, 0x22));
out:
	close(go[1]);
	wait_child(pid);
	free(copy);
}

/* A file that takes O_DIRECT: a test file system, or a block device given by name. */
static int direct_file(char *path, size_t size)
{
	static const char * const dirs[] = { ".", "/var/tmp", "/tmp", "/root" };
	const char *device = getenv("HPHEAP_TEST_BLOCK_DEVICE");
	unsigned int i;
	int fd;

	if (device)
		return open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		snprintf(path, size, "%s/hpheap-direct-XXXXXX", dirs[i]);
		fd = mkostemp(path, O_DIRECT | O_CLOEXEC);
		if (fd >= 0) {
			unlink(path);
			return fd;
		}
		unlink(path);
	}
	return -1;
}

TEST_F(pins, direct_io_reads_into_and_writes_from_the_arena)
{
	char path[128];
	int file;

	NEEDS_ARENA();
	file = direct_file(path, sizeof(path));
	if (file < 0)
		SKIP(return, "no file here takes O_DIRECT (HPHEAP_TEST_BLOCK_DEVICE names one)");
	memset(self->p, 0x11, self->chunk);
	ASSERT_EQ(self->chunk, pwrite(file, self->p, self->chunk, 0));
	ASSERT_EQ(self->chunk, pread(file, self->p + self->chunk, self->chunk, 0));
	EXPECT_EQ(NULL, not_all(self->p + self->chunk, self->chunk, 0x11));
}

TEST_F(pins, direct_io_survives_punches_of_its_buffer)
{
	char path[128];
	int file, status, i;
	pid_t pid;

	NEEDS_ARENA();
	file = direct_file(path, sizeof(path));
	if (file < 0)
		SKIP(return, "no file here takes O_DIRECT (HPHEAP_TEST_BLOCK_DEVICE names one)");
	memset(self->p, 0x11, self->chunk);
	ASSERT_EQ(self->chunk, pwrite(file, self->p, self->chunk, 0));
	pid = fork();
	if (!pid)
		for (;;)
			fallocate(self->fd, PUNCH, 0, 16 * self->chunk);
	for (i = 0; i < 100; i++) {
		char *to = self->p + i % 16 * self->chunk;

		if (pread(file, to, self->chunk, 0) != (ssize_t)self->chunk)
			break;
		/* what is there is what was read or, punched since, zero */
		if (*to != 0x11 && *to)
			break;
	}
	EXPECT_EQ(100, i);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

struct ring {
	int fd;
	unsigned int *sq_tail, *sq_array, *cq_head, *cq_tail;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned int sq_mask, cq_mask;
};

static int ring_open(struct ring *ring)
{
	struct io_uring_params params = { 0 };
	char *sq, *cq;

	ring->fd = syscall(__NR_io_uring_setup, 4, &params);
	if (ring->fd < 0)
		return -errno;
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(unsigned int), RW,
		  MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*ring->cqes), RW,
		  MAP_SHARED, ring->fd, IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, params.sq_entries * sizeof(*ring->sqes), RW, MAP_SHARED,
			  ring->fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -ENOMEM;
	ring->sq_tail = (void *)(sq + params.sq_off.tail);
	ring->sq_array = (void *)(sq + params.sq_off.array);
	ring->sq_mask = params.sq_entries - 1;
	ring->cq_head = (void *)(cq + params.cq_off.head);
	ring->cq_tail = (void *)(cq + params.cq_off.tail);
	ring->cqes = (void *)(cq + params.cq_off.cqes);
	ring->cq_mask = params.cq_entries - 1;
	return 0;
}

/* One request and its result. */
static int ring_do(struct ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned int tail = *ring->sq_tail, head = *ring->cq_head;
	int result;

	ring->sqes[tail & ring->sq_mask] = *sqe;
	ring->sq_array[tail & ring->sq_mask] = tail & ring->sq_mask;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		return -EAGAIN;
	result = ring->cqes[head & ring->cq_mask].res;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}

/* Why a buffer cannot be registered; NULL: it is. */
static const char *register_buffer(const struct ring *ring, void *start, size_t bytes)
{
	struct iovec iov = { start, bytes };

	if (!syscall(__NR_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS, &iov, 1))
		return NULL;
	if (errno == ENOMEM)
		return "RLIMIT_MEMLOCK does not allow to register a chunk";
	if (errno == EOPNOTSUPP)
		return "this kernel's io_uring takes no buffers of file mappings";
	abort();
}

TEST_F(pins, an_io_uring_buffer_stays_valid_when_the_arena_is_gone)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_WRITE_FIXED };
	const char *missing;
	struct ring ring;
	int err;

	NEEDS_ARENA();
	err = ring_open(&ring);
	if (err)
		SKIP(return, "io_uring: %s", strerror(-err));
	memset(self->p, 0x11, self->chunk);
	missing = register_buffer(&ring, self->p, self->chunk);
	if (missing)
		SKIP(return, "%s", missing);
	sqe.fd = self->pipe[1];
	sqe.addr = (uintptr_t)self->p + 5 * self->page;
	sqe.len = self->page;
	ASSERT_EQ(0, fallocate(self->fd, PUNCH, 0, self->chunk));
	memset(self->p, 0x22, self->chunk);
	EXPECT_EQ(self->page, ring_do(&ring, &sqe));
	EXPECT_TRUE(pipe_holds(self->pipe[0], 0x11, self->page));

	destroy_arena(&self->p, &self->fd, 16 * self->chunk);
	EXPECT_EQ(self->page, ring_do(&ring, &sqe));
	EXPECT_TRUE(pipe_holds(self->pipe[0], 0x11, self->page));
}

struct pinned {
	char *p;
	size_t chunk;
};

static int has_a_copy(void *arg)
{
	const struct pinned *pinned = arg;

	if (not_all(pinned->p, 2 * pinned->chunk, 0x11))
		return 1;
	memset(pinned->p, 0x33, pinned->chunk);
	return 0;
}

/* Of an arena that is copied on write: what the kernel reads into it must not be seen elsewhere. */
TEST_F(pins, an_io_uring_buffer_stays_with_its_process_over_a_fork)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_READ_FIXED };
	struct pinned pinned = { .chunk = self->chunk };
	long long allocated;
	const char *missing;
	uint64_t before;
	struct ring ring;
	int fd, err;

	NEEDS_ARENA();
	err = ring_open(&ring);
	if (err)
		SKIP(return, "io_uring: %s", strerror(-err));
	NEW_ARENA(fd, 2 * self->chunk, self->chunk, HPHEAP_CREATE_FORK_COW);
	MAP_ARENA(pinned.p, fd, 2 * self->chunk);
	memset(pinned.p, 0x11, 2 * self->chunk);
	missing = register_buffer(&ring, pinned.p, self->chunk);
	if (missing)
		SKIP(return, "%s", missing);
	before = frame(pinned.p);
	allocated = counter("chunks_allocated");
	EXPECT_EQ(0, in_child(has_a_copy, &pinned));
	EXPECT_EQ(1, counter("chunks_allocated") - allocated);
	ASSERT_EQ(5, write(self->pipe[1], "hello", 5));
	sqe.fd = self->pipe[0];
	sqe.addr = (uintptr_t)pinned.p;
	sqe.len = 5;
	EXPECT_EQ(5, ring_do(&ring, &sqe));
	EXPECT_EQ(0, memcmp(pinned.p, "hello", 5));
	pinned.p[5] = 1;
	EXPECT_EQ(before, frame(pinned.p));
	munmap(pinned.p, 2 * self->chunk);
	close(fd);
}

TEST_F(pins, io_uring_reads_into_the_arena)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_READ };
	struct ring ring;
	int err;

	NEEDS_ARENA();
	err = ring_open(&ring);
	if (err)
		SKIP(return, "io_uring: %s", strerror(-err));
	ASSERT_EQ(5, write(self->pipe[1], "hello", 5));
	sqe.fd = self->pipe[0];
	sqe.addr = (uintptr_t)self->p + 2 * self->chunk - 2;	/* over a border, not resident */
	sqe.len = 5;
	sqe.off = -1;
	EXPECT_EQ(5, ring_do(&ring, &sqe));
	EXPECT_EQ(0, memcmp(self->p + 2 * self->chunk - 2, "hello", 5));
}

TEST_HARNESS_MAIN
