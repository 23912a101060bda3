/* SPDX-License-Identifier: Apache-2.0 */
/* A `fairdial agent` that follows a stand-in API server, and what its table says. The tests are TEST() ones. */
#ifndef FAIRDIAL_TESTS_AGENTS_H
#define FAIRDIAL_TESTS_AGENTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "table/table.h"

struct api_kubeconfig;
struct api_server;
struct process;

struct agent_run {
	struct process *process;
	char *dir, *kubeconfig;
	const char *env[3]; /* LD_PRELOAD and FAIRDIAL_DIR: for programs that dial by its table */
};

/*
 * Starts one for namespace "shop", with short pauses after failures, and these arguments after the usual ones (NULL: none; NULL at
 * their end). `dir` NULL: a scratch directory. With a log that is kept: process->err_text.
 */
struct agent_run *agent_start(const struct api_server *api, const char *dir, const char *const *more);

/* The same without an API server: what it reads is in `more`. */
struct agent_run *agent_start_alone(const char *dir, const char *const *more);

/* All that may differ; all zero is agent_start_alone's, or with an API agent_start's. */
struct agent_setup {
	const struct api_server *api;		 /* NULL: none */
	const struct api_kubeconfig *kubeconfig; /* NULL: for namespace "shop"; its own of the API */
	const char *dir;
	const char *program;			 /* NULL: the one that was built */
	const char *const *before;		 /* what starts the program: "setpriv", "--no-new-privs"; NULL at the end */
	const char *const *more;
	const char *const *env;			 /* as in struct start, over the usual one */
	const char *log;			 /* a file for it; NULL: it is kept. Nobody need read it then */
	uid_t uid;
};
struct agent_run *agent_start_as(const struct agent_setup *setup);

/* Ends it by this signal and waits for it. */
void agent_end(struct agent_run *a, int signal);

/*
 * What DIR/table says of "10.96.0.1:80" (TCP): "10.0.0.1:8080 10.0.0.2:8080!", with a '!' behind what may not be dialed; "mesh:
 * ..." before them where the Service stands down; "none" where there is no such address and port, "no table" where there is none.
 * Valid until the test ends.
 */
const char *table_says(const char *dir, const char *dest);

/* Until it says so; a test that waits for more than thirty seconds fails, and shows the agent's log. */
void agent_wait(struct agent_run *a, const char *dest, const char *says);

/* Until the table is vouched for (true), or has not been for the last second (false). */
void agent_wait_vouched(struct agent_run *a, bool vouched);

/* Until its log holds this text, or `status` tells it as the trouble ("": none). */
void agent_wait_log(struct agent_run *a, const char *text);
void agent_wait_trouble(struct agent_run *a, const char *text);

/* How often its log holds a text. */
unsigned agent_logged(struct agent_run *a, const char *text);

#endif
