/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a dial, where its Service asks for it: what the connection needs so that it can follow the list. Called by the hooks alone,
 * with the program's own descriptor; a Service without drain, rebalance, max_age and keepalive is never heard of here.
 *
 * Async-signal-safe but for the first such dial of a process, which makes a thread (mover.h): pthread_create(3) is not.
 */
#ifndef FAIRDIAL_SHIM_FOLLOW_H
#define FAIRDIAL_SHIM_FOLLOW_H

struct dial;
struct dial_choice;

/* The dial has reached the kernel: keepalive, and an entry in the book. */
void follow_landed(int fd, const struct dial *dial, const struct dial_choice *choice);

/* It passes unchanged, and would have gone to the choice: an entry for what would happen to that connection. */
void follow_observed(int fd, const struct dial *dial, const struct dial_choice *choice);

#endif
