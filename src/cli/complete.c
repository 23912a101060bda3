/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "inspect/processes.h"
#include "model/policy.h"
#include "table/table.h"
#include "top/choices.h"

struct question {
	int count;
	char **words;
	const char *word;	 /* the one to be completed */
	const struct verb *verb; /* NULL: none yet */
	const char *dir;	 /* --dir, as far as it is written */
	int operands;		 /* written before the word */
	int command;		 /* the word where another program's line begins; -1: none */
	bool only_operands;	 /* behind "--" */
	const struct cli_option *option; /* whose value the word is */
	size_t skip;		 /* bytes of the word before that value: "--mode=" */
};

/* ---- answers ---- */

static bool begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static void print_plainly(const char *text)
{
	for (; *text; text++)
		putchar(isprint((unsigned char)*text) ? *text : '?');
}

/* What would mean something to a shell is not offered: a table may be anybody's. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("-_.:", *text))
			return false;
	return true;
}

static void offer(const struct question *q, const char *text, const char *what)
{
	if (!is_plain(text) || !begins_with(text, q->word + q->skip))
		return;
	printf("%.*s%s\t", (int)q->skip, q->word, text);
	print_plainly(what);
	putchar('\n');
}

static void offer_list(const struct question *q, const char *const *names, const char *what)
{
	for (; *names; names++)
		offer(q, *names, what);
}

static void end(const char *what, size_t number)
{
	printf(":%s %zu\n", what, number);
}

static void end_words(void)
{
	puts(":words");
}

/* ---- Services ---- */

/* explain takes a port: as soon as a name is there, they are what is missing. */
static void offer_ports(const struct question *q, const struct table_view *view, const struct table_service *service,
			const char *name, uint32_t row)
{
	struct table_port port;
	char text[2 * TABLE_NAME_SIZE + 8];

	if (!begins_with(q->word, name) || q->word[strlen(name)] != ':')
		return;
	for (uint32_t i = 0; table_port(view, i, &port) == 0; i++) {
		if (port.service != row)
			continue;
		snprintf(text, sizeof(text), "%s:%u", name, (unsigned)port.port);
		offer(q, text, service->name);
	}
}

static void offer_service(const struct question *q, const struct table_view *view, uint32_t row)
{
	struct table_service service;
	char name[2 * TABLE_NAME_SIZE];

	if (table_service(view, row, &service) < 0)
		return;
	snprintf(name, sizeof(name), "%s%s%s", service.name, service.namespace[0] ? "." : "", service.namespace);
	offer(q, name, "Service");
	if (q->verb->operands == OPERANDS_SERVICE_PORT)
		offer_ports(q, view, &service, name, row);
}

/* Of a generation that goes while it is read, what was read of it: a TAB is no place to wait. */
static void offer_services(const struct question *q)
{
	struct trust trust = cli_trust();
	struct table_view view;
	struct table table;
	char dir[PATH_MAX];

	if (cli_table_dir(q->dir, dir) < 0 || table_map(dir, &trust, &table, NULL) < 0)
		return;
	if (table_begin(&table, &view))
		for (uint32_t i = 0; i < table_count(&view, SECTION_SERVICES); i++)
			offer_service(q, &view, i);
	table_unmap(&table);
}

/* ---- processes ---- */

/* The first line of a file of /proc/PID; false where it is empty, or cannot be read. */
static bool read_line(const char *pid, const char *file, char *line, int size)
{
	char path[64];
	FILE *stream;
	bool is_there;

	snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, file);
	stream = fopen(path, "re");
	if (!stream)
		return false;
	is_there = fgets(line, size, stream) != NULL;
	fclose(stream);
	if (is_there)
		line[strcspn(line, "\n")] = '\0';
	return is_there;
}

/* The kernel's own have no command line. */
static void offer_process(const struct question *q, const char *pid)
{
	char line[64], name[64];

	if (read_line(pid, "cmdline", line, sizeof(line)) && read_line(pid, "comm", name, sizeof(name)))
		offer(q, pid, name);
}

static void offer_processes(const struct question *q)
{
	DIR *proc = opendir("/proc");

	for (struct dirent *e = proc ? readdir(proc) : NULL; e; e = readdir(proc))
		if (isdigit((unsigned char)e->d_name[0]))
			offer_process(q, e->d_name);
	if (proc)
		closedir(proc);
}

/* ---- values of options ---- */

static void offer_balances(const struct question *q)
{
	offer_list(q, balance_names, "policy");
}

static void offer_modes(const struct question *q)
{
	offer_list(q, mode_names, "mode");
}

static void offer_pull_policies(const struct question *q)
{
	static const char *const names[] = { "Always", "IfNotPresent", "Never", NULL };

	offer_list(q, names, "pull policy");
}

static void offer_sort_keys(const struct question *q)
{
	for (int key = 0; key < SORT_COUNT; key++)
		offer(q, sort_key_name((enum sort_key)key), "key");
}

static void end_files(const struct question *q)
{
	end("files", q->skip);
}

static void end_directories(const struct question *q)
{
	end("directories", q->skip);
}

