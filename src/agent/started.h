/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's side of DIR/autostart (table/mark.h): that it lives, that it has published, and why it could not. Its log goes
 * nowhere, so what it lacks before there is a table is told there.
 */
#ifndef FAIRDIAL_AGENT_STARTED_H
#define FAIRDIAL_AGENT_STARTED_H

#include "base/report.h"
#include "table/mark.h"

struct started;

/*
 * 0, and the mark is held until the process ends or started_close; -EBUSY: an agent that was started so lives; else a negative
 * errno. Both with a line in `why`.
 */
int started_open(const char *dir, struct started **ret, struct report *why);

/* For those who wait, and for people. Writes only where it says something new. NULL is accepted. */
void started_tell(struct started *started, enum mark_state state, const char *text);

/* Lets go of it, as the end of the process does. NULL is accepted. */
void started_close(struct started *started);

/* Another agent has the directory: what a predecessor that was started so said is of no use, and it gets no successor. */
void started_forget(const char *dir);

#endif
