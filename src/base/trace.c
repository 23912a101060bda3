/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace.h"

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

struct text trace_begin(char *buf, unsigned size, const char *part)
{
	struct text line = text_into(buf, size);

	text_add(&line, "fairdial[");
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

void trace_end(struct text *line, const char *path)
{
	int fd = 2;

	if (path[0])
		fd = sys_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (fd < 0)
		return;
	line->buf[line->len] = '\n'; /* over the NUL, which text keeps room for */
	sys_write(fd, line->buf, line->len + 1);
	if (path[0])
		sys_close(fd);
}
