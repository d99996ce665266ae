// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text files as records: see text.h. Every file is read once to count and once
 * for each load; what changed in between is cut off or missing, never an error.
 */
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES	((size_t)64 << 10)
#define PARAGRAPH_MIN	((size_t)256)	/* shorter ones are joined */
#define DEPTH_MAX	24
#define FULL		1	/* what count_record() returns at the limit */

/*
 * Where the record at the start of @data ends: after the first blank line that
 * leaves it long enough, else after the last whole line that fits.
 */
static size_t record_end(const char *data, size_t bytes)
{
	size_t i, line = 0;

	if (bytes > TEXT_MAX_VALUE)
		bytes = TEXT_MAX_VALUE;
	for (i = 0; i < bytes; i++) {
		if (data[i] != '\n')
			continue;
		if (i + 1 >= PARAGRAPH_MIN && i == line)
			return i + 1;
		line = i + 1;
	}
	return bytes == TEXT_MAX_VALUE && line ? line : bytes;
}

struct reading {
	int fd;
	char *buffer;
	size_t begin, end;
	bool at_end;		/* of the file */
	bool checked;		/* to be text */
};

/* Reads on until a whole record is there. 0 or -errno; EILSEQ: not text. */
static int fill(struct reading *reading)
{
	memmove(reading->buffer, reading->buffer + reading->begin,
		reading->end - reading->begin);
	reading->end -= reading->begin;
	reading->begin = 0;
	while (!reading->at_end && reading->end < BUFFER_BYTES) {
		ssize_t got = read(reading->fd, reading->buffer + reading->end,
				   BUFFER_BYTES - reading->end);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		reading->at_end = !got;
		reading->end += (size_t)got;
	}
	if (!reading->checked && memchr(reading->buffer, '\0', reading->end))
		return -EILSEQ;
	reading->checked = true;
	return 0;
}

static int read_records(struct reading *reading, text_visit *visit, void *context)
{
	uint32_t record = 0;
	size_t bytes;
	int ret;

	for (;;) {
		if (!reading->at_end && reading->end - reading->begin < TEXT_MAX_VALUE) {
			ret = fill(reading);
			if (ret)
				return ret;
		}
		bytes = record_end(reading->buffer + reading->begin, reading->end - reading->begin);
		if (!bytes)
			return 0;
		ret = visit(context, record++, reading->buffer + reading->begin, bytes);
		if (ret)
			return ret;
		reading->begin += bytes;
	}
}

static int read_path(const char *path, text_visit *visit, void *context)
{
	char buffer[BUFFER_BYTES];
	struct reading reading = { .buffer = buffer };
	int ret;

	/* A pipe or terminal among the files must not stop the reading. */
	reading.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (reading.fd < 0)
		return -errno;
	ret = read_records(&reading, visit, context);
	close(reading.fd);
	return ret;
}

int text_read(const struct text_file *file, text_visit *visit, void *context)
{
	return read_path(file->path, visit, context);
}

struct counting {
	struct text_file *file;
	uint64_t room;
};

static int count_record(void *context, uint32_t record, const char *value, size_t bytes)
{
	struct counting *counting = context;
	struct text_file *file = counting->file;
	char number[16];

	(void)value;
	if (file->bytes + bytes > counting->room)
		return FULL;
	file->records++;
	file->bytes += bytes;
	file->key_bytes += strlen(file->path) +
		(size_t)snprintf(number, sizeof(number), "#%u", record);
	return 0;
}

static int append_file(struct text *text, const struct text_file *file)
{
	if (text->count == text->capacity) {
		size_t capacity = text->capacity ? 2 * text->capacity : 1024;
		struct text_file *files = realloc(text->files, capacity * sizeof(*files));

		if (!files)
			return -ENOMEM;
		text->files = files;
		text->capacity = capacity;
	}
	text->files[text->count++] = *file;
	text->bytes += file->bytes;
	return 0;
}

static int add_file(struct text *text, const char *path, uint64_t limit)
{
	struct text_file file = { .path = strdup(path) };
	struct counting counting = { .file = &file, .room = limit - text->bytes };
	int ret;

	if (!file.path)
		return -ENOMEM;
	ret = read_path(path, count_record, &counting);
	if (ret == FULL) {
		text->full = true;
		ret = 0;
	}
	if (!ret && file.records)
		ret = append_file(text, &file);
	if (ret || !file.records)
		free(file.path);
	return ret;
}

static int add_path(struct text *text, const char *path, uint64_t limit, int depth);

static int add_entries(struct text *text, DIR *dir, const char *path, uint64_t limit, int depth)
{
	char below[TEXT_MAX_KEY - 16];
	struct dirent *entry;

	while (!text->full && (entry = readdir(dir))) {
		int len;

		if (entry->d_name[0] == '.')	/* and what is hidden */
			continue;
		len = snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		/* What cannot be read is left out, but for want of memory. */
		if (len > 0 && (size_t)len < sizeof(below) &&
		    add_path(text, below, limit, depth + 1) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

static int add_path(struct text *text, const char *path, uint64_t limit, int depth)
{
	struct stat st;
	DIR *dir;
	int ret;

	if (depth ? lstat(path, &st) : stat(path, &st))
		return -errno;
	if (S_ISREG(st.st_mode))
		return text->full ? 0 : add_file(text, path, limit);
	if (!S_ISDIR(st.st_mode))
		return depth ? 0 : -EINVAL;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	dir = opendir(path);
	if (!dir)
		return -errno;
	ret = add_entries(text, dir, path, limit, depth);
	closedir(dir);
	return ret;
}

int text_add(struct text *text, const char *path, uint64_t limit)
{
	/* The key has to hold the path and a number. */
	if (strlen(path) >= TEXT_MAX_KEY - 16)
		return -ENAMETOOLONG;
	return add_path(text, path, limit, 0);
}

static int by_path(const void *a, const void *b)
{
	const struct text_file *left = a, *right = b;

	return strcmp(left->path, right->path);
}

void text_number(struct text *text)
{
	size_t i, kept = 0;

	if (text->count)
		qsort(text->files, text->count, sizeof(*text->files), by_path);
	text->records = 0;
	text->bytes = text->key_bytes = 0;
	for (i = 0; i < text->count; i++) {
		struct text_file file = text->files[i];

		if ((kept && !strcmp(text->files[kept - 1].path, file.path)) ||
		    file.records > INT32_MAX - text->records) {
			free(file.path);
			continue;
		}
		file.first = text->records;
		text->records += file.records;
		text->bytes += file.bytes;
		text->key_bytes += file.key_bytes;
		text->files[kept++] = file;
	}
	text->count = kept;
}

void text_destroy(struct text *text)
{
	size_t i;

	for (i = 0; i < text->count; i++)
		free(text->files[i].path);
	free(text->files);
	*text = (struct text){ 0 };
}

size_t text_key(const struct text *text, uint32_t record, char key[TEXT_MAX_KEY])
{
	size_t low = 0, high = text->count - 1;

	while (low < high) {
		size_t middle = high - (high - low) / 2;

		if (text->files[middle].first <= record)
			low = middle;
		else
			high = middle - 1;
	}
	return (size_t)snprintf(key, TEXT_MAX_KEY, "%s#%u", text->files[low].path,
				record - text->files[low].first);
}
