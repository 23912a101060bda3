/* SPDX-License-Identifier: Apache-2.0 */
/* What a process holds, as /proc tells it. */
#ifndef FAIRDIAL_TESTS_SIZES_H
#define FAIRDIAL_TESTS_SIZES_H

#include <sys/types.h>

struct held {
	long files, threads;
	long maps; /* of files; what else is mapped is in own_kib, as far as it has memory */
};

struct held held_by(pid_t pid);

/* What is its own: pages of files, and of the table, come and go by who looks at them. 0: it has ended. */
long own_kib(pid_t pid);

#endif
