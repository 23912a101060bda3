/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DIR/autostart: what the processes that may start an agent for a directory, and the agent that one of them started, tell
 * each other.
 *
 * Whoever may start one first takes flock(2) on the file, so of any number that race one decides; the kernel lets go of it
 * when that process ends. It notes the start before it begins, so that one that comes to nothing, however it ends, is paid
 * for with a pause: a second, twice that after the next, a minute at most. The agent holds a record lock (fcntl(2), F_SETLK)
 * on it for as long as it lives, which anybody may ask for, and which no pid, no clock and no crash can make a lie. It notes
 * when it has published, why it could not, and that it ends because nobody uses it.
 *
 * Times are CLOCK_BOOTTIME in milliseconds, with the boot id. What is of another boot, of a time that has not come yet, or
 * damaged is as if it were not there; so no clock and no dead process can put off a start for longer than a pause.
 *
 * System calls only; async-signal-safe. Results are 0 or more, or a negative errno.
 */
#ifndef FAIRDIAL_TABLE_MARK_H
#define FAIRDIAL_TABLE_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "table/map.h"

#define MARK_NAME      "autostart"
#define MARK_TEXT      464
#define MARK_GRACE_MS  5000  /* from a start until the agent holds the file, on a machine that is busy */
#define MARK_PAUSE_MS  1000  /* after the first start that came to nothing */
#define MARK_LONGEST_MS 60000

enum mark_state {
	MARK_NONE,    /* nobody has started one */
	MARK_STARTED, /* an agent is on its way */
	MARK_RUNNING, /* it has published */
	MARK_FAILED,  /* it could not be started, or cannot follow its source: `text` says why */
	MARK_ENDED,   /* nobody used it: it takes its table back, and is about to let go */
	MARK_STATES
};

struct mark {
	uint64_t magic;
	uint8_t boot_id[16];
	uint64_t time_ms; /* of the last start */
	uint32_t state;	  /* enum mark_state */
	uint32_t tries;	  /* starts since an agent last lasted: it ended by itself, or came to publish and was there for a minute */
	char text[MARK_TEXT]; /* for people; ends with NUL */
	uint64_t sum;	      /* table_sum of all words before it */
};

/* ---- the file ---- */

enum mark_opening {
	MARK_MAKE,  /* make it where there is none */
	MARK_WRITE, /* -ENOENT then */
	MARK_READ,  /* likewise, and only mark_read and mark_holder can be called */
};

/* In an open directory. -EPERM where it is not a file of somebody trusted that nobody else can write, or has a second name. */
int mark_open(int dir_fd, const struct trust *trust, enum mark_opening opening);

/* Of those that decide: -EAGAIN where another one does now. Never waits. */
int mark_lock(int fd);
void mark_unlock(int fd); /* before it is closed: a child that another thread forked meanwhile has it too */

/* -EINVAL where it is something else, and not to be written over; all zero where it says nothing that holds. */
int mark_read(int fd, struct mark *ret_mark);

/* Whole, or not at all. Fills in what tells it from others, and the sum. */
int mark_write(int fd, struct mark *mark);

/* The agent's: for as long as the process lives, and no descriptor of the file is closed in it. -EAGAIN: another one has it. */
int mark_hold(int fd);

/* 0: nobody; else its pid, or -1 where that is in another pid namespace. Not to be asked by a process that holds it. */
int mark_holder(int fd);

/* ---- what follows from it; pure ---- */

/* How long a start waits for after the last one. */
uint32_t mark_pause_ms(const struct mark *mark);

/* Whether an agent may be started now. */
bool mark_is_due(const struct mark *mark, bool is_held, uint64_t now_ms);

/* Whether there is nothing to wait for: the last start came to nothing. */
bool mark_has_failed(const struct mark *mark, bool is_held, uint64_t now_ms);

/* What a start, and an agent, make of it. `text` may be NULL, and is cut. */
void mark_note_start(struct mark *mark, uint64_t now_ms);
void mark_note(struct mark *mark, enum mark_state state, const char *text);

_Static_assert(sizeof(struct mark) == 512, "mark: the file");

#endif
