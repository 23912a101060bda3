/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the verbs print for people: colours where stdout is a terminal that has them, and texts of others without what a terminal
 * would obey. In a pipe paint() is "" throughout, so that not one byte differs.
 */
#ifndef FAIRDIAL_VIEW_PAINT_H
#define FAIRDIAL_VIEW_PAINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum paint {
	PAINT_HEAD,  /* bold: what begins a part, and the heads of columns */
	PAINT_GOOD,  /* green */
	PAINT_NEXT,  /* bold green: the one that is meant */
	PAINT_LEAVE, /* yellow: on its way out, or to be looked at: terminating, a warning */
	PAINT_BAD,   /* red: out, or wrong: ejected, not ready, trouble */
	PAINT_COUNT
};

/*
 * Whether stdout is a terminal, TERM names one that is not "dumb", and NO_COLOR (no-color.org) is unset or empty. Found out
 * once.
 */
bool paint_wanted(void);

/* What goes before a text, and behind it; "" where no colours are wanted. Outside of a field's width, or columns break. */
const char *paint(enum paint what);
const char *paint_off(void);

/*
 * A text of somebody else's (names, a source, a program's) to stdout: control characters, what changes the direction of
 * writing, and bytes that are no UTF-8 are '?'. Other text is as it is.
 */
void print_plain(const char *text);
void print_plain_to(FILE *stream, const char *text);

/* For JSON, which takes no other: a '?' in place of each byte that is no UTF-8. */
void make_utf8(char *text);

/* "1234 ms", "12 s", "12 min". */
void print_age(uint64_t ms);

#endif
