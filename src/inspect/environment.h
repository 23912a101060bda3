/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process was told of fairdial when it started: of its first environment, which /proc/PID/environ shows (proc(5)). A
 * program that has changed its environment since, or written its title over it, hides that; no trust in the bytes.
 */
#ifndef FAIRDIAL_INSPECT_ENVIRONMENT_H
#define FAIRDIAL_INSPECT_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct environment {
	bool is_known;       /* false: it could not be read, and the rest says nothing */
	bool names_shim;     /* LD_PRELOAD has an entry that ends in libfairdial.so */
	uint8_t mode;        /* enum fairdial_mode, of FAIRDIAL; off also where a list is longer than the shim takes */
	char *shim;          /* that entry, where it is an absolute path without ld.so's tokens ($LIB); else NULL */
	bool sets_dir;       /* FAIRDIAL_DIR is set, and not empty */
	char *dir;           /* that, where it is absolute; else NULL */
	char *ledger;        /* FAIRDIAL_LEDGER likewise */
	char *only, *except; /* the lists; NULL: not set */
	char *balance;       /* FAIRDIAL_BALANCE as it stands; NULL: not set */
};

/* Of "NAME=VALUE\0NAME=VALUE\0…". Of two variables of one name the first counts, as for getenv(3). 0, or -ENOMEM. */
int environment_parse(const char *bytes, size_t len, struct environment *ret_environment);
void environment_free(struct environment *environment);

/* Whether a process of this environment spreads a Service (FAIRDIAL_ONLY, FAIRDIAL_EXCEPT). Pure. */
bool environment_allows(const struct environment *environment, const char *name, const char *namespace);

#endif
