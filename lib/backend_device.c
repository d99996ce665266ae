// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * /dev/hpheap as a backend.
 *
 * Attaching makes an arena of the module, maps it over the reserved range and
 * closes its descriptor: from then on the address is all that is needed, to
 * fill a chunk (MADV_POPULATE_WRITE) and to give it back (MADV_REMOVE). So
 * arenas survive a program that closes descriptors it does not know. What is purgeable
 * is marked by its address, too, by way of the device.
 *
 * The module charges an arena whole when it is made, against limits of the
 * user and of the system; where a large one is refused, smaller ones are
 * tried, down to one chunk. A chunk is a huge unit, on every base page.
 *
 * Only the device itself stays open: who gave up its privileges since could not
 * open it again. Before each use it is known again by device and inode; when
 * somebody has closed it or taken its number, it is opened anew if that works.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/hpheap.h>

#include "backend.h"
#include "meta.h"
#include "os.h"
#include "units.h"

struct device {
	struct hph_backend backend;
	struct hph_os_file file;
	struct hph_os_file marks; /* as it was first: never changed, so no lock is needed */
	const char *path;
	size_t most;		/* to ask for in one arena */
	uint32_t turn;		/* for interleaving of single units */
	_Atomic int placement_errno;
	_Atomic uint32_t lost;
};

static struct device *to_device(struct hph_backend *backend)
{
	return (struct device *)backend;
}

/* Opens the device, and sees whether it is one that this library can use, and what it can do. */
static int open_device(struct hph_os_file *file, const char *path, uint64_t *features)
{
	struct hpheap_info info = { .size = sizeof(info) };
	int error = hph_os_file_open(file, path);

	if (error)
		return error;
	if (ioctl(file->fd, HPHEAP_IOC_INFO, &info))
		error = errno == ENOTTY || errno == EINVAL ? -ENODEV : -errno;
	else if (info.abi_version != HPHEAP_ABI_VERSION)
		error = -EPROTO;
	else if (!(info.chunk_sizes & HPHEAP_HUGE_SIZE))
		error = -EOPNOTSUPP;
	if (error)
		hph_os_file_close(file);
	*features = info.features;
	return error;
}

/* What open_device() says, for the heap's statistics. */
const char *hph_device_shortcoming(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENXIO:
		return "the module is not loaded";
	case -EACCES:
	case -EPERM:
		return "no permission";
	case -ENODEV:
		return "this is no hpheap device";
	case -EPROTO:
		return "the module speaks another ABI version";
	case -EOPNOTSUPP:
		return "the module has no chunks of 2 MiB";
	default:
		return "it cannot be opened";
	}
}

/* The descriptor may be gone, or belong to somebody else by now. */
static int find_device(struct device *device)
{
	uint64_t features;

	if (device->file.fd >= 0) {
		if (hph_os_file_valid(&device->file))
			return 0;
		atomic_fetch_add(&device->lost, 1);
		device->file.fd = -1;
	}
	return open_device(&device->file, device->path, &features);
}

/* The @turn-th of the nodes in a mask; the mask is left with that one alone. */
static void only_node(uint64_t *mask, uint32_t turn)
{
	uint32_t nodes = 0, node;

	for (node = 0; node < HPHEAP_MAX_NODES; node++)
		nodes += mask[node / 64] >> node % 64 & 1;
	if (!nodes)
		return;
	turn %= nodes;
	for (node = 0; node < HPHEAP_MAX_NODES; node++) {
		const uint64_t bit = UINT64_C(1) << node % 64;

		if (mask[node / 64] & bit && turn-- != 0)
			mask[node / 64] &= ~bit;
	}
}

static void set_placement(struct device *device, struct hpheap_create *create,
			  const struct hph_place *place)
{
	uint64_t mask[HPHEAP_NODE_WORDS] = { 0 };

	switch (place->placement) {
	case HPHEAP_PLACE_LOCAL:
		create->policy = HPHEAP_POLICY_LOCAL;
		break;
	case HPHEAP_PLACE_INTERLEAVE:
		/* An arena's turns begin at the first node: a small one has to be told its own. */
		hph_numa_mask(mask, HPHEAP_NODE_WORDS);
		create->policy = HPHEAP_POLICY_INTERLEAVE;
		if (create->bytes == HPHEAP_HUGE_SIZE) {
			create->policy = HPHEAP_POLICY_PREFERRED;
			only_node(mask, device->turn++);
		}
		break;
	case HPHEAP_PLACE_NODE:
		create->policy = HPHEAP_POLICY_PREFERRED;
		mask[place->node / 64] = UINT64_C(1) << place->node % 64;
		break;
	}
	memcpy(create->nodemask, mask, sizeof(mask));
}

