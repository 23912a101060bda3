/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `fairdial check`: what is found out of a program or a process, and how it is told. */
#ifndef FAIRDIAL_CLI_CHECK_H
#define FAIRDIAL_CLI_CHECK_H

#include <limits.h>
#include <stdbool.h>

#include "cli/cli.h"
#include "inspect/findings.h"

/* What was asked. */
struct check_question {
	const char *shim, *dir, *pid_text; /* NULL: not given */
	char **program;			   /* with its own arguments; NULL at the end */
	int pid;			   /* 0: a program */
	bool is_json;
};

/* All that is found out: `facts` points into the rest. */
struct inquiry {
	const struct verb *verb;
	struct check_question question;
	struct check_facts facts;
	struct findings findings;
	struct program program;
	struct program_file file;
	struct preloads preloads;
	struct libraries libraries;
	struct processes processes;
	struct mapped mapped;
	int process, root; /* descriptors of /proc/PID and of its /; -1 */
	char shim[PATH_MAX], own_shim[PATH_MAX]; /* own: the tool's; "": there is none */
	char dir[PATH_MAX];
	/* Fit for a terminal. */
	char shim_shown[256], dir_shown[256], arguments_shown[128], subject[400];
	struct elf_links shim_links; /* of the shim's file: its build and its version */
};

/* Gather the facts. 0, or the exit status of a failure that was told on stderr. */
int check_program(struct inquiry *q);
int check_process(struct inquiry *q);

/* What both gather. `fd` of the shim's file, which stays open; -1: it cannot be read. */
void check_take_build(struct inquiry *q, int fd);
/* `path` leads there from here; `dir` is how its users call it. */
void check_take_table(struct inquiry *q, const char *path, const char *dir);
/* The libfairdial.so that LD_PRELOAD names; NULL: none. */
const char *check_preloaded_shim(const struct inquiry *q);

/* Write the answer to stdout: what it does not take, cli_finish tells. 0, or -ENOMEM. */
int check_print_json(const struct inquiry *q, enum cover cover);
void check_print_text(const struct inquiry *q, enum cover cover);

#endif
