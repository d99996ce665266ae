// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The doctor's checks up to a loaded module: environment, kernel, module.
 */
#include "doctor.h"

#include <stdlib.h>
#include <string.h>

static bool is_backend(const char *name)
{
	static const char * const names[] = { "auto", "device", "thp", "small" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* "auto" and "device" take the device when they can. */
bool check_setting(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const char *backend = secure_getenv("HPHEAP_BACKEND");

	doctor->backend = "auto";
	if (backend && is_backend(backend))
		doctor->backend = backend;
	else if (backend && *backend)
		note(doctor, "HPHEAP_BACKEND=%s names no backend: the library warns, and takes "
		     "auto.", backend);
	if (!strcmp(doctor->backend, "thp") || !strcmp(doctor->backend, "small")) {
		say(detail, "HPHEAP_BACKEND=%s", doctor->backend);
		mend(&doctor->device, "unset HPHEAP_BACKEND");
		return find(&doctor->device, "setting",
			    "HPHEAP_BACKEND=%s in the environment says not to use the device",
			    doctor->backend);
	}
	say(detail, "HPHEAP_BACKEND=%s", doctor->backend);
	return true;
}

static bool running(const struct system *system)
{
	return system->module.state >= MODULE_LOADED || device_usable(&system->device);
}

bool check_kernel(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const char *kernel = doctor->system.module.kernel;
	const struct load_policy *policy = &doctor->policy;

	if (running(&doctor->system)) {
		say(detail, "%s", kernel);
		return true;
	}
	if (policy->no_modules) {
		say(detail, "%s, loads no modules", kernel);
		mend(&doctor->device, "# boot a distribution's kernel, without \"nomodule\" on its "
		     "command line");
		return find(&doctor->device, "kernel-without-modules",
			    "this kernel (%s) cannot load modules", kernel);
	}
	if (policy->disabled) {
		say(detail, "%s, loads no more modules", kernel);
		mend(&doctor->device, "echo %s > /etc/modules-load.d/%s.conf",
		     HPHEAP_DEVICE_NAME, HPHEAP_DEVICE_NAME);
		mend(&doctor->device, "reboot");
		return find(&doctor->device, "modules-disabled",
			    "loading modules is locked until the next boot "
			    "(kernel.modules_disabled = 1)");
	}
	say(detail, "%s, loads modules%s", kernel,
	    policy->signing == SIGNING_OFF ? "" : " whose signature it knows");
	return true;
}

/* The commands that install the headers of the running kernel. */
static void mend_headers(struct finding *finding, const char *kernel)
{
	FILE *file = root_file("/etc/os-release");
	char line[ROOT_LINE], like[2 * ROOT_LINE] = "";

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "ID=", 3) || !strncmp(line, "ID_LIKE=", 8))
			strncat(like, strchr(line, '=') + 1, sizeof(like) - strlen(like) - 1);
	if (file)
		fclose(file);

	if (strstr(like, "debian") || strstr(like, "ubuntu"))
		mend(finding, "apt install linux-headers-%s", kernel);
	else if (strstr(like, "fedora") || strstr(like, "rhel"))
		mend(finding, "dnf install kernel-devel-%s", kernel);
	else if (strstr(like, "suse"))
		mend(finding, "zypper install kernel-devel");
	else
		mend(finding, "# install the package with the headers of kernel %s", kernel);
}

static void mend_build(struct doctor *doctor)
{
	const struct module *module = &doctor->system.module;
	struct finding *finding = &doctor->device;

	if (!module->headers)
		mend_headers(finding, module->kernel);
	if (*module->source)
		mend(finding, "dkms install hpheap/%s -k %s", module->source, module->kernel);
	else
		mend(finding, "dkms install . -k %s    # in the sources of hpheap",
		     module->kernel);
	mend(finding, "modprobe hpheap");
}

static bool find_missing(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct module *module = &doctor->system.module;

	say(detail, "not installed for this kernel%s",
	    module->headers ? "" : ", whose headers are not installed either");
	mend_build(doctor);
	return find(&doctor->device, "module-not-installed",
		    "the module is not installed for the running kernel, %s%s", module->kernel,
		    module->headers ? "" : ", and neither are the headers to build it");
}

