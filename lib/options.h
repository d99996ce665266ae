/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_OPTIONS_H
#define HPH_OPTIONS_H

#include "hpheap.h"
#include "place.h"

#define HPH_DEVICE_PATH	"/dev/hpheap"

/* What the environment says, where a program does not. */
struct hph_environment {
	enum hpheap_backend backend;
	struct hph_place place;
	uint64_t limit_bytes;
	bool efence;
	uint32_t guard;
	bool scavenge;
	enum hpheap_fork fork;
	struct hpheap_policy policy;
	const char *device;
};

const struct hph_environment *hph_environment(void);

bool hph_parse_backend(const char *text, enum hpheap_backend *backend);
bool hph_parse_place(const char *text, struct hph_place *place);
bool hph_parse_switch(const char *text, bool *on);
bool hph_parse_on_off(const char *text, bool *on);
bool hph_parse_fork(const char *text, enum hpheap_fork *fork);
bool hph_parse_count(const char *text, uint32_t *count);
bool hph_parse_size(const char *text, uint64_t *bytes);

#endif /* HPH_OPTIONS_H */
