/* SPDX-License-Identifier: Apache-2.0 */
#include "support/verbs.h"

#include "support/testing.h"

#include "support/process.h"

struct process *fairdial(const char *const *env, const char *format_, ...)
{
	char *words;
	va_list args;
	struct process *p;

	va_start(args, format_);
	if (vasprintf(&words, format_, args) < 0)
		abort();
	va_end(args);
	p = run_shell(env, "exec %s %s", built("fairdial"), words);
	free(words);
	return p;
}

/* The first words of the lines that begin with two blanks, up to the empty line behind them. */
static size_t words_of(const char *lines, const char *mark, const char **words, size_t max)
{
	size_t n = 0;

	for (const char *line = lines; *line && *line != '\n'; line = strchr(line, '\n') + 1) {
		if (strncmp(line, mark, strlen(mark)) != 0 || line[strlen(mark)] == ' ')
			continue;
		assert_true(n < max);
		line += strlen(mark);
		words[n++] = format("%.*s", (int)strcspn(line, " \n"), line);
	}
	return n;
}

size_t verbs_of_help(const char *verbs[VERBS_MAX])
{
	const char *help = fairdial(NULL, "--help")->out_text, *list = strstr(help, "\n\n  ");

	if (!list)
		fail_msg("fairdial --help lists no verbs:\n%s", help);
	return words_of(list + 2, "  ", verbs, VERBS_MAX);
}

bool verb_exists(const char *name)
{
	const char *verbs[VERBS_MAX];
	size_t n = verbs_of_help(verbs);

	for (size_t i = 0; i < n; i++)
		if (strcmp(verbs[i], name) == 0)
			return true;
	return false;
}

size_t options_of_help(const char *verb, const char *options[OPTIONS_MAX])
{
	const char *help = fairdial(NULL, "%s --help", verb)->out_text, *list = strstr(help, "\nOptions:\n");

	if (!list)
		fail_msg("fairdial %s --help lists no options:\n%s", verb, help);
	return words_of(strchr(list + 1, '\n') + 1, "  --", options, OPTIONS_MAX);
}

/* Its length where it is one of UTF-8 that a terminal shows, else 0. */
static size_t readable(const unsigned char *at)
{
	size_t len = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 0;

	for (size_t i = 1; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if (len == 1 && at[0] != '\n' && (at[0] < ' ' || at[0] == 0x7f))
		return 0;
	return len == 2 && at[0] == 0xc2 && at[1] < 0xa0 ? 0 : len; /* C1 */
}

void assert_plain(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		size_t len = readable(at);

		if (len == 0)
			fail_msg("byte 0x%02x at %zu is not for a terminal:\n%s", *at, (size_t)((const char *)at - text), text);
		at += len;
	}
}
