// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The operating system: every system call of the library but mbind (numa.c)
 * and the device's ioctls (backend_device.c).
 *
 * A range lives through three states. Reserved: PROT_NONE, so it costs
 * neither memory nor commit charge, and mlockall(MCL_FUTURE) has nothing to
 * fill. Open: readable and writable. Populated: every base page is there.
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/membarrier.h>

#include "units.h"

/* Newer than some C libraries' headers; the kernel's numbers never change. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23	/* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25	/* Linux 6.1 */
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA		0x53564d41	/* Linux 5.17 */
#define PR_SET_VMA_ANON_NAME	0
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4	/* Linux 5.7 */
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24	/* Linux 5.18 */
#endif

size_t hph_os_base_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Bytes of addresses the process may have: what a reservation must be small against. */
size_t hph_os_address_space(void)
{
	/* Of 32-bit addresses the kernel and the program's own mappings take half. */
	const size_t pointers = sizeof(void *) == 4 ? (size_t)2 << 30 : SIZE_MAX;
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    limit.rlim_cur > pointers)
		return pointers;
	return (size_t)limit.rlim_cur;
}

static int map(uintptr_t addr, size_t bytes, int protection, int flags, uintptr_t *base)
{
	void *result = mmap((void *)addr, bytes, protection,
			    MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (result == MAP_FAILED)
		return -errno;
	*base = (uintptr_t)result;
	return 0;
}

int hph_os_reserve(uintptr_t hint, size_t bytes, uintptr_t *base)
{
	return map(hint, bytes, PROT_NONE, MAP_NORESERVE, base);
}

/*
 * Is nothing mapped in a range? What is there is not ours, so nothing is known of
 * it: it is looked through in steps of the smallest base page that any system
 * has. mincore() says ENOMEM for what is not mapped. On a system with larger pages
 * most steps are no multiple of them, which is EINVAL and tells nothing; the
 * step that is one has told it for all of its page.
 */
bool hph_os_is_free(uintptr_t addr, size_t bytes)
{
	unsigned char resident;
	size_t offset;

	for (offset = 0; offset < bytes; offset += HPHEAP_MIN_BASE_PAGE) {
		if (!mincore((void *)(addr + offset), 1, &resident))
			return false;
		if (errno != ENOMEM && errno != EINVAL)
			return false;
	}
	return true;
}

/*
 * Aborts where what goes back is no whole base pages: the system would take all of a
 * page, and what somebody has in the rest of it, or nothing.
 */
static void check_range(uintptr_t addr, size_t bytes)
{
	if ((addr | bytes) & (hph_os_base_page() - 1))
		hph_os_die("misrounded release of %#zx bytes at %#jx: base pages have %#zx", bytes,
			   (uintmax_t)addr, hph_os_base_page());
}

/* Makes a range reserved again, whatever it is now: memory and locks go. */
int hph_os_reserve_at(uintptr_t addr, size_t bytes)
{
	uintptr_t base;

	check_range(addr, bytes);
	return map(addr, bytes, PROT_NONE, MAP_NORESERVE | MAP_FIXED, &base);
}

int hph_os_map(size_t bytes, uintptr_t *base)
{
	return map(0, bytes, PROT_READ | PROT_WRITE, 0, base);
}

/* Maps a file over a reserved range. It is reserved as before: PROT_NONE. */
int hph_os_map_file_at(uintptr_t addr, size_t bytes, int fd)
{
	void *result = mmap((void *)addr, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, fd, 0);

	return result == MAP_FAILED ? -errno : 0;
}

/* At the system's limit of mappings ENOMEM: the addresses then stay what they are. */
void hph_os_unmap(uintptr_t addr, size_t bytes)
{
	check_range(addr, bytes);
	if (munmap((void *)addr, bytes) && errno != ENOMEM)
		hph_os_die("munmap of %zu bytes at %#jx failed: %s", bytes, (uintmax_t)addr,
			   strerrordesc_np(errno));
}

/* Reserved becomes open. With strict overcommit this is where memory is promised. */
int hph_os_open_up(uintptr_t addr, size_t bytes)
{
	return mprotect((void *)addr, bytes, PROT_READ | PROT_WRITE) ? -errno : 0;
}

/*
 * The way back, for what is empty: a later mlockall() shall not fill it. At the
 * system's limit of mappings it stays open, which harms nothing else.
 */
void hph_os_close_down(uintptr_t addr, size_t bytes)
{
	mprotect((void *)addr, bytes, PROT_NONE);
}

/* Any touch of it faults, from now on. */
int hph_os_forbid(uintptr_t addr, size_t bytes)
{
	return mprotect((void *)addr, bytes, PROT_NONE) ? -errno : 0;
}

/*
 * From now on it can only be read. The name keeps it apart from its neighbours and shows in
 * /proc/PID/maps, where the kernel has names (5.17, if configured).
 */
void hph_os_seal(uintptr_t addr, size_t bytes, const char *name)
{
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, addr, bytes, name);
	mprotect((void *)addr, bytes, PROT_READ);
}

