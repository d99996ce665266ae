/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The examination that hpheapctl doctor makes.
 *
 * The way to the device is a row of checks, each of which needs those before
 * it; the first that fails is the one thing to mend. The fallback is judged
 * apart from it.
 */
#ifndef HPHEAPCTL_DOCTOR_H
#define HPHEAPCTL_DOCTOR_H

#include "system.h"

#define MAX_CHECKS	12
#define MAX_MEND	8
#define MAX_NOTES	6
#define DOCTOR_TEXT	512

enum check_state { CHECK_OK, CHECK_MISSING, CHECK_NOT_REACHED };

struct check {
	const char *name;
	enum check_state state;
	char detail[DOCTOR_TEXT];
};

/* What is missing, and how to mend it. */
struct finding {
	const char *id;			/* as in JSON; NULL: nothing is missing */
	char reason[DOCTOR_TEXT];	/* a sentence without its full stop */
	unsigned int mends;
	char mend[MAX_MEND][DOCTOR_TEXT]; /* commands; lines with # explain */
};

struct doctor {
	struct system system;
	uint64_t size;			/* memory that the service wants */
	const char *backend;		/* HPHEAP_BACKEND, "auto" when not set */
	struct load_policy policy;
	struct proof proof;
	unsigned int checks;
	struct check check[MAX_CHECKS];
	struct finding device;
	struct finding fallback;
	uint64_t fallback_bytes;	/* size of its huge pages */
	bool fallback_tried;		/* and one was got */
	unsigned int notes;
	char note[MAX_NOTES][DOCTOR_TEXT];
};

typedef bool check_fn(struct doctor *doctor, char detail[DOCTOR_TEXT]);

/* Each says in @detail what it saw; false after find(): the way ends here. */
check_fn check_setting, check_kernel, check_module, check_node, check_open,
	 check_interface, check_limits, check_memory, check_mapping;

void judge_fallback(struct doctor *doctor);

/* Is it the memory cgroup that leaves no room? Then that is the finding. */
bool cgroup_is_full(const struct doctor *doctor);
void find_cgroup(const struct doctor *doctor, struct finding *finding);

/* @reason becomes the finding; returns false, for the check that found it. */
bool find(struct finding *finding, const char *id, const char *reason, ...)
	__attribute__((format(printf, 3, 4)));
void mend(struct finding *finding, const char *command, ...)
	__attribute__((format(printf, 2, 3)));
void note(struct doctor *doctor, const char *text, ...) __attribute__((format(printf, 2, 3)));
void say(char detail[DOCTOR_TEXT], const char *text, ...) __attribute__((format(printf, 2, 3)));

#endif
