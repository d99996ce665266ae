// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The scavenger: a thread that gives back what the process's heaps do not need.
 *
 * A zone counts the least number of free units there were in a window of time. So
 * many nobody needed, however short the peaks were: no peak is missed between two
 * looks. What was free through one whole window at least is given back, but for a
 * margin; a service that breathes faster than that keeps what it has. (The mechanism
 * is older than this: the low-water mark of TCMalloc's thread caches, Ghemawat and
 * Menage, 2005, asks the same of spans.) Caches of threads that were not used for a
 * window are emptied. Of sparse units that did not change for as long, the free base
 * pages go, once a minute for each at most: it costs the huge page. When the load is back
 * they are filled again.
 *
 * Units go to where the system can take them, if the backend knows such a place
 * (purge.c), and from there some windows later; or at once, margin and caches included, if
 * a heap is over its limit, the cgroup near one of its own, or the system short of memory.
 *
 * It pays for itself with at most one hundredth of a CPU, by what its work has really
 * cost: what a piece has taken it sleeps 99 times as long for, or has slept before, a tenth
 * of a second's worth at most; but for what must be.
 * The registry of heaps is locked for a piece of work, no heap while the system works.
 *
 * While a heap grows, the thread fetches memory before it is asked for (fetch.c).
 *
 * There is one for a process, made when a heap first gets memory, with all signals
 * blocked and at the lowest priority. A child of fork() makes its own. With
 * HPHEAP_SCAVENGE=off there is none, and hpheap_scavenge() is what gives back.
 */
#include "scavenger.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"
#include "cgroup.h"
#include "fetch.h"
#include "options.h"
#include "os.h"
#include "policy.h"
#include "pressure.h"

#define MS		INT64_C(1000000)

/* Between two looks; with a limit of the cgroup, or after a wait; near that, or with work to do. */
#define IDLE_NS		(1000 * MS)
#define LIMITED_NS	(250 * MS)
#define LOOK_NS		(50 * MS)

/* And while a heap grows: less than it takes to write to eight units. */
#define AHEAD_NS	(1 * MS)

/* What was not spent is saved, up to so much of a CPU's time. */
#define BURST_NS	(100 * MS)

/* Units given back at a time: some hundred microseconds. */
#define PIECE		((size_t)8)

/* Of units to be made huge one part of so many at a look: in about two seconds that is all. */
#define HUGE_SHARE	8

#define STACK_BYTES	((size_t)128 << 10)

_Atomic bool hph_scavenger_settled;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static pthread_t thread;
static bool ends, hurried;	/* under the lock */
static _Atomic bool runs;	/* so, but for who asks */
static _Atomic bool cramped;	/* the cgroup has not much left */

/* What a look at all heaps goes by, and what comes of it. */
struct look {
	struct hpheap_policy policy;
	bool turn;	/* a window ends */
	bool due;	/* and so many that what is purgeable may be released */
	bool pressed;	/* the system is short of memory */
	size_t excess;	/* units, beyond what the cgroup shall use */
	size_t given;	/* units */
	bool more;
	bool growing;
};

/* While files of the system are open: a child shall get none of them by halves. */
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;
static struct hph_pressure pressure;