int hph_os_advise_huge(uintptr_t addr, size_t bytes, bool huge)
{
	return madvise((void *)addr, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) ? -errno : 0;
}

/*
 * Asks for huge pages now; what is not there comes, zeroed. Where that is not to be had, the
 * memory stays as it is.
 */
int hph_os_collapse(uintptr_t addr, size_t bytes)
{
	return madvise((void *)addr, bytes, MADV_COLLAPSE) ? -errno : 0;
}

/*
 * Kernels before 5.14 and some sandboxes do not know MADV_POPULATE_WRITE: they
 * get one write per base page. Memory that is being populated is private to
 * the caller and zero, so writing zero changes nothing.
 */
static void touch(uintptr_t addr, size_t bytes)
{
	const size_t step = hph_os_base_page();
	size_t offset;

	for (offset = 0; offset < bytes; offset += step)
		*(volatile char *)(addr + offset) = 0;
}

int hph_os_populate(uintptr_t addr, size_t bytes)
{
	int result;

	do {
		result = madvise((void *)addr, bytes, MADV_POPULATE_WRITE) ? -errno : 0;
	} while (result == -EINTR || result == -EAGAIN);
	if (result == -EINVAL) {
		touch(addr, bytes);
		result = 0;
	}
	return result;
}

/* Is all of it there, of at most HPHEAP_HUGE_SIZE? What was swapped out is not. */
bool hph_os_is_resident(uintptr_t addr, size_t bytes)
{
	unsigned char there[HPHEAP_HUGE_SIZE / 4096];	/* Linux has no smaller pages */
	const size_t pages = bytes / hph_os_base_page();
	size_t i;

	/* Where there is nothing, the first page tells, as a rule. */
	if (pages > sizeof(there) || mincore((void *)addr, 1, there) || !(there[0] & 1) ||
	    mincore((void *)addr, bytes, there))
		return false;
	for (i = 0; i < pages; i++)
		if (!(there[i] & 1))
			return false;
	return true;
}

/*
 * Anonymous pages come to be at other addresses, in place of what is there; where they were, the
 * mapping stays, with nothing in it (Linux 5.7).
 */
int hph_os_move(uintptr_t from, uintptr_t to, size_t bytes)
{
	check_range(from, bytes);
	check_range(to, bytes);
	return mremap((void *)from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		      (void *)to) == MAP_FAILED ? -errno : 0;
}

/* Gives back anonymous memory; it reads as zeroes afterwards. */
int hph_os_discard(uintptr_t addr, size_t bytes)
{
	check_range(addr, bytes);
	if (!madvise((void *)addr, bytes, MADV_DONTNEED))
		return 0;
	/* EINVAL: locked by mlockall(). It stays locked; only the memory goes. */
	if (errno == EINVAL && !madvise((void *)addr, bytes, MADV_DONTNEED_LOCKED))
		return 0;
	return -errno;
}

/*
 * Gives back memory of a file. The kernel refuses that on a locked mapping. To
 * unlock one of a device loses nothing: its chunks are never swapped.
 */
int hph_os_remove(uintptr_t addr, size_t bytes)
{
	check_range(addr, bytes);
	if (!madvise((void *)addr, bytes, MADV_REMOVE))
		return 0;
	if (errno == EINVAL && !munlock((void *)addr, bytes) &&
	    !madvise((void *)addr, bytes, MADV_REMOVE))
		return 0;
	return -errno;
}

static int membarrier(int command)
{
	return syscall(__NR_membarrier, command, 0, 0) ? -errno : 0;
}

