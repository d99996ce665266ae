/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all arena tests share: the device, arenas, touches that may fault and
 * child processes. To be included after kselftest_harness.h.
 */
#ifndef SELFTESTS_ARENA_H
#define SELFTESTS_ARENA_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/falloc.h>
#include <linux/hpheap.h>

#define MIB	(1ULL << 20)
#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define RW	(PROT_READ | PROT_WRITE)

/* Emulated and debug kernels are slow: let only what hangs run into the limit. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 200

static inline const char *device_path(void)
{
	const char *path = getenv("HPHEAP_DEVICE");

	return path && *path ? path : "/dev/hpheap";
}

static inline int open_device(void)
{
	return open(device_path(), O_RDWR | O_CLOEXEC);
}

/* Without the device there is nothing to test: 4 tells kselftest "skipped". */
static void __attribute__((constructor)) require_device(void)
{
	int dev = open_device();

	if (dev < 0) {
		printf("TAP version 13\n1..0 # SKIP %s: %s\n", device_path(), strerror(errno));
		exit(4);
	}
	close(dev);
}

static inline struct hpheap_info get_info(void)
{
	struct hpheap_info info = { .size = sizeof(info) };
	int dev = open_device();

	if (dev < 0 || ioctl(dev, HPHEAP_IOC_INFO, &info)) {
		perror("HPHEAP_IOC_INFO");
		abort();
	}
	close(dev);
	return info;
}

static inline size_t default_chunk(void)
{
	return get_info().default_chunk_bytes;
}

static inline size_t pmd_chunk(void)
{
	return get_info().pmd_bytes;
}

static inline size_t base_page(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* The next chunk size above @chunk that a few chunks of fit this system; 0: none. */
static inline size_t next_chunk_size(size_t chunk)
{
	struct hpheap_info info = get_info();
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * base_page();
	uint64_t size = chunk ? (uint64_t)chunk << 1 : 1;

	for (; size && size <= memory / 24; size <<= 1)
		if (info.chunk_sizes & size)
			return size;
	return 0;
}

#define for_each_chunk_size(chunk) \
	for (chunk = next_chunk_size(0); chunk; chunk = next_chunk_size(chunk))

/* Is a mapped chunk of this size one PMD entry? */
static inline bool is_pmd_chunk(size_t chunk)
{
	return chunk == pmd_chunk();
}

static inline struct hpheap_create create_arg(size_t bytes, size_t chunk, uint32_t flags)
{
	return (struct hpheap_create){
		.size = sizeof(struct hpheap_create), .flags = flags,
		.bytes = bytes, .chunk_bytes = chunk,
	};
}

/* Returns the arena or -errno. */
static inline int create(struct hpheap_create *arg)
{
	int dev = open_device(), err;

	if (dev < 0)
		return -errno;
	err = ioctl(dev, HPHEAP_IOC_CREATE, arg) ? -errno : 0;
	close(dev);
	return err ? err : arg->fd;
}

static inline int create_arena(size_t bytes, size_t chunk, uint32_t flags)
{
	struct hpheap_create arg = create_arg(bytes, chunk, flags);

	return create(&arg);
}

/* From these nodes, a bit for each. */
static inline int create_bound(uint64_t nodes, size_t bytes, size_t chunk, uint32_t flags)
{
	struct hpheap_create arg = create_arg(bytes, chunk, flags);

	arg.policy = HPHEAP_POLICY_BIND;
	arg.nodemask[0] = nodes;
	return create(&arg);
}

/* Why a test cannot have the arena that it needs. */
static inline const char *why_not(int fd)
{
	switch (-fd) {
	case EDQUOT:
		return "RLIMIT_MEMLOCK does not allow it";
	case EFBIG:
		return "too much memory for a test";
	default:
		return strerror(-fd);
	}
}

/*
 * Makes an arena that a test needs. An ordinary user's RLIMIT_MEMLOCK may
 * allow less; all else is a failure.
 */
#define NEW_ARENA(fd, bytes, chunk, flags) do {					\
	(fd) = create_arena(bytes, chunk, flags);				\
	if ((fd) == -EDQUOT)							\
		SKIP(return, "RLIMIT_MEMLOCK does not allow %llu bytes",	\
		     (unsigned long long)(bytes));				\
	ASSERT_LE(0, fd) {							\
		TH_LOG("CREATE of %llu bytes: %s", (unsigned long long)(bytes),	\
		       strerror(-(fd)));					\
	}									\
} while (0)

static inline char *map_arena(int fd, size_t bytes)
{
	return mmap(NULL, bytes, RW, MAP_SHARED, fd, 0);
}

#define MAP_ARENA(p, fd, bytes) do {						\
	(p) = map_arena(fd, bytes);						\
	ASSERT_NE(MAP_FAILED, (void *)(p));					\
} while (0)

/* The arena offset where data (or a hole) begins from @offset on; -1: none. */
static inline off_t data_at(int fd, off_t offset)
{
	return lseek(fd, offset, SEEK_DATA);
}

static inline uint64_t resident(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? UINT64_MAX : (uint64_t)st.st_blocks * 512;
}

/* Touches that may end in a signal, in any thread. */
static __thread sigjmp_buf fault_env;
static __thread siginfo_t fault_info;
static __thread volatile bool fault_expected;

static inline void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!fault_expected) {
		signal(sig, SIG_DFL);	/* and the same instruction again */
		return;
	}
	fault_expected = false;
	fault_info = *info;
	siglongjmp(fault_env, 1);
}

static void __attribute__((constructor)) catch_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

/* Returns 0 or the signal; fault_info tells more. */
static inline int touch_read(const volatile char *p)
{
	if (sigsetjmp(fault_env, 1))
		return fault_info.si_signo;
	fault_expected = true;
	(void)*p;
	fault_expected = false;
	return 0;
}

static inline int touch_write(volatile char *p, char value)
{
	if (sigsetjmp(fault_env, 1))
		return fault_info.si_signo;
	fault_expected = true;
	*p = value;
	fault_expected = false;
	return 0;
}

/* The first byte that is not @value; NULL: all are. */
static inline const char *not_all(const void *begin, size_t bytes, unsigned char value)
{
	const uint64_t *word = begin, want = value * 0x0101010101010101ULL;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i++)
		if (word[i] != want)
			return (const char *)&word[i];
	return NULL;
}

static inline bool is_zero(const void *begin, size_t bytes)
{
	return !not_all(begin, bytes, 0);
}

/* Exit code, or 128 + signal. */
static inline int wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline pid_t start_child(int (*fn)(void *), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		catch_faults();
		_exit(fn(arg));
	}
	return pid;
}

static inline int in_child(int (*fn)(void *), void *arg)
{
	return wait_child(start_child(fn, arg));
}

static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static inline bool is_root(void)
{
	return geteuid() == 0;
}

#endif /* SELFTESTS_ARENA_H */
