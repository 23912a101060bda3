/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a services file is read: each object of the format is a table of its keys; reading one refuses keys that are not
 * in the table, then reads the others in the order of the table, so that what comes later can lean on it.
 *
 * All functions that return an int: 0; -EINVAL, and the report says what is wrong, where; -ENOMEM.
 */
#ifndef FAIRDIAL_SERVICES_READER_H
#define FAIRDIAL_SERVICES_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/arena.h"
#include "model/index.h"
#include "model/model.h"
#include "services/json_lines.h"

struct reader {
	const struct json_source *source;
	struct report *report;
	struct arena arena; /* what is handed to the model, which copies it, and keys */
	struct file_services file;
	struct index names;     /* of services: "name.namespace" */
	struct index addresses; /* what a service is dialed by: address, port, protocol */
};

/* One key of an object: reads `value`, which lies at `at`, into the object's struct. */
struct field {
	const char *name;
	int (*read)(struct reader *r, const struct json_path *at, const json_t *value, void *into);
	const char *required; /* what is expected, where the key must be there */
};

#define refuse(r, at, ...) json_refuse((r)->source, at, (r)->report, __VA_ARGS__)

int reader_no_memory(struct reader *r);

/* "expected WHAT, got what there is". */
int reader_refuse_value(struct reader *r, const struct json_path *at, const char *expects, const json_t *value);

/* ---- values ---- */

int reader_bool(struct reader *r, const struct json_path *at, const json_t *value, bool *ret);

/* From 1 to 65535; `what` names it: "a port". */
int reader_number(struct reader *r, const struct json_path *at, const json_t *value, const char *what, uint16_t *ret);

/* As label_is_valid. */
int reader_label(struct reader *r, const struct json_path *at, const json_t *value, const char **ret);

/* One that can be dialed. */
int reader_ip(struct reader *r, const struct json_path *at, const json_t *value, struct addr *ret);

/* The policy key that `at` ends with; -ENOENT where that is none. */
int reader_policy_key(struct reader *r, const struct json_path *at, const json_t *value, struct table_policy *policy);

/* `policy`: the object may have policy keys too, which set this; NULL: it may not. */
int reader_object(struct reader *r, const struct json_path *at, const json_t *value, const struct field *fields,
		  struct table_policy *policy, void *into);

/* Room for the elements of a list, to be filled; in `*ret_count` how many there are. */
int reader_list(struct reader *r, const struct json_path *at, const json_t *value, const char *expects, size_t size,
		void *ret_array, size_t *ret_count);

/* Notes that the element (1 or more) has this key; returns the element that had it before, 0, or -ENOMEM. */
int reader_note(struct reader *r, struct index *index, const void *key, size_t len, size_t element);

/* ---- ports.c: "ports" and "endpoints" of a struct file_service, as fields read them ---- */

int services_read_ports(struct reader *r, const struct json_path *at, const json_t *value, void *into);
int services_read_endpoints(struct reader *r, const struct json_path *at, const json_t *value, void *into);

const char *services_protocol_name(uint8_t number);

#endif
