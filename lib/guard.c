// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Guarded objects: one in so many lies on a base page of its own between inaccessible ones.
 *
 * An access beyond its end, or before its beginning, faults where it happens, and so does any
 * after it was freed: its page is inaccessible then, until all others of the pool were used.
 * The report tells by whom the object was allocated, and by whom it was freed. One process will
 * seldom hit upon an error so; a fleet of them does, at a cost that nobody notices. (Serebryany and
 * others, "GWP-ASan: Sampling-Based Detection of Memory-Safety Bugs in Production", 2023; the
 * page that is taken away is Electric Fence's, Perens 1987.)
 *
 * An object lies at the end of its page, or in turn at its beginning. What its alignment leaves
 * behind its end is filled, and looked at when it is freed.
 *
 * G1 a slot is LIVE from sample to free; then FREED, its page inaccessible, until it is the one
 *    that was freed longest ago and a slot is needed.
 */
#include "guard.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "os.h"
#include "sizeclass.h"

#define SLOTS	256u
#define FRAMES	16
#define FILLING	0xa6

enum state { UNUSED, LIVE, FREED };

struct event {
	void *frames[FRAMES];
	int nr_frames;
	int thread;
};

struct slot {
	enum state state;
	uintptr_t addr;
	size_t bytes;
	struct event allocated, freed;
};

static struct {
	pthread_mutex_t lock;
	uintptr_t first, end;	/* of the pages: each slot's lies between two that fault */
	size_t page;
	struct slot *slots;
	uint16_t queue[SLOTS];	/* of slots that were freed, the oldest at its head; */
	unsigned int head, queued;
	unsigned int used;	/* slots beyond were never used */
	struct sigaction before;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

uint32_t hph_guard_rate;

static _Thread_local uint32_t until_next;	/* objects */
static _Thread_local uint32_t dice;
static _Thread_local bool inside;	/* to find out who calls may need memory itself */

static void note(struct event *event)
{
	event->nr_frames = backtrace(event->frames, FRAMES);
	event->thread = gettid();
}

static void say_event(const char *what, const struct event *event)
{
	if (!event->nr_frames)
		return;
	hph_os_say("%s by thread %d:", what, event->thread);
	backtrace_symbols_fd(event->frames, event->nr_frames, STDERR_FILENO);
}

static void report(const char *what, uintptr_t addr, const struct slot *slot)
{
	hph_os_say("%s at %#jx: %jd bytes from the beginning of an object of %zu bytes at %#jx",
		   what, (uintmax_t)addr, (intmax_t)(intptr_t)(addr - slot->addr), slot->bytes,
		   (uintmax_t)slot->addr);
	say_event("allocated", &slot->allocated);
	if (slot->state == FREED)
		say_event("freed", &slot->freed);
}

static uintptr_t page_of(unsigned int number)
{
	return pool.first + (2 * number + 1) * pool.page;
}

/* The slot of an address in the pool; on a page between two, the nearer one. */
static struct slot *slot_near(uintptr_t addr)
{
	const uintptr_t half = pool.page / 2;
	uintptr_t number;

	if (addr < pool.first + half)
		addr = pool.first + half;
	number = (addr - half - pool.first) / (2 * pool.page);
	return &pool.slots[number < SLOTS ? number : SLOTS - 1];
}

/* What the program had set up for it comes next, as the access is made again. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	const uintptr_t addr = (uintptr_t)info->si_addr;
	const struct slot *slot;

	(void)context;
	if (info->si_code > 0 && hph_guard_has(info->si_addr)) {
		slot = slot_near(addr);
		report(slot->state == FREED && addr - slot->addr < slot->bytes ?
		       "use after free" : "use outside of an object", addr, slot);
	}
	sigaction(signal, &pool.before, NULL);
	if (info->si_code <= 0)
		raise(signal);
}

static bool set_up(void)
{
	const struct sigaction action = {
		.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	const size_t bytes = (2 * SLOTS + 1) * hph_os_base_page();
	uintptr_t slots, first;

	if (hph_os_map(SLOTS * sizeof(struct slot), &slots))
		return false;
	if (hph_os_reserve(0, bytes, &first))
		return false;
	pool.slots = (struct slot *)slots;
	pool.page = hph_os_base_page();
	pool.end = first + bytes;
	pool.first = first;
	return !sigaction(SIGSEGV, &action, &pool.before);
}

/*
 * Once, before there is a heap. Without memory for it nothing is guarded. Who called is found out
 * with a library that the C library loads at the first time: not later, within malloc().
 */
void hph_guard_start(uint32_t rate)
{
	struct event first;

	if (!rate || !set_up())
		return;
	note(&first);
	hph_guard_rate = rate;
}

/* Between 1 and twice the rate: an error that recurs in step with it is not missed for ever. */
static uint32_t throw_dice(void)
{
	if (!dice)
		dice = (uint32_t)hph_os_random() | 1;
	dice ^= dice << 13;
	dice ^= dice >> 17;
	dice ^= dice << 5;
	return hph_guard_rate > 1 ? dice % (2 * hph_guard_rate - 1) + 1 : 1;
}

/* A slot for a new object, whose page can be used; under the lock. SLOTS: there is none. */
static unsigned int take_slot(void)
{
	unsigned int number;

	if (pool.used < SLOTS) {
		number = pool.used;
	} else if (pool.queued) {
		number = pool.queue[pool.head];
	} else {
		return SLOTS;
	}
	if (hph_os_open_up(page_of(number), pool.page))
		return SLOTS;
	if (pool.used < SLOTS) {
		pool.used++;
	} else {
		pool.head = (pool.head + 1) % SLOTS;
		pool.queued--;
	}
	return number;
}

static uintptr_t place(unsigned int number, size_t bytes, size_t align, const struct event *by)
{
	const uintptr_t page = page_of(number);
	struct slot *slot = &pool.slots[number];
	const bool at_end = dice & 0x100;

	if (align < HPH_GRANULE)
		align = HPH_GRANULE;
	slot->state = LIVE;
	slot->bytes = bytes;
	slot->addr = at_end ? hph_round_down(page + pool.page - bytes, align) : page;
	slot->freed.nr_frames = 0;
	slot->allocated = *by;
	memset((void *)slot->addr, 0, bytes);	/* Locked memory may be what it was. */
	memset((void *)(slot->addr + bytes), FILLING, page + pool.page - slot->addr - bytes);
	return slot->addr;
}

/**
 * hph_guard_sample() - is it this object's turn to be guarded?
 *
 * Return: it, zeroed; NULL: it is not, or it is too large, or no slot is free.
 */
void *hph_guard_sample(size_t bytes, size_t align)
{
	const int before = errno;
	unsigned int number;
	uintptr_t addr = 0;
	struct event by;

	if (inside)
		return NULL;
	if (until_next > 1) {
		until_next--;
		return NULL;
	}
	until_next = throw_dice();
	if (!bytes || bytes > pool.page || align > pool.page)
		return NULL;
	inside = true;
	note(&by);	/* not under the lock: it may take those of the loader */
	pthread_mutex_lock(&pool.lock);
	number = take_slot();
	if (number < SLOTS)
		addr = place(number, bytes, align, &by);
	pthread_mutex_unlock(&pool.lock);
	inside = false;
	errno = before;
	return (void *)addr;
}

bool hph_guard_has(const void *object)
{
	return (uintptr_t)object - pool.first < pool.end - pool.first;
}

static struct slot *slot_of(const void *object, const char *function)
{
	struct slot *slot = slot_near((uintptr_t)object);

	if (slot->state != LIVE || slot->addr != (uintptr_t)object) {
		report(slot->state == FREED ? "freed already" : "no object is",
		       (uintptr_t)object, slot);
		hph_os_die("%s(%#jx): no object is there", function,
			   (uintmax_t)(uintptr_t)object);
	}
	return slot;
}

size_t hph_guard_size(const void *object)
{
	return slot_of(object, "malloc_usable_size")->bytes;
}

/* What is behind it up to the end of its page is as it was filled. */
static void check_filling(const struct slot *slot)
{
	const uintptr_t end = hph_round_up(slot->addr + slot->bytes, pool.page);
	uintptr_t addr;

	for (addr = slot->addr + slot->bytes; addr < end; addr++) {
		if (*(const uint8_t *)addr == FILLING)
			continue;
		report("write outside of an object", addr, slot);
		hph_os_die("free(%#jx): it was written to behind its end", (uintmax_t)slot->addr);
	}
}

void hph_guard_free(void *object)
{
	const bool before = inside;
	struct slot *slot;
	struct event by;
	uintptr_t page;

	inside = true;
	note(&by);
	pthread_mutex_lock(&pool.lock);
	slot = slot_of(object, "free");
	check_filling(slot);
	page = hph_round_down(slot->addr, pool.page);
	slot->freed = by;
	slot->state = FREED;
	hph_os_discard(page, pool.page);
	hph_os_close_down(page, pool.page);
	pool.queue[(pool.head + pool.queued++) % SLOTS] = (uint16_t)(slot - pool.slots);
	pthread_mutex_unlock(&pool.lock);
	inside = before;
}

/* Around fork(). */
void hph_guard_lock(void)
{
	pthread_mutex_lock(&pool.lock);
}

void hph_guard_unlock(void)
{
	pthread_mutex_unlock(&pool.lock);
}
