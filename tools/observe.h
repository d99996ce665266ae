/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the heaps of a process held at its end.
 */
#ifndef HPHEAPCTL_OBSERVE_H
#define HPHEAPCTL_OBSERVE_H

#include <stdbool.h>

/*
 * From now on somebody watches this process, who prints that on stderr when it ends as
 * another program than it is now. False after a complaint: nobody does.
 */
bool observe_end(void);

#endif
