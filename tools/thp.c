// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Transparent huge pages: see thp.h.
 */
#include "thp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "device.h"

#define THP_DIR "/sys/kernel/mm/transparent_hugepage"
#define HUGETLB_DIR "/sys/kernel/mm/hugepages"

static int compare_sizes(const void *a, const void *b)
{
	const struct thp_size *x = a, *y = b;

	return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static void read_sizes(struct thp *thp)
{
	DIR *dir = root_dir(THP_DIR);
	struct dirent *entry;
	uint64_t kib;

	if (!dir)
		return;
	while ((entry = readdir(dir)) && thp->sizes < THP_MAX_SIZES) {
		struct thp_size *size = &thp->size[thp->sizes];

		if (sscanf(entry->d_name, "hugepages-%" SCNu64 "kB", &kib) != 1 ||
		    !root_choice(size->enabled, THP_DIR "/%s/enabled", entry->d_name))
			continue;
		size->bytes = kib << 10;
		thp->sizes++;
	}
	closedir(dir);
	qsort(thp->size, thp->sizes, sizeof(*thp->size), compare_sizes);
}

static void read_hugetlb(struct thp *thp)
{
	DIR *dir = root_dir(HUGETLB_DIR);
	struct dirent *entry;
	uint64_t kib, pages, free;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "hugepages-%" SCNu64 "kB", &kib) == 1 &&
		    root_number(&pages, HUGETLB_DIR "/%s/nr_hugepages", entry->d_name) &&
		    root_number(&free, HUGETLB_DIR "/%s/free_hugepages", entry->d_name)) {
			thp->hugetlb_bytes += pages * (kib << 10);
			thp->hugetlb_free += free * (kib << 10);
		}
	closedir(dir);
}

void thp_read(struct thp *thp)
{
	memset(thp, 0, sizeof(*thp));
	read_hugetlb(thp);
	thp->present = root_choice(thp->enabled, THP_DIR "/enabled") &&
		       root_number(&thp->pmd_bytes, THP_DIR "/hpage_pmd_size");
	if (!thp->present)
		return;
	root_choice(thp->defrag, THP_DIR "/defrag");
	read_sizes(thp);
}

bool thp_has_size(const struct thp *thp, uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < thp->sizes; i++)
		if (thp->size[i].bytes == bytes)
			return true;
	return false;
}

/* A size's own switch counts, unless it says "inherit"; older kernels have but one. */
bool thp_enabled(const struct thp *thp, uint64_t bytes)
{
	const char *enabled = bytes == thp->pmd_bytes ? thp->enabled : "never";
	unsigned int i;

	for (i = 0; i < thp->sizes; i++)
		if (thp->size[i].bytes == bytes)
			enabled = strcmp(thp->size[i].enabled, "inherit") ?
				  thp->size[i].enabled : thp->enabled;
	return thp->present && strcmp(enabled, "never");
}

bool thp_disabled_here(void)
{
	return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) > 0;
}

bool thp_prove(const struct thp *thp)
{
	size_t size = (size_t)thp->pmd_bytes;
	uint64_t huge = 0;
	volatile char *page;
	char *map;

	map = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return false;
	page = (char *)(((uintptr_t)map + size - 1) & ~((uintptr_t)size - 1));
	if (!madvise((void *)page, size, MADV_HUGEPAGE)) {
		*page = 1;
		if (!smaps_bytes((const void *)page, "AnonHugePages", &huge))
			huge = 0;
	}
	munmap(map, 2 * size);
	return huge;
}
