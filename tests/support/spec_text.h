/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as text, so that a test can say all that it expects at once. */
#ifndef FAIRDIAL_TESTS_SPEC_TEXT_H
#define FAIRDIAL_TESTS_SPEC_TEXT_H

struct spec;

/*
 * For each service, in the order of the spec:
 *	NAME[.NAMESPACE] [bare] [headless] [own] [local] [affinity=S] [down=N] ADDRESS...
 *	  [PORTNAME:]PORT/PROTOCOL ADDRESS:PORT...
 * An allocated address reads ~v4 or ~v6. An endpoint that may be dialed has a '*' behind it, a weight other than
 * 1 reads "x2". The caller frees it.
 */
char *spec_text(const struct spec *spec);

#endif
