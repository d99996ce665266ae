// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Anonymous memory as a backend: with transparent huge pages (thp), or with
 * base pages only (small). It needs no privilege and is always there.
 *
 * Advice and placement come with attach(), before the first page can: with
 * mlockall(MCL_FUTURE) it is mprotect() in commit() that fills a unit.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "meta.h"
#include "os.h"
#include "units.h"

#define THP_DIR	"/sys/kernel/mm/transparent_hugepage/"

struct anon {
	struct hph_backend backend;
	bool huge;
	bool wide;	/* the system's huge pages are larger than units */
	bool strict;	/* what is open is promised memory, and that is counted */
	_Atomic bool locked; /* what is open has its memory at once */
	_Atomic int placement_errno;
};

static struct anon *to_anon(struct hph_backend *backend)
{
	return (struct anon *)backend;
}

int hph_anon_reserve(struct hph_backend *backend, uintptr_t hint, size_t bytes, uintptr_t *base)
{
	(void)backend;
	return hph_os_reserve(hint, bytes, base);
}

bool hph_anon_is_free(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)backend;
	return hph_os_is_free(addr, bytes);
}

void hph_anon_unreserve(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)backend;
	hph_os_unmap(addr, bytes);
}

int hph_anon_detach(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)backend;
	return hph_os_reserve_at(addr, bytes);
}

/*
 * Both are wishes: a kernel without transparent huge pages refuses the advice
 * (EINVAL), a container the placement. The memory is as good as it gets.
 */
static int anon_attach(struct hph_backend *backend, uintptr_t addr, size_t bytes,
		       const struct hph_place *place, size_t *attached)
{
	struct anon *anon = to_anon(backend);
	int error;

	hph_os_advise_huge(addr, bytes, anon->huge);
	error = hph_numa_bind(addr, bytes, place);
	if (error)
		atomic_store(&anon->placement_errno, -error);
	*attached = bytes;
	return 0;
}

/*
 * To open a unit waits for whoever is filling another one, in the kernel. So several are opened at
 * once: but for processes that lock their memory, where a promise alone counts, and where one
 * touch would fill them all.
 */
static int anon_open_ahead(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	struct anon *anon = to_anon(backend);
	int error;

	if (anon->strict || anon->wide || atomic_load(&anon->locked))
		return -EPERM;
	error = hph_os_open_up(addr, HPHEAP_HUGE_SIZE);
	if (!error && hph_os_is_resident(addr, hph_os_base_page())) {
		atomic_store(&anon->locked, true);
		return -EPERM;
	}
	if (!error)
		error = hph_os_open_up(addr, bytes);
	if (error)
		hph_os_close_down(addr, bytes);
	return error;
}

/*
 * The last base page comes first. Linux zeroes a huge page such that the part which was asked for
 * is done last (process_huge_page() in mm/memory.c, since 4.14), from the far end on: from the last
 * part down if that is the first one, and upward if it is the last. Upward is what processors
 * are made for: 73 instead of 172 microseconds for 2 MiB on an EPYC with Linux 6.18.
 */
static int anon_fill(struct hph_backend *backend, uintptr_t addr)
{
	const size_t page = hph_os_base_page();
	int error = hph_os_populate(addr + HPHEAP_HUGE_SIZE - page, page);

	if (!error)
		error = hph_os_populate(addr, HPHEAP_HUGE_SIZE);
	(void)backend;
	if (error)
		hph_os_discard(addr, HPHEAP_HUGE_SIZE);	/* some of it may be there */
	return error;
}

static int anon_commit(struct hph_backend *backend, uintptr_t addr)
{
	int error = hph_os_open_up(addr, HPHEAP_HUGE_SIZE);

	if (error)
		return error;
	error = anon_fill(backend, addr);
	if (error)
		hph_os_close_down(addr, HPHEAP_HUGE_SIZE);
	return error;
}

/*
 * Where one huge page is as large as many units (32 or 512 MiB on arm64), one touch
 * would bring them all: not while they are lazy.
 */
static int anon_open(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	const struct anon *anon = to_anon(backend);
	const int error = hph_os_open_up(addr, bytes);

	if (error)
		hph_os_close_down(addr, bytes);	/* some of it may be open */
	else if (anon->huge && anon->wide)
		hph_os_advise_huge(addr, bytes, false);
	return error;
}

/*
 * What was read only is there, too, but as the system's page of zeroes, one for all: to
 * populate it makes it memory, and takes next to no time where it is. After a fork that would
 * copy what a child has as well: it is left to the system then.
 */
static bool anon_is_whole(struct hph_backend *backend, uintptr_t addr)
{
	const struct anon *anon = to_anon(backend);
	const bool is = !backend->forked && hph_os_is_resident(addr, HPHEAP_HUGE_SIZE) &&
			!hph_os_populate(addr, HPHEAP_HUGE_SIZE);

	if (is && anon->huge && anon->wide)
		hph_os_advise_huge(addr, HPHEAP_HUGE_SIZE, true);
	return is;
}

