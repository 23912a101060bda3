/* SPDX-License-Identifier: Apache-2.0 */
/* Base64: what is taken and what is not. */
#include "support/testing.h"

#include <errno.h>

#include "kube/base64.h"

static void check(const char *text, const char *expected)
{
	void *data = NULL;
	size_t size = 77;
	int err = base64_decode(text, strlen(text), &data, &size);

	if (!expected) {
		if (err != -EINVAL)
			fail_msg("\"%s\" gave %d", text, err);
		assert_null(data);
		assert_int_equal(size, 77);
		return;
	}
	if (err < 0)
		fail_msg("\"%s\" gave %d", text, err);
	assert_int_equal(size, strlen(expected));
	assert_string_equal(data, expected);
	free(data);
}

static void base64_decodes_the_examples_of_rfc_4648(void **state)
{
	(void)state;
	check("", "");
	check("Zg==", "f");
	check("Zm8=", "fo");
	check("Zm9v", "foo");
	check("Zm9vYg==", "foob");
	check("Zm9vYmE=", "fooba");
	check("Zm9vYmFy", "foobar");
}

static void base64_knows_every_digit(void **state)
{
	const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char *data;
	size_t size;

	(void)state;
	assert_int_equal(base64_decode(all, 64, (void **)&data, &size), 0);
	assert_int_equal(size, 48);
	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = (4 * i) << 18 | (4 * i + 1) << 12 | (4 * i + 2) << 6 | (4 * i + 3);

		assert_int_equal(data[3 * i] << 16 | data[3 * i + 1] << 8 | data[3 * i + 2], bits);
	}
	free(data);
}

static void base64_passes_white_space_over(void **state)
{
	(void)state;
	check(" Zm9v\r\nYm\tFy\n", "foobar");
	check("Zg=\n=\n", "f");
	check(" \n", "");
}

static void base64_holds_bytes_of_zero(void **state)
{
	char *data;
	size_t size;

	(void)state;
	assert_int_equal(base64_decode("AAAAYQ==", 8, (void **)&data, &size), 0);
	assert_int_equal(size, 4);
	assert_memory_equal(data, "\0\0\0a", 5);
	free(data);
}

static void base64_refuses_what_is_not_exactly_it(void **state)
{
	static const char *const bad[] = {
		"Z",	  "Zg",	    "Zg=",   "Zg===", "Zm9v=", "Zm8",  "Zm8==",	  "=",	    "====", "Zg==Zg==",
		"Zm9v-_", "Zm9vYg", "Z.g==", "Zh==",  "Zm9=",  "Zg=a", "Zm9vYg=", "\x80g==", NULL,
	};

	(void)state;
	for (size_t i = 0; bad[i]; i++)
		check(bad[i], NULL);
}

static void base64_reads_no_further_than_it_is_told(void **state)
{
	void *data;
	size_t size;

	(void)state;
	assert_int_equal(base64_decode("Zm9v!!", 4, &data, &size), 0);
	assert_string_equal(data, "foo");
	free(data);
	assert_int_equal(base64_decode("Zg==", 3, &data, &size), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_decodes_the_examples_of_rfc_4648),
		cmocka_unit_test(base64_knows_every_digit),
		cmocka_unit_test(base64_passes_white_space_over),
		cmocka_unit_test(base64_holds_bytes_of_zero),
		cmocka_unit_test(base64_refuses_what_is_not_exactly_it),
		cmocka_unit_test(base64_reads_no_further_than_it_is_told),
	};

	return RUN_TESTS(tests);
}
