/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an agent publishes: one table in its directory, or one a namespace below it (namespaces.h). What is said to the shelf
 * is said to each table; the functions are those of table/writer.h.
 */
#ifndef FAIRDIAL_AGENT_SHELF_H
#define FAIRDIAL_AGENT_SHELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"

struct shelf;
struct spec;
struct table;

/* -EBUSY where another one has the directory. */
int shelf_open(const char *dir, bool per_namespace, struct shelf **ret_shelf, struct report *report);

/* The tables stay. NULL is accepted. */
void shelf_close(struct shelf *shelf);

/* "3 tables", for people; "" where there is one by its nature. Returns `buf`. */
#define SHELF_TEXT 64
const char *shelf_describe(const struct shelf *shelf, char buf[SHELF_TEXT]);

/* Right after the opening: whether a predecessor's Services are there. */
bool shelf_has_services(const struct shelf *shelf);

/* As model_resolve and model_resolve_changed give them. -ESTALE from the second where the first is needed. */
int shelf_publish(struct shelf *shelf, const struct spec *spec, struct report *report);
int shelf_patch(struct shelf *shelf, const struct spec *spec, struct report *report);

/* Whether a part that failed is to be tried again, by a publish of the whole. */
bool shelf_is_due(const struct shelf *shelf, uint64_t now_ms);

/*
 * Of the one table, whether somebody has taken its directory from it, or the table from there: who looks for it by its name finds
 * none, and those who have it mapped go on. Many look after themselves.
 */
bool shelf_has_directory(const struct shelf *shelf);
int shelf_keep_lock(const struct shelf *shelf, struct report *report); /* as writer_keep_lock */
bool shelf_was_removed(const struct shelf *shelf);

void shelf_note(struct shelf *shelf, const char *text);
void shelf_alive(struct shelf *shelf, uint64_t delay_ms);
void shelf_heartbeat(struct shelf *shelf);

/* Of the one table: a shelf of many is never taken back. */
void shelf_retire(struct shelf *shelf);

/* Calls `each` with every table that there is. */
void shelf_each(const struct shelf *shelf, void (*each)(void *of, const struct table *table), void *of);

/* The one table; NULL before the first publish, and where there is one a namespace. */
const struct table *shelf_table(const struct shelf *shelf);

#endif
