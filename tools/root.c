// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading small files below the root that --root chose: see root.h.
 */
#include "root.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static const char *root = "";

/* "/" alone is the running system's root, as "" is. */
void root_set(const char *dir)
{
	root = strcmp(dir, "/") ? dir : "";
}

bool root_is_other(void)
{
	return *root;
}

static const char *path_below(const char *format, va_list args)
{
	static char path[ROOT_PATH];
	char name[ROOT_PATH];

	vsnprintf(name, sizeof(name), format, args);
	/* A path cut short must not name another file: no file has the empty name. */
	if ((size_t)snprintf(path, sizeof(path), "%s%s", root, name) >= sizeof(path))
		*path = '\0';
	return path;
}

const char *root_path(const char *format, ...)
{
	const char *path;
	va_list args;

	va_start(args, format);
	path = path_below(format, args);
	va_end(args);
	return path;
}

FILE *root_file(const char *format, ...)
{
	FILE *file;
	va_list args;

	va_start(args, format);
	file = fopen(path_below(format, args), "re");
	va_end(args);
	return file;
}

DIR *root_dir(const char *format, ...)
{
	DIR *dir;
	va_list args;

	va_start(args, format);
	dir = opendir(path_below(format, args));
	va_end(args);
	return dir;
}

int root_processes(void (*visit)(pid_t pid, void *arg), void *arg)
{
	DIR *dir = root_dir("/proc");
	struct dirent *entry;
	pid_t pid;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (parse_pid(entry->d_name, &pid))
			visit(pid, arg);
	closedir(dir);
	return 0;
}

bool root_exists(const char *format, ...)
{
	struct stat st;
	va_list args;
	bool exists;

	va_start(args, format);
	exists = !stat(path_below(format, args), &st);
	va_end(args);
	return exists;
}

static bool first_line(char line[ROOT_LINE], const char *path)
{
	FILE *file = fopen(path, "re");
	bool read;

	*line = '\0';
	if (!file)
		return false;
	errno = 0;
	read = fgets(line, ROOT_LINE, file);
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return read;
}

bool root_line(char line[ROOT_LINE], const char *format, ...)
{
	va_list args;
	bool read;

	va_start(args, format);
	read = first_line(line, path_below(format, args));
	va_end(args);
	return read;
}

bool root_number(uint64_t *value, const char *format, ...)
{
	char line[ROOT_LINE], *end;
	unsigned long long number;
	va_list args;
	bool read;

	va_start(args, format);
	read = first_line(line, path_below(format, args));
	va_end(args);
	if (!read || *line < '0' || *line > '9')
		return false;
	errno = 0;
	number = strtoull(line, &end, 10);
	if (errno || *end)
		return false;
	*value = number;
	return true;
}

bool root_choice(char word[ROOT_LINE], const char *format, ...)
{
	char line[ROOT_LINE], *begin, *end;
	va_list args;
	bool read;

	va_start(args, format);
	read = first_line(line, path_below(format, args));
	va_end(args);
	*word = '\0';
	begin = read ? strchr(line, '[') : NULL;
	end = begin ? strchr(begin, ']') : NULL;
	if (!end)
		return false;
	*end = '\0';
	strcpy(word, begin + 1);
	return true;
}

/* The name may hold the end of a line: but the last, that is the file's. */
void take_command(FILE *comm, char command[COMMAND_BYTES])
{
	size_t length = comm ? fread(command, 1, COMMAND_BYTES - 1, comm) : 0;

	if (length && command[length - 1] == '\n')
		length--;
	memset(command + length, 0, COMMAND_BYTES - length);
	if (comm)
		fclose(comm);
}
