/* SPDX-License-Identifier: Apache-2.0 */
/* Whose dial is foretold: the environment by which it would be spread. */
#ifndef FAIRDIAL_EXPLAIN_DIALER_H
#define FAIRDIAL_EXPLAIN_DIALER_H

#include "explain/explain.h"

/* A process that would be started from here. 0, or -ENOMEM. `environment` is freed by the caller, after the dialer's last use. */
int dialer_of_caller(struct environment *environment, struct explain_dialer *ret_dialer);

/* One that runs, by the environment that it was started with. 0; -ESRCH, -EACCES and others of /proc. */
int dialer_of_process(int pid, struct environment *environment, struct explain_dialer *ret_dialer);

#endif
