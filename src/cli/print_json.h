/* SPDX-License-Identifier: Apache-2.0 */
/* How every verb prints JSON: two blanks a level, and ASCII alone, so that no text in it is a terminal's to obey. */
#ifndef FAIRDIAL_CLI_PRINT_JSON_H
#define FAIRDIAL_CLI_PRINT_JSON_H

#include <jansson.h>

#define PRINT_JSON_FLAGS (JSON_INDENT(2) | JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII)

/* Takes `root`. 0; -ENOMEM where it is NULL. What stdout does not take, cli_finish tells. */
int print_json(json_t *root);

#endif
