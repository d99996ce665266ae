// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Arrays that grow: see array.h.
 */
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

static void *resize(void *array, size_t count, size_t size)
{
	void *larger = reallocarray(array, count, size);

	if (!larger) {
		complain("%s", strerror(ENOMEM));
		exit(STATUS_BROKEN);
	}
	return larger;
}

void *grow_array(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	return resize(array, count ? 2 * count : 1, size);
}

void *grow_to(void *array, size_t *room, size_t least, size_t size)
{
	*room = least + least / 2;
	return resize(array, *room, size);
}
