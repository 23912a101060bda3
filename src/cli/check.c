/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial check: whether one program, or one process, is covered, what is not, and what to do. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/check.h"
#include "inspect/mesh.h"

enum { OPT_PID, OPT_JSON, OPT_SHIM, OPT_DIR };

static const struct cli_option options[] = {
	[OPT_PID] = { "pid", "PID", "a process that runs, by its number in ps(1)" },
	[OPT_JSON] = { "json", NULL, "one JSON object, for scripts: the names of findings never change" },
	[OPT_SHIM] = { "shim", "PATH", "the libfairdial.so to load (default: what LD_PRELOAD names, else what belongs to this "
				       "tool)" },
	[OPT_DIR] = { "dir", "DIR", "where the table is (default: $FAIRDIAL_DIR, else where the shim looks); of a process: the one "
				    "that it should use" },
	{ 0 },
};

static int parse(const struct verb *verb, int argc, char **argv, struct check_question *a)
{
	int option;

	while ((option = cli_option(verb, argc, argv)) >= 0) {
		if (option == OPT_JSON)
			a->is_json = true;
		else if (option == OPT_PID)
			a->pid_text = optarg;
		else if (option == OPT_SHIM)
			a->shim = optarg;
		else
			a->dir = optarg;
	}
	a->program = argv + optind;
	if (!a->pid_text && (optind >= argc || !*argv[optind]))
		return cli_fail(verb, EXIT_USAGE, "which program? fairdial check PROGRAM, or --pid PID");
	if (a->pid_text && optind < argc)
		return cli_fail(verb, EXIT_USAGE, "a program and --pid exclude each other");
	if (a->pid_text) {
		char *end, shown[64];
		long pid = strtol(a->pid_text, &end, 10);

		text_show(shown, sizeof(shown), a->pid_text);
		if (*end || end == a->pid_text || pid < 1 || pid > INT_MAX)
			return cli_fail(verb, EXIT_USAGE, "--pid %s: expected the number of a process, as ps(1) shows it", shown);
		a->pid = (int)pid;
	}
	return 0;
}

static int answer(struct inquiry *q)
{
	struct check_facts *c = &q->facts;
	enum cover cover;

	c->mesh_name = c->mesh_port ? mesh_name(c->mesh_port) : NULL;
	findings_make(c, &q->findings);
	cover = findings_cover(&q->findings);
	if (!q->question.is_json)
		check_print_text(q, cover);
	else if (check_print_json(q, cover) < 0)
		return cli_fail(q->verb, EXIT_FAILED, "cannot write: out of memory");
	return cli_finish(q->verb, cover == COVER_WHOLE ? EXIT_DONE : EXIT_FAILED);
}

static void done(struct inquiry *q)
{
	if (!q->facts.process) /* else they are its own */
		environment_free(&q->facts.environment);
	processes_free(&q->processes);
	mapped_free(&q->mapped);
	if (q->process >= 0)
		close(q->process);
	if (q->root >= 0)
		close(q->root);
	free(q);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct inquiry *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return cli_fail(verb, EXIT_FAILED, "out of memory");
	q->verb = verb;
	q->process = q->root = -1;
	q->facts.euid = geteuid();
	q->facts.gains_no_privileges = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	q->facts.preloads = &q->preloads;
	q->facts.libraries = &q->libraries;
	q->facts.arguments = q->arguments_shown;
	q->facts.shim_shown = q->shim_shown;
	q->facts.shim_path = q->shim;
	q->facts.shim_version = q->shim_links.version;
	q->facts.table.dir = q->dir_shown;
	q->facts.shim_is_same_build = -1;
	r = parse(verb, argc, argv, &q->question);
	if (r == 0 && cli_shim_path(q->own_shim) < 0)
		q->own_shim[0] = '\0';
	if (r == 0)
		r = q->question.pid ? check_process(q) : check_program(q);
	if (r == 0)
		r = answer(q);
	done(q);
	return r;
}

const struct verb check_verb = {
	.name = "check",
	.usage = "[--json] [--shim PATH] [--dir DIR] PROGRAM [ARG...] | --pid PID",
	.summary = "tells whether a program, or a process, is covered, what of it is not, and what to do",
	.more = "PROGRAM is looked up in PATH; a script is followed to what runs it, and env to what it runs; nothing is started.\n"
	"Of a process also: which libfairdial.so it has mapped, of which version, and which table, how old.\n"
	"\n"
	"The first line is the answer: covered, covered in part, or not covered. Then come the reasons, the worst first, each\n"
	"with what to do below it:\n"
	"  blocker   no dial is spread: a static program, Go, setuid, another machine, no shim; of a process, no table\n"
	"  warning   some dials may not be: io_uring or bare system calls, another preload first, a mesh\n"
	"  note      for the reader: a script, a wrapper, plugins that are loaded later, no table yet\n"
	"  ok        what is as it should be\n"
	"\n"
	"  fairdial check mysql\n"
	"  fairdial check --json --pid 4242 | jq -r '.findings[] | select(.severity == \"blocker\").what'\n"
	"\n"
	"Exit status: 0 covered; 1 not, in part, or it cannot be told; 2 usage.",
	.options = options,
	.run = run,
	.takes_program = true,
};
