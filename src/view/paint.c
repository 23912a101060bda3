/* SPDX-License-Identifier: Apache-2.0 */
#include "view/paint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

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

void print_plain_to(FILE *stream, const char *text)
{
	size_t len = strlen(text), skip;

	for (size_t i = 0; i < len; i += skip) {
		size_t n = text_plain_at(text + i, len - i, &skip);

		fwrite(n ? text + i : "?", 1, n ? n : 1, stream);
	}
}

void print_plain(const char *text)
{
	print_plain_to(stdout, text);
}

void make_utf8(char *text)
{
	size_t len = strlen(text), n;
	uint32_t c;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = text_character(text + i, len - i, &c);
		if (n == 0)
			text[i] = '?';
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
