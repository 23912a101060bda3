/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairdial status --coverage` prints. */
#ifndef FAIRDIAL_CLI_COVERAGE_H
#define FAIRDIAL_CLI_COVERAGE_H

#include <stdbool.h>

struct snapshot;

/*
 * Looks at the connections to the Services of a snapshot, whose table is in `dir`, and prints what is found on stdout. 0, or a
 * negative errno where the kernel does not list its sockets, /proc cannot be read, or memory is short.
 */
int coverage_report(const char *dir, const struct snapshot *snapshot, bool as_json);

#endif
