/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_POLICY_H
#define HPH_POLICY_H

#include <stdbool.h>

#include "hpheap.h"

/* What the process has set, or what is usual. */
void hph_policy_read(struct hpheap_policy *policy);

/* "window=500,margin=10": what is not named is as usual. False: that is no policy. */
bool hph_policy_parse(const char *text, struct hpheap_policy *policy);

/* Around fork(): nobody is half-way through. */
void hph_policy_lock(void);
void hph_policy_unlock(void);

#endif /* HPH_POLICY_H */
