/* SPDX-License-Identifier: Apache-2.0 */
/* Helper programs of another C library. */
#ifndef FAIRDIAL_TESTS_MUSL_H
#define FAIRDIAL_TESTS_MUSL_H

/* tests/helpers/NAME.c built for musl, in a scratch directory. Skips the test where there is no musl-gcc. */
const char *for_musl(const char *name);

#endif
