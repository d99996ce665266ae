/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HPH_LOCK_H
#define HPH_LOCK_H

/*
 * Locks of zones and bins: held for some hundred nanoseconds, never across a system call; all of
 * a zone's for ten microseconds at times, when a unit of slabs is thinned or comes back.
 *
 * To sleep and be woken takes many times as long, and costs the one who unlocks a system call,
 * too; so who finds one held tries again for about that time first, ever less often. Mutexes of
 * the C library that do the same (PTHREAD_MUTEX_ADAPTIVE_NP) begin with ten tries, and are asleep
 * before the first of these locks is free.
 */
#include <pthread.h>

/* Tries, and pauses between two of them at most: 6 to 20 microseconds in all. */
#define HPH_LOCK_TRIES	64u
#define HPH_LOCK_PAUSES	8u

static inline void hph_lock_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
	__asm__ volatile("yield");
#elif defined(__powerpc__)
	__asm__ volatile("or 27,27,27");
#endif
}

static inline void hph_lock(pthread_mutex_t *lock)
{
	unsigned int tries, pauses;

	for (tries = 1; pthread_mutex_trylock(lock); tries++) {
		if (tries == HPH_LOCK_TRIES) {
			pthread_mutex_lock(lock);
			return;
		}
		for (pauses = tries < HPH_LOCK_PAUSES ? tries : HPH_LOCK_PAUSES; pauses; pauses--)
			hph_lock_pause();
	}
}

static inline void hph_unlock(pthread_mutex_t *lock)
{
	pthread_mutex_unlock(lock);
}

#endif /* HPH_LOCK_H */
