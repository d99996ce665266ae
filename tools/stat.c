// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hpheapctl stat: all arenas on the system, for people or as JSON.
 */
#include "ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arenas.h"
#include "counters.h"
#include "json.h"
#include "system.h"
#include "text.h"

static const char * const counters[] = {
	"arenas", "reserved_bytes", "resident_bytes", "quarantined_bytes",
	"chunks_allocated", "chunks_released", "alloc_failures", "faults",
	"purgeable_bytes", "chunks_marked", "chunks_reused", "chunks_taken",
	"pool_bytes", "pool_hits",
};

#define N_COUNTERS (sizeof(counters) / sizeof(*counters))

/* Arenas that the module counts and no process showed us. */
static uint64_t unseen(const struct arenas *arenas)
{
	uint64_t all = counter("arenas");

	return all != UNKNOWN && all > arenas->count ? all - arenas->count : 0;
}

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

static void print_holder(const struct holder *holder)
{
	char command[COMMAND_BYTES];

	memcpy(command, holder->command, sizeof(command));
	make_printable(command);
	printf("%12s process %d (%s), user %u: %" PRIu64 " descriptor%s, %s mapped\n", "",
	       holder->pid, command, holder->uid, holder->descriptors,
	       plural(holder->descriptors, "s"), size_text(holder->mapped_bytes).text);
}

static void print_arena(const struct arena *arena)
{
	size_t i;

	printf("%11" PRIu64 " %11s %11s %11s %8s  %-10s %-7s %s\n", arena->id,
	       size_or_unknown(arena->bytes).text, size_or_unknown(arena->resident_bytes).text,
	       size_or_unknown(arena->purgeable_bytes).text,
	       size_or_unknown(arena->chunk_bytes).text, or_dash(arena->policy),
	       or_dash(arena->nodes), or_dash(arena->flags));
	for (i = 0; i < arena->shares; i++)
		printf("%12s node %" PRIu64 ": %s\n", "", arena->share[i].node,
		       size_text(arena->share[i].bytes).text);
	for (i = 0; i < arena->holders.count; i++)
		print_holder(&arena->holders.holder[i]);
}

/* Modules of before the pool and the marks have neither. */
static void print_purgeable(void)
{
	if (counter("chunks_marked") == UNKNOWN)
		return;
	printf("Chunks made purgeable: %" PRIu64 "; used again: %s; taken by the kernel: %s.\n",
	       counter("chunks_marked"), number_or_unknown(counter("chunks_reused")).text,
	       number_or_unknown(counter("chunks_taken")).text);
}

static void print_pool(void)
{
	struct counter_nodes nodes;
	size_t i;

	if (counter("pool_bytes") == UNKNOWN)
		return;
	counter_nodes(&nodes);
	printf("The pool holds %s", size_text(counter("pool_bytes")).text);
	for (i = 0; i < nodes.count; i++)
		printf("%snode %" PRIu64 ": %s", i ? ", " : " (", nodes.node[i].node,
		       size_text(nodes.node[i].bytes).text);
	printf("%s; %s chunk%s came from it.\n", nodes.count ? ")" : "",
	       number_or_unknown(counter("pool_hits")).text, plural(counter("pool_hits"), "s"));
}

static void print_counters(void)
{
	uint64_t arenas = counter("arenas");

	if (arenas == UNKNOWN) {
		puts("The module is not loaded (there is no " SYSFS_DIR ").");
		return;
	}
	printf("The module has %" PRIu64 " arena%s: %s reserved, %s resident", arenas,
	       plural(arenas, "s"), size_or_unknown(counter("reserved_bytes")).text,
	       size_or_unknown(counter("resident_bytes")).text);
	if (counter("purgeable_bytes") != UNKNOWN)
		printf(", %s purgeable", size_text(counter("purgeable_bytes")).text);
	if (counter("quarantined_bytes") != UNKNOWN && counter("quarantined_bytes"))
		printf("; %s of broken memory withdrawn",
		       size_text(counter("quarantined_bytes")).text);
	puts(".");
	printf("Since it was loaded: %s chunk%s allocated, %s released, %s allocation failure%s, "
	       "%s fault%s.\n", number_or_unknown(counter("chunks_allocated")).text,
	       plural(counter("chunks_allocated"), "s"),
	       number_or_unknown(counter("chunks_released")).text,
	       number_or_unknown(counter("alloc_failures")).text,
	       plural(counter("alloc_failures"), "s"),
	       number_or_unknown(counter("faults")).text, plural(counter("faults"), "s"));
	print_purgeable();
	print_pool();
}

