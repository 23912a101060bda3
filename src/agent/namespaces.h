/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table for each namespace under one directory, DIR/NAMESPACE/table, each with the Services of that namespace: for one agent
 * a node, whose pods each mount the directory and look into the table of their own.
 *
 * One writer has the whole: it holds the lock of DIR (writer_lock), and that of each directory in it. Directories are made (0755)
 * when a namespace has its first Service. They and their tables stay for the writer's life and beyond, for programs have them
 * mapped: the table of a namespace that has lost its Services is an empty one. A successor takes over all that are there. A file
 * takes 36 KiB, and a larger one its place when a namespace outgrows it; then a process that has changed its root, and cannot
 * open that, is left with the last of the old one, which ages as a silent agent's does.
 *
 * Services without a namespace, which only a services file has, are in all tables; so are its mode and its defaults.
 *
 * A change costs what its namespace costs: a patch goes to its table, and of a whole generation only those tables are written
 * anew whose Services differ from what was published in them. Between changes a table costs a few stores a second, of its
 * heartbeat and signs of life, and no call into the kernel.
 *
 * A directory that cannot be written is the trouble of its table alone. It is told in the log and in the table's note, tried
 * again every few seconds, and meanwhile not vouched for.
 *
 * Functions return 0 or more, or a negative errno and a line. Not thread-safe.
 */
#ifndef FAIRDIAL_AGENT_NAMESPACES_H
#define FAIRDIAL_AGENT_NAMESPACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/report.h"

struct namespaces;
struct spec;

/* -EBUSY where another one has the directory. */
int namespaces_open(const char *dir, struct namespaces **ret_namespaces, struct report *report);

/* The tables stay. NULL is accepted. */
void namespaces_close(struct namespaces *namespaces);

size_t namespaces_count(const struct namespaces *namespaces);

/* Calls `each` with every table that there is. */
struct table;
void namespaces_each(const struct namespaces *namespaces, void (*each)(void *of, const struct table *table), void *of);

/* Whether a table has Services: right after the opening, those of a predecessor. */
bool namespaces_have_services(const struct namespaces *namespaces);

/*
 * All Services of all namespaces, in the order of namespaces, as model_resolve gives them. -ENOMEM; what fails of one table is
 * the trouble of that one.
 */
int namespaces_publish(struct namespaces *namespaces, const struct spec *spec, struct report *report);

/* Only those whose endpoints have changed, as model_resolve_changed gives them. -ESTALE where all are needed. */
int namespaces_patch(struct namespaces *namespaces, const struct spec *spec, struct report *report);

/* Whether a table that could not be written is to be tried again: by a publish. */
bool namespaces_are_due(const struct namespaces *namespaces, uint64_t now_ms);

/* As the functions of table/writer.h, for each table; one with a trouble of its own tells that, and is not vouched for. */
void namespaces_note(struct namespaces *namespaces, const char *text);
void namespaces_alive(struct namespaces *namespaces, uint64_t delay_ms);
void namespaces_heartbeat(struct namespaces *namespaces);

#endif
