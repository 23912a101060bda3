/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs share: their rows, exit codes, errors, and where things lie. */
#ifndef FAIRDIAL_CLI_CLI_H
#define FAIRDIAL_CLI_CLI_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/map.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* the work failed, or the answer is no */
	EXIT_USAGE = 2,
	EXIT_NOT_RUN = 126,   /* of `run`: the program is there */
	EXIT_NOT_FOUND = 127, /* of `run`: it is not */
};

struct cli_option {
	const char *name;     /* "services" */
	const char *argument; /* "FILE", or NULL */
	const char *help;
};

/* What a verb's operands are, for who completes a line. */
enum cli_operands { OPERANDS_NONE, OPERANDS_SERVICE, OPERANDS_SERVICE_PORT, OPERANDS_DIRECTORY };

/* One row a verb: from it come dispatch, `fairdial --help` and `fairdial VERB --help`. */
struct verb {
	const char *name;
	const char *usage; /* what follows the name */
	const char *summary;
	const char *more; /* a paragraph for --help */
	const struct cli_option *options; /* the last has no name */
	int (*run)(const struct verb *verb, int argc, char **argv);
	bool takes_program; /* its operands are a command line */
	enum cli_operands operands;
};

extern const struct verb agent_verb, run_verb, publish_verb, status_verb, top_verb, explain_verb, check_verb, install_verb,
	inject_verb;

/* The verbs in the order of the help; NULL behind the last. */
const struct verb *cli_verb(size_t i);

/*
 * Options by name, as getopt_long(3) reads them. Returns the row's number, or -1 at the end with `optind` at the first
 * operand. `--help` and mistakes end the program.
 */
int cli_option(const struct verb *verb, int argc, char **argv);

/* "fairdial VERB: ...", one line on stderr, of which a terminal obeys nothing. Returns `code`. */
int cli_fail(const struct verb *verb, enum exit_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Of an operand too many. Returns EXIT_USAGE. */
int cli_fail_argument(const struct verb *verb, const char *argument);

/*
 * What was printed is written out: returns `code`; EXIT_FAILED, after a line on stderr, where stdout does not take it. Without that
 * line where nobody reads any more (`fairdial status | head`, with SIGPIPE ignored).
 */
int cli_finish(const struct verb *verb, enum exit_code code);

/* The libfairdial.so that belongs to this tool: beside it, or where `make install` and `fairdial install` put it. */
int cli_shim_path(char ret_path[PATH_MAX]);

/*
 * Where the table is: `given` (--dir), else FAIRDIAL_DIR, else the first of the shim's own places that holds a table one may
 * read; else -ENOENT and the last place looked at.
 */
int cli_table_dir(const char *given, char ret_dir[PATH_MAX]);

/* Whether there is a table that this user may read. */
bool cli_holds_table(const char *dir);

/* A source as `status` tells it later, from any directory: "file /etc/services.json", "standard input". */
void cli_describe_file(const char *path, char *buf, size_t size);

/* Whom this user believes. */
struct trust cli_trust(void);

/* Appends with ';' to a malloc'ed text; false when out of memory. */
bool cli_join(char **text, const char *more);

#endif
