/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the header of an ELF file says about where it runs, and how it is started.
 */
#ifndef HPHEAPCTL_ELF_FILE_H
#define HPHEAPCTL_ELF_FILE_H

#include <elf.h>
#include <limits.h>
#include <stdbool.h>

struct elf_file {
	unsigned char class;	/* ELFCLASS32 or ELFCLASS64 */
	unsigned char order;	/* of bytes: ELFDATA2LSB or ELFDATA2MSB */
	Elf64_Half type;	/* ET_EXEC, ET_DYN, ... */
	Elf64_Half machine;
	char loader[PATH_MAX];	/* that links it when it starts; "": none, it is static */
};

/*
 * 0, or a negative errno: ENOEXEC it is no ELF file; EBADMSG it is a damaged one. Of a file
 * with another order of bytes than this program's only class and order are known.
 */
int elf_read(const char *path, struct elf_file *elf);

/* Would one loader load both into one process? */
bool elf_alike(const struct elf_file *a, const struct elf_file *b);

#endif
