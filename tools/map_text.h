/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPHEAPCTL_MAP_TEXT_H
#define HPHEAPCTL_MAP_TEXT_H

#include "heaps.h"

/* Heaps as text, a character for each huge unit. 0 or a negative errno. */
int map_text(const struct hph_picture *picture, FILE *file);

#endif
