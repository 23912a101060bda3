/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the tool, as `fairdial --help` names them, and runs of them for what is asked of all alike. */
#ifndef FAIRDIAL_TESTS_VERBS_H
#define FAIRDIAL_TESTS_VERBS_H

#include <stdbool.h>
#include <stddef.h>

struct process;

#define VERBS_MAX 32

/* Fills `verbs`; returns how many. */
size_t verbs_of_help(const char *verbs[VERBS_MAX]);
bool verb_exists(const char *name);

/* The names behind "--" in the options that `fairdial VERB --help` lists. */
#define OPTIONS_MAX 64
size_t options_of_help(const char *verb, const char *options[OPTIONS_MAX]);

/* The tool with a line of words for sh behind it: "status --dir /x". `env` as in struct start. */
struct process *fairdial(const char *const *env, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fails unless each byte but the end of a line is for reading: valid UTF-8 without control characters. */
void assert_plain(const char *text);

#endif