static int64_t read_clock(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

/* Must something go whatever is needed soon? */
static bool is_urgent(const struct hpheap *heap, const struct look *look)
{
	return look->pressed || look->excess ||
	       atomic_load(&heap->held_units) > atomic_load(&heap->limit_units);
}

/* Units of a zone that nobody needed, beyond the margin; or that have to go. */
static size_t surplus(struct hpheap *heap, struct hph_zone *zone, const struct look *look)
{
	const size_t held = atomic_load(&heap->held_units);
	const size_t limit = atomic_load(&heap->limit_units);
	struct hph_pages *pages = &zone->pages;
	size_t idle, margin, wanted;

	hph_lock(&zone->lock);
	if (look->turn)
		hph_pages_turn(pages);
	idle = hph_pages_idle(pages);
	/* With nothing in use there is nothing to be ready for. */
	margin = pages->used_units ? hph_margin_units(pages, &look->policy) : 0;
	idle -= hph_least(idle, margin);
	wanted = look->pressed ? SIZE_MAX : look->excess;
	if (held > limit && held - limit > wanted)
		wanted = held - limit;
	if (hph_least(pages->free_units, wanted) > idle)
		idle = hph_least(pages->free_units, wanted);
	hph_unlock(&zone->lock);
	return idle;
}

/* Of the units that are purgeable those that nobody fetched, or that have to go. */
static void release_purgeable(struct hpheap *heap, struct hph_zone *zone, struct look *look)
{
	size_t units = 0, done;

	hph_lock(&zone->lock);
	if (look->due)
		zone->purgeable_due = hph_purgeable_idle(&zone->pages);
	zone->purgeable_due = hph_least(zone->purgeable_due, zone->pages.purgeable_units);
	units = is_urgent(heap, look) ? zone->pages.purgeable_units : zone->purgeable_due;
	hph_unlock(&zone->lock);
	if (!units)
		return;
	done = hph_purgeable_release(heap, zone, hph_least(units, PIECE));
	zone->purgeable_due -= hph_least(done, zone->purgeable_due);
	look->excess -= hph_least(done, look->excess);
	look->given += done;
	look->more |= done == PIECE;
}

/* A heap with a limit, and one in need, marks nothing: marks count. */
static size_t give_back(struct hpheap *heap, struct hph_zone *zone, size_t units,
			struct look *look, size_t *bytes)
{
	const bool marks = !is_urgent(heap, look) && atomic_load(&heap->limit_units) == SIZE_MAX;
	const size_t done = hph_shrink_zone(heap, zone, units, marks, bytes);

	look->excess -= hph_least(done, look->excess);
	return done;
}

/* When the load is back, what was thinned becomes huge again; returns whether any was. */
static bool thicken_some(struct hpheap *heap, struct look *look)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < heap->nr_zones; i++) {
		while (look->given < PIECE && hph_thicken_back(heap, &heap->zones[i], false)) {
			look->given++;
			any = true;
		}
	}
	look->more |= look->given >= PIECE;
	return any;
}

/* Units that were filled part by part become huge: one, or more if their zone does not grow. */
static void make_some_huge(struct hpheap *heap, struct look *look)
{
	unsigned int i;

	for (i = 0; i < heap->nr_zones; i++) {
		struct hph_zone *zone = &heap->zones[i];
		size_t units;

		hph_lock(&zone->lock);
		units = zone->pages.patchy_units;
		hph_unlock(&zone->lock);
		look->more |= units > 1;
		units = zone->ahead_looks ? hph_least(units, 1) : units / HUGE_SHARE + (units != 0);
		while (units && hph_make_huge(heap, zone))
			units--;
	}
}

/* Sparse units, one by one, when nothing else is left; returns the bytes. */
static size_t thin_some(struct hpheap *heap, struct look *look)
{
	const bool urgent = look->pressed || look->excess;
	size_t bytes = 0, now;
	unsigned int i;

	for (i = 0; i < heap->nr_zones; i++) {
		struct hph_zone *zone = &heap->zones[i];

		if (look->turn && !zone->comb)
			zone->comb = atomic_load(&heap->slabbed);
		while (look->given < PIECE &&
		       (urgent || hph_is_loose(heap, zone, &look->policy)) &&
		       (now = hph_thin_idle(heap, zone, &look->policy, urgent))) {
			bytes += now;
			look->given++;
		}
		look->more |= look->given >= PIECE || (zone->comb && (urgent || zone->loose));
	}
	return bytes;
}

