/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Real text as records: files are cut into paragraphs, each a value whose key
 * is "path#number". Records are numbered through, so that a client can name
 * any of them without keeping hundreds of thousands of keys.
 */
#ifndef KV_TEXT_H
#define KV_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_MAX_VALUE	((size_t)4 << 10)
#define TEXT_MAX_KEY	((size_t)4 << 10)

struct text_file {
	char *path;
	uint32_t first;		/* number of its first record, over all files */
	uint32_t records;
	uint64_t bytes;
	uint64_t key_bytes;	/* of its keys together */
};

struct text {
	struct text_file *files;
	size_t count;
	size_t capacity;
	uint32_t records;
	uint64_t bytes;		/* of values */
	uint64_t key_bytes;
	bool full;		/* up to the limit that was given */
};

/* 0 to go on; all else ends the reading */
typedef int text_visit(void *context, uint32_t record, const char *value, size_t bytes);

/*
 * Adds the text files below @path until there are @limit bytes of text.
 * Symbolic links below it and what is no text are left out. 0, or -errno when
 * @path itself cannot be read.
 */
int text_add(struct text *text, const char *path, uint64_t limit);
/* After the last text_add(): numbers the records. Each file counts once. */
void text_number(struct text *text);
void text_destroy(struct text *text);

/* Reads a file again, record by record. 0, what @visit returned, or -errno. */
int text_read(const struct text_file *file, text_visit *visit, void *context);

/* The key of a record; returns its length, less than TEXT_MAX_KEY. */
size_t text_key(const struct text *text, uint32_t record, char key[TEXT_MAX_KEY]);

#endif