/* What is missing from the list, and why. */
static void print_unseen(const struct arenas *arenas)
{
	uint64_t hidden = unseen(arenas);

	if (hidden)
		printf("%" PRIu64 " arena%s not shown: %s held by processes that cannot be looked "
		       "into, or on the way between two.\n", hidden, hidden == 1 ? " is" : "s are",
		       hidden == 1 ? "it is" : "they are");
	if (arenas->hidden)
		printf("%" PRIu64 " process%s could not be looked into%s.\n", arenas->hidden,
		       plural(arenas->hidden, "es"), geteuid() ? "; root can" : "");
}

static void print_text(const struct arenas *arenas, bool all)
{
	size_t i;

	if (arenas->count)
		printf("%11s %11s %11s %11s %8s  %-10s %-7s %s\n", "arena", "size", "resident",
		       "purgeable", "chunk", "policy", "nodes", "flags");
	for (i = 0; i < arenas->count; i++)
		print_arena(arenas->arena[i]);
	if (!all) {
		if (!arenas->count)
			puts("This process holds no arena.");
		return;
	}
	if (arenas->count)
		putchar('\n');
	print_counters();
	print_unseen(arenas);
}

static const uint64_t *or_null(const uint64_t *number)
{
	return *number == UNKNOWN ? NULL : number;
}

/* "fork-share,contig" */
static void json_flags(struct json *json, const char *flags)
{
	char flag[32];
	size_t length;

	json_array(json, "flags");
	for (; flags && *flags; flags += length + (flags[length] == ',')) {
		length = strcspn(flags, ",");
		snprintf(flag, sizeof(flag), "%.*s", (int)(length < 31 ? length : 31), flags);
		json_string(json, NULL, flag);
	}
	json_end(json);
}

static void json_holders(struct json *json, const char *key, const struct holders *holders)
{
	size_t i;

	json_array(json, key);
	for (i = 0; i < holders->count; i++) {
		const struct holder *holder = &holders->holder[i];

		json_object(json, NULL);
		json_number(json, "pid", (uint64_t)holder->pid);
		json_number(json, "uid", holder->uid);
		json_string(json, "command", holder->command);
		json_number(json, "descriptors", holder->descriptors);
		json_number(json, "mapped_bytes", holder->mapped_bytes);
		json_end(json);
	}
	json_end(json);
}

static void json_shares(struct json *json, const char *key, const struct share *share,
			size_t count)
{
	size_t i;

	json_array(json, key);
	for (i = 0; i < count; i++) {
		json_object(json, NULL);
		json_number(json, "node", share[i].node);
		json_number(json, "bytes", share[i].bytes);
		json_end(json);
	}
	json_end(json);
}

static void json_arena(struct json *json, const struct arena *arena)
{
	json_object(json, NULL);
	json_number(json, "id", arena->id);
	json_optional(json, "bytes", or_null(&arena->bytes));
	json_optional(json, "chunk_bytes", or_null(&arena->chunk_bytes));
	json_optional(json, "resident_bytes", or_null(&arena->resident_bytes));
	json_optional(json, "purgeable_bytes", or_null(&arena->purgeable_bytes));
	json_string(json, "policy", arena->policy);
	json_string(json, "nodes", arena->nodes);
	json_flags(json, arena->flags);
	json_shares(json, "node_bytes", arena->share, arena->shares);
	json_holders(json, "holders", &arena->holders);
	json_end(json);
}

static void print_json(const struct arenas *arenas, bool all)
{
	struct json json = { .file = stdout };
	struct counter_nodes nodes;
	uint64_t value;
	size_t i;

	json_object(&json, NULL);
	json_array(&json, "arenas");
	for (i = 0; i < arenas->count; i++)
		json_arena(&json, arenas->arena[i]);
	json_end(&json);
	json_holders(&json, "device_holders", &arenas->device);
	json_object(&json, "counters");
	for (i = 0; i < N_COUNTERS; i++) {
		value = counter(counters[i]);
		json_optional(&json, counters[i], or_null(&value));
	}
	json_end(&json);
	counter_nodes(&nodes);
	json_shares(&json, "pool_node_bytes", nodes.node, nodes.count);
	json_number(&json, "processes", arenas->processes);
	json_number(&json, "hidden_processes", arenas->hidden);
	value = unseen(arenas);
	json_optional(&json, "hidden_arenas", all ? &value : NULL);
	json_end(&json);
}

int cmd_stat(const struct options *options, int argc, char **argv)
{
	struct arenas arenas;
	int err, status = STATUS_OK;

	(void)argc;
	(void)argv;
	err = arenas_read(&arenas, options->pid);
	if (err && options->pid) {
		complain("process %d: %s", options->pid, strerror(-err));
		status = STATUS_FAILED;
	} else if (err) {
		complain("cannot read /proc: %s", strerror(-err));
		status = STATUS_FAILED;
	} else if (options->json) {
		print_json(&arenas, !options->pid);
	} else {
		print_text(&arenas, !options->pid);
	}
	arenas_release(&arenas);
	return status;
}
