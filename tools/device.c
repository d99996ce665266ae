// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * /dev/hpheap through its kernel interface: see device.h.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

void device_open(struct device *device)
{
	const char *name = secure_getenv("HPHEAP_DEVICE");

	memset(device, 0, sizeof(*device));
	device->name = name && *name ? name : "/dev/" HPHEAP_DEVICE_NAME;
	snprintf(device->path, sizeof(device->path), "%s", root_path("%s", device->name));
	device->node = !stat(device->path, &device->st);

	/* O_NONBLOCK: whatever else has that name must not make us wait for it. */
	device->fd = open(device->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (device->fd < 0) {
		device->open_error = errno;
		return;
	}
	device->info.size = sizeof(device->info);
	if (ioctl(device->fd, HPHEAP_IOC_INFO, &device->info))
		device->info_error = errno;
}

void device_close(struct device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}

bool device_usable(const struct device *device)
{
	return device->fd >= 0 && !device->info_error && device->info.default_chunk_bytes &&
	       device->info.abi_version == HPHEAP_ABI_VERSION;
}

bool smaps_bytes(const void *address, const char *name, uint64_t *bytes)
{
	FILE *file = root_file("/proc/self/smaps");
	size_t name_length = strlen(name), room = 0;
	bool here = false, found = false;
	char *line = NULL;
	uintptr_t begin, end;

	if (!file)
		return false;
	while (!found && getline(&line, &room, file) > 0) {
		char *colon = strchr(line, ':');

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
			here = begin <= (uintptr_t)address && (uintptr_t)address < end;
		else if (here && colon && colon == line + name_length &&
			 !strncmp(line, name, name_length))
			found = sscanf(colon + 1, "%" SCNu64, bytes) == 1;
	}
	free(line);
	fclose(file);
	if (found)
		*bytes <<= 10;
	return found;
}

/* Every word of a fresh chunk reads zero, and keeps what is written to it. */
static bool touch(uint64_t *words, uint64_t bytes)
{
	uint64_t i, count = bytes / sizeof(*words);

	for (i = 0; i < count; i++) {
		if (words[i])
			return false;
		words[i] = ~i;
	}
	for (i = 0; i < count; i++)
		if (words[i] != ~i)
			return false;
	return true;
}

/* One extent as long as the chunk; smaps agrees when one PMD is to map it. */
static bool prove_huge(const struct device *device, int arena, const void *map,
		       struct proof *proof)
{
	struct hpheap_extent extent;
	struct hpheap_extents extents = {
		.size = sizeof(extents),
		.extents = (uintptr_t)&extent,
		.count = 1,
	};

	if (ioctl(arena, HPHEAP_ARENA_EXTENTS, &extents)) {
		proof->error = errno;
		return false;
	}
	if (extents.count != 1 || extent.bytes != proof->chunk_bytes)
		return false;
	proof->node = extent.node;
	if (!smaps_bytes(map, "FilePmdMapped", &proof->mapped_huge))
		return false;
	return proof->chunk_bytes != device->info.pmd_bytes ||
	       proof->mapped_huge == proof->chunk_bytes;
}

static void prove_chunk(const struct device *device, int arena, struct proof *proof)
{
	void *map;

	proof->step = PROOF_ALLOCATE;
	if (fallocate(arena, 0, 0, (off_t)proof->chunk_bytes)) {
		proof->error = errno;
		return;
	}
	proof->step = PROOF_MAP;
	map = mmap(NULL, proof->chunk_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena, 0);
	if (map == MAP_FAILED) {
		proof->error = errno;
		return;
	}
	/* A fault that fails is an error here, at a touch it would be a signal. */
	proof->step = PROOF_TOUCH;
	if (madvise(map, proof->chunk_bytes, MADV_POPULATE_WRITE)) {
		proof->error = errno;
	} else if (touch(map, proof->chunk_bytes)) {
		proof->step = PROOF_HUGE;
		if (prove_huge(device, arena, map, proof))
			proof->step = PROOF_DONE;
	}
	munmap(map, proof->chunk_bytes);
}

void device_prove(const struct device *device, uint64_t bytes, struct proof *proof)
{
	struct hpheap_create create = { .size = sizeof(create) };
	uint64_t chunk = device->info.default_chunk_bytes;

	memset(proof, 0, sizeof(*proof));
	proof->chunk_bytes = chunk;
	proof->arena_bytes = (bytes + chunk - 1) / chunk * chunk;
	create.bytes = proof->arena_bytes;
	if (ioctl(device->fd, HPHEAP_IOC_CREATE, &create)) {
		proof->error = errno;
		return;
	}
	prove_chunk(device, create.fd, proof);
	close(create.fd);
}
