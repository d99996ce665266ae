// SPDX-License-Identifier: GPL-2.0-only
/*
 * C++ with threads: every kind of new and delete, containers that one thread fills and another
 * empties, destructors of a thread's own objects, exceptions, a library that comes and goes.
 */
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <dlfcn.h>

namespace {

constexpr int THREADS = 4, ROUNDS = 20000;

volatile size_t too_much = SIZE_MAX / 2 + 1;	/* nothing the compiler may know */

void expect(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "not so: %s\n", what);
	abort();
}

bool aligned(const void *p, size_t align)
{
	return reinterpret_cast<uintptr_t>(p) % align == 0;
}

struct alignas(64) Line {
	char bytes[192];
};

void every_new()
{
	for (size_t size = 1; size < 200000; size = size * 5 / 4 + 1) {
		for (size_t align = 1; align <= 8192; align *= 2) {
			const auto as = std::align_val_t(align);
			void *p = ::operator new(size, as);

			expect(aligned(p, align), "new with an alignment");
			memset(p, 1, size);
			::operator delete(p, size, as);
		}
		char *p = static_cast<char *>(::operator new(size));

		memset(p, 2, size);
		::operator delete(p, size);
		delete[] new (std::nothrow) char[size];
	}
	std::unique_ptr<Line[]> lines(new Line[100]);
	expect(aligned(lines.get(), 64), "alignas(64)");
	expect(!::operator new(too_much, std::nothrow), "new without memory");
	try {
		::operator delete(::operator new(too_much));
		expect(false, "bad_alloc is thrown");
	} catch (const std::bad_alloc &) {
	}
}

/* What a thread has of its own is freed when it ends, after what it used before. */
struct Own {
	std::map<int, std::string> names;

	~Own()
	{
		names[-1] = std::string(1000, 'z');
		names.clear();
		free(malloc(70000));
	}
};
thread_local Own own;

using Parcel = std::unique_ptr<std::unordered_map<int, std::vector<std::string>>>;

struct Belt {
	std::mutex lock;
	std::condition_variable more;
	std::deque<Parcel> parcels;

	void put(Parcel parcel)
	{
		std::lock_guard<std::mutex> guard(lock);
		parcels.push_back(std::move(parcel));
		more.notify_one();
	}

	Parcel get()
	{
		std::unique_lock<std::mutex> guard(lock);
		more.wait(guard, [this] { return !parcels.empty(); });
		Parcel parcel = std::move(parcels.front());
		parcels.pop_front();
		return parcel;
	}
};

/* Each thread gives to the next one. */
void hand_round(Belt *belts, int me, size_t *sum)
{
	for (int i = 0; i < ROUNDS / 20; i++) {
		auto parcel = std::make_unique<Parcel::element_type>();

		for (int k = 0; k < 20; k++)
			(*parcel)[k * me].emplace_back(static_cast<size_t>(i * k % 3000), 'c');
		own.names[i % 100] = std::string(static_cast<size_t>(i % 500), 'o');
		belts[(me + 1) % THREADS].put(std::move(parcel));

		const Parcel got = belts[me].get();	/* lives as long as the loop */

		for (const auto &entry : *got)
			for (const auto &text : entry.second)
				*sum += text.size();
	}
}

void threads()
{
	Belt belts[THREADS];
	size_t sums[THREADS] = {}, all = 0;
	std::list<std::thread> running;

	for (int i = 0; i < THREADS; i++)
		running.emplace_back(hand_round, belts, i, &sums[i]);
	for (auto &thread : running)
		thread.join();
	for (size_t sum : sums)
		all += sum;
	printf("handed round: %zu\n", all);
}

/* Threads that come and go leave what they had to others. */
void short_lives()
{
	for (int i = 0; i < 300; i++) {
		std::string *made = nullptr;

		std::thread([&] {
			own.names[i] = "short";
			made = new std::string(5000, 's');
		}).join();
		delete made;
	}
}

void exceptions()
{
	size_t caught = 0;

	for (int i = 0; i < ROUNDS; i++) {
		try {
			std::vector<std::string> held(3, std::string(200, 'h'));

			throw std::runtime_error(std::string(static_cast<size_t>(i % 700), 'e'));
		} catch (const std::exception &e) {
			caught += strlen(e.what());
		}
	}
	printf("caught: %zu\n", caught);
}

void plugins(const std::string &path)
{
	size_t length = 0;

	for (int i = 0; i < 100; i++) {
		void *library = dlopen(path.c_str(), RTLD_NOW);

		expect(library, "the plugin can be opened");
		const auto text_of = reinterpret_cast<char *(*)(int)>(dlsym(library, "plugin_text"));
		char *text = text_of(i);

		dlclose(library);
		length += strlen(text);
		delete[] text;
	}
	printf("plugins: %zu\n", length);
}

}

int main(int, char **argv)
{
	const std::string self = argv[0];

	every_new();
	threads();
	short_lives();
	exceptions();
	plugins(self.substr(0, self.rfind('/')) + "/plugin.so");
	return 0;
}