static void look_at(struct hpheap *heap, void *arg)
{
	struct look *look = arg;
	size_t bytes = 0, units;
	unsigned int i;

	if (look->turn && is_urgent(heap, look))
		hph_caches_drain(heap);
	else if (look->turn)
		hph_caches_drain_idle(heap);
	if (look->turn) {
		hph_ahead_close_old(heap);
		atomic_store(&heap->refused, false);
	}
	for (i = 0; i < heap->nr_zones; i++) {
		release_purgeable(heap, &heap->zones[i], look);
		units = surplus(heap, &heap->zones[i], look);
		if (!units || look->given >= PIECE) {
			look->more |= units != 0;
			continue;
		}
		look->more |= units > PIECE;
		units = hph_least(units, PIECE);
		look->given += give_back(heap, &heap->zones[i], units, look, &bytes);
	}
	if (!look->more && (is_urgent(heap, look) || !thicken_some(heap, look)))
		bytes += thin_some(heap, look);
	if (!is_urgent(heap, look))
		make_some_huge(heap, look);
	atomic_fetch_add(&heap->scavenged_pages, bytes >> HPH_PAGE_SHIFT);
}

static void fetch_ahead(struct hpheap *heap, void *arg)
{
	struct look *look = arg;
	unsigned int i, done;

	for (i = 0; i < heap->nr_zones; i++) {
		done = hph_fetch_ahead(heap, &heap->zones[i], &look->policy, PIECE);
		look->growing |= heap->zones[i].ahead_looks != 0;
		look->more |= done == PIECE;
	}
}

/* Until @until, but no longer than until a heap grows; false: it shall end. */
static bool sleep_until(int64_t until)
{
	const struct timespec ts = {
		.tv_sec = (time_t)(until / (1000 * MS)), .tv_nsec = (long)(until % (1000 * MS)),
	};
	bool go_on;

	pthread_mutex_lock(&lock);
	while (!ends && !hurried && read_clock(CLOCK_MONOTONIC) < until)
		pthread_cond_timedwait(&wake, &lock, &ts);
	hurried = false;
	go_on = !ends;
	pthread_mutex_unlock(&lock);
	return go_on;
}

/*
 * Is the calling thread making that thread, with the lock held? The C library takes memory for
 * it from malloc(), which may be a heap that has to grow.
 */
static _Thread_local bool starting;

bool hph_scavenger_runs(void)
{
	return atomic_load_explicit(&runs, memory_order_relaxed);
}

