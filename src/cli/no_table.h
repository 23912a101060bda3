/* SPDX-License-Identifier: Apache-2.0 */
/* What to say where a verb needs a table, and DIR has none that can be read. */
#ifndef FAIRDIAL_CLI_NO_TABLE_H
#define FAIRDIAL_CLI_NO_TABLE_H

struct snapshot;
struct verb;

/* `error` and `why` (may be "") as snapshot_take gave them. One line on stderr; returns EXIT_FAILED. */
int no_table_fail(const struct verb *verb, const char *dir, int error, const char *why);

/* Likewise where the table has none of the Services that were asked for. */
int no_service_fail(const struct verb *verb, const char *dir, const char *name, const struct snapshot *snapshot);

/* Of an error alone what is the matter, and what to do. */
const char *no_table_why(int error);

#endif
