// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The doctor's checks of the device: node, permission, interface, and a trial.
 */
#include "doctor.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "text.h"

#define GROUP HPHEAP_DEVICE_NAME

/* A private /dev, as PrivateDevices=yes of systemd makes one, has no kernel log. */
static bool find_no_node(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct device *device = &doctor->system.device;
	struct finding *finding = &doctor->device;
	char number[ROOT_LINE], *colon;

	say(detail, "%s does not exist", device->name);
	if (doctor->system.limits.container) {
		mend(finding, "# start the container with: --device %s", device->name);
		return find(finding, "device-not-in-container",
			    "this container was not given the device %s", device->name);
	}
	if (!root_exists("/dev/kmsg")) {
		mend(finding, "# in the service's unit: PrivateDevices=no");
		mend(finding, "systemctl daemon-reload    # and restart the service");
		return find(finding, "device-hidden", "%s is hidden from this process: its /dev "
			    "is a private one", device->name);
	}
	if (root_line(number, SYSFS_DIR "/dev") && (colon = strchr(number, ':'))) {
		*colon = '\0';
		mend(finding, "mknod -m 660 %s c %s %s", device->name, number, colon + 1);
		mend(finding, "chgrp " GROUP " %s", device->name);
	} else {
		mend(finding, "modprobe -r hpheap && modprobe hpheap");
	}
	return find(finding, "device-missing", "the module is loaded, but %s does not exist",
		    device->name);
}

bool check_node(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct device *device = &doctor->system.device;

	if (!device->node)
		return find_no_node(doctor, detail);
	say(detail, "%s, mode %04o", device->name, device->st.st_mode & 07777);
	return true;
}

