// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nothing misrounded goes on silently: arena blocks, spans, and what goes back to the
 * system are checked where they are made, and the program ends with one line. Each is
 * made wrong here by force. Linked with --wrap for hph_pages_alloc.
 */
#include "kselftest_harness.h"
#include "heap.h"
#include "cache.h"
#include "os.h"

static size_t shift;	/* that spans are off by */

uintptr_t __real_hph_pages_alloc(struct hph_pages *pages, const struct hph_want *want, bool *zero);
uintptr_t __wrap_hph_pages_alloc(struct hph_pages *pages, const struct hph_want *want, bool *zero);

uintptr_t __wrap_hph_pages_alloc(struct hph_pages *pages, const struct hph_want *want, bool *zero)
{
	const uintptr_t addr = __real_hph_pages_alloc(pages, want, zero);

	return addr ? addr + shift : 0;
}

/* Its answers are not aligned to the base page that it was said to have. */
static int reserve_wrong(struct hph_backend *backend, uintptr_t hint, size_t bytes, uintptr_t *base)
{
	(void)backend;
	(void)hint;
	(void)bytes;
	*base = 0x40001000;
	return 0;
}

static void unreserve(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)backend;
	(void)addr;
	(void)bytes;
}

static int take_block(void *arg)
{
	static const struct hph_backend_ops ops = {
		.reserve = reserve_wrong, .unreserve = unreserve,
	};
	struct hph_backend backend = { .ops = &ops };
	struct hph_meta meta = { 0 };
	struct hph_arena arena;
	uintptr_t addr;

	(void)arg;
	hph_arena_init(&arena, &backend, &meta, 64 * KIB);
	hph_arena_grow(&arena, UNIT, &addr);
	return 0;
}

static int take_span(void *arg)
{
	struct hpheap *heap = heap_on(HPHEAP_BACKEND_SMALL);

	if (!heap || hpheap_reserve(heap, UNIT, HPHEAP_NODE_ANY))
		return 1;
	shift = *(const size_t *)arg;
	hpheap_span_alloc(heap, 64 * PAGE, 64 * PAGE, 0);
	return 0;
}

static struct {
	uintptr_t addr;
	size_t bytes;
} range;

static int (*release)(uintptr_t addr, size_t bytes);

static int release_range(void *arg)
{
	(void)arg;
	release(range.addr, range.bytes);
	return 0;
}

static int unmap(uintptr_t addr, size_t bytes)
{
	hph_os_unmap(addr, bytes);
	return 0;
}

#define EXPECT_ABORT(function, arg) do {					\
	char text[1024];							\
										\
	EXPECT_EQ(128 + SIGABRT, in_child_heard(function, arg, text, sizeof(text)));	\
	EXPECT_EQ(1, lines_in(text));						\
	EXPECT_NE(NULL, strstr(text, "misrounded"));				\
} while (0)

TEST(a_misrounded_arena_block_is_the_end)
{
	EXPECT_ABORT(take_block, NULL);
}

TEST(a_misrounded_span_is_the_end)
{
	size_t by = 0;

	EXPECT_EQ(0, in_child(take_span, &by));
	by = 32 * PAGE;
	EXPECT_ABORT(take_span, &by);
}

TEST(a_misrounded_release_is_the_end)
{
	int (*const releases[])(uintptr_t addr, size_t bytes) = {
		hph_os_discard, hph_os_remove, hph_os_reserve_at, unmap,
	};
	char *memory = mmap(NULL, 4 * base_page(), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, memory);
	for (i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
		release = releases[i];
		range.addr = (uintptr_t)memory + base_page();
		range.bytes = base_page();
		EXPECT_EQ(0, in_child(release_range, NULL));
		range.bytes = base_page() + base_page() / 2;
		EXPECT_ABORT(release_range, NULL);
		range.addr += base_page() / 2;
		EXPECT_ABORT(release_range, NULL);
	}
}

TEST_HARNESS_MAIN
