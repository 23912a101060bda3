/* SPDX-License-Identifier: Apache-2.0 */
/* The four functions that a compiler calls by itself, as the shim has them: under other names, beside those of the libc. */
#include "support/testing.h"

#include "support/cleanup.h"

#define memcpy shim_memcpy
#define memmove shim_memmove
#define memset shim_memset
#define memcmp shim_memcmp
#include "shim/mem.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

enum { SIZE = 64, BEFORE = 7 };

static void fill(uint8_t bytes[SIZE])
{
	for (int i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * 37 + 11);
}

/* Their results are the libc's, which is the oracle. */
static void assert_same(const uint8_t ours[SIZE], const uint8_t theirs[SIZE])
{
	for (int i = 0; i < SIZE; i++)
		assert_int_equal(ours[i], theirs[i]);
}

static void copies_do_not_touch_what_is_beside_them(void **state)
{
	uint8_t from[SIZE], ours[SIZE], theirs[SIZE];

	(void)state;
	for (size_t n = 0; n < SIZE - BEFORE; n++) {
		fill(from);
		memset(ours, 0xee, SIZE);
		memset(theirs, 0xee, SIZE);
		assert_ptr_equal(shim_memcpy(ours + BEFORE, from, n), ours + BEFORE);
		memcpy(theirs + BEFORE, from, n);
		assert_same(ours, theirs);
	}
}

static void moves_are_whole_where_both_overlap_either_way(void **state)
{
	uint8_t ours[SIZE], theirs[SIZE];

	(void)state;
	for (size_t to = 0; to < 16; to++)
		for (size_t from = 0; from < 16; from++)
			for (size_t n = 0; n <= SIZE - 16; n += 3) {
				fill(ours);
				fill(theirs);
				assert_ptr_equal(shim_memmove(ours + to, ours + from, n), ours + to);
				memmove(theirs + to, theirs + from, n);
				assert_same(ours, theirs);
			}
}

static void bytes_are_set_to_the_last_eight_bits(void **state)
{
	static const int values[] = { 0, 0xff, 0x1234, -1 };
	uint8_t ours[SIZE], theirs[SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		for (size_t n = 0; n < SIZE - BEFORE; n++) {
			fill(ours);
			fill(theirs);
			assert_ptr_equal(shim_memset(ours + BEFORE, values[i], n), ours + BEFORE);
			memset(theirs + BEFORE, values[i], n);
			assert_same(ours, theirs);
		}
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

/* Bytes without a sign: 0x80 is more than 0x7f. */
static void comparisons_have_the_sign_of_the_first_byte_that_differs(void **state)
{
	uint8_t a[SIZE], b[SIZE];

	(void)state;
	fill(a);
	for (size_t at = 0; at < SIZE; at++)
		for (int differs = 1; differs < 256; differs *= 2) {
			fill(b);
			assert_int_equal(shim_memcmp(a, b, SIZE), 0);
			b[at] ^= (uint8_t)differs;
			assert_int_equal(shim_memcmp(a, b, at), 0);
			assert_int_equal(sign(shim_memcmp(a, b, SIZE)), sign(memcmp(a, b, SIZE)));
			assert_int_equal(sign(shim_memcmp(b, a, SIZE)), sign(memcmp(b, a, SIZE)));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copies_do_not_touch_what_is_beside_them),
		TEST(moves_are_whole_where_both_overlap_either_way),
		TEST(bytes_are_set_to_the_last_eight_bits),
		TEST(comparisons_have_the_sign_of_the_first_byte_that_differs),
	};

	return RUN_TESTS(tests);
}
