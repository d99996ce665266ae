// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Looking for arenas in all processes: see arenas.h.
 *
 * Processes come and go meanwhile: whatever has vanished is passed over. What
 * a process calls its files is no proof, what the kernel says of them is: the
 * fdinfo of a descriptor, the file system of a mapping.
 */
#include "arenas.h"

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/hpheap.h>

#include "array.h"
#include "ctl.h"
#include "text.h"

/* How /proc calls an arena, and the magic number of its file system (kmod/file.c). */
#define ARENA_NAME	"/hpheap-arena"
#define ARENA_MAGIC	0xbc687068U

#define DEVICE_NAME	"/dev/" HPHEAP_DEVICE_NAME

/* The process that is being looked into. */
struct process {
	pid_t pid;
	uid_t uid;
	char command[COMMAND_BYTES];
};

struct mapping {
	uint64_t begin, end;
	unsigned int major, minor;
	uint64_t inode;
};

static struct holder *find_holder(struct holders *holders, const struct process *process)
{
	struct holder *holder;

	/* One process is looked into at a time: it is the last, or not there yet. */
	if (holders->count && holders->holder[holders->count - 1].pid == process->pid)
		return &holders->holder[holders->count - 1];
	holders->holder = grow_array(holders->holder, holders->count, sizeof(*holder));
	holder = &holders->holder[holders->count++];
	*holder = (struct holder){ .pid = process->pid, .uid = process->uid };
	memcpy(holder->command, process->command, sizeof(holder->command));
	return holder;
}

