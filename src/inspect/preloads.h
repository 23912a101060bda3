/* SPDX-License-Identifier: Apache-2.0 */
/* The objects that LD_PRELOAD names, in the loader's order, and /etc/ld.so.preload behind them (ld.so(8)). */
#ifndef FAIRDIAL_INSPECT_PRELOADS_H
#define FAIRDIAL_INSPECT_PRELOADS_H

#include <stdbool.h>
#include <stddef.h>

#define PRELOADS_MAX 32

struct preload {
	char path[512];  /* as it is written; cut where it is longer; not fit for a terminal */
	char shown[256]; /* fit for one */
	bool is_shim, is_of_file; /* of the file: not of the variable */
	bool is_absolute;
	bool is_missing;    /* an absolute path that leads nowhere */
	bool takes_connect; /* it defines connect, or the lookups */
};

struct preloads {
	struct preload at[PRELOADS_MAX];
	size_t count;
};

/* `list` may be NULL; `root` is a descriptor of the program's /. */
void preloads_take(int root, const char *list, struct preloads *ret);

#endif
