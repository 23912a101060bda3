/* SPDX-License-Identifier: Apache-2.0 */
/* Models for tests, and their specs as text, so that a test can say all that it expects at once. */
#ifndef FAIRDIAL_TESTS_MODELS_H
#define FAIRDIAL_TESTS_MODELS_H

struct model;
struct spec;

/* Both lists complete; on this node, in this zone (NULL: unknown). */
struct model *new_model_at(const char *node, const char *zone);
struct model *new_model(void);

/* The test fails where the model cannot be resolved. */
struct spec *resolve(struct model *model);

/* That the resolved model reads so. */
void assert_spec(struct model *model, const char *expected);

/*
 * For each service, in the order of the spec:
 *	NAME[.NAMESPACE] [bare] [headless] [own] [local] [affinity=S] [down=N] ADDRESS...
 *	  [PORTNAME:]PORT/PROTOCOL ADDRESS:PORT...
 * An allocated address reads ~v4 or ~v6. An endpoint that may be dialed has a '*' behind it, a weight other than
 * 1 reads "x2". The caller frees it.
 */
char *spec_text(const struct spec *spec);

#endif
