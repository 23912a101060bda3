/* SPDX-License-Identifier: Apache-2.0 */
/* A frame as lines: for a terminal, and as plain text. Pure but for the locale. */
#ifndef FAIRDIAL_TOP_DRAW_H
#define FAIRDIAL_TOP_DRAW_H

#include <stdbool.h>
#include <stddef.h>

#include "top/canvas.h"
#include "top/frame.h"

enum column { COL_ADDRESS, COL_OPEN, COL_OPEN_BAR, COL_RATE, COL_RATE_BAR, COL_DIALS, COL_FAILED, COL_STATE, COL_ZONE, COL_COUNT };

/* Where columns stand; a width of 0: there is no room for it. */
struct plan {
	int at[COL_COUNT], width[COL_COUNT];
};

/* Why the table could not be read again; "": it could. */
#define TOLD_SIZE 600
struct told {
	char text[TOLD_SIZE];
};

void draw_plan(const struct frame *f, int width, struct plan *ret_plan);

/* Which table this is; the sums of it. `is_live`: a terminal, where age and pauses are worth telling. */
void draw_table(const struct frame *f, bool is_live, int width, struct canvas *c);
void draw_sums(const struct frame *f, int width, struct canvas *c);

/* What is wrong, number `i`, the gravest first; false: there are no more. */
bool draw_trouble(const struct frame *f, const struct told *told, size_t i, int width, struct canvas *c);

/* The names of columns. `is_live`: the one that sorts is marked. */
void draw_titles(const struct frame *f, const struct plan *plan, bool is_live, int width, struct canvas *c);

void draw_line(const struct frame *f, const struct plan *plan, const struct frame_line *line, int width, struct canvas *c);

#endif
