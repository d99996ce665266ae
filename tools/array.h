/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Arrays that grow. Without memory there is nothing to say: the program ends.
 */
#ifndef HPHEAPCTL_ARRAY_H
#define HPHEAPCTL_ARRAY_H

#include <stddef.h>

/* Room for one more in an array of @count that doubles. */
void *grow_array(void *array, size_t count, size_t size);

/* Room for at least @least, by half as much again; *@room is what there is. */
void *grow_to(void *array, size_t *room, size_t least, size_t size);

#endif