static const uint32_t flags_of_fork[] = {
	[HPHEAP_FORK_COW] = HPHEAP_CREATE_FORK_COW,
	[HPHEAP_FORK_SHARE] = HPHEAP_CREATE_FORK_SHARE,
	[HPHEAP_FORK_NONE] = HPHEAP_CREATE_FORK_NONE,
};

/* Makes an arena; a placement that the module refuses is given up, and told. */
static int create_arena(struct device *device, size_t bytes, const struct hph_place *place,
			struct hph_os_file *arena)
{
	const struct hph_place local = { .placement = HPHEAP_PLACE_LOCAL };
	struct hpheap_create create = {
		.size = sizeof(create),
		.flags = flags_of_fork[device->backend.fork],
		.bytes = bytes, .chunk_bytes = HPHEAP_HUGE_SIZE,
	};
	int error;

	set_placement(device, &create, place);
	if (ioctl(device->file.fd, HPHEAP_IOC_CREATE, &create)) {
		error = -errno;
		if ((error != -ENODEV && error != -ENXIO) ||
		    place->placement == HPHEAP_PLACE_LOCAL)
			return error;
		atomic_store(&device->placement_errno, -error);
		return create_arena(device, bytes, &local, arena);
	}
	error = hph_os_file_init(arena, create.fd);
	if (!error && arena->size != bytes)
		error = -EBADF;		/* the number is somebody else's already */
	return error;
}

/*
 * Maps an arena over a reserved range. If its number was given to another file
 * meanwhile, that one was mapped: nothing of it was touched, and it goes.
 */
static int map_arena(struct device *device, uintptr_t addr, size_t bytes,
		     const struct hph_place *place)
{
	struct hph_os_file arena = { .fd = -1 };
	int error = create_arena(device, bytes, place, &arena);

	if (error)
		return error;
	error = hph_os_map_file_at(addr, bytes, arena.fd);
	if (!error && !hph_os_file_valid(&arena)) {
		error = hph_os_reserve_at(addr, bytes);
		if (error)
			hph_os_die("the range of a foreign file stays mapped: %s",
				   strerrordesc_np(-error));
		return -EBADF;
	}
	hph_os_file_close(&arena);
	return error;
}

/* Would less be given? A refusal of the amount, not of the request. */
static bool too_much(int error)
{
	return error == -EDQUOT || error == -ENOSPC || error == -EFBIG || error == -ENOMEM;
}

/*
 * Memory that is away is closed: who touches it is found out. Each time may split a mapping in
 * three; Linux joins them again, but not those of an arena that was copied at fork(), and
 * a process may have some 65,000. So from the first fork on it stays open: a stray touch brings
 * memory back that nobody counts, and so does mlockall().
 */
static bool stays_open(const struct hph_backend *backend)
{
	return backend->forked && backend->fork == HPHEAP_FORK_COW;
}

static void close_unit(const struct hph_backend *backend, uintptr_t addr)
{
	if (!stays_open(backend))
		hph_os_close_down(addr, HPHEAP_HUGE_SIZE);
}

/*
 * What was refused once is not asked for each time: after a refusal an arena
 * is at most twice as large as the last one that was given.
 */
static int device_attach(struct hph_backend *backend, uintptr_t addr, size_t bytes,
			 const struct hph_place *place, size_t *attached)
{
	struct device *device = to_device(backend);
	int error = find_device(device);

	if (error)
		return error;
	if (bytes > device->most)
		bytes = device->most;
	for (;;) {
		error = map_arena(device, addr, bytes, place);
		if (!error)
			break;
		device->most = HPHEAP_HUGE_SIZE;
		if (!too_much(error) || bytes == HPHEAP_HUGE_SIZE)
			return error;
		bytes = hph_round_down(bytes / 2, HPHEAP_HUGE_SIZE);
	}
	if (stays_open(backend))
		hph_os_open_up(addr, bytes);
	if (bytes >= device->most)
		device->most = bytes <= SIZE_MAX / 4 ? 2 * bytes : SIZE_MAX;
	*attached = bytes;
	return 0;
}

