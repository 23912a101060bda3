/* SPDX-License-Identifier: Apache-2.0 */
#include "view/paint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const on[PAINT_COUNT] = {
	[PAINT_HEAD] = "\033[1m",
	[PAINT_GOOD] = "\033[32m",
	[PAINT_NEXT] = "\033[1;32m",
	[PAINT_LEAVE] = "\033[33m",
	[PAINT_BAD] = "\033[31m",
};

static bool find_out(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return !(no && *no) && term && *term && strcmp(term, "dumb") != 0 && isatty(STDOUT_FILENO);
}

bool paint_wanted(void)
{
	static int wanted = -1;

	if (wanted < 0)
		wanted = find_out();
	return wanted;
}

const char *paint(enum paint what)
{
	return paint_wanted() ? on[what] : "";
}

const char *paint_off(void)
{
	return paint_wanted() ? "\033[0m" : "";
}

/* ---- texts of others ---- */

/* The length of the character that begins here, and what it is; 0 where the bytes are no UTF-8 (RFC 3629). */
static size_t read_character(const unsigned char *at, uint32_t *ret_character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc0 ? 2 : 0;
	uint32_t c = len == 1 ? at[0] : at[0] & (0x7fu >> len);

	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80) /* the NUL too */
			return 0;
		c = c << 6 | (at[i] & 0x3f);
	}
	if (at[0] >= 0xf8 || c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_character = c;
	return len;
}

/* C0, DEL and C1 are a terminal's to obey; line and paragraph separators and the marks of direction mislead who reads. */
static bool is_harmless(uint32_t c)
{
	return c >= ' ' && !(c >= 0x7f && c < 0xa0) && c != 0x200e && c != 0x200f && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2066 && c <= 0x2069);
}

void print_plain_to(FILE *stream, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		uint32_t c = 0;
		size_t len = read_character(at, &c);

		if (len && is_harmless(c))
			fwrite(at, 1, len, stream);
		else
			fputc('?', stream);
		at += len ? len : 1;
	}
}

void print_plain(const char *text)
{
	print_plain_to(stdout, text);
}

void make_utf8(char *text)
{
	unsigned char *at = (unsigned char *)text;

	while (*at) {
		uint32_t c;
		size_t len = read_character(at, &c);

		if (len == 0)
			*at = '?';
		at += len ? len : 1;
	}
}

void print_age(uint64_t ms)
{
	if (ms < 10000)
		printf("%llu ms", (unsigned long long)ms);
	else if (ms < 600000)
		printf("%llu s", (unsigned long long)ms / 1000);
	else
		printf("%llu min", (unsigned long long)ms / 60000);
}
