// SPDX-License-Identifier: GPL-2.0-only
/*
 * HPHEAP_IOC_CREATE: every refusal has its errno, and a refused call leaves no
 * descriptor and nothing counted.
 */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"

FIXTURE(create) {
	int dev;
	size_t chunk;
	struct hpheap_info info;
};

FIXTURE_SETUP(create)
{
	self->dev = open_device();
	ASSERT_LE(0, self->dev);
	self->info = get_info();
	self->chunk = self->info.default_chunk_bytes;
}

FIXTURE_TEARDOWN(create)
{
	close(self->dev);
}

/* The number the next descriptor will get. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY);

	close(fd);
	return fd;
}

/* CREATE as given; 0 or errno. What it makes is closed again. */
static int create_error(int dev, struct hpheap_create arg)
{
	if (ioctl(dev, HPHEAP_IOC_CREATE, &arg))
		return errno;
	close(arg.fd);
	return 0;
}

#define EXPECT_REFUSED(error, arg) do {						\
	int before = next_fd();							\
	EXPECT_EQ(error, create_error(self->dev, arg));				\
	EXPECT_EQ(before, next_fd()) { TH_LOG("a refused call left a descriptor"); } \
} while (0)

/* Calls with the size of the structure given apart. */
static int sized_create_error(int dev, uint32_t size, uint64_t tail, size_t chunk)
{
	struct { struct hpheap_create create; uint64_t tail; char rest[70000]; } arg = {
		.create = { .size = size, .bytes = chunk }, .tail = tail,
	};

	if (ioctl(dev, HPHEAP_IOC_CREATE, &arg))
		return errno;
	close(arg.create.fd);
	return 0;
}

TEST_F(create, default_arena_is_made_of_default_chunks)
{
	struct stat st;
	int fd;

	NEW_ARENA(fd, 2 * self->chunk, 0, 0);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(2 * self->chunk, st.st_size);
	EXPECT_EQ(self->chunk, st.st_blksize);
}

