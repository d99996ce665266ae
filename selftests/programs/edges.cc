// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first and last moments of programs and threads, and their narrow ones: constructors before
 * main(), handlers after it, keys whose destructors allocate, vfork(), forks in the midst of
 * threads, descriptors closed behind the library's back, and no address space left.
 */
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

char *early;

__attribute__((constructor(101))) void begin()
{
	early = static_cast<char *>(malloc(77));
	strcpy(early, "early");
	early = static_cast<char *>(realloc(early, 5000));
}

void at_end()
{
	free(memset(malloc(100000), 3, 100000));
	free(malloc(10));
	puts("at the end");
}

pthread_key_t key;

/* Comes again until the C library has had enough. */
void end_key(void *value)
{
	free(value);
	pthread_setspecific(key, nullptr);
	static thread_local int times;
	void *more = memset(malloc(300), 1, 300);

	if (times++ < 2)
		pthread_setspecific(key, more);
	else
		free(more);
}

void *use_key(void *)
{
	pthread_setspecific(key, malloc(100));
	for (size_t i = 0; i < 1000; i++)
		free(malloc(i));
	return malloc(50);
}

void keys()
{
	pthread_key_create(&key, end_key);
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		void *left;

		pthread_create(&thread, nullptr, use_key, nullptr);
		pthread_join(thread, &left);
		free(left);
	}
	puts("keys");
}

int wait_for(pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	return status;
}

/* Alone, for the child has the frame that it was called from. */
__attribute__((noinline)) pid_t spawn()
{
	const pid_t child = vfork();

	if (!child) {
		execl("/bin/true", "true", static_cast<char *>(nullptr));
		_exit(1);
	}
	return child;
}

void vforks()
{
	int bad = 0;

	for (int i = 0; i < 20; i++)
		bad += wait_for(spawn()) != 0;
	printf("vfork: %d bad\n", bad);
}

void churn(const std::atomic<bool> &stop)
{
	std::vector<void *> held(256);
	unsigned int seed = 1;

	while (!stop) {
		seed = seed * 1103515245 + 12345;
		void *&one = held[(seed >> 16) % held.size()];

		free(one);
		one = malloc((seed >> 8) % (seed >> 28 ? 2000 : 200000));
	}
	for (void *one : held)
		free(one);
}

[[noreturn]] void child_life()
{
	for (size_t i = 0; i < 2000; i++)
		free(malloc(i * 7));
	std::thread([] { free(malloc(100)); }).join();
	_exit(0);
}

void fork_often(std::atomic<int> &bad)
{
	for (int i = 0; i < 30; i++) {
		pid_t child = fork();

		if (!child)
			child_life();
		bad += wait_for(child) != 0;
	}
}

void forks()
{
	std::atomic<bool> stop{false};
	std::atomic<int> bad{0};
	std::thread busy([&] { churn(stop); }), other([&] { churn(stop); });
	std::thread first([&] { fork_often(bad); }), second([&] { fork_often(bad); });

	first.join();
	second.join();
	stop = true;
	busy.join();
	other.join();
	printf("forks: %d bad\n", bad.load());
}

/* Daemons do. What the library needs a descriptor for, it does without. */
void close_all()
{
	std::vector<void *> held;

	for (int i = 3; i < 1024; i++)
		close(i);
	for (int i = 0; i < 3000; i++)
		held.push_back(malloc(100000));
	for (void *one : held)
		free(one);
	puts("all is closed");
}

/* A stack that has to grow when there is no address space left is a crash of its own. */
__attribute__((noinline)) void grow_stack()
{
	volatile char deep[256 << 10];

	for (size_t i = 0; i < sizeof(deep); i += 1024)
		deep[i] = 1;
}

/* Of each size until there is none; then what is freed serves again. */
void no_memory()
{
	struct rlimit limit = { 1u << 30, RLIM_INFINITY };
	void **list = nullptr;

	grow_stack();
	setrlimit(RLIMIT_AS, &limit);
	for (size_t bytes : { 64u << 20, 1u << 20, 70000u, 5000u, 64u, 16u }) {
		errno = 0;
		while (void **one = static_cast<void **>(malloc(bytes))) {
			*one = list;
			list = one;
		}
		printf("no %zu bytes: %s\n", bytes, errno == ENOMEM ? "ENOMEM" : "errno is wrong");
	}
	printf("calloc: %s\n", calloc(1, 4 << 20) ? "memory" : "NULL");
	while (void **one = list) {
		list = static_cast<void **>(*one);
		free(one);
	}
	void *again = malloc(64 << 20);

	printf("again: %s\n", again ? "memory" : "NULL");
	free(again);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_AS, &limit);
}

}

int main()
{
	setvbuf(stdout, nullptr, _IONBF, 0);
	atexit(at_end);
	puts(early);
	free(early);
	keys();
	vforks();
	forks();
	close_all();
	no_memory();
	return 0;
}
