// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How tools find a process's heaps: see publish.h.
 *
 * A page of its own says where the registry of heaps is. It costs a mapping for a process
 * with heaps and nothing later, and needs neither symbols nor a file. A tool looks for it
 * at the pages of /proc/PID/maps that are private, anonymous and read-only, of which a process has
 * few. A child of fork() has it too, at the same address and as true as before.
 */
#include "publish.h"

#include <string.h>

#include "os.h"

_Static_assert(sizeof(struct hph_publication) <= HPHEAP_MIN_BASE_PAGE, "it lies in one page");

/* For the first heap. Without memory for it heaps work, and tools do not see them. */
void hph_publish(struct hpheap *const *registry)
{
	const size_t bytes = hph_os_base_page();
	struct hph_publication *publication;
	uintptr_t base;

	if (hph_os_map(bytes, &base))
		return;
	publication = (struct hph_publication *)base;
	*publication = (struct hph_publication){
		.magic = HPH_MAGIC, .version = HPHEAP_VERSION, .self = base,
		.registry = (uintptr_t)registry, .word_bytes = sizeof(void *),
		.layout = HPH_LAYOUT,
	};
	hph_os_seal(base, bytes, "hpheap");
}
