/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CLASSES_H
#define CLASSES_H

#include <hpheap.h>

struct allocator;

/* Objects of any size out of the spans of a heap, for one thread. */
void classes_open(struct allocator *allocator, struct hpheap *heap);

#endif
