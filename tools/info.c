// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hpheapctl info: what this system offers, for people or as JSON.
 */
#include "ctl.h"

#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "system.h"
#include "text.h"

struct owner { char user[40], group[40]; };

static struct owner owner_of(const struct stat *st)
{
	const struct passwd *user = getpwuid(st->st_uid);
	const struct group *group = getgrgid(st->st_gid);
	struct owner owner;

	snprintf(owner.user, sizeof(owner.user), "%u", st->st_uid);
	snprintf(owner.group, sizeof(owner.group), "%u", st->st_gid);
	if (user)
		snprintf(owner.user, sizeof(owner.user), "%s", user->pw_name);
	if (group)
		snprintf(owner.group, sizeof(owner.group), "%s", group->gr_name);
	return owner;
}

static const char *device_error(const struct device *device)
{
	if (device->fd < 0)
		return strerror(device->open_error);
	if (device->info_error)
		return "is not the hpheap device";
	return device_usable(device) ? NULL : "speaks another version of the interface";
}

static void print_module(const struct module *module)
{
	printf("module     %s", module_state_name(module->state));
	if (*module->version)
		printf(", version %s", module->version);
	if (*module->path)
		printf(", %s", *module->signer ? "signed by " : "not signed");
	printf("%s\n", *module->path ? module->signer : "");
	if (*module->path)
		printf("           %s\n", module->path);
}

static void print_chunks(const struct hpheap_info *info)
{
	const char *separator = "";
	unsigned int shift;

	printf("chunks     ");
	for (shift = 0; shift < 64; shift++) {
		uint64_t bytes = (uint64_t)1 << shift;

		if (!(info->chunk_sizes & bytes))
			continue;
		printf("%s%s%s%s", separator, size_text(bytes).text,
		       bytes == info->default_chunk_bytes ? " (default)" : "",
		       bytes == info->pmd_bytes ? " (one PMD)" : "");
		separator = ", ";
	}
	putchar('\n');
}

static void print_device(const struct device *device)
{
	const char *error = device_error(device);
	struct owner owner;

	printf("device     %s, ", device->name);
	if (!device->node) {
		puts("does not exist");
		return;
	}
	owner = owner_of(&device->st);
	printf("%s:%s %04o, %s%s\n", owner.user, owner.group, device->st.st_mode & 07777,
	       error ? "cannot be used: " : "opens", error ? error : "");
	if (!error)
		print_chunks(&device->info);
}

static void print_use(void)
{
	uint64_t reserved, resident, cap;

	if (!root_number(&reserved, SYSFS_DIR "/reserved_bytes") ||
	    !root_number(&resident, SYSFS_DIR "/resident_bytes"))
		return;
	printf("arenas     %s reserved, %s resident", size_text(reserved).text,
	       size_text(resident).text);
	if (root_number(&cap, MAX_BYTES_PARAMETER))
		printf(", at most %s (max_bytes)", cap ? size_text(cap).text : "all memory");
	putchar('\n');
}

static void print_limits(const struct limits *limits)
{
	printf("memlock    %s%s\n", limits->memlock == NO_LIMIT ? "unlimited" :
	       size_text(limits->memlock).text,
	       limits->ipc_lock ? ", does not bind this process (CAP_IPC_LOCK)" : "");
	if (!*limits->cgroup)
		return;
	printf("cgroup     %s, ", limits->cgroup);
	if (limits->cgroup_max == NO_LIMIT)
		puts("no limit");
	else
		printf("at most %s, %s used\n", size_text(limits->cgroup_max).text,
		       size_text(limits->cgroup_used).text);
}

static void print_thp(const struct thp *thp)
{
	unsigned int i;

	if (!thp->present) {
		puts("THP        this kernel has none");
	} else {
		printf("THP        enabled %s, defrag %s, PMD %s\n", thp->enabled, thp->defrag,
		       size_text(thp->pmd_bytes).text);
		for (i = 0; i < thp->sizes; i++)
			printf("             %-9s%s\n", size_text(thp->size[i].bytes).text,
			       thp->size[i].enabled);
	}
	if (thp->hugetlb_bytes)
		printf("hugetlb    %s, %s free\n", size_text(thp->hugetlb_bytes).text,
		       size_text(thp->hugetlb_free).text);
	else
		puts("hugetlb    no pool");
}

static void print_nodes(const struct system *system)
{
	const struct nodes *nodes = &system->nodes;
	char blocks[40];
	unsigned int i;

	snprintf(blocks, sizeof(blocks), "in %s blocks", size_text(system->chunk_bytes).text);
	printf("\n%5s %12s %12s %16s  %s\n", "node", "memory", "free", blocks, "CPUs");
	for (i = 0; i < nodes->count; i++) {
		const struct node *node = &nodes->node[i];

		printf("%5u %12s %12s %16s  %s%s\n", node->id,
		       node->memory ? size_text(node->total_bytes).text : "none",
		       size_text(node->free_bytes).text, size_text(node->huge_bytes).text,
		       *node->cpus ? node->cpus : "none",
		       node->allowed ? "" : " (not for this process)");
	}
	if (!nodes->policy)
		puts("Memory policy calls do not work here: a heap cannot place THP memory.");
}