static bool in_group_file(const char *user, gid_t gid, gid_t group)
{
	gid_t groups[256];
	int i, count = 256;

	if (getgrouplist(user, gid, groups, &count) < 0)
		return false;
	for (i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* The node is its group's: of which group, and are we in it? */
static bool find_no_permission(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct device *device = &doctor->system.device;
	const struct group *group = getgrgid(device->st.st_gid);
	const struct passwd *user = getpwuid(geteuid());
	struct finding *finding = &doctor->device;
	char name[40];

	snprintf(name, sizeof(name), "%u", geteuid());
	say(detail, "no permission to open %s", device->name);
	if (!device->st.st_gid || !(device->st.st_mode & S_IWGRP)) {
		if (!getgrnam(GROUP))
			mend(finding, "groupadd --system " GROUP);
		mend(finding, "udevadm control --reload");
		mend(finding, "udevadm trigger --settle --name-match=%s    # or: chgrp " GROUP
		     " %s; chmod 660 %s", device->name, device->name, device->name);
		return find(finding, "device-root-only",
			    "%s is root's alone: the udev rule was not applied", device->name);
	}
	if (user && in_group_file(user->pw_name, user->pw_gid, device->st.st_gid)) {
		mend(finding, "newgrp %s    # or log in again; restart a service",
			group ? group->gr_name : "");
		return find(finding, "group-not-active", "user %s was added to the group of %s "
			    "after this session began", user->pw_name, device->name);
	}
	mend(finding, "usermod -aG %s %s    # then log in again",
	     group ? group->gr_name : GROUP, user ? user->pw_name : name);
	mend(finding, "# a systemd service: SupplementaryGroups=%s",
	     group ? group->gr_name : GROUP);
	return find(finding, "device-permission", "user %s is not in group %s, to which %s belongs",
		    user ? user->pw_name : name, group ? group->gr_name : "(without a name)",
		    device->name);
}

bool check_open(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct device *device = &doctor->system.device;
	struct finding *finding = &doctor->device;

	switch (device->open_error) {
	case 0:
		say(detail, "opens for reading and writing");
		return true;
	case EACCES:
		return find_no_permission(doctor, detail);
	case EPERM:
		say(detail, "opening %s is forbidden", device->name);
		mend(finding, "# a systemd service: DeviceAllow=%s rw", device->name);
		mend(finding, "# a container: start it with --device %s", device->name);
		return find(finding, "device-forbidden", "the device cgroup forbids this process "
			    "to open %s", device->name);
	default:
		say(detail, "%s: %s", device->name, strerror(device->open_error));
		mend(finding, "rm %s", device->name);
		mend(finding, "modprobe -r hpheap && modprobe hpheap");
		return find(finding, "device-stale", "%s cannot be opened: %s", device->name,
			    strerror(device->open_error));
	}
}

bool check_interface(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct device *device = &doctor->system.device;
	struct finding *finding = &doctor->device;

	if (device_usable(device)) {
		say(detail, "version %u, chunks of %s", device->info.abi_version,
		    size_text(device->info.default_chunk_bytes).text);
		return true;
	}
	if (device->info_error == ENOTTY) {
		say(detail, "%s is something else", device->name);
		mend(finding, "ls -l %s    # and HPHEAP_DEVICE, if that names it", device->name);
		return find(finding, "device-other", "%s is not the hpheap device", device->name);
	}
	if (device->info_error)
		say(detail, "INFO: %s", strerror(device->info_error));
	else
		say(detail, "version %u, this program speaks %u", device->info.abi_version,
		    HPHEAP_ABI_VERSION);
	mend(finding, "# install module and library of one release, then:");
	mend(finding, "modprobe -r hpheap && modprobe hpheap");
	return find(finding, "interface-version",
		    "the loaded module%s%s and this program speak different versions of the "
		    "interface", *doctor->system.module.version ? " " : "",
		    doctor->system.module.version);
}

static bool find_memlock(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct limits *limits = &doctor->system.limits;
	const struct passwd *user = getpwuid(geteuid());
	uint64_t kib = (doctor->proof.arena_bytes + 1023) >> 10;

	say(detail, "RLIMIT_MEMLOCK %s is too low", size_text(limits->memlock).text);
	mend(&doctor->device, "# a systemd service: LimitMEMLOCK=%" PRIu64 "K in its unit, or "
	     "infinity", kib);
	mend(&doctor->device, "echo '%s - memlock %" PRIu64 "' > /etc/security/limits.d/hpheap.conf"
	     "    # then log in again", user ? user->pw_name : "*", kib);
	return find(&doctor->device, "memlock",
		    "the limit of locked memory (RLIMIT_MEMLOCK) is %s (%" PRIu64 " bytes) for all "
		    "arenas of this user together, and %s (%" PRIu64 " bytes) are wanted",
		    size_text(limits->memlock).text, limits->memlock,
		    size_text(doctor->proof.arena_bytes).text, doctor->proof.arena_bytes);
}

static bool find_max_bytes(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct hpheap_info *info = &doctor->system.device.info;
	uint64_t wanted = info->reserved_bytes + doctor->proof.arena_bytes;

	say(detail, "max_bytes %s is used up", size_text(info->max_bytes).text);
	mend(&doctor->device, "hpheapctl stat    # shows who holds it");
	mend(&doctor->device, "echo %" PRIu64 " > " MAX_BYTES_PARAMETER, wanted);
	mend(&doctor->device, "echo options hpheap max_bytes=%" PRIu64
	     " > /etc/modprobe.d/hpheap.conf    # for the next boot", wanted);
	return find(&doctor->device, "max-bytes", "of the %s (%" PRIu64 " bytes) that all arenas "
		    "may have, %s are reserved, and %s more are wanted",
		    size_text(info->max_bytes).text, (uint64_t)info->max_bytes,
		    size_text(info->reserved_bytes).text,
		    size_text(doctor->proof.arena_bytes).text);
}

bool check_limits(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	struct proof *proof = &doctor->proof;
	uint64_t wanted;

	device_prove(&doctor->system.device, doctor->size, proof);
	wanted = proof->arena_bytes;
	if (proof->step != PROOF_CREATE) {
		say(detail, "an arena of %s is allowed", size_text(wanted).text);
		return true;
	}
	switch (proof->error) {
	case EDQUOT:
		return find_memlock(doctor, detail);
	case ENOSPC:
		return find_max_bytes(doctor, detail);
	case EFBIG:
		say(detail, "%s are more than there are", size_text(wanted).text);
		mend(&doctor->device, "hpheapctl doctor --size SIZE    # less");
		return find(&doctor->device, "too-large", "%s are wanted, more memory than this "
			    "process's nodes have", size_text(wanted).text);
	default:
		say(detail, "an arena cannot be made: %s", strerror(proof->error));
		mend(&doctor->device, "dmesg | tail    # may say more");
		return find(&doctor->device, "create", "an arena of %s cannot be made: %s",
			    size_text(wanted).text, strerror(proof->error));
	}
}

static uint64_t available_bytes(void)
{
	FILE *file = root_file("/proc/meminfo");
	char line[ROOT_LINE];
	uint64_t kib = 0;

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
			break;
	fclose(file);
	return kib << 10;
}

/*
 * The kernel charges in batches, and this process has grown since we looked:
 * near the limit is at the limit.
 */
bool cgroup_is_full(const struct doctor *doctor)
{
	return limits_cgroup_room(&doctor->system.limits) < 4 * doctor->system.chunk_bytes;
}

void find_cgroup(const struct doctor *doctor, struct finding *finding)
{
	const struct limits *limits = &doctor->system.limits;

	mend(finding, "# a systemd service: a higher MemoryMax=; a container: --memory");
	find(finding, "cgroup-limit", "the memory cgroup %s is at its limit: %s of %s are used",
	     limits->cgroup, size_text(limits->cgroup_used).text,
	     size_text(limits->cgroup_max).text);
}

static bool find_no_memory(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	struct finding *finding = &doctor->device;
	uint64_t chunk = doctor->proof.chunk_bytes, available = available_bytes();

	say(detail, "no chunk of %s to be had", size_text(chunk).text);
	if (cgroup_is_full(doctor)) {
		find_cgroup(doctor, finding);
		return false;
	}
	if (available < 4 * chunk) {
		mend(finding, "hpheapctl stat    # and: ps axu --sort -rss | head");
		return find(finding, "memory-full", "the system has no memory left: %s are "
			    "available", size_text(available).text);
	}
	mend(finding, "echo 1 > /proc/sys/vm/compact_memory");
	return find(finding, "fragmentation", "memory is fragmented: %s are available, but in no "
		    "free block of %s", size_text(available).text, size_text(chunk).text);
}

bool check_memory(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct system *system = &doctor->system;
	uint64_t huge = nodes_huge_bytes(&system->nodes);
	const struct proof *proof = &doctor->proof;

	if (proof->step == PROOF_ALLOCATE && proof->error == ENOMEM)
		return find_no_memory(doctor, detail);
	if (proof->step == PROOF_ALLOCATE) {
		say(detail, "allocating a chunk: %s", strerror(proof->error));
		mend(&doctor->device, "dmesg | tail    # may say more");
		return find(&doctor->device, "allocate", "a chunk cannot be allocated: %s",
			    strerror(proof->error));
	}
	say(detail, "a chunk of %s was given; %s are free in such blocks",
	    size_text(proof->chunk_bytes).text, size_text(huge).text);
	if (huge < proof->arena_bytes)
		note(doctor, "Less than the wanted %s is free in whole blocks (%s): the kernel "
		     "must compact memory for the rest, which takes time and can fail. "
		     "echo 1 > /proc/sys/vm/compact_memory does it ahead.",
		     size_text(proof->arena_bytes).text, size_text(huge).text);
	if (limits_cgroup_room(&system->limits) < proof->arena_bytes)
		note(doctor, "The memory cgroup leaves less than the wanted %s: %s of %s are used.",
		     size_text(proof->arena_bytes).text, size_text(system->limits.cgroup_used).text,
		     size_text(system->limits.cgroup_max).text);
	return true;
}

bool check_mapping(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct device *device = &doctor->system.device;
	const struct proof *proof = &doctor->proof;
	const char *what = proof->step == PROOF_MAP ? "mapping it" :
			   proof->step == PROOF_TOUCH ? "touching it" : "its huge mapping";

	if (proof->step == PROOF_DONE) {
		say(detail, "mapped, written and read back on node %u, %s", proof->node,
		    proof->mapped_huge ? "as one PMD" : "as one run of base pages");
		return true;
	}
	say(detail, "%s: %s", what, proof->error ? strerror(proof->error) : "not as it should be");
	mend(&doctor->device, "dmesg | tail    # may say more; please report it");
	return find(&doctor->device, "mapping", "a chunk of %s was given, but %s failed%s%s",
		    size_text(device->info.default_chunk_bytes).text, what,
		    proof->error ? ": " : "", proof->error ? strerror(proof->error) : "");
}