static int anon_move(struct hph_backend *backend, uintptr_t from, uintptr_t to)
{
	(void)backend;
	return hph_os_move(from, to, HPHEAP_HUGE_SIZE);
}

/*
 * The reservation takes its place again: then the unit is not charged either
 * where overcommit is strict, and a later mlockall() does not fill it. That may
 * need a mapping more than the system allows; the memory goes in any case.
 */
static int anon_release(struct hph_backend *backend, uintptr_t addr, bool *detached)
{
	*detached = !hph_anon_detach(backend, addr, HPHEAP_HUGE_SIZE);
	return *detached ? 0 : hph_os_discard(addr, HPHEAP_HUGE_SIZE);
}

/* khugepaged fills what is missing of a unit that may be huge: not of this one. */
static void anon_split(struct hph_backend *backend, uintptr_t unit)
{
	if (to_anon(backend)->huge)
		hph_os_advise_huge(unit, HPHEAP_HUGE_SIZE, false);
}

static int anon_thin(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	(void)backend;
	return hph_os_discard(addr, bytes);
}

static int anon_thicken(struct hph_backend *backend, uintptr_t addr, size_t bytes)
{
	int error = hph_os_populate(addr, bytes);

	(void)backend;
	if (error)
		hph_os_discard(addr, bytes);	/* some of it may be there */
	return error;
}

static void anon_join(struct hph_backend *backend, uintptr_t unit)
{
	if (to_anon(backend)->huge)
		hph_os_advise_huge(unit, HPHEAP_HUGE_SIZE, true);
}

static int anon_collapse(struct hph_backend *backend, uintptr_t unit)
{
	return to_anon(backend)->huge ? hph_os_collapse(unit, HPHEAP_HUGE_SIZE) : -EOPNOTSUPP;
}

static void anon_query(struct hph_backend *backend, struct hph_backend_facts *facts)
{
	*facts = (struct hph_backend_facts){
		.placement_errno = atomic_load(&to_anon(backend)->placement_errno),
	};
}

static void anon_close(struct hph_backend *backend)
{
	(void)backend;	/* its structure is metadata, which goes with the heap */
}

static const struct hph_backend_ops anon_ops = {
	.reserve = hph_anon_reserve,
	.is_free = hph_anon_is_free,
	.unreserve = hph_anon_unreserve,
	.attach = anon_attach,
	.detach = hph_anon_detach,
	.commit = anon_commit,
	.open_ahead = anon_open_ahead,
	.fill = anon_fill,
	.open = anon_open,
	.is_whole = anon_is_whole,
	.move = anon_move,
	.release = anon_release,
	.split = anon_split,
	.thin = anon_thin,
	.thicken = anon_thicken,
	.join = anon_join,
	.collapse = anon_collapse,
	.most = hph_os_memory,
	.query = anon_query,
	.close = anon_close,
};

/* Can one huge page be a unit, or less? */
static bool pmd_fits(void)
{
	char text[64];

	return !hph_os_read_line(THP_DIR "hpage_pmd_size", text, sizeof(text)) &&
	       strtoull(text, NULL, 10) <= HPHEAP_HUGE_SIZE;
}

/* Does the system promise no more memory than it has? (vm.overcommit_memory) */
static bool counts_promises(void)
{
	char text[16];

	return !hph_os_read_line("/proc/sys/vm/overcommit_memory", text, sizeof(text)) &&
	       text[0] == '2';
}

struct hph_backend *hph_anon_open(struct hph_meta *meta, bool huge)
{
	struct anon *anon = hph_meta_alloc(meta, sizeof(*anon));

	if (!anon)
		return NULL;
	anon->backend.ops = &anon_ops;
	anon->huge = huge;
	anon->wide = huge && !pmd_fits();
	anon->strict = counts_promises();
	return &anon->backend;
}

static bool chosen(const char *text, const char *word)
{
	const char *bracket = strchr(text, '[');

	return bracket && !strncmp(bracket + 1, word, strlen(word));
}

/*
 * Why units will be on base pages though huge ones were asked for, or NULL. A
 * unit is huge where the PMD is no larger than it, or where the kernel (6.8)
 * has smaller huge pages and one of that size is switched on.
 */
const char *hph_anon_shortcoming(void)
{
	char text[64], path[96];

	if (hph_os_read_line(THP_DIR "enabled", text, sizeof(text)))
		return "this kernel has no transparent huge pages";
	if (chosen(text, "never"))
		return "transparent huge pages are switched off";
	if (pmd_fits())
		return NULL;
	snprintf(path, sizeof(path), THP_DIR "hugepages-%zukB/enabled", HPHEAP_HUGE_SIZE >> 10);
	if (!hph_os_read_line(path, text, sizeof(text)) && !chosen(text, "never"))
		return NULL;
	return "transparent huge pages are larger than 2 MiB here";
}
