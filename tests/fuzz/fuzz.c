/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *fuzz_copy(const void *bytes, size_t size, bool text)
{
	char *copy = malloc(size + text + (size + text == 0));

	if (!copy)
		abort();
	if (size)
		memcpy(copy, bytes, size);
	if (text)
		copy[size] = '\0';
	return copy;
}

void fuzz_broken(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}
