/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options of run that stand for a variable of the environment.
 */
#ifndef HPHEAPCTL_RUN_H
#define HPHEAPCTL_RUN_H

#include <stdbool.h>

/* Their letters, in no particular order. */
#define RUN_SETTINGS	"BLNKEG"

/*
 * Sets the variable, which the program inherits, if the library would take the value; false
 * after a complaint.
 */
bool run_setting(int letter, const char *value);

#endif
