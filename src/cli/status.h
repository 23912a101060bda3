/* SPDX-License-Identifier: Apache-2.0 */
/* What `fairdial status` prints, for people and for programs. Both to stdout, which cli_finish looks at. */
#ifndef FAIRDIAL_CLI_STATUS_H
#define FAIRDIAL_CLI_STATUS_H

#include "table/layout.h"

struct snapshot;
struct snapshot_service;

void status_print(const struct snapshot *snapshot);

/* One object, a Service at a time: of ten thousand the whole would be hundreds of megabytes. 0, -ENOMEM. */
int status_print_json(const struct snapshot *snapshot);

/* "web.shop"; of a Service without a namespace its name. Returns `buf`. */
const char *status_full_name(const struct snapshot_service *service, char buf[2 * TABLE_NAME_SIZE]);

#endif
