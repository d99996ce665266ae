/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel module: is it installed, loaded, signed, and may it be loaded?
 */
#ifndef HPHEAPCTL_MODULE_H
#define HPHEAPCTL_MODULE_H

#include "root.h"

enum module_state {
	MODULE_NOT_FOUND,	/* not installed for the running kernel */
	MODULE_UNINDEXED,	/* the file is there, depmod has not seen it */
	MODULE_INSTALLED,	/* not loaded */
	MODULE_LOADING,		/* its init or exit runs just now */
	MODULE_LOADED,
	MODULE_BUILTIN,
};

struct module {
	enum module_state state;
	char kernel[ROOT_LINE];		/* release of the running kernel */
	char path[ROOT_PATH];		/* of the file; empty when there is none */
	char version[ROOT_LINE];	/* of the loaded one, else of the file */
	char vermagic[ROOT_LINE];	/* the kernel the file was built for */
	char signer[ROOT_LINE];		/* empty: the file is not signed */
	char source[ROOT_LINE];		/* "VERSION" of the sources DKMS has, or empty */
	bool headers;			/* /lib/modules/KERNEL/build leads somewhere */
};

/* Fills @module; 0 or a negative errno, when libkmod cannot work at all. */
int module_read(struct module *module);

const char *module_state_name(enum module_state state);

enum signing {
	SIGNING_OFF,		/* any module may be loaded */
	SIGNING_ENFORCED,	/* module.sig_enforce */
	SIGNING_LOCKDOWN,	/* kernel lockdown, as Secure Boot sets it */
};

/* What keeps this kernel from loading a module. */
struct load_policy {
	bool no_modules;	/* built without, or booted with "nomodule" */
	bool disabled;		/* kernel.modules_disabled = 1 */
	enum signing signing;
	bool secure_boot;	/* the EFI variable */
	bool efi;		/* booted by EFI: MOK can be enrolled */
	bool log_read;		/* the kernel's log could be read */
	bool log_unsigned;	/* it says: an unsigned module was rejected */
	bool log_unavailable;	/* it says: a module's key is not known */
};

void load_policy_read(struct load_policy *policy);

#endif
