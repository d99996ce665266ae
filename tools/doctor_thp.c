// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The doctor's judgement of the fallback: transparent huge pages.
 */
#include "doctor.h"

#include <string.h>

#include "text.h"

#define THP_ENABLED "/sys/kernel/mm/transparent_hugepage/enabled"

static void find_never(struct doctor *doctor)
{
	const struct thp *thp = &doctor->system.thp;
	char kib[ROOT_LINE];

	/* The PMD size's own switch may be what says never. */
	if (strcmp(thp->enabled, "never")) {
		snprintf(kib, sizeof(kib), "/sys/kernel/mm/transparent_hugepage/"
			 "hugepages-%llukB/enabled", (unsigned long long)thp->pmd_bytes >> 10);
		mend(&doctor->fallback, "echo inherit > %s", kib);
	} else {
		mend(&doctor->fallback, "echo madvise > " THP_ENABLED);
	}
	find(&doctor->fallback, "thp-never", "transparent huge pages are switched off (never)");
}

/* No help in practice; but kernels since 6.8 can give 2 MiB by other means than a PMD. */
static void judge_too_large(struct doctor *doctor)
{
	const struct thp *thp = &doctor->system.thp;

	if (thp_enabled(thp, HUGE_UNIT)) {
		doctor->fallback_bytes = HUGE_UNIT;
		return;
	}
	if (thp_has_size(thp, HUGE_UNIT))
		mend(&doctor->fallback, "echo madvise > /sys/kernel/mm/transparent_hugepage/"
		     "hugepages-2048kB/enabled");
	else
		mend(&doctor->fallback, "# use the device: it has chunks of 2 MiB here, too");
	find(&doctor->fallback, "thp-too-large", "the huge page of this kernel is %s: too large "
	     "to be found free, or given back", size_text(thp->pmd_bytes).text);
}

/* Settings allow it: what does a trial say? */
static void try_fallback(struct doctor *doctor)
{
	const struct thp *thp = &doctor->system.thp;

	if (thp_disabled_here()) {
		mend(&doctor->fallback, "# look who starts this process: systemd's MemoryTHP=, or "
		     "a wrapper");
		find(&doctor->fallback, "thp-disabled",
		     "transparent huge pages are switched off for this process "
		     "(PR_SET_THP_DISABLE)");
		return;
	}
	doctor->fallback_bytes = thp->pmd_bytes;
	doctor->fallback_tried = thp_prove(thp);
	if (doctor->fallback_tried)
		return;
	if (cgroup_is_full(doctor)) {
		find_cgroup(doctor, &doctor->fallback);
		return;
	}
	mend(&doctor->fallback, "echo 1 > /proc/sys/vm/compact_memory");
	find(&doctor->fallback, "thp-none-free", "transparent huge pages are allowed, but a trial "
	     "got none of %s: memory is fragmented or full", size_text(thp->pmd_bytes).text);
}

void judge_fallback(struct doctor *doctor)
{
	const struct thp *thp = &doctor->system.thp;

	if (!strcmp(doctor->backend, "small")) {
		mend(&doctor->fallback, "unset HPHEAP_BACKEND");
		find(&doctor->fallback, "setting", "HPHEAP_BACKEND=small asks for base pages");
	} else if (!thp->present) {
		mend(&doctor->fallback, "# boot a kernel with CONFIG_TRANSPARENT_HUGEPAGE");
		find(&doctor->fallback, "thp-absent",
		     "this kernel has no transparent huge pages");
	} else if (thp->pmd_bytes > THP_USEFUL_BYTES) {
		judge_too_large(doctor);
	} else if (!thp_enabled(thp, thp->pmd_bytes)) {
		find_never(doctor);
	} else {
		try_fallback(doctor);
	}
}
