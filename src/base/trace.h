/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event, with one write(2), to standard error or appended to a file that is opened for each line: no
 * descriptor is kept. Async-signal-safe; never changes errno; what cannot be written is lost.
 */
#ifndef FAIRDIAL_BASE_TRACE_H
#define FAIRDIAL_BASE_TRACE_H

#include <stdbool.h>

#include "base/text.h"

enum trace_part { TRACE_DIAL = 1, TRACE_NAMES = 2, TRACE_ATTACH = 4, TRACE_MOVE = 8, TRACE_ALL = 15 };

/* "dial,names" or "all", optionally followed by ":PATH". The parts; 0 where none is known. `ret_path` may be empty. */
unsigned trace_parse(struct slice text, struct slice *ret_path);

/* Begins a line in `buf`: "fairdial[PID] PART: ". */
struct text trace_begin(char *buf, unsigned size, const char *part);

/* What an errno means where the line is about; a list ends with a NULL text. */
struct trace_word {
	int error;
	const char *text;
};

/* The word for it, or its number where the list has none. */
void trace_add_error(struct text *line, const struct trace_word *words, int error);

/* Writes it with a line feed; `path` empty: standard error. */
void trace_end(struct text *line, const char *path);

#endif
