/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairdial explain --json` says, and the dials that it is held against. What is not there fails the test. */
#ifndef FAIRDIAL_TESTS_EXPLAINED_H
#define FAIRDIAL_TESTS_EXPLAINED_H

#include <jansson.h>
#include <stddef.h>

struct backends;
struct process;
struct services;

/* Of a run that has ended well; freed at the end of the test, as are the next two. */
json_t *explained_json(const struct process *p);

/* As a process of this environment would dial (it may be that of a preloaded one), or one of the test's. */
json_t *explained_as(const struct services *s, const char *const *env, const char *operand);
json_t *explained(const struct services *s, const char *operand);

/* For people; and the same JSON as a text, after it was held against its schema, which takes a while. */
const char *explained_text(const struct services *s, const char *operand);
json_t *explained_by_schema(const struct services *s, const char *operand);

/* Of the first port and family. */
json_t *explained_family(const json_t *explanation);
const char *explained_string(const json_t *object, const char *key);
size_t explained_count(const json_t *family, const char *key);

/* Which backend an endpoint is; which is next. */
size_t explained_backend(const struct backends *b, const json_t *endpoint);
size_t explained_next(const struct backends *b, const json_t *explanation);

void assert_explained_pass(const json_t *explanation, const char *reason);
void assert_explained_setting(const json_t *explanation, const char *key, const char *value, const char *origin);

/* Dials port 80 of SERVICE_ADDRESS: who answered. The second keeps its connection until its stdin is closed. */
size_t dial_web(const char *const *env);
size_t dial_web_and_hold(const char *const *env, struct process **ret_process);

#endif
