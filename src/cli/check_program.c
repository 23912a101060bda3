/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is to be started. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/check.h"
#include "inspect/mesh.h"
#include "table/mode.h"

/* ---- the shim's file ---- */

/* By LD_PRELOAD, in whatever way it is asked for here. */
static bool is_named(const struct inquiry *q, const char *preloaded)
{
	const char *asked = q->question.shim;

	return preloaded && (!asked || strcmp(preloaded, asked) == 0 || strcmp(preloaded, q->shim) == 0);
}

static void choose_shim(struct inquiry *q, const char *preloaded)
{
	const char *asked = q->question.shim;
	char *whole = asked ? realpath(asked, NULL) : NULL; /* whoever sets LD_PRELOAD to it would write the whole path */
	const char *given = whole ? whole : asked, *path = given ? given : preloaded ? preloaded : q->own_shim;

	snprintf(q->shim, sizeof(q->shim), "%.*s", PATH_MAX - 1, path);
	free(whole);
	text_show(q->shim_shown, sizeof(q->shim_shown), q->shim);
}

static void take_shim(struct inquiry *q)
{
	const char *preloaded = check_preloaded_shim(q);
	struct check_facts *c = &q->facts;
	int fd;

	choose_shim(q, preloaded);
	c->shim_is_named = is_named(q, preloaded);
	if (q->shim[0] != '/' && !q->question.shim)
		return;
	shim_file_look(q->root, q->shim, &c->shim);
	fd = file_open_in(q->root, q->shim);
	c->shim_is_readable = fd >= 0 || fd == -EINVAL; /* else what it lacks is to be a file */
	check_take_build(q, fd);
	if (fd >= 0)
		close(fd);
}

/* ---- the rest ---- */

/* The environment of this process, as the program's would be. */
static int take_own_environment(struct inquiry *q)
{
	char *bytes = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&bytes, &len);
	int r;

	if (!stream)
		return -ENOMEM;
	for (char **variable = environ; variable && *variable; variable++)
		fprintf(stream, "%s%c", *variable, '\0');
	r = fclose(stream) ? -ENOMEM : environment_parse(bytes, len, &q->facts.environment);
	free(bytes);
	return r;
}

static const char *why_no_program(int error)
{
	switch (error) {
	case -ENOENT:
		return "there is none in PATH or at that path: name it by its whole path";
	case -EACCES:
		return "it may not be executed by this user: chmod a+x it, or ask as its owner";
	case -EISDIR:
		return "it is a directory: name the program in it";
	case -EINVAL:
		return "it is no regular file: name the file that is run";
	case -EROFS:
		return "it is on a mount of which nothing may be run (noexec): mount it without, or put it elsewhere";
	case -ENOEXEC:
		return "it is neither a program nor a script: name the file that is run";
	case -ELOOP:
		return "scripts run scripts, more than the kernel follows: name the program that they run";
	default:
		return strerror(-error);
	}
}

/* The one that a failure is about, and how it came to that. */
static int fail_without_program(struct inquiry *q, int error)
{
	const struct program *p = &q->program;
	const struct program_step *last = p->step_count ? &p->steps[p->step_count - 1] : NULL;
	bool runs_script = last && !last->by_command;

	return cli_fail(q->verb, EXIT_FAILED, "%s%s%s: %s", p->shown,
			!last ? "" : runs_script ? ", which runs the script " : ", which is to be run by ", last ? last->from : "",
			runs_script && error == -ENOENT ? "there is none: install it, or correct the first line of the script" :
							  why_no_program(error));
}

static void take_arguments(struct inquiry *q, char *const *more)
{
	char text[512] = "";
	size_t len = 0;

	for (; *more && len < sizeof(text) - 1; more++) {
		int n = snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", *more);

		len += n < (int)(sizeof(text) - len) ? (size_t)n : sizeof(text) - 1 - len;
	}
	text_show(q->arguments_shown, sizeof(q->arguments_shown), text);
}

/* What snap(1) runs is a link to it. A link to busybox is one of its many programs, and tells by its own name. */
static const struct program_wrapper *find_wrapper(const char *path)
{
	const struct program_wrapper *named = program_wrapper(path), *real;
	char *whole = realpath(path, NULL);

	real = whole ? program_wrapper(whole) : NULL;
	free(whole);
	return !named && real && real->is_elsewhere ? real : named;
}

static void take_program(struct inquiry *q)
{
	struct check_facts *c = &q->facts;

	c->program = &q->program;
	c->file = &q->program.file;
	c->wrapper = find_wrapper(q->program.path);
	take_arguments(q, q->program.arguments);
	text_show(q->subject, sizeof(q->subject), q->program.shown);
}

int check_program(struct inquiry *q)
{
	struct check_facts *c = &q->facts;
	int r = program_look(q->question.program, &q->program), mesh;

	if (r < 0)
		return fail_without_program(q, r);
	q->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (take_own_environment(q) < 0)
		return cli_fail(q->verb, EXIT_FAILED, "out of memory");
	take_program(q);
	preloads_take(q->root, getenv("LD_PRELOAD"), &q->preloads);
	take_shim(q);
	libraries_find_missing(q->program.path, &q->program.file, &q->preloads, &q->libraries);
	mesh = mesh_find();
	c->mesh_port = (uint16_t)(mesh > 0 ? mesh : 0);
	cli_table_dir(q->question.dir, q->dir);
	check_take_table(q, q->dir, q->dir);
	c->autostarts = mode_word_is_yes(slice_of(getenv("FAIRDIAL_AUTOSTART")));
	return 0;
}
