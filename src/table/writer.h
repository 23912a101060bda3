/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds a generation and publishes it. Tool only: it allocates, and one writer at a time holds flock(2) on
 * DIR/lock (an agent for its life, `publish` and `run` for a moment). That file is the writer's alone (0600), and stays: a lock on
 * the directory, or on the table, could be held by everybody who may read it, and no agent would ever come in again.
 *
 * Functions return 0 or more, or a negative errno; where there is a `struct report`, it then holds one line for people.
 * Not thread-safe for one writer; killed at any instruction, it leaves the last whole generation (layout.h).
 */
#ifndef FAIRDIAL_TABLE_WRITER_H
#define FAIRDIAL_TABLE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/report.h"
#include "table/layout.h"

/* What to publish. All texts and arrays stay the caller's; none is kept after the call. */
struct spec_endpoint {
	struct addr addr;
	uint16_t weight;      /* 0 is taken as 1 */
	uint16_t flags;	      /* enum table_endpoint_flags */
	const char *zone;     /* NULL: unknown */
	const char *node;     /* NULL: unknown */
	uint64_t added_ms;    /* as in struct table_endpoint; 0: as the generations tell it */
};

struct spec_port {
	const char *name;	  /* NULL or "": unnamed */
	const char *app_protocol; /* NULL: none */
	uint16_t port;
	uint8_t protocol; /* enum table_protocol */
	struct spec_endpoint *endpoints; /* in any order; the writer sorts them in place; no two alike */
	size_t endpoint_count;
};

struct spec_address {
	struct addr addr; /* its port does not count */
	uint8_t kind;	  /* enum table_address_kind */
};

struct spec_service {
	const char *name;
	const char *namespace; /* NULL or "": none */
	uint32_t flags;	       /* enum table_service_flags */
	uint32_t stand_down;   /* enum stand_down */
	uint32_t affinity_s;
	struct table_policy policy;
	const struct spec_address *addresses;
	size_t address_count;
	struct spec_port *ports;
	size_t port_count;
};

struct spec {
	const char *source; /* for people: "file /etc/services.json" */
	uint32_t mode;	    /* enum fairdial_mode */
	uint32_t stale_after_ms; /* 0: the default, 60 s */
	uint32_t client_rank, client_peers; /* as in struct table_area */
	uint32_t mesh_port; /* the listener that made Services stand down (STAND_DOWN_MESH); 0: none */
	struct spec_service *services; /* in any order; sorted in place; no two of one name and namespace */
	size_t service_count;
};

struct table_writer;

#define WRITER_LOCK "lock"

/*
 * The lock of an open directory: a descriptor, for the caller to close. -EBUSY and -EINTR as writer_open; -EPERM where the file is
 * somebody else's. `dir` is for what it says.
 */
int writer_lock(int dir_fd, const char *dir, bool wait, struct report *report);

struct writer_options {
	bool is_static;	    /* no heartbeat: published once */
	unsigned file_mode; /* of table; 0: 0644 */
	bool no_link;	    /* the directory may not be a symbolic link */
	bool wait;	    /* for another writer to go; else -EBUSY. A signal handler without SA_RESTART ends it: -EINTR */
	/*
	 * Bytes of a generation that the file has room for at least, so that a first and empty one can be followed by a full
	 * one in place; and of the ledger a row for each 128 of them. 0: what the first one needs, and some more.
	 */
	size_t reserve;
	bool is_small; /* one of many: room for a generation of 16 KiB at least, instead of 64 */
};

/*
 * Takes the directory (made with mode 0755 where it is missing) and continues the table in it, if it is whole and may be
 * trusted: instance and slots go on. The caller closes the writer.
 */
int writer_open(const char *dir, const struct writer_options *options, struct table_writer **ret_writer,
		struct report *report);

/* The next generation; readers see it at their next dial. On failure the last one stays. */
int writer_publish(struct table_writer *writer, const struct spec *spec, struct report *report);

/*
 * The same where only endpoints have changed, at a cost that follows from how many: the Services of `spec` get the
 * endpoints that it says, all else stays (so do the mode and whatever else `spec` has). -ESTALE where that cannot be done in
 * place, and writer_publish of the whole is needed: a Service is not in the table, or differs in more than its endpoints,
 * or there is no room. On failure the last generation stays.
 */
int writer_patch(struct table_writer *writer, const struct spec *spec, struct report *report);

/* The ledger's row of an endpoint of the current generation; false where it has none such. */
bool writer_find_row(const struct table_writer *writer, const struct addr *addr, uint32_t *ret_slot, uint32_t *ret_tag);

/*
 * For people, who read it with `fairdial status`: what this writer lacks, "" where all is well (cut to TABLE_NOTE_SIZE - 1
 * bytes), and that it lives. Neither says anything of the list: that is writer_heartbeat's. Both stay with a new file; what
 * the last writer said of itself, until this one says something else.
 */
void writer_note(struct table_writer *writer, const char *text);
void writer_alive(struct table_writer *writer, uint64_t delay_ms); /* the delay as in struct table_note */

/* The list is vouched for: its source was heard of. For tables that are not static, about once a second. */
void writer_heartbeat(struct table_writer *writer);

/* Whether the directory that it holds is still the one of that name. */
bool writer_has_directory(const struct table_writer *writer);

/*
 * The lock of that directory, taken again where somebody has removed its file: 0. -EBUSY where another writer has it by then, and
 * other errors of writer_lock: what is published from now on is for those who have the table mapped.
 */
int writer_keep_lock(struct table_writer *writer, struct report *report);

/* Whether what it published has lost its name, in a directory that is still its own: the next writer_publish makes it anew. */
bool writer_was_removed(struct table_writer *writer);

/* The table as readers see it, mapped for as long as the writer is open; NULL before the first publish. */
const struct table *writer_table(const struct table_writer *writer);

/*
 * Takes the table back, for a writer that ends: whoever looks finds none, and who has it mapped is told to look again. Nothing
 * may be published afterwards.
 */
void writer_retire(struct table_writer *writer);

/* Lets go of the directory; the table stays. NULL is accepted. */
void writer_close(struct table_writer *writer);

#endif
