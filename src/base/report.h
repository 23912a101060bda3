/* SPDX-License-Identifier: Apache-2.0 */
/* The one line with which a library says why it failed; agent and tool print it, once. */
#ifndef FAIRDIAL_BASE_REPORT_H
#define FAIRDIAL_BASE_REPORT_H

struct report {
	char text[512];
};

/*
 * Fills the line, as printf does (of one that is too long, the middle is "..."), and returns `error` (a negative errno) so that a
 * caller can return it.
 */
int report(struct report *r, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
