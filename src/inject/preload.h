/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LD_PRELOAD among a container's variables: ours behind what is there, and out again.
 *
 * A value may have references, $(OTHER), which the kubelet expands: they stay where they are in the list, because they see
 * what was defined before them (Kubernetes' "Define dependent environment variables"). A value that comes from elsewhere
 * (valueFrom) goes on under another name, and ours refers to that.
 */
#ifndef FAIRDIAL_INJECT_PRELOAD_H
#define FAIRDIAL_INJECT_PRELOAD_H

#include <jansson.h>
#include <stdbool.h>

#define PRELOAD_VARIABLE "LD_PRELOAD"
#define PRELOAD_BEFORE   "LD_PRELOAD_BEFORE_FAIRDIAL"

/* The entry of that name that counts: the last. `ret_index` may be NULL. */
json_t *preload_entry(const json_t *env, const char *name, size_t *ret_index);

/* Whether one of a preload list's files is a libfairdial.so, wherever it lies. ld.so(8): spaces or colons between. */
bool preload_names_us(const char *value);

/* Into the variables; `existing` or NULL: struct inject_options. Notes in the container's record what there was. */
void preload_add(json_t *env, const char *existing, json_t *record);

/* Out of them, by that record, or NULL. */
void preload_remove(json_t *env, const json_t *record);

#endif
