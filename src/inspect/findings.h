/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a program is covered, or will be: facts in, findings out. Pure. One that is a blocker means that no dial of it is spread,
 * a warning that some may not be; a note is for the reader alone.
 */
#ifndef FAIRDIAL_INSPECT_FINDINGS_H
#define FAIRDIAL_INSPECT_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inspect/libraries.h"
#include "inspect/mapped.h"
#include "inspect/preloads.h"
#include "inspect/processes.h"
#include "inspect/program.h"
#include "inspect/table_facts.h"

enum severity { SEVERITY_OK, SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_BLOCKER, SEVERITIES };

enum cover { COVER_NONE, COVER_PARTLY, COVER_WHOLE };

#define FINDINGS_MAX 64

struct finding {
	const char *id; /* for scripts: never changes */
	enum severity severity;
	char what[768];
	char remedy[512]; /* "": nothing is wrong */
};

struct findings {
	struct finding at[FINDINGS_MAX];
	size_t count;
};

struct check_facts {
	uint32_t euid;	       /* who asks, and would start it */
	bool gains_no_privileges; /* nor does what this user starts (PR_SET_NO_NEW_PRIVS) */
	/* One of the two. */
	const struct program *program;
	const struct process_seen *process;
	const struct mapped *mapped; /* of the process */

	const struct program_file *file; /* NULL: not to be seen */
	const char *arguments;           /* fit for a terminal; "": none */
	const struct program_wrapper *wrapper; /* it runs others; NULL: not that is known */
	const struct preloads *preloads;
	const struct libraries *libraries; /* that it lacks */
	struct environment environment;
	bool autostarts;

	/* The shim that is mapped, or would be. */
	const char *shim_shown; /* "": none is known */
	const char *shim_path;
	struct shim_file shim;
	bool shim_is_readable;	/* by who asks */
	bool shim_is_named;	/* by LD_PRELOAD */
	const char *shim_version; /* fit for a terminal; "": it does not tell */
	int shim_is_same_build; /* as the tool's: 1, 0; -1: not known */
	bool shim_is_replaced, shim_is_removed; /* since it was mapped */

	uint16_t mesh_port; /* 0: none */
	const char *mesh_name;
	struct table_facts table;
};

void findings_make(const struct check_facts *facts, struct findings *ret);

/* By the worst of them. */
enum cover findings_cover(const struct findings *findings);

const char *severity_name(enum severity severity);

#endif
