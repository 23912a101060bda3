/* SPDX-License-Identifier: Apache-2.0 */
/* `fairdial top` on a terminal: look, draw, wait for a key, a signal or the time to look again. */
#ifndef FAIRDIAL_TOP_LIVE_H
#define FAIRDIAL_TOP_LIVE_H

#include <signal.h>

struct choices;
struct snapshot;
struct trust;

struct live_source {
	const char *dir;
	const struct trust *trust;
	const char *name; /* as of snapshot_take */
};

/*
 * From a snapshot that was taken, which is renewed, until somebody ends it; the terminal (screen_open, whose mask `waiting` is)
 * stays open. The signal that ended it; 0: a key, or SIGINT, which is one; -EIO: the terminal is gone; or another negative
 * errno.
 */
int live_watch(const struct live_source *source, struct snapshot *snapshot, const struct choices *choices, const sigset_t *waiting);

#endif
