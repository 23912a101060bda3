/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that can be seen from here, by a walk over /proc: what decides whether the shim is in them, and which of the
 * given sockets each holds. Those that end meanwhile are left out. Of another user's process little is told (it is `hidden`)
 * unless the caller is root (ptrace(2), PTRACE_MODE_READ_FSCREDS).
 *
 * Threads that share no descriptors with their process (CLONE_FILES) are not looked at.
 */
#ifndef FAIRDIAL_INSPECT_PROCESSES_H
#define FAIRDIAL_INSPECT_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/elf.h"
#include "inspect/environment.h"
#include "inspect/shim_file.h"
#include "inspect/sockets.h"

enum table_sight {
	TABLE_UNTOLD, /* it does not say where, or we may not look */
	TABLE_SAME,   /* the one that is inspected */
	TABLE_OTHER,
	TABLE_NONE, /* there is none where it says */
};

struct process_seen {
	int pid, parent;   /* as seen from here; parent 0: none */
	uint32_t uid;      /* owner of /proc/PID: its effective user, or root where it may not be looked into by that one */
	uint64_t start_ms; /* CLOCK_BOOTTIME, rounded down to a tick */
	char name[64];     /* as the kernel calls it; fit for a terminal, as all texts here */
	char exe[256];     /* the program's path in its own file system, cut where it is longer; "": not known */
	bool is_hidden;    /* the rest is not ours to see */
	bool is_elsewhere; /* of another network namespace, without a socket of this: of the rest, its environment alone */
	bool has_kind, is_privileged, is_loaded; /* loaded: the code of a libfairdial.so is mapped */
	struct elf_kind kind;
	struct environment environment;
	enum table_sight table; /* of one that is loaded */
	struct shim_file shim;  /* of one that is not: the file that it names, or an ancestor does, else the tool's own */
	bool inherits;          /* an ancestor's environment, or that of PID 1, names the shim */
	size_t direct, through; /* for the caller's counting: zero */
	bool leaves_all_out;    /* and finding: its lists leave out all Services that it dials, or all that there are */
};

struct processes {
	struct process_seen *at; /* in the order of pids */
	size_t count;
};

/* What is known before the walk. */
struct processes_context {
	struct file_id table;  /* that is inspected; all 0: none */
	const char *shim_path; /* the tool's own libfairdial.so; NULL: there is none */
	int wanted;            /* a pid that is looked into wherever it is; 0: none */
};

/* Sets `holder` of each socket that is held. 0, or a negative errno where /proc cannot be read. The caller frees it. */
int processes_list(const struct processes_context *context, struct sockets *sockets, struct processes *ret_processes);
void processes_free(struct processes *processes);

/* By number; NULL: it was not seen. */
struct process_seen *processes_find(const struct processes *processes, int pid);

#endif
