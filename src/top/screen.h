/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal, by ncurses, which sends what differs from what is there. Nothing else of the tool knows of it. One at a time; not
 * thread-safe. Without ncurses screen_open says so.
 */
#ifndef FAIRDIAL_TOP_SCREEN_H
#define FAIRDIAL_TOP_SCREEN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/report.h"

struct canvas;

/* "6.4.20221231"; NULL: built without it. */
const char *screen_version(void);

/*
 * Takes stdin and stdout, which are a terminal, and the signals of signals.h. `terminfo`: a folder of descriptions to look into
 * where the system has none; NULL: none. `ret_waiting` is a mask for ppoll(2). 0, or a negative errno and why.
 */
int screen_open(const char *terminfo, bool colours, sigset_t *ret_waiting, struct report *why);

/* Puts the terminal back; again, or without a screen: nothing. */
void screen_close(void);

int screen_height(void);
int screen_width(void);

/* Prepares a canvas for lines of this screen. */
void screen_canvas(struct canvas *c);

/* The whole line `y`. */
void screen_line(int y, const struct canvas *c);

/* Sends what has changed. The cursor goes to column `x` of line `y`; hidden where that is negative. */
void screen_show(int y, int x);

/* The next time all is sent. */
void screen_forget(void);

/* The next key (keys.h); 0: no more now. */
uint32_t screen_key(void);

/* The terminal has another size, or this process goes on after it was stopped. */
void screen_resized(void);
void screen_resumed(void);

/* Puts the terminal back, stops this process, and takes the terminal again when it goes on. */
void screen_stop(void);

#endif