void hph_scavenger_hurry(void)
{
	if (starting)
		return;
	pthread_mutex_lock(&lock);
	hurried = true;
	if (runs)
		pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

/* What the system says; returns how long that will do. */
static int64_t ask_around(struct look *look)
{
	struct hph_cgroup cgroup;
	enum hph_pressed pressed;

	pthread_mutex_lock(&asking);
	pressed = hph_pressure_look(&pressure, look->policy.pressure_ms,
				    read_clock(CLOCK_MONOTONIC));
	hph_cgroup_read(&cgroup, look->policy.headroom_percent);
	pthread_mutex_unlock(&asking);
	look->pressed = pressed == HPH_PRESSED;
	look->excess = (size_t)((cgroup.excess + HPHEAP_HUGE_SIZE - 1) >> HPH_HUGE_SHIFT);
	atomic_store(&cramped, cgroup.near);
	if (cgroup.near)
		return LOOK_NS;
	return cgroup.room < INT64_MAX || pressed == HPH_STALLED ? LIMITED_NS : IDLE_NS;
}

/* Looks at all heaps; returns when to do so again. */
static int64_t scavenge(int64_t *turn)
{
	static unsigned int windows;
	static bool pressed;	/* and all that is free did not go yet */
	static int64_t paid;	/* until then its share of the CPU is spent */
	struct look look = { 0 };
	int64_t now = read_clock(CLOCK_MONOTONIC), cost, next, rest;

	hph_policy_read(&look.policy);
	look.turn = now >= *turn;
	if (look.turn) {
		*turn = now + look.policy.window_ms * MS;
		look.due = ++windows % look.policy.purgeable_windows == 0;
	}
	cost = read_clock(CLOCK_THREAD_CPUTIME_ID);
	rest = ask_around(&look);
	pressed |= look.pressed;
	look.pressed = pressed;
	hph_heaps_visit(look_at, &look);
	cost = read_clock(CLOCK_THREAD_CPUTIME_ID) - cost;
	now = read_clock(CLOCK_MONOTONIC);
	if (look.more && look.given && (look.pressed || look.excess))
		return now;
	pressed = false;
	if (look.more)
		rest = look.given ? 0 : LOOK_NS;
	next = *turn < now + rest ? *turn : now + rest;
	/* What it could have spent while there was nothing to do it may spend at once. */
	cost = cost * 1000 / look.policy.cpu_permille;
	if (paid < now - BURST_NS * 1000 / look.policy.cpu_permille)
		paid = now - BURST_NS * 1000 / look.policy.cpu_permille;
	paid += cost;
	return next < paid ? paid : next;
}

static void *run(void *unused)
{
	int64_t turn = read_clock(CLOCK_MONOTONIC), next, ahead = INT64_MAX, now;
	struct look look = { 0 };

	(void)unused;
	pthread_setname_np(pthread_self(), "hpheap");
	setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	hph_policy_read(&look.policy);
	turn += look.policy.window_ms * MS;
	next = read_clock(CLOCK_MONOTONIC) + LOOK_NS;
	while (sleep_until(next < ahead ? next : ahead)) {
		hph_policy_read(&look.policy);
		look.growing = look.more = false;
		if (look.policy.ahead_units && !atomic_load(&cramped))
			hph_heaps_visit(fetch_ahead, &look);
		now = read_clock(CLOCK_MONOTONIC);
		ahead = look.more ? now : look.growing ? now + AHEAD_NS : INT64_MAX;
		if (now >= next)
			next = scavenge(&turn);
	}
	return NULL;
}

static int create_thread(void)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attr, run, NULL);
	/* The C library takes the program's thread-local variables off a stack. */
	if (error == EINVAL)
		error = pthread_create(&thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

/* Where no thread can be had there is none: nothing says that this will change. */
void hph_scavenger_start(void)
{
	const int cancel = hph_os_hold_cancel();
	pthread_condattr_t attr;

	pthread_mutex_lock(&lock);
	if (!atomic_load(&hph_scavenger_settled)) {
		atomic_store(&hph_scavenger_settled, true);
		if (hph_environment()->scavenge && !ends) {
			pthread_condattr_init(&attr);
			pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
			pthread_cond_init(&wake, &attr);
			pthread_condattr_destroy(&attr);
			starting = true;
			runs = !create_thread();
			starting = false;
		}
	}
	pthread_mutex_unlock(&lock);
	hph_os_allow_cancel(cancel);
}

/* At the end of the program: it would work on what is being taken down. */
__attribute__((destructor)) static void stop(void)
{
	bool join;

	pthread_mutex_lock(&lock);
	ends = true;
	atomic_store(&hph_scavenger_settled, true);
	join = runs;
	runs = false;
	if (join)
		pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	if (join)
		pthread_join(thread, NULL);
}

void hph_scavenger_before_fork(void)
{
	pthread_mutex_lock(&asking);
	pthread_mutex_lock(&lock);
	hph_policy_lock();
}

/* The child has no such thread: its next growth makes one. */
void hph_scavenger_after_fork(bool in_child)
{
	if (in_child) {
		hph_pressure_close(&pressure);
		hurried = false;
	}
	if (in_child && runs) {
		runs = false;
		atomic_store(&hph_scavenger_settled, false);
	}
	hph_policy_unlock();
	pthread_mutex_unlock(&lock);
	pthread_mutex_unlock(&asking);
}
