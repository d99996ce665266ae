// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Huge pages shared between processes, with the kernel's interface alone: an
 * arena is a file. A process that is not related gets it as a descriptor over
 * a UNIX socket; a child gets it by being born (FORK_SHARE). Without the device
 * the program says so and exits with 4, "skipped".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/hpheap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_NO_DEVICE	4
#define OWNER_BYTES		32
#define LINE_BYTES		96

/* What the processes write; each has a line, so that no lock is needed. */
struct board {
	char owner[OWNER_BYTES];
	char peer[LINE_BYTES];
	char child[LINE_BYTES];
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "share_arena: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct board *map_arena(int arena, size_t bytes)
{
	struct board *board = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena, 0);

	if (board == MAP_FAILED)
		die("mmap");
	return board;
}

/* One message: the arena's size, and beside it the descriptor. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void send_arena(int socket, int arena, size_t bytes)
{
	union control control = { .bytes = { 0 } };
	struct iovec data = { &bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(arena));
	memcpy(CMSG_DATA(header), &arena, sizeof(arena));
	if (sendmsg(socket, &message, MSG_NOSIGNAL) != (ssize_t)sizeof(bytes))
		die("sendmsg");
}

static int receive_arena(int socket, size_t *bytes)
{
	union control control;
	struct iovec data = { bytes, sizeof(*bytes) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *header;
	int arena;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*bytes))
		die("recvmsg");
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS) {
		errno = EPROTO;
		die("no descriptor came");
	}
	memcpy(&arena, CMSG_DATA(header), sizeof(arena));
	return arena;
}

/* Started before there is an arena: all it has of it comes through the socket. */
static _Noreturn void peer(int socket)
{
	size_t bytes;
	int arena = receive_arena(socket, &bytes);
	struct board *board = map_arena(arena, bytes);

	snprintf(board->peer, LINE_BYTES, "peer %d read: %s", (int)getpid(), board->owner);
	exit(0);
}

static int create_arena(int device, size_t *bytes)
{
	struct hpheap_info info = { .size = sizeof(info) };
	struct hpheap_create create = { .size = sizeof(create),
		.flags = HPHEAP_CREATE_FORK_SHARE };

	if (ioctl(device, HPHEAP_IOC_INFO, &info))
		die("HPHEAP_IOC_INFO");
	create.bytes = info.default_chunk_bytes;
	if (ioctl(device, HPHEAP_IOC_CREATE, &create))
		die("HPHEAP_IOC_CREATE");
	*bytes = (size_t)create.bytes;
	return create.fd;
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "share_arena: a process failed\n");
		exit(1);
	}
}

int main(void)
{
	const char *path = getenv("HPHEAP_DEVICE") ? getenv("HPHEAP_DEVICE") : "/dev/hpheap";
	int device = open(path, O_RDWR | O_CLOEXEC), ends[2], arena;
	struct board *board;
	pid_t unrelated, child;
	size_t bytes;

	if (device < 0) {
		printf("%s: %s: arenas can be shared only where the module is\n", path,
		       strerror(errno));
		return STATUS_NO_DEVICE;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		die("socketpair");
	unrelated = fork();
	if (!unrelated)
		peer(ends[1]);
	if (unrelated < 0)
		die("fork");
	arena = create_arena(device, &bytes);
	board = map_arena(arena, bytes);
	snprintf(board->owner, OWNER_BYTES, "a line of %d", (int)getpid());
	send_arena(ends[0], arena, bytes);
	close(arena);		/* the mapping keeps the memory */
	wait_for(unrelated);
	child = fork();
	if (!child) {
		snprintf(board->child, LINE_BYTES, "child %d read: %s", (int)getpid(),
			 board->owner);
		_exit(0);
	}
	if (child < 0)
		die("fork");
	wait_for(child);
	printf("%zu KiB shared\n%s\n%s\n", bytes >> 10, board->peer, board->child);
	return *board->peer && *board->child ? 0 : 1;
}
