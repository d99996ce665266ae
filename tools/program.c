// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Finding a program and judging it: see program.h.
 *
 * LD_PRELOAD is the loader's business: a program that is linked statically has none, and for one
 * that gets more rights than its caller the loader does not listen. Nobody says so, the program
 * would just run as ever; so it is found out before. Of a script it is the interpreter that counts.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ctl.h"

#define MOST_SCRIPTS	5	/* one the interpreter of the other: exec_binprm() in Linux */
#define SCRIPT_LINE	256	/* of the first line the kernel takes so many bytes */

/* 0, or why it cannot be started. */
static int look_at(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode))
		return EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) ? errno : 0;
}

static int refuse(const char *name, int error)
{
	complain("%s: %s", name, strerror(error));
	return error == ENOENT || error == ENOTDIR ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}

static int search(const char *name, char path[PATH_MAX])
{
	const char *dir = getenv("PATH");
	int error, other = 0;
	size_t length;

	if (!dir)
		dir = "/bin:/usr/bin";
	for (;; dir += length + 1) {
		length = strcspn(dir, ":");
		if (snprintf(path, PATH_MAX, "%.*s/%s", length ? (int)length : 1,
			     length ? dir : ".", name) < PATH_MAX) {
			error = look_at(path);
			if (!error)
				return STATUS_OK;
			if (error != ENOENT && error != ENOTDIR && !other)
				other = error;
		}
		if (!dir[length])
			break;
	}
	if (other)
		return refuse(name, other);
	complain("'%s' is in no folder of PATH", name);
	return STATUS_NOT_FOUND;
}

int program_find(const char *name, char path[PATH_MAX])
{
	int error;

	if (*name && !strchr(name, '/'))
		return search(name, path);
	error = *name ? look_at(name) : ENOENT;
	if (!error && strlen(name) >= PATH_MAX)
		error = ENAMETOOLONG;
	if (error)
		return refuse(*name ? name : "''", error);
	strcpy(path, name);
	return STATUS_OK;
}

/* The interpreter that the file's first line names; false: it is no script. */
static bool read_script(const char *path, char interpreter[SCRIPT_LINE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char line[SCRIPT_LINE] = "", *begin;
	ssize_t length;

	if (fd < 0)
		return false;
	length = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (length < 2 || line[0] != '#' || line[1] != '!')
		return false;
	begin = line + 2 + strspn(line + 2, " \t");
	begin[strcspn(begin, " \t\n")] = '\0';
	strcpy(interpreter, begin);
	return true;
}

/* The rights that the file has beside those of who starts it; NULL: none that count. */
static const char *more_rights(const char *path)
{
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st) || (!statvfs(path, &fs) && fs.f_flag & ST_NOSUID) ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return NULL;
	if (st.st_mode & S_ISUID && st.st_uid != getuid())
		return "of another user (set-user-ID)";
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getgid())
		return "of another group (set-group-ID)";
	if (getuid() && getxattr(path, "security.capability", NULL, 0) > 0)
		return "of its own (capabilities)";
	return NULL;
}

static int bits_of(const struct elf_file *elf)
{
	return elf->class == ELFCLASS64 ? 64 : 32;
}

static void complain_of_kind(const char *path, const struct elf_file *elf,
			     const struct elf_file *library)
{
	if (elf->class != library->class)
		complain("%s is a program of %d bits, the library is one of %d", path,
			 bits_of(elf), bits_of(library));
	else if (elf->order != library->order)
		complain("%s is a program for machines with another order of bytes than the "
			 "library's", path);
	else
		complain("%s is a program for other machines (ELF number %u) than the library "
			 "(%u)", path, elf->machine, library->machine);
}

static int judge_elf(const char *path, const struct elf_file *elf, const struct elf_file *library)
{
	if (!elf_alike(elf, library)) {
		complain_of_kind(path, elf, library);
		return STATUS_CANNOT_RUN;
	}
	if (elf->type != ET_EXEC && elf->type != ET_DYN) {
		complain("%s is an ELF file, but no program", path);
		return STATUS_NOT_EXECUTABLE;
	}
	if (!*elf->loader) {
		complain("%s is linked statically: no library can be put in front of it", path);
		return STATUS_CANNOT_RUN;
	}
	if (access(elf->loader, F_OK)) {
		complain("%s needs %s, which loads it: %s", path, elf->loader, strerror(errno));
		return STATUS_NOT_EXECUTABLE;
	}
	return STATUS_OK;
}

/* What is no ELF file the kernel may know all the same, or the shell. */
static int judge_binary(const char *path, const struct elf_file *library)
{
	static struct elf_file elf;
	const char *rights = more_rights(path);
	int error;

	if (rights) {
		complain("%s runs with rights %s: no library can be put in front of it", path,
			 rights);
		return STATUS_CANNOT_RUN;
	}
	error = elf_read(path, &elf);
	if (error == -EBADMSG) {
		complain("%s is a damaged ELF file", path);
		return STATUS_NOT_EXECUTABLE;
	}
	/* One may have the right to start it, and not to read it. */
	return error ? STATUS_OK : judge_elf(path, &elf, library);
}

int program_check(const char *path, const struct elf_file *library)
{
	char interpreter[SCRIPT_LINE], next[SCRIPT_LINE];
	const char *file = path;
	unsigned int scripts;
	int error;

	for (scripts = 0; read_script(file, next); scripts++) {
		if (scripts == MOST_SCRIPTS) {
			complain("%s: too many scripts, each the interpreter of the one before",
				 path);
			return STATUS_NOT_EXECUTABLE;
		}
		error = look_at(next);
		if (error) {
			complain("%s: its interpreter '%s': %s", file, next, strerror(error));
			return STATUS_NOT_EXECUTABLE;
		}
		strcpy(interpreter, next);
		file = interpreter;
	}
	return judge_binary(file, library);
}
