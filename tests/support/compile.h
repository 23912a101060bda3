/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers that a test compiles itself, because the build has them for another C library, or not at all. */
#ifndef FAIRDIAL_TESTS_COMPILE_H
#define FAIRDIAL_TESTS_COMPILE_H

/*
 * tests/helpers/NAME.c, compiled into a scratch directory; `flags` go behind the source. Skips the test where there is no
 * such compiler.
 */
const char *compiled(const char *compiler, const char *name, const char *flags);
const char *compiled_for_musl(const char *name, const char *flags);

/*
 * The same against the libraries of a root (roots.h): the program needs no symbol that its C library does not have yet.
 * `libraries` as the root calls them, with a space between two: "libc.so.6", "libpthread.so.0 libc.so.6".
 */
const char *compiled_for_root(const char *root, const char *name, const char *libraries, const char *flags);

#endif
