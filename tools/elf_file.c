// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading the header of an ELF file: see elf_file.h.
 */
#include "elf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define OWN_ORDER (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

/* As the file begins, for either class. */
union header {
	unsigned char ident[EI_NIDENT];
	Elf32_Ehdr small;
	Elf64_Ehdr large;
};

/* Where the segments' headers are, and what one of them says. */
struct table {
	uint64_t offset;
	unsigned int count;
};

struct segment {
	uint32_t type;
	uint64_t offset, bytes;
};

static bool read_at(int fd, void *bytes, size_t count, uint64_t offset)
{
	return offset <= INT64_MAX - count &&
	       pread(fd, bytes, count, (off_t)offset) == (ssize_t)count;
}

static bool read_segment(int fd, const struct elf_file *elf, uint64_t offset,
			 struct segment *segment)
{
	Elf32_Phdr small;
	Elf64_Phdr large;

	if (elf->class == ELFCLASS32) {
		if (!read_at(fd, &small, sizeof(small), offset))
			return false;
		*segment = (struct segment){ small.p_type, small.p_offset, small.p_filesz };
		return true;
	}
	if (!read_at(fd, &large, sizeof(large), offset))
		return false;
	*segment = (struct segment){ large.p_type, large.p_offset, large.p_filesz };
	return true;
}

static int read_loader(int fd, const struct table *table, struct elf_file *elf)
{
	const size_t step = elf->class == ELFCLASS32 ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
	struct segment segment;
	unsigned int i;

	if (table->offset > INT64_MAX)
		return -EBADMSG;
	for (i = 0; i < table->count; i++) {
		if (!read_segment(fd, elf, table->offset + i * step, &segment))
			return -EBADMSG;
		if (segment.type != PT_INTERP)
			continue;
		if (segment.bytes < 2 || segment.bytes > sizeof(elf->loader) ||
		    !read_at(fd, elf->loader, (size_t)segment.bytes, segment.offset) ||
		    elf->loader[segment.bytes - 1] || !*elf->loader)
			return -EBADMSG;
		break;
	}
	return 0;
}

static int read_header(int fd, struct elf_file *elf)
{
	union header header;
	struct table table;

	if (!read_at(fd, header.ident, sizeof(header.ident), 0) ||
	    memcmp(header.ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	elf->class = header.ident[EI_CLASS];
	elf->order = header.ident[EI_DATA];
	if (elf->class != ELFCLASS32 && elf->class != ELFCLASS64)
		return -EBADMSG;
	if (elf->order != OWN_ORDER)
		return 0;
	if (elf->class == ELFCLASS32) {
		if (!read_at(fd, &header.small, sizeof(header.small), 0))
			return -EBADMSG;
		elf->type = header.small.e_type;
		elf->machine = header.small.e_machine;
		table = (struct table){ header.small.e_phoff, header.small.e_phnum };
	} else {
		if (!read_at(fd, &header.large, sizeof(header.large), 0))
			return -EBADMSG;
		elf->type = header.large.e_type;
		elf->machine = header.large.e_machine;
		table = (struct table){ header.large.e_phoff, header.large.e_phnum };
	}
	return read_loader(fd, &table, elf);
}

int elf_read(const char *path, struct elf_file *elf)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error;

	memset(elf, 0, sizeof(*elf));
	if (fd < 0)
		return -errno;
	error = read_header(fd, elf);
	close(fd);
	return error;
}

bool elf_alike(const struct elf_file *a, const struct elf_file *b)
{
	return a->class == b->class && a->order == b->order && a->machine == b->machine;
}