TEST_F(create, descriptor_is_read_write_and_close_on_exec)
{
	int fd;

	NEW_ARENA(fd, self->chunk, 0, 0);
	EXPECT_EQ(O_RDWR, fcntl(fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
}

TEST_F(create, size_zero_is_EINVAL)
{
	EXPECT_REFUSED(EINVAL, create_arg(0, 0, 0));
	EXPECT_REFUSED(EINVAL, create_arg(0, self->chunk, 0));
}

TEST_F(create, size_not_a_multiple_of_the_chunk_is_EINVAL)
{
	EXPECT_REFUSED(EINVAL, create_arg(self->chunk + 1, 0, 0));
	EXPECT_REFUSED(EINVAL, create_arg(self->chunk - 1, 0, 0));
	EXPECT_REFUSED(EINVAL, create_arg(self->chunk + base_page(), self->chunk, 0));
	EXPECT_REFUSED(EINVAL, create_arg(base_page(), 0, 0));
}

TEST_F(create, chunk_not_a_power_of_two_is_EINVAL)
{
	EXPECT_REFUSED(EINVAL, create_arg(3 * self->chunk, 3 * self->chunk, 0));
	EXPECT_REFUSED(EINVAL, create_arg(self->chunk, self->chunk - 1, 0));
}

TEST_F(create, chunk_that_this_system_does_not_have_is_EOPNOTSUPP)
{
	struct hpheap_create arg = create_arg(base_page(), base_page(), 0);

	EXPECT_REFUSED(EOPNOTSUPP, arg);
	arg.bytes = arg.chunk_bytes = 1;
	EXPECT_REFUSED(EOPNOTSUPP, arg);
	arg.bytes = arg.chunk_bytes = 1ULL << 40;
	EXPECT_REFUSED(EOPNOTSUPP, arg);
	arg.bytes = arg.chunk_bytes = 1ULL << 63;
	EXPECT_REFUSED(EOPNOTSUPP, arg);
}

TEST_F(create, more_than_all_memory_is_EFBIG)
{
	struct hpheap_create arg = create_arg(0, 0, 0);

	arg.bytes = 1ULL << 50;
	EXPECT_REFUSED(EFBIG, arg);
	arg.bytes = 1ULL << 63;
	EXPECT_REFUSED(EFBIG, arg);
	arg.bytes = -(uint64_t)self->chunk;
	EXPECT_REFUSED(EFBIG, arg);
	arg.flags = HPHEAP_CREATE_CONTIG;
	EXPECT_REFUSED(EFBIG, arg);
}

TEST_F(create, unknown_flags_are_EINVAL)
{
	unsigned int bit;

	for (bit = 5; bit < 32; bit++)
		EXPECT_REFUSED(EINVAL, create_arg(self->chunk, 0, 1U << bit));
}

TEST_F(create, both_fork_flags_are_EINVAL)
{
	EXPECT_REFUSED(EINVAL, create_arg(self->chunk, 0, HPHEAP_CREATE_FORK_SHARE |
							  HPHEAP_CREATE_FORK_NONE));
}

TEST_F(create, non_zero_fd_on_input_is_EINVAL)
{
	struct hpheap_create arg = create_arg(self->chunk, 0, 0);

	arg.fd = 1;
	EXPECT_REFUSED(EINVAL, arg);
	arg.fd = -1;
	EXPECT_REFUSED(EINVAL, arg);
}

TEST_F(create, unknown_policy_is_EINVAL)
{
	struct hpheap_create arg = create_arg(self->chunk, 0, 0);

	arg.nodemask[0] = 1;
	for (arg.policy = HPHEAP_POLICY_INTERLEAVE + 1; arg.policy < 10; arg.policy++)
		EXPECT_REFUSED(EINVAL, arg);
	arg.policy = UINT32_MAX;
	EXPECT_REFUSED(EINVAL, arg);
}

TEST_F(create, local_policy_with_a_nodemask_is_EINVAL)
{
	struct hpheap_create arg = create_arg(self->chunk, 0, 0);

	arg.nodemask[0] = self->info.memory_nodes[0] | 1;
	EXPECT_REFUSED(EINVAL, arg);
	arg.nodemask[0] = 0;
	arg.nodemask[HPHEAP_NODE_WORDS - 1] = 1ULL << 63;
	EXPECT_REFUSED(EINVAL, arg);
}

TEST_F(create, empty_nodemask_is_EINVAL)
{
	struct hpheap_create arg = create_arg(self->chunk, 0, 0);

	for (arg.policy = HPHEAP_POLICY_BIND; arg.policy <= HPHEAP_POLICY_INTERLEAVE; arg.policy++)
		EXPECT_REFUSED(EINVAL, arg);
}

TEST_F(create, node_that_does_not_exist_is_ENODEV)
{
	struct hpheap_create arg = create_arg(self->chunk, 0, 0);

	for (arg.policy = HPHEAP_POLICY_BIND; arg.policy <= HPHEAP_POLICY_INTERLEAVE;
	     arg.policy++) {
		memset(arg.nodemask, 0, sizeof(arg.nodemask));
		arg.nodemask[HPHEAP_NODE_WORDS - 1] = 1ULL << 63;
		EXPECT_REFUSED(ENODEV, arg);
		memcpy(arg.nodemask, self->info.memory_nodes, sizeof(arg.nodemask));
		arg.nodemask[HPHEAP_NODE_WORDS - 1] |= 1ULL << 63;
		EXPECT_REFUSED(ENODEV, arg);
	}
}

TEST_F(create, node_without_memory_is_ENXIO)
{
	struct hpheap_create arg = create_arg(self->chunk, 0, 0);
	uint64_t some = 0;
	unsigned int i;

	arg.policy = HPHEAP_POLICY_BIND;
	for (i = 0; i < HPHEAP_NODE_WORDS; i++) {
		arg.nodemask[i] = self->info.cpu_nodes[i] & ~self->info.memory_nodes[i];
		some |= arg.nodemask[i];
	}
	if (!some)
		SKIP(return, "no node of this system is without memory");
	EXPECT_REFUSED(ENXIO, arg);
}

TEST_F(create, bind_to_more_than_the_nodes_have_is_EFBIG)
{
	struct hpheap_create arg = create_arg(0, 0, 0);

	arg.policy = HPHEAP_POLICY_BIND;
	arg.nodemask[0] = self->info.memory_nodes[0] & -self->info.memory_nodes[0];
	if (!arg.nodemask[0])
		SKIP(return, "the first 64 nodes have no memory");
	/* all memory is more than what one node has present, or equal to it plus a chunk */
	arg.bytes = (((uint64_t)sysconf(_SC_PHYS_PAGES) * base_page() * 5 / 4) & -self->chunk);
	EXPECT_REFUSED(EFBIG, arg);
}

TEST_F(create, contig_interleaved_over_two_nodes_is_EINVAL)
{
	struct hpheap_create arg = create_arg(self->chunk, 0, HPHEAP_CREATE_CONTIG);

	arg.policy = HPHEAP_POLICY_INTERLEAVE;
	memcpy(arg.nodemask, self->info.memory_nodes, sizeof(arg.nodemask));
	if (__builtin_popcountll(arg.nodemask[0]) < 2)
		SKIP(return, "this system has one node with memory");
	EXPECT_REFUSED(EINVAL, arg);
}

TEST_F(create, bind_with_strict_node_is_accepted)
{
	struct hpheap_create arg = create_arg(self->chunk, 0, HPHEAP_CREATE_STRICT_NODE);
	int error;

	arg.policy = HPHEAP_POLICY_BIND;
	memcpy(arg.nodemask, self->info.memory_nodes, sizeof(arg.nodemask));
	error = create_error(self->dev, arg);
	EXPECT_EQ(0, error);
}

TEST_F(create, short_struct_is_EINVAL)
{
	EXPECT_EQ(EINVAL, sized_create_error(self->dev, 0, 0, self->chunk));
	EXPECT_EQ(EINVAL, sized_create_error(self->dev, 7, 0, self->chunk));
	EXPECT_EQ(EINVAL, sized_create_error(self->dev, sizeof(struct hpheap_create) - 1, 0,
					     self->chunk));
}

TEST_F(create, longer_struct_with_zero_tail_is_taken)
{
	EXPECT_EQ(0, sized_create_error(self->dev, sizeof(struct hpheap_create) + 8, 0,
					self->chunk));
	EXPECT_EQ(0, sized_create_error(self->dev, 4096, 0, self->chunk));
}

TEST_F(create, non_zero_tail_is_E2BIG)
{
	EXPECT_EQ(E2BIG, sized_create_error(self->dev, sizeof(struct hpheap_create) + 8, 1,
					    self->chunk));
	EXPECT_EQ(E2BIG, sized_create_error(self->dev, sizeof(struct hpheap_create) + 8,
					    1ULL << 63, self->chunk));
}

TEST_F(create, struct_longer_than_a_page_is_E2BIG)
{
	EXPECT_EQ(E2BIG, sized_create_error(self->dev, base_page() + 1, 0, self->chunk));
	EXPECT_EQ(E2BIG, sized_create_error(self->dev, UINT32_MAX, 0, self->chunk));
}

TEST_F(create, bad_pointer_is_EFAULT_and_leaves_no_descriptor)
{
	size_t page = base_page();
	struct hpheap_create *arg;
	int before = next_fd();
	char *p = mmap(NULL, page, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(-1, ioctl(self->dev, HPHEAP_IOC_CREATE, NULL));
	EXPECT_EQ(EFAULT, errno);

	/* readable only: the arena could be made, its number not be told */
	arg = (struct hpheap_create *)p;
	*arg = create_arg(self->chunk, 0, 0);
	ASSERT_EQ(0, mprotect(p, page, PROT_READ));
	EXPECT_EQ(-1, ioctl(self->dev, HPHEAP_IOC_CREATE, arg));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(before, next_fd());
}

TEST_F(create, without_a_free_descriptor_is_EMFILE)
{
	struct rlimit old, none = { 0 };
	int error;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none.rlim_max = old.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	error = create_error(self->dev, create_arg(self->chunk, 0, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(EMFILE, error);
}

/* Counts as they are when nobody else makes arenas; two tries smooth out others. */
TEST_F(create, refused_calls_leave_nothing_counted)
{
	struct hpheap_create arg;
	long long arenas = 0, reserved = 0;
	int try;

	for (try = 0; try < 2; try++) {
		arenas = counter("arenas");
		reserved = counter("reserved_bytes");
		arg = create_arg(self->chunk, 0, 1U << 31);
		create_error(self->dev, arg);
		arg = create_arg(self->chunk, 0, 0);
		arg.fd = 3;
		create_error(self->dev, arg);
		arg = create_arg(0, 0, 0);
		arg.bytes = 1ULL << 50;
		create_error(self->dev, arg);
		if (arenas == counter("arenas") && reserved == counter("reserved_bytes"))
			break;
	}
	ASSERT_LE(0, arenas);
	EXPECT_EQ(arenas, counter("arenas"));
	EXPECT_EQ(reserved, counter("reserved_bytes"));
}

TEST_F(create, a_thousand_arenas_come_and_go)
{
	long long before = counter("arenas");
	int i, fd;

	for (i = 0; i < 1000; i++) {
		NEW_ARENA(fd, self->chunk, 0, 0);
		close(fd);
	}
	EXPECT_TRUE(eventually(counter("arenas") <= before));
}

TEST_HARNESS_MAIN
