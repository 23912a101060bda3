/* SPDX-License-Identifier: Apache-2.0 */
#include "top/canvas.h"

#include <langinfo.h>
#include <limits.h>
#include <string.h>
#include <wctype.h>

bool canvas_locale_is_utf8(void)
{
	const char *codeset = nl_langinfo(CODESET);

	return strcmp(codeset, "UTF-8") == 0 || strcmp(codeset, "utf8") == 0;
}

void canvas_clear(struct canvas *c, int width, enum style style)
{
	c->width = width < 0 ? 0 : width > CANVAS_MAX ? CANVAS_MAX : width;
	for (int i = 0; i < c->width; i++)
		c->text[i] = L' ';
	c->text[c->width] = L'\0';
	memset(c->style, style, (size_t)c->width);
}

/* The next character of a text as it may be shown; 0 at its end. */
static wchar_t next_character(const struct canvas *c, const char **text)
{
	unsigned char byte = (unsigned char)**text;
	mbstate_t state = { 0 };
	wchar_t wide;
	size_t n;

	if (byte == 0)
		return 0;
	if (byte < 0x80 || !c->utf8) {
		(*text)++;
		return byte >= ' ' && byte <= '~' ? (wchar_t)byte : L'?';
	}
	n = mbrtowc(&wide, *text, MB_LEN_MAX, &state);
	if (n == 0 || n > MB_LEN_MAX) {
		(*text)++;
		return L'?';
	}
	*text += n;
	return iswprint((wint_t)wide) && wcwidth(wide) == 1 ? wide : L'?';
}

int canvas_measure(const struct canvas *c, const char *text)
{
	int n = 0;

	while (next_character(c, &text))
		n++;
	return n;
}

int canvas_put(struct canvas *c, int at, int room, enum style style, const char *text)
{
	int end = at + room > c->width ? c->width : at + room;
	wchar_t wide = 0;

	if (at < 0 || at >= end)
		return at;
	for (; at < end && (wide = next_character(c, &text)); at++) {
		c->text[at] = wide;
		c->style[at] = style;
	}
	if (wide && next_character(c, &text))
		c->text[end - 1] = c->utf8 ? L'\u2026' : L'~';
	return at;
}

void canvas_put_right(struct canvas *c, int end, int room, enum style style, const char *text)
{
	int n = canvas_measure(c, text);

	canvas_put(c, end - (n < room ? n : room), room, style, text);
}

/* The eighths of a block lie below each other in Unicode: U+2588 is a whole one, U+258F the first. */
static wchar_t part_of_block(int eighths)
{
	return (wchar_t)(0x2590 - eighths);
}

void canvas_bar(struct canvas *c, int at, int room, enum style style, double share)
{
	int steps = c->utf8 && c->bar_steps > 0 ? c->bar_steps : 1, n;

	if (room <= 0 || !(share > 0))
		return;
	n = (int)((share > 1 ? 1 : share) * room * steps + 0.5);
	for (n = n ? n : 1; n > 0 && at < c->width; n -= steps, at++) {
		c->text[at] = !c->utf8 ? L'#' : part_of_block(n >= steps ? 8 : n * 8 / steps);
		c->style[at] = style;
	}
}
