// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hpheapctl load and unload: what modprobe does, by the same library, but
 * with reasons. The kernel says why in one errno; what mends it, the doctor.
 */
#include "ctl.h"

#include <errno.h>
#include <libkmod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arenas.h"
#include "module.h"
#include "text.h"

#include <linux/hpheap.h>

#define NAME HPHEAP_DEVICE_NAME

/* All parameters of one load, as the kernel takes them. */
#define PARAMETERS_MAX 1024

/* The configuration below another root is that root's, as modprobe -d has it. */
static struct kmod_ctx *new_context(const struct module *module)
{
	static const char * const places[] = { "/etc", "/run", "/usr/local/lib", "/lib" };
	static char path[4][ROOT_PATH];
	const char *config[5] = { NULL };
	struct kmod_ctx *ctx;
	size_t i;

	for (i = 0; i < 4; i++) {
		snprintf(path[i], sizeof(path[i]), "%s", root_path("%s/modprobe.d", places[i]));
		config[i] = path[i];
	}
	ctx = kmod_new(root_path("/lib/modules/%s", module->kernel), config);
	if (ctx)
		kmod_set_log_priority(ctx, -1);
	return ctx;
}

static bool is_running(const struct module *module)
{
	return module->state == MODULE_LOADED || module->state == MODULE_BUILTIN;
}

/* Does the module have the parameter NAME of "NAME=VALUE"? "parm" is "NAME:help". */
static bool has_parameter(struct kmod_module *mod, const char *argument)
{
	size_t length = strcspn(argument, "=");
	struct kmod_list *list = NULL, *item;
	bool found = false;

	if (kmod_module_get_info(mod, &list) < 0)
		return true;	/* the kernel will say what is wrong with the file */
	kmod_list_foreach(item, list) {
		const char *value = kmod_module_info_get_value(item);

		if (!strcmp(kmod_module_info_get_key(item), "parm") &&
		    !strncmp(value, argument, length) && value[length] == ':')
			found = true;
	}
	kmod_module_info_free_list(list);
	return found;
}

/* Joins the arguments to one line; false after a complaint. */
static bool join_parameters(struct kmod_module *mod, int argc, char **argv,
			    char line[PARAMETERS_MAX])
{
	size_t used = 0;
	int i;

	*line = '\0';
	for (i = 0; i < argc; i++) {
		if (*argv[i] == '=' || !strchr(argv[i], '=') ||
		    strpbrk(argv[i], " \t\n\"")) {
			complain("'%s' is not PARAMETER=VALUE", argv[i]);
			return false;
		}
		/* The kernel would load the module all the same, and do without it. */
		if (!has_parameter(mod, argv[i])) {
			complain("the module has no parameter '%.*s'",
				 (int)strcspn(argv[i], "="), argv[i]);
			return false;
		}
		if (used + strlen(argv[i]) + 2 > PARAMETERS_MAX) {
			complain("too many parameters");
			return false;
		}
		used += (size_t)sprintf(line + used, "%s%s", used ? " " : "", argv[i]);
	}
	return true;
}

static const char *why_not_loaded(int error)
{
	switch (error) {
	case EPERM:
		return geteuid() ? "only root may load modules" :
		       "the kernel forbids it (lockdown, or a capability is missing)";
	case EKEYREJECTED:
	case ENOKEY:
		return "the kernel does not accept its signature";
	case ENOEXEC:
		return "it was built for another kernel, or is damaged";
	case EINVAL:
		return "a parameter has a value that it does not take";
	case ENOENT:
		return "it needs something that this kernel does not have; dmesg says what";
	case ENOSYS:
		return "this kernel loads no modules";
	case EOPNOTSUPP:
		return "this kernel has no blocks of 2 MiB";
	default:
		return strerror(error);
	}
}