static void print_text(const struct system *system)
{
	printf("kernel     %s, base page %s\n", system->module.kernel,
	       size_text(system->base_page).text);
	print_module(&system->module);
	print_device(&system->device);
	print_use();
	print_limits(&system->limits);
	print_thp(&system->thp);
	print_nodes(system);
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static const uint64_t *limit_or_null(const uint64_t *limit)
{
	return *limit == NO_LIMIT ? NULL : limit;
}

static void json_module(struct json *json, const struct module *module)
{
	json_object(json, "module");
	json_string(json, "state", module_state_name(module->state));
	json_string(json, "version", or_null(module->version));
	json_string(json, "path", or_null(module->path));
	json_string(json, "signer", or_null(module->signer));
	json_end(json);
}

static void json_offer(struct json *json, const struct hpheap_info *info)
{
	unsigned int shift;

	json_number(json, "abi_version", info->abi_version);
	json_number(json, "features", info->features);
	json_array(json, "chunk_sizes");
	for (shift = 0; shift < 64; shift++)
		if (info->chunk_sizes >> shift & 1)
			json_number(json, NULL, (uint64_t)1 << shift);
	json_end(json);
	json_number(json, "default_chunk_bytes", info->default_chunk_bytes);
	json_number(json, "pmd_bytes", info->pmd_bytes);
}

static void json_device(struct json *json, const struct device *device)
{
	const char *error = device_error(device);
	char mode[8];

	json_object(json, "device");
	json_string(json, "path", device->name);
	json_bool(json, "exists", device->node);
	json_bool(json, "usable", !error);
	json_string(json, "error", error);
	if (device->node) {
		struct owner owner = owner_of(&device->st);

		snprintf(mode, sizeof(mode), "%04o", device->st.st_mode & 07777);
		json_string(json, "user", owner.user);
		json_string(json, "group", owner.group);
		json_string(json, "mode", mode);
	}
	if (!error)
		json_offer(json, &device->info);
	json_end(json);
}

static void json_limits(struct json *json, const struct limits *limits)
{
	static const char * const counters[] = { "reserved_bytes", "resident_bytes" };
	uint64_t number;
	size_t i;

	json_object(json, "limits");
	json_optional(json, "max_bytes",
		      root_number(&number, MAX_BYTES_PARAMETER) ? &number : NULL);
	for (i = 0; i < 2; i++)
		json_optional(json, counters[i],
			      root_number(&number, SYSFS_DIR "/%s", counters[i]) ? &number : NULL);
	json_optional(json, "memlock_bytes", limit_or_null(&limits->memlock));
	json_optional(json, "memlock_hard_bytes", limit_or_null(&limits->memlock_hard));
	json_bool(json, "memlock_exempt", limits->ipc_lock);
	json_string(json, "cgroup", or_null(limits->cgroup));
	json_optional(json, "cgroup_max_bytes", limit_or_null(&limits->cgroup_max));
	json_number(json, "cgroup_used_bytes", limits->cgroup_used);
	json_end(json);
}

static void json_thp(struct json *json, const struct thp *thp)
{
	unsigned int i;

	json_object(json, "thp");
	json_string(json, "enabled", or_null(thp->enabled));
	json_string(json, "defrag", or_null(thp->defrag));
	json_optional(json, "pmd_bytes", thp->present ? &thp->pmd_bytes : NULL);
	json_array(json, "sizes");
	for (i = 0; i < thp->sizes; i++) {
		json_object(json, NULL);
		json_number(json, "bytes", thp->size[i].bytes);
		json_string(json, "enabled", thp->size[i].enabled);
		json_end(json);
	}
	json_end(json);
	json_end(json);
	json_object(json, "hugetlb");
	json_number(json, "bytes", thp->hugetlb_bytes);
	json_number(json, "free_bytes", thp->hugetlb_free);
	json_end(json);
}

static void json_nodes(struct json *json, const struct nodes *nodes)
{
	unsigned int i;

	json_bool(json, "memory_policy", nodes->policy);
	json_array(json, "nodes");
	for (i = 0; i < nodes->count; i++) {
		const struct node *node = &nodes->node[i];

		json_object(json, NULL);
		json_number(json, "id", node->id);
		json_number(json, "memory_bytes", node->total_bytes);
		json_number(json, "free_bytes", node->free_bytes);
		json_number(json, "free_huge_bytes", node->huge_bytes);
		json_string(json, "cpus", node->cpus);
		json_bool(json, "allowed", node->allowed);
		json_end(json);
	}
	json_end(json);
}

static void print_json(const struct system *system)
{
	struct json json = { .file = stdout };

	json_object(&json, NULL);
	json_string(&json, "kernel", system->module.kernel);
	json_number(&json, "base_page_bytes", system->base_page);
	json_module(&json, &system->module);
	json_device(&json, &system->device);
	json_limits(&json, &system->limits);
	json_thp(&json, &system->thp);
	json_nodes(&json, &system->nodes);
	json_end(&json);
}

int cmd_info(const struct options *options, int argc, char **argv)
{
	static struct system system;
	int err;

	(void)argc;
	(void)argv;
	err = system_read(&system);
	if (err) {
		complain("cannot look for the module: %s", strerror(-err));
		return STATUS_BROKEN;
	}
	if (options->json)
		print_json(&system);
	else
		print_text(&system);
	system_release(&system);
	return STATUS_OK;
}
