/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef OBJECTS_H
#define OBJECTS_H

#include "records.h"

/* A contestant for objects of any size: hpheap's are those of hpheap_malloc_in(). */
void objects_open(const char *contestant, struct allocator *allocator);

/* Prints a line "MOMENT RESIDENT LIVE TOUCHED HUGE", in bytes. */
void objects_tell(const char *moment, const struct footprint *footprint);

#endif