static bool find_wrong_kernel(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct module *module = &doctor->system.module;

	say(detail, "built for kernel %s", module->vermagic);
	mend(&doctor->device, "rm %s", module->path);
	mend_build(doctor);
	return find(&doctor->device, "module-wrong-kernel",
		    "the installed module was built for kernel %s, not for the running %s",
		    module->vermagic, module->kernel);
}

/* Machine owner keys are a part of UEFI: without it the command line decides. */
static void mend_key(struct doctor *doctor)
{
	struct finding *finding = &doctor->device;

	if (!doctor->policy.efi) {
		mend(finding, "# this machine has no UEFI, so no keys can be enrolled: boot "
		     "without module.sig_enforce=1 and lockdown=,");
		mend(finding, "# or sign the module with a key that is built into the kernel");
		return;
	}
	mend(finding, "mokutil --import /var/lib/dkms/mok.pub    # asks for a new password");
	mend(finding, "reboot    # in the blue screen: Enroll MOK, Continue, Yes, that password");
	mend(finding, "modprobe hpheap");
}

static bool find_unsigned(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct module *module = &doctor->system.module;
	const char *source = *module->source ? module->source : module->version;

	say(detail, "installed, not signed; this kernel demands a signature");
	mend(&doctor->device, "apt install openssl mokutil    # DKMS makes and uses a key then");
	mend(&doctor->device, "dkms remove hpheap/%s -k %s", source, module->kernel);
	mend(&doctor->device, "dkms install hpheap/%s -k %s", source, module->kernel);
	mend_key(doctor);
	return find(&doctor->device, "module-unsigned",
		    "the module is not signed, and %s",
		    doctor->policy.secure_boot ? "Secure Boot lets only signed ones in" :
		    "this kernel loads only signed ones");
}

static bool find_rejected(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	say(detail, "installed, signed by %s, whose key this kernel does not know",
	    doctor->system.module.signer);
	/* Lockdown's line in the log says less: it may be about another module. */
	if (!doctor->policy.log_unavailable)
		mend(&doctor->device, "modprobe hpheap    # if it is rejected again:");
	mend_key(doctor);
	return find(&doctor->device, "module-key-rejected",
		    "the kernel rejected the module's key (%s): it is not enrolled",
		    doctor->system.module.signer);
}

/* The file is there: what keeps it out of the kernel? */
static bool find_not_loaded(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct module *module = &doctor->system.module;
	const struct load_policy *policy = &doctor->policy;

	if (*module->vermagic && strcmp(module->vermagic, module->kernel))
		return find_wrong_kernel(doctor, detail);
	if (policy->signing != SIGNING_OFF && !*module->signer)
		return find_unsigned(doctor, detail);
	/* Lockdown calls a module unsigned, too, when it only does not know the key. */
	if (policy->signing != SIGNING_OFF &&
	    (policy->log_unavailable ||
	     (policy->signing == SIGNING_LOCKDOWN && policy->log_unsigned)))
		return find_rejected(doctor, detail);
	if (policy->signing != SIGNING_OFF && !policy->log_read)
		note(doctor, "This kernel demands signed modules; whether it knows the key of "
		     "this one is in its log, which only root may read here.");
	say(detail, "installed, not loaded");
	mend(&doctor->device, "modprobe hpheap");
	return find(&doctor->device, "module-not-loaded", "the module is installed, not loaded");
}

bool check_module(struct doctor *doctor, char detail[DOCTOR_TEXT])
{
	const struct module *module = &doctor->system.module;

	if (running(&doctor->system)) {
		/* A container may see the device, and of the module nothing. */
		say(detail, "%s%s%s", module->state == MODULE_BUILTIN ? "built in" : "loaded",
		    *module->version ? ", version " : "", module->version);
		return true;
	}
	switch (module->state) {
	case MODULE_INSTALLED:
		return find_not_loaded(doctor, detail);
	case MODULE_LOADING:
		say(detail, "being loaded or unloaded");
		mend(&doctor->device, "hpheapctl doctor    # again");
		return find(&doctor->device, "module-loading",
			    "the module is being loaded or unloaded just now");
	case MODULE_UNINDEXED:
		say(detail, "%s is not in the index", module->path);
		mend(&doctor->device, "depmod -a %s", module->kernel);
		mend(&doctor->device, "modprobe hpheap");
		return find(&doctor->device, "module-not-indexed",
			    "the module's file is there, but modprobe's index does not have it");
	default:
		return find_missing(doctor, detail);
	}
}
