/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clients of the store: they load the texts, send requests from several
 * threads, and delete. They know what the store must answer, and check each
 * answer against it.
 */
#ifndef KV_REQUESTS_H
#define KV_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "latency.h"
#include "store.h"
#include "text.h"

struct clients {
	struct store *store;
	const struct text *text;
	uint64_t *expected;	/* checksum of each record's value, 0 = must not be there */
	uint32_t loaded;	/* records that were put */
};

struct serve_options {
	unsigned int threads;
	unsigned int requests;	/* of all threads together */
	/* Called now and then from the calling thread, with what is done, 0 to 1. */
	void (*progress)(void *context, double done);
	void *context;
};

struct served {
	struct latency gets;
	struct latency writes;	/* puts and deletes */
	uint64_t began, ended;	/* ns; the last thread's end */
};

/* All return 0, or -1 after a line on stderr: a wrong answer, or no memory. */
int clients_open(struct clients *clients, struct store *store, const struct text *text);
void clients_close(struct clients *clients);
int clients_load(struct clients *clients);
int clients_serve(struct clients *clients, const struct serve_options *options,
		  struct served *served);
/* Deletes all but every @keep-th record. */
int clients_delete(struct clients *clients, uint32_t keep);
/* Asks for every record. */
int clients_verify(struct clients *clients);
/* For tests: changes a value without the clients' knowledge. */
int clients_damage(struct clients *clients);

#endif
