/* SPDX-License-Identifier: Apache-2.0 */
/* What keys do, those of top and htop. Pure. */
#ifndef FAIRDIAL_TOP_KEYS_H
#define FAIRDIAL_TOP_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "top/choices.h"

/* Keys are characters of Unicode, or these, which are none. */
enum press {
	PRESS_NONE = 0,
	PRESS_ESCAPE = 27,
	PRESS_UP = 0x110000,
	PRESS_DOWN,
	PRESS_LEFT,
	PRESS_RIGHT,
	PRESS_PAGE_UP,
	PRESS_PAGE_DOWN,
	PRESS_HOME,
	PRESS_END,
	PRESS_ENTER,
	PRESS_BACKSPACE,
	PRESS_F1,
	PRESS_F3,
	PRESS_F4,
	PRESS_F6,
	PRESS_F10,
	PRESS_OTHER,
};

enum keys_mode { KEYS_WATCH, KEYS_FILTER, KEYS_INTERVAL, KEYS_HELP };

struct keys {
	enum keys_mode mode;
	char input[FILTER_SIZE]; /* of KEYS_INTERVAL */
	const char *said;	 /* to what was typed there; NULL: nothing */
};

enum keys_outcome {
	KEYS_NOTHING,
	KEYS_SCROLLED, /* draw the same frame, from another line on */
	KEYS_CHANGED,  /* make another frame */
	KEYS_REDRAW,  /* all of the screen, whatever is on it */
	KEYS_QUIT,
};

/* `page`: lines that the window shows; `line_count`: of the frame. */
enum keys_outcome keys_press(struct keys *keys, struct choices *choices, uint32_t press, size_t page, size_t line_count);

/* What the last line of the screen says: a list of keys, or a question with what was typed. */
void keys_print_foot(const struct keys *keys, const struct choices *choices, char *buf, size_t size);

/* Lines of the help, NULL at the end. */
extern const char *const keys_help[];

#endif
