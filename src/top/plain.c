/* SPDX-License-Identifier: Apache-2.0 */
#include "top/plain.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "top/choices.h"
#include "top/draw.h"

/* Not by wide output, which would turn the whole of stdout to it. */
static void print(const struct canvas *c)
{
	char bytes[MB_LEN_MAX];
	mbstate_t state = { 0 };
	int end = c->width;

	while (end > 0 && c->text[end - 1] == L' ')
		end--;
	for (int i = 0; i < end; i++) {
		size_t n = wcrtomb(bytes, c->text[i], &state);

		fwrite(bytes, n == (size_t)-1 ? 0 : n, 1, stdout);
	}
	putchar('\n');
}

/* All at once: for each part of a Service its endpoints would be put in order again. */
static int print_lines(const struct frame *f, const struct plan *plan, int width, struct canvas *c)
{
	struct frame_line *lines = malloc((f->line_count + 1) * sizeof(*lines));
	int n = lines ? frame_lines(f, 0, f->line_count, lines) : -ENOMEM;

	for (int i = 0; i < n; i++) {
		if (lines[i].kind == FRAME_SERVICE && !f->choices->collapsed)
			putchar('\n');
		draw_line(f, plan, &lines[i], width, c);
		print(c);
	}
	free(lines);
	return n < 0 ? n : 0;
}

int plain_print(const struct frame *f, int width)
{
	struct canvas c = { .utf8 = canvas_locale_is_utf8(), .bar_steps = 8 };
	const struct told told = { "" };
	struct plan plan;

	draw_table(f, false, width, &c);
	print(&c);
	draw_sums(f, width, &c);
	print(&c);
	for (size_t i = 0; draw_trouble(f, &told, i, width, &c); i++)
		print(&c);
	putchar('\n');
	draw_plan(f, width, &plan);
	draw_titles(f, &plan, false, width, &c);
	print(&c);
	return print_lines(f, &plan, width, &c);
}