/* Fails where the system, or a container, does not let hph_os_fence() work. */
int hph_os_fence_prepare(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

static void sleep_for(long nanoseconds)
{
	const struct timespec time = { .tv_nsec = nanoseconds };
	const int state = hph_os_hold_cancel();

	nanosleep(&time, NULL);
	hph_os_allow_cancel(state);
}

/*
 * A memory fence in every running thread of the process. Where that has been
 * taken away since, there is time for all stores to be seen by themselves:
 * they wait for nanoseconds.
 */
void hph_os_fence(void)
{
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		sleep_for(10000000);
}

/* Lets others run, also those of lower priority, while they have what is waited for. */
void hph_os_nap(void)
{
	sleep_for(50000);
}

/*
 * Between the two the thread is not cancelled: pthread_cancel() would end it in open()
 * or nanosleep() with a lock in its hands.
 */
int hph_os_hold_cancel(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

void hph_os_allow_cancel(int state)
{
	pthread_setcancelstate(state, NULL);
}

/* Nobody shall guess it; where the system has none to give yet, at least it differs. */
uintptr_t hph_os_random(void)
{
	const uintptr_t *given = (const uintptr_t *)getauxval(AT_RANDOM);
	uintptr_t value;

	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) == (ssize_t)sizeof(value))
		return value;
	return given ? *given : (uintptr_t)getpid();
}

/* All memory of the system, swap included, as far as the process has addresses for it. */
uint64_t hph_os_memory(void)
{
	const uint64_t space = hph_os_address_space();
	struct sysinfo info;
	uint64_t memory;

	if (sysinfo(&info))
		return space;
	memory = ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
	return memory < space ? memory : space;
}

/* The beginning of a file that the kernel writes, as far as it fits. */
int hph_os_read_text(const char *path, char *text, size_t size)
{
	ssize_t length;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	length = read(fd, text, size - 1);
	close(fd);
	if (length < 0)
		return -EIO;
	text[length] = '\0';
	return 0;
}

/* The first line of it, without its end. */
int hph_os_read_line(const char *path, char *text, size_t size)
{
	int error = hph_os_read_text(path, text, size);

	if (!error)
		text[strcspn(text, "\n")] = '\0';
	return error;
}

/*
 * Opens a device. Never as one of the three numbers that programs take for
 * granted, even if these are free just now.
 */
int hph_os_file_open(struct hph_os_file *file, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), above, error;

	if (fd < 0)
		return -errno;
	if (fd <= STDERR_FILENO) {
		above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		error = -errno;
		close(fd);
		if (above < 0)
			return error;
		fd = above;
	}
	error = hph_os_file_init(file, fd);
	if (error)
		close(fd);
	return error;
}

int hph_os_file_init(struct hph_os_file *file, int fd)
{
	struct stat status;

	if (fstat(fd, &status))
		return -errno;
	file->fd = fd;
	file->dev = status.st_dev;
	file->ino = status.st_ino;
	file->size = (uint64_t)status.st_size;
	return 0;
}

/* The number may by now be closed, or be another file of the program. */
bool hph_os_file_valid(const struct hph_os_file *file)
{
	struct stat status;

	return fstat(file->fd, &status) == 0 && status.st_dev == file->dev &&
	       status.st_ino == file->ino;
}

void hph_os_file_close(struct hph_os_file *file)
{
	if (hph_os_file_valid(file))
		close(file->fd);
	file->fd = -1;
}

/* One line to stderr in one write, without stdio: this may run inside malloc(). */
static void say(const char *format, va_list args)
{
	static const char prefix[] = "hpheap: ";
	char line[256];
	size_t length = sizeof(prefix) - 1;
	int written;

	memcpy(line, prefix, length);
	written = vsnprintf(line + length, sizeof(line) - length - 1, format, args);
	if (written > 0)
		length += strlen(line + length);
	line[length++] = '\n';
	/* Nothing is left to do about a stderr that takes nothing. */
	if (write(STDERR_FILENO, line, length) < 0)
		return;
}

void hph_os_say(const char *format, ...)
{
	const int saved = errno;
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	errno = saved;
}

/* For a broken invariant or heap corruption only: going on would make it worse. */
void hph_os_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	abort();
}
