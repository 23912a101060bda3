/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz targets: fuzz_NAME.c takes arbitrary bytes to one reader, and aborts where it breaks a promise. The same source is a
 * libFuzzer program (`make fuzz T=NAME TIME=60`) and, with replay.c, a plain one that reads files (`make fuzz-replay`).
 *
 * A target keeps nothing from one input to the next that could change what the next one does.
 */
#ifndef FAIRDIAL_TESTS_FUZZ_H
#define FAIRDIAL_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an input is taken apart into: numbers from its front, the rest as it is. Beyond its end all is 0. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

static inline uint64_t fuzz_number(struct fuzz_input *in, size_t bytes)
{
	uint64_t n = 0;

	for (size_t i = 0; i < bytes && in->left; i++, in->at++, in->left--)
		n |= (uint64_t)*in->at << 8 * i;
	return n;
}

/* A copy of its own length, with a NUL behind it where `text` says so: what is read beyond it is found. To be freed. */
void *fuzz_copy(const void *bytes, size_t size, bool text);

/* Where a promise is broken: says which, and aborts. */
#define FUZZ_HOLDS(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *condition, const char *file, int line);

#endif
