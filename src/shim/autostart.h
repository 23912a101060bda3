/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FAIRDIAL_AUTOSTART=1 (or true, yes, on): a dial that finds no table starts the agent that lies beside libfairdial.so. For
 * images that carry both files and have nobody else to start it.
 *
 * It is started where
 *	- there is something to follow: KUBERNETES_SERVICE_HOST or FAIRDIAL_SERVICES;
 *	- the process is neither PID 1 of its pid namespace nor a subreaper: the agent, once it has lost its parents, would be
 *	  its child, and its end a SIGCHLD, and a stranger to its wait(2); nor one whose next child would be PID 1 of a new
 *	  namespace;
 *	- the process has no rights but its user's (AT_SECURE, or a user or group that it has put on for a while);
 *	- the binary, and every folder above it up to the root, belong to whom a table is believed (table/map.h), and nobody
 *	  else can write them; none of them is a symbolic link. Whoever could put another in its place between that look and
 *	  execve(2) is one of those, who run code in this process anyway: the path is as good as a descriptor, and the tool
 *	  needs its path to find what lies beside it;
 *	- a directory can be had for the table, under the same rule, and its mark (table/mark.h) says that it is time.
 *
 * Where a filter of system calls kills who calls clone(2) or execve(2) (seccomp(2)), it kills: this is for programs that may
 * have children, and is off unless asked for.
 *
 * Async-signal-safe, but for autostart_keep_environment.
 */
#ifndef FAIRDIAL_SHIM_AUTOSTART_H
#define FAIRDIAL_SHIM_AUTOSTART_H

#include "shim/settings.h"

enum autostart_result {
	AUTOSTART_NO,	   /* not from this process now, or into no directory */
	AUTOSTART_NEVER,   /* not from this process, whenever it asks, and nobody else has started one */
	AUTOSTART_COMING,  /* an agent was started, by whomever */
	AUTOSTART_RUNS,	   /* and has published what its source says */
	AUTOSTART_FAILED,  /* it came to nothing, and its pause is not over */
};

/* Copies what the agent needs of the environment, while that is as the process was started with. */
void autostart_keep_environment(void);

/* For a dial without a table. */
enum autostart_result autostart_agent(const struct settings *settings);

/* For one that has the table of `dir`: if an agent that was started so made it, and is gone. */
void autostart_replace(const struct settings *settings, const char *dir);

/* ---- its parts, for tests ---- */

struct trust;

/* 0 where the file at that absolute path may be run: -ENOENT, -EPERM, -EACCES (it is no program). */
int autostart_check_binary(const char *path, const struct trust *trust);

#endif
