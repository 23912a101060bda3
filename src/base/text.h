/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few string functions that code without a C library needs. ASCII only: names of Services, hosts
 * and variables are. All are pure and async-signal-safe.
 */
#ifndef FAIRDIAL_BASE_TEXT_H
#define FAIRDIAL_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of somebody else's text: not NUL-terminated, not owned. */
struct slice {
	const char *at;
	size_t len;
};

static inline size_t text_len(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static inline struct slice slice_of(const char *s)
{
	return (struct slice){ s, s ? text_len(s) : 0 };
}

static inline char text_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline bool text_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool text_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* The length of the character that begins here, and what it is; 0 where the bytes are no UTF-8 (RFC 3629). */
static inline size_t text_character(const char *text, size_t len, uint32_t *ret_character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t first = len ? (uint8_t)text[0] : 0xff;
	size_t n = first < 0x80 ? 1 : first >= 0xf8 ? 0 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
	uint32_t c = n == 1 ? first : first & (0x7fu >> n);

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (((uint8_t)text[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((uint8_t)text[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_character = c;
	return n;
}

/* C0, DEL and C1 are a terminal's to obey; line and paragraph separators and the marks of direction mislead who reads. */
static inline bool text_is_harmless(uint32_t c)
{
	return c >= ' ' && !(c >= 0x7f && c < 0xa0) && c != 0x61c && c != 0x200e && c != 0x200f && !(c >= 0x2028 && c <= 0x202e) &&
	       !(c >= 0x2066 && c <= 0x2069);
}

/* Of a text of somebody else's: how many bytes go out as they are; 0: a '?' in place of `*ret_skip` bytes. */
static inline size_t text_plain_at(const char *text, size_t len, size_t *ret_skip)
{
	uint32_t c = 0;
	size_t n = text_character(text, len, &c);

	*ret_skip = n ? n : 1;
	return n && text_is_harmless(c) ? n : 0;
}

/* Without what a terminal obeys, and in one line: whoever names something does not write a log's next line. */
static inline void text_make_plain(char *text, size_t len)
{
	size_t skip;

	for (size_t i = 0; i < len; i += skip)
		if (!text_plain_at(text + i, len - i, &skip))
			for (size_t j = i; j < i + skip; j++)
				text[j] = '?';
}

/* Bytes that a terminal might obey become '?'. ASCII alone stays. */
static inline void text_sanitise(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
			*text = '?';
}

/* A copy that is fit for a terminal, cut where it is longer. */
static inline void text_show(char *shown, size_t size, const char *text)
{
	size_t len = 0;

	for (; len + 1 < size && text[len]; len++)
		shown[len] = text[len];
	shown[len] = '\0';
	text_sanitise(shown);
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (a.at[i] != b.at[i])
			return false;
	return true;
}

/* DNS names compare without regard to case (RFC 1035 section 2.3.3). */
static inline bool slice_equal_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (text_lower(a.at[i]) != text_lower(b.at[i]))
			return false;
	return true;
}

static inline bool slice_is(struct slice a, const char *s)
{
	return slice_equal(a, slice_of(s));
}

/* Without the blanks around it. */
static inline struct slice slice_trim(struct slice s)
{
	while (s.len && text_is_space(s.at[0])) {
		s.at++;
		s.len--;
	}
	while (s.len && text_is_space(s.at[s.len - 1]))
		s.len--;
	return s;
}

/* The text before the first `sep`; `*rest` becomes what follows it, with `at` NULL where none was found. */
static inline struct slice slice_cut(struct slice *rest, char sep)
{
	struct slice head = *rest;

	for (size_t i = 0; i < rest->len; i++) {
		if (rest->at[i] == sep) {
			head.len = i;
			rest->at += i + 1;
			rest->len -= i + 1;
			return head;
		}
	}
	*rest = (struct slice){ NULL, 0 };
	return head;
}

/* The next word of a line; empty at the end. */
static inline struct slice slice_word(struct slice *rest)
{
	size_t start = 0, end;

	while (start < rest->len && text_is_space(rest->at[start]))
		start++;
	end = start;
	while (end < rest->len && !text_is_space(rest->at[end]))
		end++;

	struct slice word = { rest->at + start, end - start };

	rest->at += end;
	rest->len -= end;
	return word;
}

/*
 * Appends to a buffer of `size` bytes and keeps it NUL-terminated. What does not fit is left out and
 * `full` is set, so a chain of appends needs one check at its end.
 */
struct text {
	char *buf;
	size_t size, len;
	bool full;
};

static inline struct text text_into(char *buf, size_t size)
{
	buf[0] = '\0';
	return (struct text){ buf, size, 0, false };
}

static inline void text_add_char(struct text *t, char c)
{
	if (t->len + 1 >= t->size) {
		t->full = true;
		return;
	}
	t->buf[t->len++] = c;
	t->buf[t->len] = '\0';
}

static inline void text_add_slice(struct text *t, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		text_add_char(t, s.at[i]);
}

static inline void text_add(struct text *t, const char *s)
{
	text_add_slice(t, slice_of(s));
}

static inline void text_add_number(struct text *t, uint64_t value, unsigned base)
{
	char digits[24];
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		text_add_char(t, digits[--n]);
}

#endif
