/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include "support/api_state.h"

static void make_room(struct text *t, size_t more)
{
	if (t->length + more + 1 <= t->room)
		return;
	t->room = (t->length + more + 1) * 2;
	t->bytes = realloc(t->bytes, t->room);
	if (!t->bytes)
		abort();
}

void text_add(struct text *t, const void *bytes, size_t size)
{
	make_room(t, size);
	if (size)
		memcpy(t->bytes + t->length, bytes, size);
	t->length += size;
	t->bytes[t->length] = '\0';
}

void text_puts(struct text *t, const char *text)
{
	text_add(t, text, strlen(text));
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	make_room(t, (size_t)size);
	va_start(args, format);
	vsnprintf(t->bytes + t->length, (size_t)size + 1, format, args);
	va_end(args);
	t->length += (size_t)size;
}

/* Keeps the room: the next answer needs as much. */
void text_clear(struct text *t)
{
	t->length = 0;
	if (t->bytes)
		t->bytes[0] = '\0';
}

void text_done(struct text *t)
{
	free(t->bytes);
	*t = (struct text){ 0 };
}
