/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device of the tests' own making: CREATE gives a memfd, and refuses when the test
 * says so. It stands beside device.c, which runs on the real one: here everything can
 * be refused at the right moment, on every machine, with sanitizers. Linked with
 * --wrap for ioctl, madvise and hph_os_forbid. To be included after
 * kselftest_harness.h.
 */
#ifndef SELFTESTS_FAKE_DEVICE_H
#define SELFTESTS_FAKE_DEVICE_H

#include "regions.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/hpheap.h>

static struct {
	int info_errno;
	uint32_t abi_version;
	uint64_t chunk_sizes, features;
	uint64_t quota;		/* bytes that CREATE still gives */
	int quota_errno;
	int place_errno;	/* for all policies but LOCAL */
	int swap;		/* the next arena's number goes to this file at once */
	unsigned int fills;	/* so many fills from now on are refused */
	int fill_errno;
	unsigned int creates, refusals;
	struct hpheap_create last;
	int forbid_error;	/* negative, for all that shall become inaccessible */
	int mark_errno;		/* for all that shall become purgeable */
	unsigned int marks;
	bool split;		/* the mappings of all chunks: nothing of one can be removed */
} fake;

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_madvise(void *addr, size_t bytes, int advice);
int __real_madvise(void *addr, size_t bytes, int advice);

int __wrap_hph_os_forbid(uintptr_t addr, size_t bytes);
int __real_hph_os_forbid(uintptr_t addr, size_t bytes);

int __wrap_hph_os_forbid(uintptr_t addr, size_t bytes)
{
	return fake.forbid_error ? fake.forbid_error : __real_hph_os_forbid(addr, bytes);
}

static int fake_info(struct hpheap_info *info)
{
	if (fake.info_errno) {
		errno = fake.info_errno;
		return -1;
	}
	info->abi_version = fake.abi_version;
	info->base_page_bytes = (uint32_t)base_page();
	info->chunk_sizes = fake.chunk_sizes;
	info->features = fake.features;
	return 0;
}

static int fake_create(struct hpheap_create *create)
{
	int error = 0;

	fake.last = *create;
	if (create->policy != HPHEAP_POLICY_LOCAL && fake.place_errno)
		error = fake.place_errno;
	else if (create->bytes > fake.quota)
		error = fake.quota_errno;
	if (error) {
		fake.refusals++;
		errno = error;
		return -1;
	}
	create->fd = memfd_create("arena", MFD_CLOEXEC);
	if (create->fd < 0 || ftruncate(create->fd, (off_t)create->bytes))
		abort();
	if (fake.swap > 0) {
		dup2(fake.swap, create->fd);
		fake.swap = 0;
	}
	fake.quota -= create->bytes;
	fake.creates++;
	return 0;
}

/* Content stays until it is asked for again, or taken: that is a test's to do. */
static int fake_mark(struct hpheap_purgeable *purgeable)
{
	if (fake.mark_errno) {
		errno = fake.mark_errno;
		return -1;
	}
	if (purgeable->size != sizeof(*purgeable) || purgeable->flags & ~HPHEAP_PURGEABLE_KEEP ||
	    purgeable->start % UNIT || purgeable->bytes != UNIT)
		abort();
	if (purgeable->flags & HPHEAP_PURGEABLE_KEEP) {
		errno = EINVAL;
		purgeable->chunks = !fake.split;
		return fake.split ? -1 : 0;
	}
	purgeable->chunks = 1;
	fake.marks++;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	(void)fd;
	switch (request) {
	case HPHEAP_IOC_INFO:
		return fake_info(arg);
	case HPHEAP_IOC_CREATE:
		return fake_create(arg);
	case HPHEAP_IOC_PURGEABLE:
		return fake_mark(arg);
	default:
		abort();
	}
}

int __wrap_madvise(void *addr, size_t bytes, int advice)
{
	if (advice == MADV_REMOVE && fake.split)
		return 0;
	if (advice != MADV_POPULATE_WRITE || !fake.fills)
		return __real_madvise(addr, bytes, advice);
	fake.fills--;
	errno = fake.fill_errno;
	return -1;
}

#define PATH_SIZE	64

FIXTURE(fake_device) {
	struct hpheap *heap;
	char path[PATH_SIZE];
};

/* A file that can be opened is all that a device needs here. */
FIXTURE_SETUP(fake_device)
{
	int fd;

	fake.abi_version = HPHEAP_ABI_VERSION;
	fake.chunk_sizes = UNIT | UNIT << 4;
	fake.quota = UINT64_MAX / 2;
	fake.quota_errno = ENOSPC;
	strcpy(self->path, "/tmp/hpheap-fake-XXXXXX");
	fd = mkstemp(self->path);
	ASSERT_LE(0, fd);
	close(fd);
	setenv("HPHEAP_DEVICE", self->path, 1);
	self->heap = hpheap_create(NULL);
	ASSERT_NE(NULL, self->heap);
}

FIXTURE_TEARDOWN(fake_device)
{
	hpheap_destroy(self->heap);
	unlink(self->path);
}

#define EXPECT_HELD(device_units, fallback_units) do {					\
	const struct hpheap_stats held = stats_of(self->heap);				\
	EXPECT_EQ((device_units) * UNIT, held.device_bytes);				\
	EXPECT_EQ((fallback_units) * UNIT, held.fallback_bytes);			\
	EXPECT_EQ(((device_units) + (fallback_units)) * UNIT, held.committed_bytes);	\
	EXPECT_SOUND(self->heap);							\
} while (0)

#endif /* SELFTESTS_FAKE_DEVICE_H */
