// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What keeps this kernel from loading a module: see struct load_policy.
 *
 * init_module() says "Key was rejected by service" both for an unsigned
 * module and for one whose key the kernel does not know; only the kernel's
 * log tells them apart.
 */
#include "module.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* One record of /dev/kmsg is never longer (CONSOLE_EXT_LOG_MAX). */
#define LOG_RECORD 8192

static void judge_record(struct load_policy *policy, const char *record)
{
	if (strstr(record, "unsigned module is rejected") ||
	    strstr(record, "unsigned module loading is restricted"))
		policy->log_unsigned = true;
	if (strstr(record, "module with unavailable key is rejected"))
		policy->log_unavailable = true;
}

/* Each read() gives one record; EPIPE says that the oldest were overwritten. */
static void read_log(struct load_policy *policy)
{
	char record[LOG_RECORD + 1];
	int fd = open(root_path("/dev/kmsg"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return;
	for (;;) {
		length = read(fd, record, LOG_RECORD);
		if (length < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (length <= 0)
			break;
		policy->log_read = true;
		record[length] = '\0';
		judge_record(policy, record);
	}
	close(fd);
}

/* The variable's value is the byte after four bytes of attributes. */
static bool secure_boot(void)
{
	FILE *file = root_file("/sys/firmware/efi/efivars/"
			       "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
	unsigned char bytes[5];
	bool on;

	if (!file)
		return false;
	on = fread(bytes, 1, sizeof(bytes), file) == sizeof(bytes) && bytes[4] == 1;
	fclose(file);
	return on;
}

void load_policy_read(struct load_policy *policy)
{
	char word[ROOT_LINE];
	uint64_t number;

	memset(policy, 0, sizeof(*policy));
	policy->no_modules = !root_exists("/proc/modules");
	policy->disabled = root_number(&number, "/proc/sys/kernel/modules_disabled") && number;
	policy->efi = root_exists("/sys/firmware/efi");
	policy->secure_boot = secure_boot();

	if (root_choice(word, "/sys/kernel/security/lockdown") && strcmp(word, "none"))
		policy->signing = SIGNING_LOCKDOWN;
	if (root_line(word, "/sys/module/module/parameters/sig_enforce") && *word == 'Y')
		policy->signing = SIGNING_ENFORCED;
	read_log(policy);
}
