/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scalar of YAML is that is neither quoted nor tagged, as kubectl and Helm read it: sigs.k8s.io/yaml on go-yaml v2
 * (resolve.go). That is YAML 1.1 with its octal numbers (0644, and 0o644) and the words that are booleans (yes, on, n), but
 * without numbers of base 60; timestamps stay texts. Numbers are written as Go's encoding/json writes them: 64-bit integers
 * as they are, others as the double they are.
 */
#ifndef FAIRDIAL_INJECT_SCALARS_H
#define FAIRDIAL_INJECT_SCALARS_H

enum scalar_kind {
	SCALAR_TEXT,
	SCALAR_NULL,
	SCALAR_TRUE,
	SCALAR_FALSE,
	SCALAR_NUMBER,
	SCALAR_ENDLESS, /* .inf, .nan: JSON has no such numbers */
};

#define SCALAR_NUMBER_SIZE 32

/* Of a number, also how JSON says it. */
enum scalar_kind scalars_kind(const char *text, char ret_number[SCALAR_NUMBER_SIZE]);

#endif
