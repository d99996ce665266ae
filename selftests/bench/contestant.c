// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contestants of `make bench`: see contestant.h.
 *
 * Giving memory back has no common name, so each allocator is asked in its own
 * words, found at run time: none of them is linked.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <hpheap.h>
#include "contestant.h"

struct hpheap *contestant_heap;

_Noreturn void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void hpheap_give_back(void)
{
	hpheap_scavenge(contestant_heap, SIZE_MAX);
}

/* A function of the allocator that was preloaded, or NULL. */
static bool find(const char *symbol, void *function)
{
	void *address = dlsym(RTLD_DEFAULT, symbol);

	memcpy(function, &address, sizeof(address));
	return address;
}

static void malloc_give_back(void)
{
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
	void (*release_free_memory)(void);
	void (*collect)(bool force);

	if (find("mallctl", &mallctl)) {
		/* 4096 is MALLCTL_ARENAS_ALL; the thread's cache holds memory too. */
		if (mallctl("thread.tcache.flush", NULL, NULL, NULL, 0) ||
		    mallctl("arena.4096.purge", NULL, NULL, NULL, 0))
			die("mallctl");
	} else if (find("MallocExtension_ReleaseFreeMemory", &release_free_memory)) {
		release_free_memory();
	} else if (find("mi_collect", &collect)) {
		collect(true);
	} else {
		malloc_trim(0);
	}
}

static void mmap_give_back(void)
{
}

static const struct contestant contestants[] = {
	{ CONTESTANT_HPHEAP, "hpheap", "hpheap_span_alloc", hpheap_take, hpheap_give,
	  hpheap_give_back },
	{ CONTESTANT_MALLOC, "malloc", "malloc", malloc_take, malloc_give, malloc_give_back },
	{ CONTESTANT_MMAP, "mmap", "mmap", mmap_take, mmap_give, mmap_give_back },
};

static void print_origin(const char *symbol)
{
	void *function = dlsym(RTLD_DEFAULT, symbol);
	Dl_info info;

	if (!function || !dladdr(function, &info)) {
		fprintf(stderr, "bench: %s() comes from nowhere\n", symbol);
		exit(1);
	}
	printf("from %s\n", info.dli_fname);
	fflush(stdout);
}

const struct contestant *contestant_open(const char *name)
{
	struct hpheap_options options = { .backend = HPHEAP_BACKEND_THP };
	size_t i;

	for (i = 0; i < sizeof(contestants) / sizeof(contestants[0]); i++) {
		if (strcmp(contestants[i].name, name))
			continue;
		print_origin(contestants[i].symbol);
		if (contestants[i].number == CONTESTANT_HPHEAP) {
			contestant_heap = hpheap_create(&options);
			if (!contestant_heap)
				die("hpheap_create");
		}
		return &contestants[i];
	}
	fprintf(stderr, "bench: there is no contestant '%s'\n", name);
	exit(2);
}
