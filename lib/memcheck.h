/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_MEMCHECK_H
#define HPH_MEMCHECK_H

/*
 * What valgrind's memcheck is told of objects, by its client requests: it cannot know by itself
 * which parts of a heap are somebody's. Built without its header this is nothing.
 *
 * A program under valgrind does not need to be fast: no thread has a cache then, so that each
 * request comes to where it is told. What replaces the C library's malloc() is none of this:
 * there valgrind puts its own functions in the place of ours.
 */
#include <stdbool.h>
#include <stddef.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>

/* Found out once, before there is a heap. */
extern bool hph_memcheck;

static inline void hph_memcheck_start(void)
{
	hph_memcheck = RUNNING_ON_VALGRIND;
}

static inline void *hph_memcheck_alloc(void *object, size_t bytes, bool zero)
{
	if (__builtin_expect(hph_memcheck, 0) && object)
		VALGRIND_MALLOCLIKE_BLOCK(object, bytes, 0, zero);
	return object;
}

/* A span is the program's, whatever its memory was before; or it is cut into objects. */
static inline void hph_memcheck_open(void *span, size_t bytes, bool zero)
{
	if (!__builtin_expect(hph_memcheck, 0))
		return;
	if (zero)
		VALGRIND_MAKE_MEM_DEFINED(span, bytes);
	else
		VALGRIND_MAKE_MEM_UNDEFINED(span, bytes);
}

static inline void hph_memcheck_close(void *span, size_t bytes)
{
	if (__builtin_expect(hph_memcheck, 0))
		VALGRIND_MAKE_MEM_NOACCESS(span, bytes);
}

/* Before it is: memcheck tells whether that is right. */
static inline void hph_memcheck_free(void *object)
{
	if (__builtin_expect(hph_memcheck, 0))
		VALGRIND_FREELIKE_BLOCK(object, 0);
}

/* Between the two the heap touches what is nobody's. */
static inline void hph_memcheck_look_away(void)
{
	if (__builtin_expect(hph_memcheck, 0))
		VALGRIND_DISABLE_ERROR_REPORTING;
}

static inline void hph_memcheck_look_again(void)
{
	if (__builtin_expect(hph_memcheck, 0))
		VALGRIND_ENABLE_ERROR_REPORTING;
}
#else
static const bool hph_memcheck;

static inline void hph_memcheck_start(void)
{
}

static inline void *hph_memcheck_alloc(void *object, size_t bytes, bool zero)
{
	(void)bytes;
	(void)zero;
	return object;
}

static inline void hph_memcheck_open(void *span, size_t bytes, bool zero)
{
	(void)span;
	(void)bytes;
	(void)zero;
}

static inline void hph_memcheck_close(void *span, size_t bytes)
{
	(void)span;
	(void)bytes;
}

static inline void hph_memcheck_free(void *object)
{
	(void)object;
}

static inline void hph_memcheck_look_away(void)
{
}

static inline void hph_memcheck_look_again(void)
{
}
#endif

#endif /* HPH_MEMCHECK_H */
