/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairdial explain --json` prints. Names never change; new ones may come. */
#ifndef FAIRDIAL_CLI_EXPLAIN_JSON_H
#define FAIRDIAL_CLI_EXPLAIN_JSON_H

struct explain_connections;
struct explanation;

/* To stdout. 0, or -ENOMEM. `told`: what the `told` of connections counts. */
int explain_print_json(const struct explanation *explanation);
int explain_print_connections_json(const struct explain_connections *connections, const struct explanation *told);

#endif
