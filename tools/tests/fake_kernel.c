// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A kernel for tests of hpheapctl, loaded by LD_PRELOAD.
 *
 * It answers the calls that a tree of files below --root cannot answer: those
 * to the device, those that load and unload a module, and who we are. Each
 * FAKE_* variable of the environment holds an answer: a number is an errno,
 * without the variable the call succeeds. FAKE_KERNEL switches all of it on.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/hpheap.h>

#define CHUNK		(2ULL << 20)
#define HPHEAP_GID	990
#define OTHER_GID	991

/* What the interposed functions are called by; the C library has no header for the last. */
int open64(const char *path, int flags, ...);
int fallocate64(int fd, int mode, off64_t offset, off64_t bytes);
int stat64(const char *restrict path, struct stat64 *restrict st);
int delete_module(const char *name, unsigned int flags);

static const char *setting(const char *name)
{
	return getenv("FAKE_KERNEL") ? getenv(name) : NULL;
}

static unsigned long long number(const char *name, unsigned long long usual)
{
	const char *value = setting(name);

	return value ? strtoull(value, NULL, 0) : usual;
}

/* -1 with the errno that the variable holds, else 0. */
static int answer(const char *name)
{
	errno = (int)number(name, 0);
	return errno ? -1 : 0;
}

static void *next(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (!function)
		abort();
	return function;
}

static int is_device(const char *path)
{
	static const char name[] = "/dev/hpheap";
	size_t length = strlen(path);

	return getenv("FAKE_KERNEL") && length >= strlen(name) &&
	       !strcmp(path + length - strlen(name), name);
}

int open64(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...) = next("open64");
	mode_t mode = 0;
	va_list args;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if (is_device(path) && answer("FAKE_OPEN"))
		return -1;
	return real(path, flags, mode);
}

/* Not everybody may give a file away: the node's owner and mode are made up. */
int stat64(const char *restrict path, struct stat64 *restrict st)
{
	int (*real)(const char *, struct stat64 *) = next("stat64");
	int result = real(path, st);

	if (!result && is_device(path)) {
		st->st_uid = 0;
		st->st_gid = (gid_t)number("FAKE_GID", HPHEAP_GID);
		st->st_mode = (st->st_mode & ~07777U) | 0660;
	}
	return result;
}

static int fake_info(struct hpheap_info *info)
{
	if (answer("FAKE_INFO"))
		return -1;
	info->abi_version = (__u32)number("FAKE_ABI", HPHEAP_ABI_VERSION);
	info->base_page_bytes = 4096;
	info->features = HPHEAP_FEATURE_CONTIG;
	info->chunk_sizes = CHUNK | 2 * CHUNK;
	info->pmd_bytes = CHUNK;
	info->default_chunk_bytes = CHUNK;
	info->max_bytes = number("FAKE_MAX", 1ULL << 33);
	info->reserved_bytes = number("FAKE_RESERVED", 0);
	info->memory_nodes[0] = 1;
	info->cpu_nodes[0] = 1;
	return 0;
}

static int fake_create(struct hpheap_create *create)
{
	if (answer("FAKE_CREATE"))
		return -1;
	create->fd = memfd_create("arena", MFD_CLOEXEC);
	if (create->fd < 0 || ftruncate(create->fd, (off_t)create->bytes))
		abort();
	if (setting("FAKE_DIRTY") && write(create->fd, "dirt", 4) != 4)
		abort();
	return 0;
}

static int fake_extents(struct hpheap_extents *extents)
{
	struct hpheap_extent *extent = (void *)(uintptr_t)extents->extents;

	if (answer("FAKE_EXTENTS"))
		return -1;
	*extent = (struct hpheap_extent){ .bytes = CHUNK };
	extents->count = 1;
	extents->start = CHUNK;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, ...) = next("ioctl");
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (!getenv("FAKE_KERNEL"))
		return real(fd, request, arg);
	switch (request) {
	case HPHEAP_IOC_INFO:
		return fake_info(arg);
	case HPHEAP_IOC_CREATE:
		return fake_create(arg);
	case HPHEAP_ARENA_EXTENTS:
		return fake_extents(arg);
	default:
		return real(fd, request, arg);
	}
}

int fallocate64(int fd, int mode, off64_t offset, off64_t bytes)
{
	int (*real)(int, int, off64_t, off64_t) = next("fallocate64");

	return answer("FAKE_ALLOCATE") ? -1 : real(fd, mode, offset, bytes);
}

/* libkmod loads by the bare system call; FAKE_LOG keeps what it was told. */
long syscall(long call, ...)
{
	long (*real)(long, ...) = next("syscall");
	long arg[6];
	va_list args;
	FILE *log;
	int i;

	va_start(args, call);
	for (i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (!getenv("FAKE_KERNEL") || call != SYS_finit_module)
		return real(call, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	if (setting("FAKE_LOG")) {
		log = fopen(setting("FAKE_LOG"), "we");
		if (!log)
			abort();
		fputs((const char *)arg[1], log);
		fclose(log);
	}
	return answer("FAKE_LOAD");
}

int delete_module(const char *name, unsigned int flags)
{
	(void)flags;
	if (strcmp(name, "hpheap"))
		abort();
	return answer("FAKE_UNLOAD");
}

uid_t geteuid(void)
{
	uid_t (*real)(void) = next("geteuid");

	return setting("FAKE_USER") ? 1000 : real();
}

struct passwd *getpwuid(uid_t uid)
{
	struct passwd *(*real)(uid_t) = next("getpwuid");
	static char name[32];
	static struct passwd user;

	if (!setting("FAKE_USER") || uid != 1000)
		return real(uid);
	snprintf(name, sizeof(name), "%s", setting("FAKE_USER"));
	user = (struct passwd){ .pw_name = name, .pw_uid = uid, .pw_gid = uid };
	return &user;
}

struct group *getgrgid(gid_t gid)
{
	struct group *(*real)(gid_t) = next("getgrgid");
	static char name[] = "hpheap", other[] = "other";
	static struct group group;

	if (!getenv("FAKE_KERNEL") || (gid != HPHEAP_GID && gid != OTHER_GID))
		return real(gid);
	group = (struct group){ .gr_name = gid == HPHEAP_GID ? name : other, .gr_gid = gid };
	return &group;
}

/* FAKE_GROUP: the only group that the group file puts the user in. */
int getgrouplist(const char *user, gid_t gid, gid_t *groups, int *count)
{
	int (*real)(const char *, gid_t, gid_t *, int *) = next("getgrouplist");

	if (!getenv("FAKE_KERNEL"))
		return real(user, gid, groups, count);
	groups[0] = (gid_t)number("FAKE_GROUP", gid);
	*count = 1;
	return 1;
}