static int device_commit(struct hph_backend *backend, uintptr_t addr)
{
	int error = hph_os_open_up(addr, HPHEAP_HUGE_SIZE);

	(void)backend;
	if (error)
		return error;
	error = hph_os_populate(addr, HPHEAP_HUGE_SIZE);
	if (error)
		close_unit(backend, addr);
	return error;
}

/*
 * Marks the chunk of a unit, or with KEEP takes the mark away: chunks that are now marked,
 * or with KEEP that are not there. A module that knows no marks says ENOTTY, one that sees more
 * than one mapping EINVAL.
 */
static int mark(const struct device *device, uintptr_t addr, uint32_t flags)
{
	struct hpheap_purgeable purgeable = {
		.size = sizeof(purgeable), .flags = flags, .start = addr, .bytes = HPHEAP_HUGE_SIZE,
	};

	if (!hph_os_file_valid(&device->marks))
		return -EBADF;
	return ioctl(device->marks.fd, HPHEAP_IOC_PURGEABLE, &purgeable) ? -errno :
									   (int)purgeable.chunks;
}

/*
 * The arena stays: it is charged until the last of it goes. Before Linux 6.7 memory has to be
 * writable to be removed: what was closed is open for that long.
 *
 * Linux removes mapping by mapping. Where the program has split that of a chunk (one madvise()
 * or mprotect() of a part may do), each is less than a chunk, nothing goes, and that is no
 * error. So the module is asked; and what may still be there is detached: it is the
 * arena's until that ends, but nobody's memory any more. (Where the program has closed the
 * descriptor, nobody can be asked: it is believed.)
 */
static int device_release(struct hph_backend *backend, uintptr_t addr, bool *detached)
{
	int error = hph_os_remove(addr, HPHEAP_HUGE_SIZE), gone;

	*detached = false;
	if (error == -EACCES) {
		hph_os_open_up(addr, HPHEAP_HUGE_SIZE);
		error = hph_os_remove(addr, HPHEAP_HUGE_SIZE);
		hph_os_close_down(addr, HPHEAP_HUGE_SIZE);	/* as it was */
	} else if (!error) {
		close_unit(backend, addr);
	}
	if (error)
		return error;
	gone = mark(to_device(backend), addr, HPHEAP_PURGEABLE_KEEP);
	if (gone == 1 || gone == -EBADF)
		return 0;
	error = hph_anon_detach(backend, addr, HPHEAP_HUGE_SIZE);
	*detached = !error;
	return error;
}

static int device_purge(struct hph_backend *backend, uintptr_t addr)
{
	const int marked = mark(to_device(backend), addr, 0);

	if (marked >= 0)
		close_unit(backend, addr);
	return marked < 0 ? marked : 0;
}

static void device_query(struct hph_backend *backend, struct hph_backend_facts *facts)
{
	struct device *device = to_device(backend);

	*facts = (struct hph_backend_facts){
		.placement_errno = atomic_load(&device->placement_errno),
		.device_lost = atomic_load(&device->lost),
	};
}

static void device_close(struct hph_backend *backend)
{
	struct device *device = to_device(backend);

	if (device->file.fd >= 0)
		hph_os_file_close(&device->file);
}

static const struct hph_backend_ops device_ops = {
	.reserve = hph_anon_reserve,
	.is_free = hph_anon_is_free,
	.unreserve = hph_anon_unreserve,
	.attach = device_attach,
	.detach = hph_anon_detach,
	.commit = device_commit,
	.release = device_release,
	.purge = device_purge,
	.most = hph_os_memory,
	.query = device_query,
	.close = device_close,
};

/* @path stays the caller's and has to stay valid. */
int hph_device_open(struct hph_meta *meta, const char *path, enum hpheap_fork fork,
		    struct hph_backend **backend)
{
	struct device *device = hph_meta_alloc(meta, sizeof(*device));
	uint64_t features;
	int error;

	if (!device)
		return -ENOMEM;
	error = open_device(&device->file, path, &features);
	if (error)
		return error;
	device->backend.fork = fork;
	if (fork == HPHEAP_FORK_COW && !(features & HPHEAP_FEATURE_FORK_COW))
		device->backend.fork = HPHEAP_FORK_NONE;
	device->marks = device->file;
	device->backend.ops = &device_ops;
	device->path = path;
	device->most = SIZE_MAX;
	*backend = &device->backend;
	return 0;
}
