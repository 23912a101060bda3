/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a kubeconfig, read and checked as far as their form goes, and what is looked up in them by name. For
 * config.c. All functions that return an int: 0, or a negative errno and the report says what is wrong, where.
 */
#ifndef FAIRDIAL_KUBE_CONFIG_FILES_H
#define FAIRDIAL_KUBE_CONFIG_FILES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/report.h"

struct config_file {
	char *path;
	json_t *root;
};

struct config_files {
	struct config_file *at;
	size_t count;
	const char *given; /* what was asked for, for errors that no single file is to blame for */
};

/* `path` as kube_config_load has it; it must outlive the files. */
int config_files_open(const char *path, struct config_files *ret_files, struct report *why);

/* Overwrites the texts of the trees before it frees them. */
void config_files_close(struct config_files *files);

/* A context, cluster or user, and the file that says it. */
struct config_entry {
	const struct config_file *file;
	const char *kind; /* "cluster" */
	const char *name;
	const json_t *object;
};

/* The current context's name, borrowed. */
int config_files_current(const struct config_files *files, const char **ret_name, struct report *why);

/* Of the first file that has it; -ENOENT, and nothing is reported, where none has. */
int config_files_find(const struct config_files *files, const char *kind, const char *name,
		      struct config_entry *ret_entry, struct report *why);

/* "PATH: cluster x: KEY: reason". Returns -EINVAL. `key` may be NULL. */
int config_refuse(const struct config_entry *entry, const char *key, struct report *why, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A member's text, borrowed; NULL where it is absent, null or empty. */
int config_text(const struct config_entry *entry, const char *key, const char **ret_text, struct report *why);

int config_bool(const struct config_entry *entry, const char *key, bool *ret, struct report *why);

/* Whether a member is there and says something: not null, "", [] or {}. */
bool config_has(const struct config_entry *entry, const char *key);

#endif
