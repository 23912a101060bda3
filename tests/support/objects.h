/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes objects for tests of `fairdial inject`: as clusters print them, and made up at random. */
#ifndef FAIRDIAL_TESTS_OBJECTS_H
#define FAIRDIAL_TESTS_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inject_options;
struct json_t;

/* Paths of tests/data/kubernetes/objects, in order; NULL behind the last. Valid until the test ends. */
char **object_files(void);

/*
 * An object with a pod, or a List of some, as JSON: of any kind, lists and maps of it absent, null, empty or not, variables,
 * mounts and security contexts of many forms, numbers that no double keeps, keys in any order. The same from the same
 * state, which goes on, in one build. Nothing in it is refused. Valid until the test ends.
 */
char *object_at_random(uint64_t *state);

/* What an injection gave. Valid until the test ends. */
struct injection {
	char *text;     /* what is printed */
	char *said;     /* a line for each thing that was said, each with a newline */
	size_t refused; /* objects */
};

/* Of a text; it has to be JSON. `options` of NULL: image fairdial:test. */
struct injection injected(const char *text, const struct inject_options *options);
struct injection removed(const char *text);

/* The text as it is printed without any change, or without what the server writes. */
char *printed(const char *text);
char *stripped(const char *text);

/* The value in the first object of a text, by a path such as "spec/template/spec/volumes/0/name"; NULL: none. */
struct json_t *value_at(const char *text, const char *path);

#endif
