/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people write for a mode: letters' case and surrounding blanks do not count. What is not understood is off: a mistyped
 * switch does not do more than was meant. Pure, async-signal-safe.
 */
#ifndef FAIRDIAL_TABLE_MODE_H
#define FAIRDIAL_TABLE_MODE_H

#include "base/text.h"
#include "table/layout.h"

/* As the whole of the text says it. */
static inline bool mode_word_is(struct slice text, const char *word)
{
	return slice_equal_nocase(slice_trim(text), slice_of(word));
}

/* Of a switch that is on or off: FAIRDIAL, FAIRDIAL_AUTOSTART. */
static inline bool mode_word_is_yes(struct slice text)
{
	return mode_word_is(text, "1") || mode_word_is(text, "true") || mode_word_is(text, "yes") || mode_word_is(text, "on");
}

static inline bool mode_word_is_no(struct slice text)
{
	return mode_word_is(text, "0") || mode_word_is(text, "false") || mode_word_is(text, "no") || mode_word_is(text, "off");
}

/* Of FAIRDIAL: enum fairdial_mode. Unset or blank is on. False in `ret_understood`: it is off for want of sense. */
static inline uint8_t mode_of_variable(struct slice value, bool *ret_understood)
{
	*ret_understood = true;
	if (mode_word_is(value, "") || mode_word_is_yes(value))
		return MODE_ON;
	if (mode_word_is(value, "observe"))
		return MODE_OBSERVE;
	*ret_understood = mode_word_is_no(value);
	return MODE_OFF;
}

#endif
