// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A program that knows nothing of hpheap, for tests of run.
 *
 * take_memory MIB KEEP WAY
 *	takes MIB objects of 1 MiB each with malloc(), writes to all, keeps KEEP of them, and
 *	ends: WAY is return, thread (another thread than the first calls exit()), or the number
 *	of a signal that it kills itself by
 */
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static void *end(void *arg)
{
	(void)arg;
	exit(3);
}

int main(int argc, char **argv)
{
	size_t count, keep, i;
	pthread_t thread;
	char **objects;

	if (argc != 4)
		errx(1, "take_memory MIB KEEP WAY");
	count = strtoul(argv[1], NULL, 10);
	keep = strtoul(argv[2], NULL, 10);
	objects = malloc(count * sizeof(*objects));
	for (i = 0; i < count; i++) {
		objects[i] = malloc(MIB);
		if (!objects[i])
			err(1, "malloc");
		memset(objects[i], 1, MIB);
	}
	while (count > keep)
		free(objects[--count]);
	if (!strcmp(argv[3], "return"))
		return 3;
	if (strcmp(argv[3], "thread"))
		raise(atoi(argv[3]));
	else if (!pthread_create(&thread, NULL, end, NULL))
		pthread_join(thread, NULL);
	return 1;
}