static int insert(struct kmod_module *mod, int argc, char **argv)
{
	char parameters[PARAMETERS_MAX];
	int err;

	if (!join_parameters(mod, argc, argv, parameters))
		return STATUS_USAGE;
	err = kmod_module_probe_insert_module(mod, KMOD_PROBE_FAIL_ON_LOADED, parameters, NULL,
					      NULL, NULL);
	if (!err || (err == -EEXIST && !argc)) {
		puts("The module is loaded.");
		return STATUS_OK;
	}
	if (err == -EEXIST)
		complain("the module was loaded meanwhile, without these parameters");
	else
		complain("the module was not loaded: %s; see 'hpheapctl doctor'",
			 why_not_loaded(-err));
	return STATUS_FAILED;
}

static int load(const struct module *module, int argc, char **argv)
{
	struct kmod_ctx *ctx = new_context(module);
	struct kmod_list *list = NULL;
	struct kmod_module *mod;
	int err, status;

	if (!ctx) {
		complain("cannot look for the module: %s", strerror(errno));
		return STATUS_FAILED;
	}
	err = kmod_module_new_from_lookup(ctx, NAME, &list);
	if (err < 0 || !list) {
		complain("the module is not installed for kernel %s; see 'hpheapctl doctor'",
			 module->kernel);
		kmod_unref(ctx);
		return STATUS_FAILED;
	}
	mod = kmod_module_get_module(list);
	status = insert(mod, argc, argv);
	kmod_module_unref(mod);
	kmod_module_unref_list(list);
	kmod_unref(ctx);
	return status;
}

int cmd_load(const struct options *options, int argc, char **argv)
{
	static struct module module;
	int err;

	(void)options;
	err = module_read(&module);
	if (err) {
		complain("cannot look for the module: %s", strerror(-err));
		return STATUS_FAILED;
	}
	if (!is_running(&module))
		return load(&module, argc, argv);
	if (!argc) {
		puts("The module is loaded already.");
		return STATUS_OK;
	}
	complain("the module is loaded already, without '%s'; unload it first, or write to "
		 "/sys/module/" NAME "/parameters", argv[0]);
	return STATUS_FAILED;
}

static void name_holders(const struct holders *holders, const char *of)
{
	char command[COMMAND_BYTES];
	size_t i;

	for (i = 0; i < holders->count; i++) {
		memcpy(command, holders->holder[i].command, sizeof(command));
		make_printable(command);
		fprintf(stderr, "  process %d (%s) holds %s\n", holders->holder[i].pid, command,
			of);
	}
}

static void name_all_holders(void)
{
	struct arenas arenas;
	char name[40];
	size_t i;

	if (!arenas_read(&arenas, 0)) {
		for (i = 0; i < arenas.count; i++) {
			snprintf(name, sizeof(name), "arena %llu",
				 (unsigned long long)arenas.arena[i]->id);
			name_holders(&arenas.arena[i]->holders, name);
		}
		name_holders(&arenas.device, "the device");
		if (arenas.hidden)
			fputs("  and perhaps others: root sees them all\n", stderr);
	}
	arenas_release(&arenas);
}

static int remove_module(const struct module *module)
{
	struct kmod_ctx *ctx = new_context(module);
	struct kmod_module *mod;
	int err;

	if (!ctx)
		return -errno;
	err = kmod_module_new_from_name(ctx, NAME, &mod);
	if (!err) {
		err = kmod_module_remove_module(mod, 0);
		kmod_module_unref(mod);
	}
	kmod_unref(ctx);
	return err;
}

int cmd_unload(const struct options *options, int argc, char **argv)
{
	static struct module module;
	int err;

	(void)options;
	(void)argc;
	(void)argv;
	err = module_read(&module);
	if (!err && module.state == MODULE_BUILTIN) {
		complain("the module is a part of this kernel: it cannot be unloaded");
		return STATUS_FAILED;
	}
	if (!err)
		err = module.state < MODULE_LOADING ? -ENOENT : remove_module(&module);
	switch (err) {
	case 0:
		puts("The module is unloaded.");
		return STATUS_OK;
	case -ENOENT:
		puts("The module is not loaded.");
		return STATUS_OK;
	case -EAGAIN:
		complain("the module stays, for it is in use");
		name_all_holders();
		return STATUS_FAILED;
	case -EPERM:
		complain("the module stays: only root may unload modules");
		return STATUS_FAILED;
	default:
		complain("the module stays: %s", strerror(-err));
		return STATUS_FAILED;
	}
}
