/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of a screen: characters of one column each, and what they mean. Whatever text is put on it, a control character, a
 * sequence of them, or one that would take no column or two, arrives as '?'. Pure but for the locale.
 */
#ifndef FAIRDIAL_TOP_CANVAS_H
#define FAIRDIAL_TOP_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

#define CANVAS_MAX 1024 /* columns */

enum style {
	STYLE_PLAIN,
	STYLE_STRONG,
	STYLE_DIM,
	STYLE_TITLE,  /* over columns */
	STYLE_SORTED, /* over the one that sorts */
	STYLE_GOOD,
	STYLE_DOUBTFUL,
	STYLE_BAD,
	STYLE_OPEN_BAR,
	STYLE_RATE_BAR,
	STYLE_KEY, /* to press */
	STYLE_COUNT
};

struct canvas {
	int width;
	bool utf8; /* the locale's encoding; else ASCII alone */
	int bar_steps; /* within one column: 8, 2 or 1 */
	wchar_t text[CANVAS_MAX + 1];
	uint8_t style[CANVAS_MAX];
};

/* An empty line of `width` columns, at most CANVAS_MAX; utf8 and bar_steps stay. */
void canvas_clear(struct canvas *c, int width, enum style style);

/* From column `at`, at most `room` columns, the last a mark where it is cut. Returns the column behind it. */
int canvas_put(struct canvas *c, int at, int room, enum style style, const char *text);

/* The same, ending before column `end`. */
void canvas_put_right(struct canvas *c, int end, int room, enum style style, const char *text);

/* Columns that a text takes. */
int canvas_measure(const struct canvas *c, const char *text);

/* `share` of `room` columns: 0 to 1. What is more than nothing is seen. */
void canvas_bar(struct canvas *c, int at, int room, enum style style, double share);

/* Whether the locale is one of UTF-8, after the program's own was set. */
bool canvas_locale_is_utf8(void);

#endif
