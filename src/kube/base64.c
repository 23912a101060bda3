/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/base64.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (text_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* `bits` hold `have` sixths of a byte triple; what its padding leaves over must be zero. */
static bool ends_well(uint32_t bits, size_t have, size_t padding)
{
	if (have == 0)
		return padding == 0;
	if (have == 2)
		return padding == 2 && (bits & 0xf) == 0;
	return have == 3 && padding == 1 && (bits & 0x3) == 0;
}

/* The bytes go to `out`, which has room for three of every four characters, rounded up. */
static int decode(const char *text, size_t len, uint8_t *out, size_t *ret_size)
{
	size_t have = 0, padding = 0, size = 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < len; i++) {
		int value = value_of(text[i]);

		if (text_is_space(text[i]))
			continue;
		padding += text[i] == '=';
		if (text[i] == '=')
			continue;
		if (value < 0 || padding > 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
		if (++have < 4)
			continue;
		out[size++] = (uint8_t)(bits >> 16);
		out[size++] = (uint8_t)(bits >> 8);
		out[size++] = (uint8_t)bits;
		bits = have = 0;
	}
	if (!ends_well(bits, have, padding))
		return -EINVAL;
	if (have == 3)
		out[size++] = (uint8_t)(bits >> 10);
	if (have >= 2)
		out[size++] = (uint8_t)(have == 3 ? bits >> 2 : bits >> 4);
	*ret_size = size;
	return 0;
}

int base64_decode(const char *text, size_t len, void **ret_data, size_t *ret_size)
{
	size_t room = len / 4 * 3 + 4, size;
	uint8_t *data = malloc(room);
	int err;

	if (!data)
		return -ENOMEM;
	err = decode(text, len, data, &size);
	if (err < 0) {
		explicit_bzero(data, room); /* what came before the mistake may be half a key */
		free(data);
		return err;
	}
	data[size] = '\0';
	*ret_data = data;
	*ret_size = size;
	return 0;
}
