/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON held against a schema: tests/data/schemas/NAME.json, of JSON Schema's draft 7, by the module of Python that the tests of
 * the manifests use. A schema says all that may be there: an object whose keys it names and leaves open is a mistake in the
 * schema, and so is no JSON at all, a key twice, or NaN in the text.
 */
#ifndef FAIRDIAL_TESTS_SCHEMA_H
#define FAIRDIAL_TESTS_SCHEMA_H

/* Fails with each place that does not fit, and why. */
void assert_fits_schema(const char *name, const char *json_text);

/* The same as an answer: NULL where it fits, else those lines; valid until the test ends. */
const char *schema_refusal(const char *name, const char *json_text);

#endif
