/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the library share. To be included after
 * kselftest_harness.h.
 */
#ifndef SELFTESTS_HEAP_H
#define SELFTESTS_HEAP_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "hpheap.h"

/* Emulated and debug kernels are slow: let only what hangs run into the limit. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 240

#define KIB	((size_t)1 << 10)
#define MIB	((size_t)1 << 20)
#define PAGE	HPHEAP_PAGE_SIZE
#define UNIT	HPHEAP_HUGE_SIZE

/*
 * Memory comes from the node that a thread runs on. Where the numbers of one thread
 * are expected exactly, it must not be moved to another one.
 */
#ifndef TEST_MAY_MOVE
__attribute__((constructor)) static void stay_on_this_cpu(void)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET((size_t)sched_getcpu(), &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu)) {
		perror("sched_setaffinity");
		exit(1);
	}
}
#endif

/*
 * Nothing comes and goes that the test does not see to, unless it is about that; before any heap
 * that a test makes in a constructor. Where
 * the environment says something of it, a person wants to see what happens then.
 */
#ifndef TEST_SCAVENGER
__attribute__((constructor(101))) static void do_without_the_scavenger(void)
{
	setenv("HPHEAP_SCAVENGE", "off", 0);
}
#endif

/* For a test whose threads shall meet. */
static inline bool use_all_cpus(void)
{
	cpu_set_t cpus;

	memset(&cpus, 0xff, sizeof(cpus));
	return !sched_setaffinity(0, sizeof(cpus), &cpus);
}

static inline size_t base_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static inline struct hpheap *heap_on(enum hpheap_backend backend)
{
	const struct hpheap_options options = { .size = sizeof(options), .backend = backend };

	return hpheap_create(&options);
}

static inline struct hpheap_stats stats_of(struct hpheap *heap)
{
	struct hpheap_stats stats = { .size = sizeof(stats) };

	if (hpheap_stats(heap, &stats))
		abort();
	return stats;
}

/* What holds in every moment in which no thread is inside the heap. */
#define EXPECT_SOUND(heap) do {								\
	const struct hpheap_stats sound = stats_of(heap);				\
	EXPECT_GE(sound.address_bytes, sound.committed_bytes);				\
	EXPECT_EQ(sound.committed_bytes, sound.used_bytes + sound.free_bytes +		\
		  sound.away_bytes + sound.fenced_bytes);				\
	EXPECT_GE(sound.free_bytes, sound.free_huge_bytes);				\
	EXPECT_GE(sound.committed_bytes, sound.device_bytes + sound.fallback_bytes);	\
	EXPECT_GE(sound.peak_committed_bytes, sound.committed_bytes);			\
	EXPECT_EQ(0, sound.committed_bytes % UNIT);					\
	EXPECT_EQ(0, sound.used_bytes % (PAGE / 2));					\
} while (0)

/* The first byte that is not @value; NULL: all are. */
static inline const char *not_all(const void *begin, size_t bytes, unsigned char value)
{
	const uint64_t *word = begin, want = value * UINT64_C(0x0101010101010101);
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

/*
 * The sum of "Key:  N kB" over the mappings in [addr, addr + bytes), in bytes. A
 * mapping that reaches out of the range counts whole.
 */
static inline uint64_t smaps_bytes(const void *addr, size_t bytes, const char *key)
{
	uintptr_t begin, end;
	bool inside = false;
	uint64_t sum = 0;
	char line[512];
	FILE *file = fopen("/proc/self/smaps", "re");

	if (!file)
		abort();
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
			inside = begin < (uintptr_t)addr + bytes && end > (uintptr_t)addr;
		else if (inside && !strncmp(line, key, strlen(key)))
			sum += strtoull(line + strlen(key), NULL, 10) * KIB;
	}
	fclose(file);
	return sum;
}

/* Base pages of a range that are resident. */
static inline size_t resident_bytes(const void *addr, size_t bytes)
{
	unsigned char *vec = calloc(bytes / base_page(), 1);
	size_t i, resident = 0;

	if (!vec || mincore((void *)(uintptr_t)addr, bytes, vec))
		abort();
	for (i = 0; i < bytes / base_page(); i++)
		resident += vec[i] & 1 ? base_page() : 0;
	free(vec);
	return resident;
}

/* Is @word chosen in "always [madvise] never"? */
static inline bool chosen(const char *path, const char *word)
{
	char line[128] = "";
	const char *bracket;
	FILE *file = fopen(path, "re");

	if (file) {
		if (!fgets(line, sizeof(line), file))
			line[0] = '\0';
		fclose(file);
	}
	bracket = strchr(line, '[');
	return bracket && !strncmp(bracket + 1, word, strlen(word));
}

#define THP_DIR	"/sys/kernel/mm/transparent_hugepage/"

/* What one entry of a page table can map; 0: this system has no huge pages. */
static inline unsigned long long thp_bytes(void)
{
	unsigned long long bytes = 0;
	FILE *file = fopen(THP_DIR "hpage_pmd_size", "re");

	if (file) {
		if (fscanf(file, "%llu", &bytes) != 1)
			bytes = 0;
		fclose(file);
	}
	return bytes;
}

/* Does this system give a unit a huge page, if it is asked to? */
static inline bool thp_works(void)
{
	char path[128];

	if (!thp_bytes() || chosen(THP_DIR "enabled", "never"))
		return false;
	if (thp_bytes() <= UNIT)
		return true;
	snprintf(path, sizeof(path), THP_DIR "hugepages-%zukB/enabled", UNIT / KIB);
	return !access(path, R_OK) && !chosen(path, "never");
}

/* And one that smaps shows as such? It does not with those that are smaller than an entry. */
static inline bool thp_is_a_unit(void)
{
	return thp_works() && thp_bytes() == UNIT;
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

static inline int in_child(int (*fn)(void *), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(fn(arg));
	return wait_child(pid);
}

/* The same, with what it writes to stderr. */
static inline int in_child_heard(int (*fn)(void *), void *arg, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;
	int end[2];
	pid_t pid;

	fflush(NULL);
	if (pipe(end))
		abort();
	pid = fork();
	if (!pid) {
		dup2(end[1], STDERR_FILENO);
		close(end[0]);
		close(end[1]);
		_exit(fn(arg));
	}
	close(end[1]);
	while ((n = read(end[0], text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	close(end[0]);
	return wait_child(pid);
}

static inline unsigned int lines_in(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* A touch that may end in a signal: returns 0 or the signal. */
static sigjmp_buf fault_env;

static inline void on_fault(int sig)
{
	siglongjmp(fault_env, sig);
}

static inline int touch(volatile char *p)
{
	struct sigaction action = { .sa_handler = on_fault }, segv, bus;
	int sig;

	sigaction(SIGSEGV, &action, &segv);
	sigaction(SIGBUS, &action, &bus);
	sig = sigsetjmp(fault_env, 1);
	if (!sig)
		*p = *p;
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return sig;
}

/* Seconds since some moment. */
static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* A small generator: the same numbers on every system. */
static inline uint32_t random_next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

#endif /* SELFTESTS_HEAP_H */
