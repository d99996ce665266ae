/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HPHEAP_FILE_H
#define HPHEAP_FILE_H

struct file;
struct hpheap_arena;

struct file *hpheap_file_new(struct hpheap_arena *arena);

#endif /* HPHEAP_FILE_H */
