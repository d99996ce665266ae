// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hpheapctl doctor: would a service started like this use the device?
 *
 * It proves by doing: a chunk is taken from the device, mapped, written and
 * given back. What stands in the way comes with the command that mends it.
 */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "json.h"
#include "text.h"

static const struct { const char *name; check_fn *run; } steps[] = {
	{ "environment", check_setting },
	{ "kernel", check_kernel },
	{ "module", check_module },
	{ "device", check_node },
	{ "permission", check_open },
	{ "interface", check_interface },
	{ "limits", check_limits },
	{ "memory", check_memory },
	{ "mapping", check_mapping },
};

#define N_STEPS (sizeof(steps) / sizeof(*steps))

_Static_assert(N_STEPS <= MAX_CHECKS, "room for every check");

bool find(struct finding *finding, const char *id, const char *reason, ...)
{
	va_list args;

	finding->id = id;
	va_start(args, reason);
	vsnprintf(finding->reason, sizeof(finding->reason), reason, args);
	va_end(args);
	return false;
}

void mend(struct finding *finding, const char *command, ...)
{
	va_list args;

	if (finding->mends == MAX_MEND)
		return;
	va_start(args, command);
	vsnprintf(finding->mend[finding->mends++], DOCTOR_TEXT, command, args);
	va_end(args);
}

void note(struct doctor *doctor, const char *text, ...)
{
	va_list args;

	if (doctor->notes == MAX_NOTES)
		return;
	va_start(args, text);
	vsnprintf(doctor->note[doctor->notes++], DOCTOR_TEXT, text, args);
	va_end(args);
}

void say(char detail[DOCTOR_TEXT], const char *text, ...)
{
	va_list args;

	va_start(args, text);
	vsnprintf(detail, DOCTOR_TEXT, text, args);
	va_end(args);
}

static void examine(struct doctor *doctor)
{
	bool reached = true;
	size_t i;

	load_policy_read(&doctor->policy);
	for (i = 0; i < N_STEPS; i++) {
		struct check *check = &doctor->check[doctor->checks++];

		check->name = steps[i].name;
		check->state = CHECK_NOT_REACHED;
		if (!reached)
			continue;
		reached = steps[i].run(doctor, check->detail);
		check->state = reached ? CHECK_OK : CHECK_MISSING;
	}
	judge_fallback(doctor);
}

static int exit_status(const struct doctor *doctor)
{
	if (!doctor->device.id)
		return STATUS_OK;
	/* Without the device there is no heap at all then: see hpheap_create(). */
	if (!strcmp(doctor->backend, "device"))
		return STATUS_NO_HUGE;
	return doctor->fallback.id ? STATUS_NO_HUGE : STATUS_FAILED;
}

static const char *backend_got(const struct doctor *doctor)
{
	switch (exit_status(doctor)) {
	case STATUS_OK:
		return "device";
	case STATUS_FAILED:
		return "thp";
	default:
		return strcmp(doctor->backend, "device") ? "small" : "none";
	}
}

static void print_finding(const char *title, const struct finding *finding)
{
	unsigned int i;

	printf("\n%s: %s.\n", title, finding->reason);
	for (i = 0; i < finding->mends; i++)
		printf("    %s\n", finding->mend[i]);
}

static void print_headline(const struct doctor *doctor)
{
	const char *got = backend_got(doctor);

	if (!strcmp(got, "device"))
		puts("A service started like this gets its memory from the device.");
	else if (!strcmp(got, "thp"))
		puts("A service started like this gets transparent huge pages, not the device.");
	else if (!strcmp(got, "small"))
		puts("A service started like this gets no huge pages at all.");
	else
		puts("A service started like this gets no heap: HPHEAP_BACKEND=device, and no "
		     "device.");
	putchar('\n');
}

static void print_fallback(const struct doctor *doctor)
{
	const struct thp *thp = &doctor->system.thp;

	if (doctor->fallback.id)
		printf("  %-7s  %-12s %s\n", "MISSING", "fallback", doctor->fallback.reason);
	else
		printf("  %-7s  %-12s transparent huge pages of %s, %s (%s, defrag %s)\n", "ok",
		       "fallback", size_text(doctor->fallback_bytes).text,
		       doctor->fallback_tried ? "tried just now" : "as the settings say",
		       thp->enabled, thp->defrag);
}

static void print_text(const struct doctor *doctor)
{
	static const char * const states[] = { "ok", "MISSING", "-" };
	unsigned int i;

	print_headline(doctor);
	for (i = 0; i < doctor->checks; i++)
		printf("  %-7s  %-12s %s\n", states[doctor->check[i].state],
		       doctor->check[i].name, doctor->check[i].state == CHECK_NOT_REACHED ?
		       "not reached" : doctor->check[i].detail);
	print_fallback(doctor);
	if (doctor->device.id)
		print_finding("Missing first", &doctor->device);
	if (doctor->fallback.id)
		print_finding("The fallback", &doctor->fallback);
	if (geteuid() && (doctor->device.mends || doctor->fallback.mends))
		puts("\nCommands that change the system are for root.");
	if (doctor->notes)
		putchar('\n');
	for (i = 0; i < doctor->notes; i++)
		printf("Note: %s\n", doctor->note[i]);
}

static void json_finding(struct json *json, const char *key, const struct finding *finding)
{
	unsigned int i;

	json_object(json, key);
	json_bool(json, "works", !finding->id);
	json_string(json, "missing", finding->id);
	json_string(json, "reason", finding->id ? finding->reason : NULL);
	json_array(json, "mend");
	for (i = 0; i < finding->mends; i++)
		json_string(json, NULL, finding->mend[i]);
	json_end(json);
	json_end(json);
}

static void print_json(const struct doctor *doctor)
{
	static const char * const states[] = { "ok", "missing", "not reached" };
	struct json json = { .file = stdout };
	unsigned int i;

	json_object(&json, NULL);
	json_string(&json, "backend", backend_got(doctor));
	json_number(&json, "exit_status", (uint64_t)exit_status(doctor));
	json_number(&json, "size_bytes", doctor->size);
	json_finding(&json, "device", &doctor->device);
	json_finding(&json, "fallback", &doctor->fallback);
	json_array(&json, "checks");
	for (i = 0; i < doctor->checks; i++) {
		json_object(&json, NULL);
		json_string(&json, "name", doctor->check[i].name);
		json_string(&json, "state", states[doctor->check[i].state]);
		json_string(&json, "detail", *doctor->check[i].detail ?
			    doctor->check[i].detail : NULL);
		json_end(&json);
	}
	json_end(&json);
	json_array(&json, "notes");
	for (i = 0; i < doctor->notes; i++)
		json_string(&json, NULL, doctor->note[i]);
	json_end(&json);
	json_end(&json);
}

int cmd_doctor(const struct options *options, int argc, char **argv)
{
	static struct doctor doctor;
	int err;

	(void)argc;
	(void)argv;
	err = system_read(&doctor.system);
	if (err) {
		complain("cannot look for the module: %s", strerror(-err));
		return STATUS_BROKEN;
	}
	doctor.size = options->size;
	examine(&doctor);
	system_release(&doctor.system);
	if (options->json)
		print_json(&doctor);
	else
		print_text(&doctor);
	return exit_status(&doctor);
}
