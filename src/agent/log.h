/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's log: lines on standard error, one write each; who keeps it (kubelet, journald) adds the time. */
#ifndef FAIRDIAL_AGENT_LOG_H
#define FAIRDIAL_AGENT_LOG_H

/* "fairdial agent: ...". Bytes that would move a terminal's cursor are written as '?': names come from other people's objects. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
