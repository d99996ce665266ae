// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Holds an arena for tools/tests/on-device until its standard input ends.
 *
 * hold_arena BYTES [mapped]	allocates the first chunk, prints the arena's
 *				id; "mapped": it closes the descriptor and
 *				keeps only a mapping of the first chunk
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/hpheap.h>

int main(int argc, char **argv)
{
	struct hpheap_create create = { .size = sizeof(create) };
	struct stat st;
	int device;

	if (argc < 2)
		errx(2, "usage: hold_arena BYTES [mapped]");
	create.bytes = strtoull(argv[1], NULL, 0);
	device = open("/dev/hpheap", O_RDWR | O_CLOEXEC);
	if (device < 0)
		err(1, "/dev/hpheap");
	if (ioctl(device, HPHEAP_IOC_CREATE, &create))
		err(1, "create");
	close(device);
	if (fstat(create.fd, &st))
		err(1, "fstat");
	if (fallocate(create.fd, 0, 0, st.st_blksize))
		err(1, "fallocate");
	if (argc > 2) {
		if (mmap(NULL, (size_t)st.st_blksize, PROT_READ | PROT_WRITE, MAP_SHARED,
			 create.fd, 0) == MAP_FAILED)
			err(1, "mmap");
		close(create.fd);
	}
	printf("%llu\n", (unsigned long long)st.st_ino);
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