static int compare_arenas(const void *a, const void *b)
{
	const struct arena *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int compare_entries(const void *a, const void *b)
{
	return compare_arenas(*(struct arena * const *)a, *(struct arena * const *)b);
}

static struct arena *find_arena(struct arenas *arenas, uint64_t id)
{
	struct arena *arena = grow_array(NULL, 0, sizeof(*arena)), **found;

	*arena = (struct arena){ .id = id, .bytes = UNKNOWN, .chunk_bytes = UNKNOWN,
				 .resident_bytes = UNKNOWN, .purgeable_bytes = UNKNOWN };
	found = tsearch(arena, &arenas->tree, compare_arenas);
	if (!found) {
		complain("%s", strerror(ENOMEM));
		exit(STATUS_BROKEN);
	}
	if (*found != arena) {
		free(arena);
		return *found;
	}
	arenas->arena = grow_array(arenas->arena, arenas->count, sizeof(*arenas->arena));
	arenas->arena[arenas->count++] = arena;
	return arena;
}

static void free_arena(struct arena *arena)
{
	free(arena->policy);
	free(arena->nodes);
	free(arena->flags);
	free(arena->share);
	free(arena->holders.holder);
	free(arena);
}

/* All of @text is one decimal number; else it is not known. */
static uint64_t number_of(const char *text)
{
	unsigned long long number;
	char *end;

	if (*text < '0' || *text > '9')
		return UNKNOWN;
	errno = 0;
	number = strtoull(text, &end, 10);
	return errno || *end ? UNKNOWN : number;
}

static void take_text(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	if (!*to) {
		complain("%s", strerror(ENOMEM));
		exit(STATUS_BROKEN);
	}
	make_printable(*to);
}

/* "nodeN" */
static void take_share(struct arena *arena, const char *key, const char *value)
{
	uint64_t node = number_of(key + strlen("node")), bytes = number_of(value);

	if (node == UNKNOWN || bytes == UNKNOWN)
		return;
	arena->share = grow_array(arena->share, arena->shares, sizeof(*arena->share));
	arena->share[arena->shares++] = (struct share){ node, bytes };
}

static void take_line(struct arena *arena, const char *key, const char *value)
{
	if (!strcmp(key, "size"))
		arena->bytes = number_of(value);
	else if (!strcmp(key, "chunk"))
		arena->chunk_bytes = number_of(value);
	else if (!strcmp(key, "resident"))
		arena->resident_bytes = number_of(value);
	else if (!strcmp(key, "purgeable"))
		arena->purgeable_bytes = number_of(value);
	else if (!strcmp(key, "policy"))
		take_text(&arena->policy, value);
	else if (!strcmp(key, "nodes"))
		take_text(&arena->nodes, value);
	else if (!strcmp(key, "flags"))
		take_text(&arena->flags, value);
	else if (!strncmp(key, "node", strlen("node")))
		take_share(arena, key, value);
}

/* Lines "hpheap_KEY:\tVALUE", first the id; the others belong to every file. */
static void read_fdinfo(struct arenas *arenas, const struct process *process, const char *fd)
{
	FILE *file = root_file("/proc/%d/fdinfo/%s", process->pid, fd);
	struct arena *arena = NULL;
	char *line = NULL, *value;
	bool fresh = false;
	size_t room = 0;

	if (!file)
		return;
	while (getline(&line, &room, file) > 0) {
		const char *key = line + strlen("hpheap_");

		line[strcspn(line, "\n")] = '\0';
		value = strchr(line, ':');
		if (strncmp(line, "hpheap_", strlen("hpheap_")) || !value)
			continue;
		*value++ = '\0';
		value += strspn(value, "\t ");
		if (!arena && !strcmp(key, "id") && number_of(value) != UNKNOWN) {
			arena = find_arena(arenas, number_of(value));
			fresh = !arena->policy;
			find_holder(&arena->holders, process)->descriptors++;
		} else if (fresh) {
			take_line(arena, key, value);
		}
	}
	free(line);
	fclose(file);
}

static int look_at_descriptors(struct arenas *arenas, const struct process *process)
{
	DIR *dir = root_dir("/proc/%d/fd", process->pid);
	struct dirent *entry;
	char target[64];
	ssize_t length;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		length = readlink(root_path("/proc/%d/fd/%s", process->pid, entry->d_name), target,
				  sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (!strncmp(target, ARENA_NAME, strlen(ARENA_NAME)))
			read_fdinfo(arenas, process, entry->d_name);
		else if (!strcmp(target, DEVICE_NAME))
			find_holder(&arenas->device, process)->descriptors++;
	}
	closedir(dir);
	return 0;
}

/*
 * /proc/PID/map_files leads to the mapped file, for root. false: something
 * else that took the name of an arena.
 */
static bool examine_mapping(const struct process *process, const struct mapping *mapping,
			    struct stat *st)
{
	const char *path = root_path("/proc/%d/map_files/%" PRIx64 "-%" PRIx64, process->pid,
				     mapping->begin, mapping->end);
	struct statfs fs;

	st->st_size = -1;
	if (statfs(path, &fs))
		return !mapping->major;	/* an arena's file system has no device */
	if ((uint32_t)fs.f_type != ARENA_MAGIC)
		return false;
	if (stat(path, st))
		st->st_size = -1;
	return true;
}

static void take_mapping(struct arenas *arenas, const struct process *process,
			 const struct mapping *mapping)
{
	struct arena *arena;
	struct stat st;

	if (mapping->end <= mapping->begin || !examine_mapping(process, mapping, &st))
		return;
	arena = find_arena(arenas, mapping->inode);
	find_holder(&arena->holders, process)->mapped_bytes += mapping->end - mapping->begin;
	if (arena->policy || st.st_size < 0)
		return;
	arena->bytes = (uint64_t)st.st_size;
	arena->chunk_bytes = (uint64_t)st.st_blksize;
	arena->resident_bytes = (uint64_t)st.st_blocks << 9;
}

/* "BEGIN-END rw-s OFFSET MAJOR:MINOR INODE    NAME" */
static int look_at_mappings(struct arenas *arenas, const struct process *process)
{
	FILE *file = root_file("/proc/%d/maps", process->pid);
	struct mapping mapping;
	char *line = NULL;
	size_t room = 0;

	if (!file)
		return -errno;
	while (getline(&line, &room, file) > 0) {
		const char *name = strchr(line, '/');

		if (name && !strncmp(name, ARENA_NAME, strlen(ARENA_NAME)) &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*x %x:%x %" SCNu64,
			   &mapping.begin, &mapping.end, &mapping.major, &mapping.minor,
			   &mapping.inode) == 5)
			take_mapping(arenas, process, &mapping);
	}
	free(line);
	fclose(file);
	return 0;
}

static int look_into(struct arenas *arenas, pid_t pid)
{
	struct process process = { .pid = pid };
	struct stat st;
	int err;

	if (stat(root_path("/proc/%d", pid), &st))
		return -ESRCH;
	process.uid = st.st_uid;
	take_command(root_file("/proc/%d/comm", pid), process.command);
	err = look_at_descriptors(arenas, &process);
	if (!err)
		err = look_at_mappings(arenas, &process);
	if (err == -EACCES || err == -EPERM)
		arenas->hidden++;
	else if (!err)
		arenas->processes++;
	return err;
}

static void look_into_one_of_all(pid_t pid, void *arenas)
{
	look_into(arenas, pid);
}

int arenas_read(struct arenas *arenas, pid_t pid)
{
	int err;

	memset(arenas, 0, sizeof(*arenas));
	err = pid ? look_into(arenas, pid) : root_processes(look_into_one_of_all, arenas);
	if (arenas->count)
		qsort(arenas->arena, arenas->count, sizeof(*arenas->arena), compare_entries);
	return err;
}

static void keep(void *arena)
{
	(void)arena;	/* the array has it, too */
}

void arenas_release(struct arenas *arenas)
{
	size_t i;

	tdestroy(arenas->tree, keep);
	for (i = 0; i < arenas->count; i++)
		free_arena(arenas->arena[i]);
	free(arenas->arena);
	free(arenas->device.holder);
}
