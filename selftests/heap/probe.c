// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether addresses are free, on systems with any base page: mincore() of this test
 * answers as a kernel with larger base pages would. Linked with --wrap for it.
 */
#include "kselftest_harness.h"
#include "heap.h"
#include "os.h"
#include "units.h"

static struct {
	size_t base_page;	/* of the kernel that is played */
	uintptr_t taken;	/* one base page of it */
	int error;		/* for all that is not taken, instead of ENOMEM */
	unsigned int calls;
} kernel;

int __wrap_mincore(void *addr, size_t bytes, unsigned char *resident);

int __wrap_mincore(void *addr, size_t bytes, unsigned char *resident)
{
	(void)bytes;
	kernel.calls++;
	if ((uintptr_t)addr % kernel.base_page) {
		errno = EINVAL;
		return -1;
	}
	if ((uintptr_t)addr == kernel.taken) {
		*resident = 0;
		return 0;
	}
	errno = kernel.error;
	return -1;
}

FIXTURE(probe) {
};
FIXTURE_VARIANT(probe) {
	size_t base_page;
};
FIXTURE_VARIANT_ADD(probe, of_4k) { .base_page = 4 * KIB };
FIXTURE_VARIANT_ADD(probe, of_16k) { .base_page = 16 * KIB };
FIXTURE_VARIANT_ADD(probe, of_64k) { .base_page = 64 * KIB };
FIXTURE_SETUP(probe)
{
	kernel.base_page = variant->base_page;
	kernel.taken = 0;
	kernel.error = ENOMEM;
	kernel.calls = 0;
}
FIXTURE_TEARDOWN(probe)
{
}

#define BASE	((uintptr_t)0x40000000)

TEST_F(probe, finds_that_nothing_is_there)
{
	EXPECT_TRUE(hph_os_is_free(BASE, UNIT));
}

/* Though no step may leave out a base page of any system. */
TEST_F(probe, finds_what_is_there_wherever_it_is)
{
	for (kernel.taken = BASE; kernel.taken < BASE + UNIT; kernel.taken += variant->base_page)
		ASSERT_FALSE(hph_os_is_free(BASE, UNIT));
	EXPECT_TRUE(hph_os_is_free(BASE, UNIT));
}

TEST_F(probe, steps_by_the_smallest_base_page)
{
	EXPECT_TRUE(hph_os_is_free(BASE, UNIT));
	EXPECT_EQ(UNIT / (4 * KIB), kernel.calls);
}

TEST_F(probe, trusts_no_other_answer)
{
	kernel.error = EPERM;
	EXPECT_FALSE(hph_os_is_free(BASE, UNIT));
}

TEST_HARNESS_MAIN
