/* SPDX-License-Identifier: Apache-2.0 */
/* What was built, and the same of the version after it (tests/next.sh). */
#ifndef FAIRDIAL_TESTS_VERSIONS_H
#define FAIRDIAL_TESTS_VERSIONS_H

enum version { NOW, NEXT };

/* "libfairdial.so" or "fairdial" of that version; valid until the test ends. */
const char *version_file(enum version version, const char *name);

/* Puts a shim in the place of `path`, as `fairdial install` does: one who has it mapped keeps what he has. */
void version_install(enum version version, const char *path);

#endif
