// SPDX-License-Identifier: GPL-2.0-only
/* Trace events below events/hpheap: one for each thing that happens to an arena. */
#include "kselftest_harness.h"
#include "arena.h"
#include "system.h"
#include "purgeable.h"

static const char * const events[] = {
	"hpheap_arena_create", "hpheap_chunk_alloc", "hpheap_fault",
	"hpheap_chunk_release", "hpheap_arena_destroy",
	"hpheap_chunk_mark", "hpheap_chunk_reuse", "hpheap_chunk_take", "hpheap_chunk_copy",
};

static const char *tracing(void)
{
	if (!access("/sys/kernel/tracing/trace", R_OK))
		return "/sys/kernel/tracing";
	if (!access("/sys/kernel/debug/tracing/trace", R_OK))
		return "/sys/kernel/debug/tracing";
	return NULL;
}

/* A buffer of our own, so that other tracing goes on. */
static char instance[128];
static char text[1 << 20];

static int write_instance(const char *file, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", instance, file);
	return write_file(path, value);
}

static const char *read_trace(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/trace", instance);
	return read_file(path, text, sizeof(text)) < 0 ? "" : text;
}

FIXTURE(trace) {
	const char *missing;
	size_t chunk;
};

FIXTURE_SETUP(trace)
{
	self->chunk = default_chunk();
	self->missing = NULL;
	if (!is_root()) {
		self->missing = "only root may trace";
		return;
	}
	if (!tracing()) {
		self->missing = "tracefs is not mounted, or the kernel does not trace";
		return;
	}
	snprintf(instance, sizeof(instance), "%s/instances/hpheap-test-%d", tracing(), getpid());
	ASSERT_EQ(0, mkdir(instance, 0700));
	ASSERT_EQ(0, write_instance("events/hpheap/enable", "1"));
}

FIXTURE_TEARDOWN(trace)
{
	if (self->missing)
		return;
	write_instance("events/hpheap/enable", "0");
	rmdir(instance);
}

#define NEEDS_TRACING() do {							\
	if (self->missing)							\
		SKIP(return, "%s", self->missing);				\
} while (0)

#define EXPECT_EVENT(...) do {							\
	char line[256];								\
										\
	snprintf(line, sizeof(line), __VA_ARGS__);				\
	EXPECT_NE(NULL, strstr(read_trace(), line)) { TH_LOG("no '%s'", line); }	\
} while (0)

TEST_F(trace, every_event_is_there)
{
	char path[256];
	unsigned int i;

	NEEDS_TRACING();
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(path, sizeof(path), "%s/events/hpheap/%s/format", instance, events[i]);
		EXPECT_EQ(0, access(path, R_OK)) { TH_LOG("%s", path); }
	}
}

TEST_F(trace, the_life_of_an_arena_is_told)
{
	unsigned long long id;
	struct stat st;
	char *p;
	int fd;

	NEEDS_TRACING();
	NEW_ARENA(fd, 3 * self->chunk, 0, HPHEAP_CREATE_FORK_NONE);
	ASSERT_EQ(0, fstat(fd, &st));
	id = st.st_ino;
	EXPECT_EVENT("hpheap_arena_create: id=%llu bytes=%zu chunk=%zu policy=0 flags=0x8",
		     id, 3 * self->chunk, self->chunk);

	MAP_ARENA(p, fd, 4 * self->chunk);
	ASSERT_EQ(0, touch_write(p + self->chunk + 3 * base_page(), 1));
	EXPECT_EVENT("hpheap_chunk_alloc: id=%llu chunk=1 node=%d", id,
		     node_of(p + self->chunk) < 0 ? 0 : node_of(p + self->chunk));
	EXPECT_EVENT("hpheap_fault: id=%llu offset=%zu write", id,
		     self->chunk + 3 * base_page());

	ASSERT_EQ(0, fallocate(fd, 0, 2 * self->chunk, 1));
	EXPECT_EVENT("hpheap_chunk_alloc: id=%llu chunk=2 ", id);
	ASSERT_EQ(0, touch_read(p + 2 * self->chunk));
	EXPECT_EVENT("hpheap_fault: id=%llu offset=%zu read", id, 2 * self->chunk);

	ASSERT_EQ(SIGBUS, touch_read(p + 3 * self->chunk));
	EXPECT_EVENT("hpheap_fault: id=%llu offset=%zu read result=0x2", id, 3 * self->chunk);

	ASSERT_EQ(0, fallocate(fd, PUNCH, self->chunk, self->chunk));
	EXPECT_EVENT("hpheap_chunk_release: id=%llu chunk=1 ", id);

	munmap(p, 4 * self->chunk);
	close(fd);
	EXPECT_TRUE(eventually(strstr(read_trace(), "hpheap_arena_destroy")));
	EXPECT_EVENT("hpheap_chunk_release: id=%llu chunk=2 ", id);
	EXPECT_EVENT("hpheap_arena_destroy: id=%llu resident=%zu", id, self->chunk);
}

