/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event, with one write(2), to standard error or appended to a file that is opened for each line: no
 * descriptor is kept. Async-signal-safe; never changes errno, nor raises a signal; what cannot be written is lost.
 *
 *   2026-11-26T13:56:08.123Z fairdial[4711] dial: web.shop 10.96.0.20:80 -> 10.244.0.11:8080 least_conn
 *
 * When (UTC), which process, which part; then what it is about, what became of it, and behind a colon why. Only what was
 * done has an arrow; what was left alone has "passed: " and the reason, in the words of `fairdial explain`.
 */
#ifndef FAIRDIAL_BASE_TRACE_H
#define FAIRDIAL_BASE_TRACE_H

#include <stdbool.h>

#include "base/text.h"

enum trace_part { TRACE_DIAL = 1, TRACE_NAMES = 2, TRACE_ATTACH = 4, TRACE_MOVE = 8, TRACE_ALL = 15 };

/* "dial,names" or "all", optionally followed by ":PATH". The parts; 0 where none is known. `ret_path` may be empty. */
unsigned trace_parse(struct slice text, struct slice *ret_path);

/* Begins a line in `buf`: "TIME fairdial[PID] PART: ". */
struct text trace_begin(char *buf, unsigned size, const char *part);

#define TRACE_TIME 32 /* room for one */

/* "2026-11-26T13:56:08.123Z", of milliseconds since 1970. */
void trace_add_time(struct text *line, uint64_t wall_ms);

/* What an errno means where the line is about; a list ends with a NULL text. */
struct trace_word {
	int error;
	const char *text;
};

/* The word for it, or its number where the list has none. */
void trace_add_error(struct text *line, const struct trace_word *words, int error);

/*
 * Writes it with a line feed; `path` empty: standard error. Control characters become '?', and the end of what is too long "...",
 * so that whatever a name has in it one event is one line.
 */
void trace_end(struct text *line, const char *path);

#endif
