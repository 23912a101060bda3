/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting streams of JSON: the same values in pieces of any size, bounds, and what can be no JSON. */
#include "support/testing.h"

#include <errno.h>

#include "kube/frames.h"

/* ---- what came out ---- */

struct taken {
	char text[4096]; /* values with a '|' behind each */
	size_t count;
	int answer;
};

static int take(void *of, const char *text, size_t len)
{
	struct taken *t = of;
	size_t at = strlen(t->text);

	snprintf(t->text + at, sizeof(t->text) - at, "%.*s|", (int)len, text);
	t->count++;
	return t->answer;
}

/* In pieces of this size. What frames_feed says, or frames_end. */
static int cut(enum frames_kind kind, const char *bytes, size_t piece, struct taken *taken, char *envelope, size_t size)
{
	struct frames frames;
	size_t len = strlen(bytes);
	int r = 0;

	memset(taken, 0, sizeof(*taken));
	frames_init(&frames, kind, take, taken);
	for (size_t at = 0; r == 0 && at < len; at += piece)
		r = frames_feed(&frames, bytes + at, piece < len - at ? piece : len - at);
	if (r == 0)
		r = frames_end(&frames);
	if (envelope)
		snprintf(envelope, size, "%.*s", (int)frames.envelope.len, frames.envelope.at ? frames.envelope.at : "");
	frames_done(&frames);
	return r;
}

static void assert_events(const char *bytes, const char *values)
{
	struct taken taken;

	for (size_t piece = 1; piece <= strlen(bytes) + 1; piece++) {
		assert_int_equal(cut(FRAMES_EVENTS, bytes, piece, &taken, NULL, 0), 0);
		assert_string_equal(taken.text, values);
	}
}

static void assert_list(const char *bytes, const char *items, const char *envelope)
{
	struct taken taken;
	char rest[4096];

	for (size_t piece = 1; piece <= strlen(bytes) + 1; piece++) {
		assert_int_equal(cut(FRAMES_LIST, bytes, piece, &taken, rest, sizeof(rest)), 0);
		assert_string_equal(taken.text, items);
		assert_string_equal(rest, envelope);
	}
}

static void assert_refused(enum frames_kind kind, const char *bytes, int error)
{
	struct taken taken;

	for (size_t piece = 1; piece <= strlen(bytes); piece++)
		assert_int_equal(cut(kind, bytes, piece, &taken, NULL, 0), error);
}

/* ---- events ---- */

static void events_are_cut_apart_in_pieces_of_any_size(void **state)
{
	(void)state;
	assert_events("{\"a\":1}{\"b\":[{},{\"c\":\"}{\"}]}\n\n {\"d\":\"\\\"\\\\\"}",
		      "{\"a\":1}|{\"b\":[{},{\"c\":\"}{\"}]}|{\"d\":\"\\\"\\\\\"}|");
	assert_events("", "");
	assert_events(" \r\n\t", "");
}

static void an_event_that_is_cut_off_is_told_at_the_end(void **state)
{
	struct taken taken;
	const char *event = "{\"type\":\"ADDED\",\"object\":{\"x\":[1,\"y\"]}}";

	(void)state;
	for (size_t len = 1; len < strlen(event); len++) {
		char part[128];

		snprintf(part, sizeof(part), "%.*s", (int)len, event);
		assert_int_equal(cut(FRAMES_EVENTS, part, 7, &taken, NULL, 0), -EBADMSG);
		assert_int_equal(taken.count, 0);
	}
}

static void what_cannot_be_json_is_refused_at_once(void **state)
{
	(void)state;
	assert_refused(FRAMES_EVENTS, "[]", -EBADMSG);
	assert_refused(FRAMES_EVENTS, "}", -EBADMSG);
	assert_refused(FRAMES_EVENTS, "null", -EBADMSG);
	assert_refused(FRAMES_EVENTS, "\"text\"", -EBADMSG);
	assert_refused(FRAMES_EVENTS, "{\"a\":1},{\"b\":2}", -EBADMSG);
	assert_refused(FRAMES_EVENTS, "<html>", -EBADMSG);
	assert_refused(FRAMES_EVENTS, "{\"a\":what}", -EBADMSG);
}

