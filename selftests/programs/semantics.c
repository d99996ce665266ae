// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the malloc family answers where the standards leave it open: this program writes the
 * answers, which are to be those of glibc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not known to the compiler, which would warn or know better. */
static volatile size_t none, all = SIZE_MAX, half = SIZE_MAX / 2 + 1;

static int is_aligned(const void *p, size_t align)
{
	return p && align && !(align & (align - 1)) ? (uintptr_t)p % align == 0 : -1;
}

static void answer(const char *call, size_t align, size_t bytes, void *p)
{
	const int error = errno;

	printf("%s %zx %zx: %s errno %d aligned %d\n", call, align, bytes, p ? "memory" : "NULL",
	       error, is_aligned(p, align));
	free(p);
	errno = 0;
}

#define ANSWER(align, call) answer(#call, align, 0, call)

static void sizes(void)
{
	ANSWER(16, malloc(none));
	ANSWER(16, malloc(all));
	ANSWER(16, malloc(half));
	ANSWER(16, calloc(half, 2));
	ANSWER(16, calloc(none, none));
	ANSWER(16, calloc(none, 8));
	ANSWER(16, realloc(NULL, none));
	ANSWER(16, realloc(malloc(10), none));
	ANSWER(16, reallocarray(NULL, half, 2));
	ANSWER(16, reallocarray(malloc(10), none, 4));
	ANSWER(4096, valloc(none));
	ANSWER(4096, valloc(100));
	ANSWER(4096, valloc(all));
	ANSWER(4096, pvalloc(none));
	ANSWER(4096, pvalloc(1));
	ANSWER(4096, pvalloc(all));
	ANSWER(4096, pvalloc(half - 2));
}

static void posix(size_t align, size_t bytes)
{
	void *p = &p;
	int error = posix_memalign(&p, align, bytes);

	printf("posix_memalign %d, %s: ", error, p == &p ? "left alone" : "set");
	errno = 0;	/* which POSIX leaves open, and glibc sets at times */
	answer("it", align, bytes, p == &p ? NULL : p);
}

/* Of other alignments glibc made the next power of two before 2.38; since then it is EINVAL. */
static void aligned(size_t align, size_t bytes)
{
	if (align && !(align & (align - 1)))
		answer("aligned_alloc", align, bytes, aligned_alloc(align, bytes));
}

static void alignments(void)
{
	static const size_t aligns[] = {
		0, 1, 2, 3, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 4096, 5000, 1 << 16, 1 << 20,
		1 << 21, 1 << 22, 1 << 25, SIZE_MAX / 4 + 1, SIZE_MAX / 2 + 1,
	};
	static const size_t bytes[] = { 0, 1, 100, 70000, SIZE_MAX - 100 };
	size_t a, n;

	for (a = 0; a < sizeof(aligns) / sizeof(aligns[0]); a++) {
		for (n = 0; n < sizeof(bytes) / sizeof(bytes[0]); n++) {
			posix(aligns[a], bytes[n]);
			aligned(aligns[a], bytes[n]);
			answer("memalign", aligns[a], bytes[n], memalign(aligns[a], bytes[n]));
		}
	}
}

/* What is refused stays as it was, and what works leaves errno alone. */
static void manners(void)
{
	char *p = malloc(10);

	memset(p, 7, 10);
	printf("refused: %d", !realloc(p, all) && !reallocarray(p, half, 4));
	printf(", kept %d\n", p[0] == 7 && p[9] == 7);
	errno = 33;
	p = realloc(p, 100000);
	free(calloc(1, 1 << 22));
	free(p);
	free(NULL);
	printf("errno %d, usable of NULL %zu\n", errno, malloc_usable_size(NULL));
}

static int all_are(const char *p, size_t bytes, char value)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		if (p[i] != value)
			return 0;
	return 1;
}

static void contents(void)
{
	size_t n, usable, bad = 0;
	char *p;

	for (n = 0; n < 300000; n = n * 9 / 8 + 1) {
		p = malloc(n);
		usable = malloc_usable_size(p);
		bad += (uintptr_t)p % 16 != 0 || usable < n;
		memset(p, 1, usable);
		p = realloc(p, 2 * n + 1);
		bad += !all_are(p, usable < 2 * n ? usable : 2 * n, 1);
		p = realloc(p, n / 3 + 1);
		bad += n > 0 && !all_are(p, n / 3 + 1, 1);
		free(p);
	}
	printf("wrong contents: %zu\n", bad);
}

/* C23's, which the C library of today has not got. */
static void sizes_told(void)
{
	void (*free_sized)(void *, size_t) = dlsym(RTLD_DEFAULT, "free_sized");
	void (*free_aligned_sized)(void *, size_t, size_t) = dlsym(RTLD_DEFAULT,
								   "free_aligned_sized");
	void *object = malloc(77), *aligned = aligned_alloc(256, 512);

	if (free_sized)
		free_sized(object, 77);
	else
		free(object);
	if (free_aligned_sized)
		free_aligned_sized(aligned, 256, 512);
	else
		free(aligned);
	puts("freed with their sizes");
}

/* What there is to know of memory: numbers differ, what holds of them does not. */
static void numbers(void)
{
	char *objects[100], text[256];
	struct mallinfo2 before = mallinfo2(), now;
	struct mallinfo small;
	FILE *file;
	int i;

	for (i = 0; i < 100; i++)
		objects[i] = malloc(5000);
	now = mallinfo2();
	printf("in use: %d, of what there is: %d, no more free than that: %d\n",
	       now.uordblks + now.hblkhd >= before.uordblks + before.hblkhd + 100 * 5000,
	       now.uordblks <= now.arena + now.hblkhd, now.fordblks <= now.arena + now.hblkhd);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	small = mallinfo();
	printf("not negative: %d\n", small.uordblks >= 0 && small.fordblks >= 0);
	for (i = 0; i < 100; i++)
		free(objects[i]);
	printf("less again: %d\n", mallinfo2().uordblks < now.uordblks);
	i = malloc_trim(0);
	printf("trimmed: %d\n", i == 0 || i == 1);
	printf("told: %d, of no kind: %d\n", mallopt(M_MMAP_THRESHOLD, 1 << 20), malloc_info(1, stdout));
	file = tmpfile();
	if (!file || malloc_info(0, file) || fseek(file, 0, SEEK_SET) ||
	    !fgets(text, sizeof(text), file))
		text[0] = 0;
	printf("as XML: %d\n", !strncmp(text, "<malloc version", 15));
	if (file)
		fclose(file);
}

int main(void)
{
	sizes();
	alignments();
	manners();
	contents();
	sizes_told();
	numbers();
	return 0;
}
