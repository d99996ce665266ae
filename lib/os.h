/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_OS_H
#define HPH_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Calls return 0 or a negative errno (as the kernel does), never errno itself:
 * a heap operation then reports one error, whatever was called to undo it.
 */

size_t hph_os_base_page(void);
size_t hph_os_address_space(void);

int hph_os_reserve(uintptr_t hint, size_t bytes, uintptr_t *base);
bool hph_os_is_free(uintptr_t addr, size_t bytes);
int hph_os_reserve_at(uintptr_t addr, size_t bytes);
int hph_os_map(size_t bytes, uintptr_t *base);
int hph_os_map_file_at(uintptr_t addr, size_t bytes, int fd);
void hph_os_unmap(uintptr_t addr, size_t bytes);
int hph_os_open_up(uintptr_t addr, size_t bytes);
void hph_os_close_down(uintptr_t addr, size_t bytes);
int hph_os_forbid(uintptr_t addr, size_t bytes);
void hph_os_seal(uintptr_t addr, size_t bytes, const char *name);
int hph_os_advise_huge(uintptr_t addr, size_t bytes, bool huge);
int hph_os_collapse(uintptr_t addr, size_t bytes);
bool hph_os_is_resident(uintptr_t addr, size_t bytes);
int hph_os_move(uintptr_t from, uintptr_t to, size_t bytes);
int hph_os_populate(uintptr_t addr, size_t bytes);
int hph_os_discard(uintptr_t addr, size_t bytes);
int hph_os_remove(uintptr_t addr, size_t bytes);
int hph_os_fence_prepare(void);
void hph_os_fence(void);
void hph_os_nap(void);
int hph_os_hold_cancel(void);
void hph_os_allow_cancel(int state);
uintptr_t hph_os_random(void);
uint64_t hph_os_memory(void);
int hph_os_read_text(const char *path, char *text, size_t size);
int hph_os_read_line(const char *path, char *text, size_t size);

/* A descriptor that somebody else may close, and how it is known again. */
struct hph_os_file {
	int fd;
	dev_t dev;
	ino_t ino;
	uint64_t size;	/* at that time */
};

int hph_os_file_open(struct hph_os_file *file, const char *path);
int hph_os_file_init(struct hph_os_file *file, int fd);
bool hph_os_file_valid(const struct hph_os_file *file);
void hph_os_file_close(struct hph_os_file *file);

_Noreturn void hph_os_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void hph_os_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* HPH_OS_H */