static void a_text_that_was_cut_off_does_not_swallow_what_follows(void **state)
{
	(void)state;
	/* The first quote that follows closes the text, and the next word stands outside of one. */
	assert_refused(FRAMES_EVENTS, "{\"typ{\"type\":\"ADDED\",\"object\":{}}", -EBADMSG);
	assert_refused(FRAMES_EVENTS, "{\"typ\n{\"type\":\"ADDED\"}", -EBADMSG);
}

static void depth_and_size_are_bounded(void **state)
{
	size_t size = FRAMES_MAX_SIZE + 64;
	char deep[FRAMES_MAX_DEPTH + 2] = "", *large = malloc(size);
	struct taken taken = { 0 };
	struct frames frames;

	(void)state;
	memset(deep, '{', FRAMES_MAX_DEPTH + 1);
	assert_refused(FRAMES_EVENTS, deep, -E2BIG);
	assert_non_null(large);
	memset(large, 'x', size);
	memcpy(large, "{\"a\":\"", 6);
	frames_init(&frames, FRAMES_EVENTS, take, &taken);
	assert_int_equal(frames_feed(&frames, large, size), -E2BIG);
	frames_done(&frames);
	frames_init(&frames, FRAMES_LIST, take, &taken); /* the envelope too */
	assert_int_equal(frames_feed(&frames, large, size), -E2BIG);
	frames_done(&frames);
	free(large);
}

static void what_the_taker_says_ends_the_feeding(void **state)
{
	struct taken taken = { .answer = -ECANCELED };
	struct frames frames;

	(void)state;
	frames_init(&frames, FRAMES_EVENTS, take, &taken);
	assert_int_equal(frames_feed(&frames, "{}{}", 4), -ECANCELED);
	assert_int_equal(taken.count, 1);
	frames_done(&frames);
}

/* ---- lists ---- */

static void items_of_a_list_come_one_by_one_and_the_rest_is_its_envelope(void **state)
{
	(void)state;
	assert_list("{\"kind\":\"L\",\"metadata\":{\"items\":[1]},\"items\":[{\"a\":[1,2]}, {\"b\":\"]\"}\n],\"x\":\"items\"}",
		    "{\"a\":[1,2]}|{\"b\":\"]\"}|", "{\"kind\":\"L\",\"metadata\":{\"items\":[1]},\"items\":[],\"x\":\"items\"}");
	assert_list("{\"items\":[],\"metadata\":{}}", "", "{\"items\":[],\"metadata\":{}}");
	assert_list("{\"items\":null}", "", "{\"items\":null}");
	assert_list("{\"a\":\"items\",\"b\":[{}]}", "", "{\"a\":\"items\",\"b\":[{}]}");
}

static void a_list_that_ends_too_soon_or_has_other_items_is_refused(void **state)
{
	(void)state;
	assert_refused(FRAMES_LIST, "{\"items\":[{\"a\":1}", -EBADMSG);
	assert_refused(FRAMES_LIST, "{\"items\":[1]}", -EBADMSG);
	assert_refused(FRAMES_LIST, "{\"items\":[\"a\"]}", -EBADMSG);
	assert_refused(FRAMES_LIST, "{\"items\":[[]]}", -EBADMSG);
}

static void no_list_at_all_is_refused(void **state)
{
	struct taken taken;

	(void)state;
	assert_int_equal(cut(FRAMES_LIST, "", 1, &taken, NULL, 0), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_cut_apart_in_pieces_of_any_size),
		cmocka_unit_test(an_event_that_is_cut_off_is_told_at_the_end),
		cmocka_unit_test(what_cannot_be_json_is_refused_at_once),
		cmocka_unit_test(a_text_that_was_cut_off_does_not_swallow_what_follows),
		cmocka_unit_test(depth_and_size_are_bounded),
		cmocka_unit_test(what_the_taker_says_ends_the_feeding),
		cmocka_unit_test(items_of_a_list_come_one_by_one_and_the_rest_is_its_envelope),
		cmocka_unit_test(a_list_that_ends_too_soon_or_has_other_items_is_refused),
		cmocka_unit_test(no_list_at_all_is_refused),
	};

	return RUN_TESTS(tests);
}
