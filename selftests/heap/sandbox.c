// SPDX-License-Identifier: GPL-2.0-only
/*
 * A heap in a container that blocks memory policy calls, as many do.
 */
#include "kselftest_harness.h"
#include "heap.h"

#include <stddef.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* From now on mbind, set_mempolicy and get_mempolicy end in EPERM. */
static bool block_policy_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mbind, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_set_mempolicy, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_get_mempolicy, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]), .filter = filter,
	};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int use_heap(const struct hpheap_options *options, int placement_errno)
{
	struct hpheap *heap = hpheap_create(options);
	char *span = heap ? hpheap_span_alloc(heap, 3 * UNIT, 0, HPHEAP_SPAN_ZERO) : NULL;

	if (!span)
		return 2;
	if (!is_zero(span, 3 * UNIT))
		return 3;
	if (stats_of(heap).placement_errno != placement_errno)
		return 4;
	hpheap_destroy(heap);
	return 0;
}

static int placed(void *arg)
{
	const struct hpheap_options *options = arg;
	int result = use_heap(options, 0);

	if (result)
		return 10 + result;
	if (!block_policy_calls())
		return 1;
	return use_heap(options, options->placement == HPHEAP_PLACE_LOCAL ? 0 : EPERM);
}

TEST(a_refused_placement_is_told_and_the_heap_works)
{
	struct hpheap_options options = { .backend = HPHEAP_BACKEND_THP };

	options.placement = HPHEAP_PLACE_INTERLEAVE;
	EXPECT_EQ(0, in_child(placed, &options));
	options.placement = HPHEAP_PLACE_NODE;
	EXPECT_EQ(0, in_child(placed, &options));
}

TEST(a_local_heap_needs_no_policy_calls)
{
	struct hpheap_options options = { .backend = HPHEAP_BACKEND_THP };

	EXPECT_EQ(0, in_child(placed, &options));
}

TEST_HARNESS_MAIN
