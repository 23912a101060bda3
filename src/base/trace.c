/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace.h"

#include <errno.h>

#include "base/clock.h"
#include "base/signals.h"
#include "base/sys.h"

static const struct {
	const char *name;
	unsigned part;
} parts[] = {
	{ "dial", TRACE_DIAL }, { "names", TRACE_NAMES }, { "attach", TRACE_ATTACH },
	{ "move", TRACE_MOVE }, { "all", TRACE_ALL },
};

unsigned trace_parse(struct slice text, struct slice *ret_path)
{
	struct slice list = slice_cut(&text, ':');
	unsigned found = 0;

	*ret_path = text.at ? text : (struct slice){ "", 0 };
	while (list.at) {
		struct slice name = slice_cut(&list, ',');

		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
			if (slice_is(name, parts[i].name))
				found |= parts[i].part;
	}
	return found;
}

/* ---- a line ---- */

static void add_padded(struct text *line, uint64_t value, unsigned digits)
{
	for (uint64_t limit = 10; digits > 1; digits--, limit *= 10)
		if (value < limit)
			text_add_char(line, '0');
	text_add_number(line, value, 10);
}

/* The years begin in March, so that the day that not all have is their last: then a month's days are of its number alone. */
static void add_date(struct text *line, uint64_t days_since_1970)
{
	uint64_t days = days_since_1970 + 719468; /* since the 1st of March of the year 0 */
	uint64_t era = days / 146097, of_era = days % 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

	add_padded(line, era * 400 + year + (month >= 10), 4);
	text_add_char(line, '-');
	add_padded(line, month < 10 ? month + 3 : month - 9, 2);
	text_add_char(line, '-');
	add_padded(line, of_year - (153 * month + 2) / 5 + 1, 2);
}

void trace_add_time(struct text *line, uint64_t wall_ms)
{
	static const struct {
		uint64_t ms, below;
		char before;
		unsigned char digits;
	} fields[] = { { 3600000, 24, 'T', 2 }, { 60000, 60, ':', 2 }, { 1000, 60, ':', 2 }, { 1, 1000, '.', 3 } };

	add_date(line, wall_ms / 86400000);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		text_add_char(line, fields[i].before);
		add_padded(line, wall_ms / fields[i].ms % fields[i].below, fields[i].digits);
	}
	text_add_char(line, 'Z');
}

struct text trace_begin(char *buf, unsigned size, const char *part)
{
	struct text line = text_into(buf, size);

	trace_add_time(&line, clock_wall_ms());
	text_add(&line, " fairdial[");
	text_add_number(&line, (uint64_t)sys_getpid(), 10);
	text_add(&line, "] ");
	text_add(&line, part);
	text_add(&line, ": ");
	return line;
}

void trace_add_error(struct text *line, const struct trace_word *words, int error)
{
	for (; words->text; words++) {
		if (words->error == error) {
			text_add(line, words->text);
			return;
		}
	}
	text_add(line, "errno ");
	text_add_number(line, (uint64_t)error, 10);
}

/* ---- where it goes ---- */

static void make_plain(struct text *line)
{
	text_make_plain(line->buf, line->len);
	for (size_t i = 0; line->full && i < 3 && i < line->len; i++)
		line->buf[line->len - 1 - i] = '.';
}

/*
 * Where nobody reads any more, or the file may not grow, the program gets no signal for what it did not write. One that it had
 * blocked, and that waits already, stays.
 */
static void write_quietly(int fd, const char *bytes, size_t n)
{
	const uint64_t both = signal_bit(SIGNAL_PIPE) | signal_bit(SIGNAL_SIZE);
	uint64_t mask = signals_block(both), waits = mask & both ? signals_pending() & both : 0;
	long r = sys_write(fd, bytes, n);

	if (r == -EPIPE || r == -EFBIG)
		signals_drop(both & ~waits);
	signals_mask(mask);
}

void trace_end(struct text *line, const char *path)
{
	int fd = 2;

	if (path[0])
		fd = sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (fd < 0)
		return;
	make_plain(line);
	line->buf[line->len] = '\n'; /* over the NUL, which text keeps room for */
	write_quietly(fd, line->buf, line->len + 1);
	if (path[0])
		sys_close(fd);
}
