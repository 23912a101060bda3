/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define KEEP_ROOM ((size_t)64 << 10) /* a buffer that once held a large value is given back */

void frames_init(struct frames *frames, enum frames_kind kind, int (*take)(void *, const char *, size_t), void *of)
{
	*frames = (struct frames){ .kind = kind, .take = take, .of = of };
}

void frames_done(struct frames *frames)
{
	free(frames->value.at);
	free(frames->envelope.at);
	frames->value = frames->envelope = (struct frames_text){ 0 };
}

static int append(struct frames_text *text, const char *bytes, size_t n)
{
	if (n > FRAMES_MAX_SIZE - text->len)
		return -E2BIG;
	if (text->len + n > text->room) {
		size_t room = text->room ? text->room : 4096;
		char *larger;

		while (room < text->len + n)
			room *= 2;
		larger = realloc(text->at, room);
		if (!larger)
			return -ENOMEM;
		text->at = larger;
		text->room = room;
	}
	if (n)
		memcpy(text->at + text->len, bytes, n);
	text->len += n;
	return 0;
}

static void empty(struct frames_text *text)
{
	text->len = 0;
	if (text->room > KEEP_ROOM) {
		free(text->at);
		*text = (struct frames_text){ 0 };
	}
}

/* The depth at which a value that is handed out begins. */
static unsigned base_depth(const struct frames *frames)
{
	return frames->in_items ? 2 : 0;
}

static bool in_value(const struct frames *frames)
{
	return frames->kind == FRAMES_EVENTS ? frames->depth > 0 : frames->in_items && frames->depth > 2;
}

/* A text of the outermost object has ended, `end` bytes into the envelope: the key that a ':' may follow. */
static void note_key(struct frames *frames, size_t end)
{
	struct slice text = { frames->envelope.at + frames->string_at, end - frames->string_at };

	frames->key_is_items = slice_is(text, "\"items\"");
}

static int open_bracket(struct frames *frames, char c)
{
	if (frames->depth >= FRAMES_MAX_DEPTH)
		return -E2BIG;
	if (frames->kind == FRAMES_LIST && frames->depth == 1 && c == '[' && frames->key_is_items)
		frames->in_items = true;
	frames->depth++;
	return 0;
}

static int close_bracket(struct frames *frames)
{
	if (frames->depth == 0)
		return -EBADMSG;
	frames->depth--;
	if (frames->in_items && frames->depth == 1)
		frames->in_items = false;
	return 0;
}

/* What may stand between two values. */
static bool is_between(const struct frames *frames, char c)
{
	return text_is_space(c) || (frames->in_items && c == ',');
}

/*
 * What may stand outside of strings: numbers, true, false, null, and what holds them together. Who has lost the way between inside
 * and outside, after a text that was cut off, is told so by the next word, not by a value that never ends.
 */
static bool is_bare(char c)
{
	return text_is_space(c) || text_is_digit(c) || (c && strchr(",:+-.Eetrufalsn\"", c));
}

/* One byte outside of a string. */
static int step(struct frames *frames, char c)
{
	bool outside = !in_value(frames) && frames->depth == base_depth(frames);

	if (c == '{' || c == '[') {
		if (outside && c != '{')
			return -EBADMSG;
		return open_bracket(frames, c);
	}
	if (c == '}' || c == ']')
		return close_bracket(frames);
	if (outside ? !is_between(frames, c) : !is_bare(c))
		return -EBADMSG;
	if (c == '"')
		frames->in_string = true;
	return 0;
}

static int step_in_string(struct frames *frames, char c)
{
	if ((unsigned char)c < ' ')
		return -EBADMSG; /* a text that was cut off: no JSON has these in one (RFC 8259 section 7) */
	if (frames->escaped)
		frames->escaped = false;
	else if (c == '\\')
		frames->escaped = true;
	else if (c == '"')
		frames->in_string = false;
	return 0;
}

/* As many bytes as have nothing to say: within a string, up to its end or an escape. */
static size_t plain_run(const struct frames *frames, const char *bytes, size_t n)
{
	size_t i = 0;

	if (!frames->in_string || frames->escaped)
		return 0;
	while (i < n && bytes[i] != '"' && bytes[i] != '\\' && (unsigned char)bytes[i] >= ' ')
		i++;
	return i;
}

static int hand_out(struct frames *frames)
{
	int r = frames->take(frames->of, frames->value.at, frames->value.len);

	empty(&frames->value);
	return r;
}

/* The envelope's side of a byte: keeps it, and watches for the key of the items. */
static int keep_in_envelope(struct frames *frames, char c, bool was_string)
{
	int r = append(&frames->envelope, &c, 1);

	if (r < 0 || frames->depth != 1)
		return r;
	if (!was_string && frames->in_string)
		frames->string_at = frames->envelope.len - 1;
	else if (was_string && !frames->in_string)
		note_key(frames, frames->envelope.len);
	return 0;
}

static int take_byte(struct frames *frames, char c)
{
	bool was_value = in_value(frames), was_items = frames->in_items, was_string = frames->in_string;
	int r = 0;

	if (was_string)
		r = step_in_string(frames, c);
	else
		r = step(frames, c);
	if (r < 0)
		return r;
	if (was_value || in_value(frames)) {
		r = append(&frames->value, &c, 1);
		return r == 0 && !in_value(frames) ? hand_out(frames) : r;
	}
	if (frames->kind == FRAMES_EVENTS || (was_items && frames->in_items))
		return 0; /* between two values */
	return keep_in_envelope(frames, c, was_string);
}

int frames_feed(struct frames *frames, const char *bytes, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n;) {
		size_t run = plain_run(frames, bytes + i, n - i);

		if (run == 0)
			r = take_byte(frames, bytes[i++]);
		else
			r = append(in_value(frames) ? &frames->value : &frames->envelope, bytes + i, run);
		i += run;
	}
	return r;
}

int frames_end(const struct frames *frames)
{
	if (frames->depth || frames->in_string)
		return -EBADMSG;
	return frames->kind == FRAMES_LIST && frames->envelope.len == 0 ? -EBADMSG : 0;
}
