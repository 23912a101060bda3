/* SPDX-License-Identifier: Apache-2.0 */
/* Other systems, unpacked into folders: for programs of another C library or architecture. */
#ifndef FAIRDIAL_TESTS_ROOTS_H
#define FAIRDIAL_TESTS_ROOTS_H

/*
 * The folder of the root that tests/roots.sh calls `name`, unpacked now where it is not yet (half a minute, once a build
 * folder). Skips the test where it cannot be; valid until the test ends.
 */
const char *root_of(const char *name);

#endif