TEST_F(trace, marks_and_what_becomes_of_them_are_told)
{
	unsigned long long id;
	struct stat st;
	char *p;
	int fd;

	NEEDS_TRACING();
	NEW_ARENA(fd, 3 * self->chunk, 0, 0);
	ASSERT_EQ(0, fstat(fd, &st));
	id = st.st_ino;
	MAP_ARENA(p, fd, 3 * self->chunk);
	ASSERT_EQ(0, madvise(p, 3 * self->chunk, MADV_POPULATE_WRITE));
	ASSERT_EQ(2, mark(fd, self->chunk, 2 * self->chunk));
	EXPECT_EVENT("hpheap_chunk_mark: id=%llu chunk=1 ", id);
	EXPECT_EVENT("hpheap_chunk_mark: id=%llu chunk=2 ", id);
	ASSERT_EQ(0, touch_read(p + 2 * self->chunk));
	EXPECT_EVENT("hpheap_chunk_reuse: id=%llu chunk=2 ", id);
	ASSERT_EQ(0, drop_slab());
	EXPECT_EVENT("hpheap_chunk_take: id=%llu chunk=1 ", id);
	EXPECT_EVENT("hpheap_chunk_release: id=%llu chunk=1 ", id);
	munmap(p, 3 * self->chunk);
	close(fd);
}

static int write_byte(void *p)
{
	return touch_write(p, 1);
}

TEST_F(trace, copies_after_a_fork_are_told)
{
	struct stat st;
	char *p;
	int fd;

	NEEDS_TRACING();
	NEW_ARENA(fd, 3 * self->chunk, 0, HPHEAP_CREATE_FORK_COW);
	ASSERT_EQ(0, fstat(fd, &st));
	MAP_ARENA(p, fd, 3 * self->chunk);
	ASSERT_EQ(0, madvise(p, 3 * self->chunk, MADV_POPULATE_WRITE));
	ASSERT_EQ(0, in_child(write_byte, p + 2 * self->chunk));
	EXPECT_EVENT("hpheap_chunk_copy: id=%llu chunk=2 ", (unsigned long long)st.st_ino);
	munmap(p, 3 * self->chunk);
	close(fd);
}

TEST_F(trace, chunks_of_a_contiguous_arena_are_told_after_its_creation)
{
	const char *created, *allocated;
	int fd;

	NEEDS_TRACING();
	NEW_ARENA(fd, 2 * self->chunk, 0, HPHEAP_CREATE_CONTIG);
	created = strstr(read_trace(), "hpheap_arena_create");
	allocated = strstr(text, "hpheap_chunk_alloc");
	ASSERT_NE(NULL, created);
	ASSERT_NE(NULL, allocated);
	EXPECT_LT(created, allocated);
}

/* A physical address in a trace would tell an attacker with access to it too much. */
TEST_F(trace, no_physical_address_is_told)
{
	char path[256];
	unsigned int i;

	NEEDS_TRACING();
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(path, sizeof(path), "%s/events/hpheap/%s/format", instance, events[i]);
		ASSERT_LT(0, read_file(path, text, sizeof(text)));
		EXPECT_EQ(NULL, strstr(text, "pfn"));
		EXPECT_EQ(NULL, strstr(text, "phys"));
		EXPECT_EQ(NULL, strstr(text, "%p"));
	}
}

TEST_HARNESS_MAIN
