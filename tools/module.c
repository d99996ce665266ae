// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel module as libkmod and /sys/module know it.
 *
 * libkmod finds the file as modprobe would, so what it does not find modprobe
 * does not load. Whether it is loaded is read from /sys/module below the
 * root, which libkmod could read of the running system only.
 */
#include "module.h"

#include <errno.h>
#include <libkmod.h>
#include <string.h>
#include <sys/utsname.h>

#include <linux/hpheap.h>

#define NAME HPHEAP_DEVICE_NAME

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void read_file_info(struct module *module, struct kmod_module *mod)
{
	struct kmod_list *list = NULL, *item;

	/* A damaged file has no info: what it would have said stays empty. */
	if (kmod_module_get_info(mod, &list) < 0)
		return;
	kmod_list_foreach(item, list) {
		const char *key = kmod_module_info_get_key(item);
		const char *value = kmod_module_info_get_value(item);

		if (!strcmp(key, "version"))
			copy(module->version, sizeof(module->version), value);
		else if (!strcmp(key, "vermagic"))
			copy(module->vermagic, sizeof(module->vermagic), value);
		else if (!strcmp(key, "signer"))
			copy(module->signer, sizeof(module->signer), value);
	}
	kmod_module_info_free_list(list);
	module->vermagic[strcspn(module->vermagic, " ")] = '\0';
}

/* The index of the module directory is at hand: look the module up in it. */
static int look_up(struct module *module, struct kmod_ctx *ctx)
{
	struct kmod_list *list = NULL;
	struct kmod_module *mod;
	const char *path;
	int err;

	err = kmod_module_new_from_lookup(ctx, NAME, &list);
	/* No index at all: nothing was ever installed for this kernel. */
	if (err == -ENOENT || err == -ENOSYS || (!err && !list))
		return 0;
	if (err < 0)
		return err;

	mod = kmod_module_get_module(list);
	path = kmod_module_get_path(mod);
	if (path) {
		module->state = MODULE_INSTALLED;
		copy(module->path, sizeof(module->path), path);
		read_file_info(module, mod);
	} else if (kmod_module_get_initstate(mod) == KMOD_MODULE_BUILTIN) {
		module->state = MODULE_BUILTIN;
	}
	kmod_module_unref(mod);
	kmod_module_unref_list(list);
	return 0;
}

/* Where DKMS and "make modules_install" put it; depmod may not have run. */
static void find_unindexed(struct module *module)
{
	static const char * const places[] = { "updates/dkms", "updates", "extra" };
	static const char * const endings[] = { "", ".xz", ".zst", ".gz" };
	size_t i, j;

	for (i = 0; i < sizeof(places) / sizeof(*places); i++)
		for (j = 0; j < sizeof(endings) / sizeof(*endings); j++) {
			const char *path = root_path("/lib/modules/%s/%s/" NAME ".ko%s",
						     module->kernel, places[i], endings[j]);
			struct stat st;

			if (stat(path, &st))
				continue;
			module->state = MODULE_UNINDEXED;
			copy(module->path, sizeof(module->path), path);
			return;
		}
}

static void read_loaded(struct module *module)
{
	char line[ROOT_LINE];

	if (!root_line(line, "/sys/module/" NAME "/initstate")) {
		/* Built in, it has parameters and no state. */
		if (root_exists("/sys/module/" NAME "/parameters"))
			module->state = MODULE_BUILTIN;
	} else if (!strcmp(line, "live")) {
		module->state = MODULE_LOADED;
	} else {
		module->state = MODULE_LOADING;
	}
	if (root_line(line, "/sys/module/" NAME "/version"))
		copy(module->version, sizeof(module->version), line);
}

/* /usr/src/hpheap-VERSION with a dkms.conf: DKMS can build it without a checkout. */
static void find_source(struct module *module)
{
	DIR *dir = root_dir("/usr/src");
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, NAME "-", strlen(NAME "-")) ||
		    !root_exists("/usr/src/%s/dkms.conf", entry->d_name))
			continue;
		copy(module->source, sizeof(module->source),
		     entry->d_name + strlen(NAME "-"));
		break;
	}
	closedir(dir);
}

/* A tree without /proc, such as a chroot, is asked about the kernel that runs. */
static void read_release(struct module *module)
{
	struct utsname name;

	if (!root_line(module->kernel, "/proc/sys/kernel/osrelease") && !uname(&name))
		copy(module->kernel, sizeof(module->kernel), name.release);
}

int module_read(struct module *module)
{
	/* An empty list: no configuration is needed to find a file by its name. */
	static const char * const no_config[] = { NULL };
	struct kmod_ctx *ctx;
	int err;

	memset(module, 0, sizeof(*module));
	read_release(module);
	module->headers = root_exists("/lib/modules/%s/build/.", module->kernel);

	ctx = kmod_new(root_path("/lib/modules/%s", module->kernel), no_config);
	if (!ctx)
		return -ENOMEM;
	kmod_set_log_priority(ctx, -1);
	err = look_up(module, ctx);
	kmod_unref(ctx);
	if (err)
		return err;

	if (module->state == MODULE_NOT_FOUND)
		find_unindexed(module);
	read_loaded(module);
	find_source(module);
	return 0;
}

const char *module_state_name(enum module_state state)
{
	static const char * const names[] = {
		[MODULE_NOT_FOUND] = "not installed",
		[MODULE_UNINDEXED] = "not indexed",
		[MODULE_INSTALLED] = "not loaded",
		[MODULE_LOADING] = "loading",
		[MODULE_LOADED] = "loaded",
		[MODULE_BUILTIN] = "built in",
	};

	return names[state];
}