/* By what a verb's row calls the value; "a|b|c" are the values themselves, and of others there is nothing to say. */
static const struct {
	const char *argument;
	void (*offer)(const struct question *q);
	void (*end)(const struct question *q);
} values[] = {
	{ "FILE", NULL, end_files },	   { "FILE|-", NULL, end_files },     { "[-]FILE", NULL, end_files },
	{ "PATH", NULL, end_files },	   { "DIR", NULL, end_directories },  { "PID", offer_processes, NULL },
	{ "POLICY", offer_balances, NULL }, { "MODE", offer_modes, NULL },
	{ "KEY", offer_sort_keys, NULL },  { "WHEN", offer_pull_policies, NULL },
};

static void offer_alternatives(const struct question *q, const char *argument)
{
	while (*argument) {
		size_t n = strcspn(argument, "|");
		char text[64];

		snprintf(text, sizeof(text), "%.*s", (int)n, argument);
		offer(q, text, q->option->name);
		argument += n + (argument[n] == '|');
	}
}

static void answer_value(const struct question *q)
{
	const char *argument = q->option->argument;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (strcmp(argument, values[i].argument) != 0)
			continue;
		if (values[i].offer)
			values[i].offer(q);
		if (values[i].end) {
			values[i].end(q);
			return;
		}
	}
	if (strchr(argument, '|'))
		offer_alternatives(q, argument);
	end_words();
}

/* ---- verbs, options, operands ---- */

static void offer_verbs(const struct question *q)
{
	for (size_t i = 0; cli_verb(i); i++)
		offer(q, cli_verb(i)->name, cli_verb(i)->summary);
}

static void answer_verb(const struct question *q)
{
	offer_verbs(q);
	offer(q, "help", "says more about a verb");
	offer(q, "--help", "the verbs");
	offer(q, "--version", "the version and the libraries");
	end_words();
}

static void answer_option(const struct question *q)
{
	char text[64];

	for (const struct cli_option *o = q->verb->options; o->name; o++) {
		snprintf(text, sizeof(text), "--%s", o->name);
		offer(q, text, o->help);
	}
	offer(q, "--help", "says more about this verb");
	end_words();
}

static void answer_operand(const struct question *q)
{
	enum cli_operands operands = q->operands ? OPERANDS_NONE : q->verb->operands;

	if (operands == OPERANDS_SERVICE || operands == OPERANDS_SERVICE_PORT)
		offer_services(q);
	if (operands == OPERANDS_DIRECTORY)
		end("directories", 0);
	else
		end_words();
}

static void answer(const struct question *q)
{
	if (q->command >= 0)
		end("command", (size_t)q->command);
	else if (!q->verb)
		answer_verb(q);
	else if (q->option)
		answer_value(q);
	else if (q->word[0] == '-' && !q->only_operands)
		answer_option(q);
	else if (q->verb->takes_program)
		end("command", (size_t)q->count - 1);
	else
		answer_operand(q);
}

/* ---- the words before ---- */

/* The option that a word names, as far as it is written in full; `ret_value`: behind its '=', or NULL. */
static const struct cli_option *option_of(const struct verb *verb, const char *word, const char **ret_value)
{
	size_t n = strcspn(word, "=");

	*ret_value = word[n] ? word + n + 1 : NULL;
	for (const struct cli_option *o = verb->options; n > 2 && begins_with(word, "--") && o->name; o++)
		if (strlen(o->name) == n - 2 && strncmp(o->name, word + 2, n - 2) == 0)
			return o;
	return NULL;
}

static void take_value(struct question *q, const struct cli_option *option, const char *value)
{
	if (strcmp(option->name, "dir") == 0)
		q->dir = value;
}

/* The word at `i`, which is not the last. The next one to take. */
static int take_word(struct question *q, int i)
{
	const char *word = q->words[i], *value;
	const struct cli_option *option = q->only_operands ? NULL : option_of(q->verb, word, &value);

	if (option && option->argument && !value && i + 1 == q->count - 1) {
		q->option = option;
	} else if (option && option->argument) {
		take_value(q, option, value ? value : q->words[i + 1]);
		return value ? i + 1 : i + 2;
	} else if (!q->only_operands && strcmp(word, "--") == 0) {
		q->only_operands = true;
	} else if (q->only_operands || word[0] != '-') {
		q->operands++;
		if (q->verb->takes_program && q->command < 0)
			q->command = i;
	}
	return i + 1;
}

static void take_last(struct question *q)
{
	const char *value;
	const struct cli_option *option;

	if (q->option || q->only_operands || q->command >= 0)
		return;
	option = option_of(q->verb, q->word, &value);
	if (!option || !option->argument || !value)
		return;
	q->option = option;
	q->skip = (size_t)(value - q->word);
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; cli_verb(i); i++)
		if (strcmp(name, cli_verb(i)->name) == 0)
			return cli_verb(i);
	return NULL;
}

static void help_answer(const struct question *q)
{
	if (q->count == 2 && strcmp(q->words[0], "help") == 0)
		offer_verbs(q);
	end_words();
}

int complete(int count, char **words)
{
	struct question q = { .count = count, .words = words, .command = -1 };

	if (count < 1)
		return EXIT_DONE;
	q.word = words[count - 1];
	if (count > 1)
		q.verb = find_verb(words[0]);
	if (count > 1 && !q.verb) {
		help_answer(&q);
		return EXIT_DONE;
	}
	for (int i = 1; q.verb && i < count - 1 && q.command < 0;)
		i = take_word(&q, i);
	if (q.verb)
		take_last(&q);
	answer(&q);
	return EXIT_DONE;
}
