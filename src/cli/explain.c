/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial explain: where a dial would go now, why there, and why not elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/explain.h"
#include "cli/explain_target.h"
#include "cli/no_table.h"
#include "inspect/proc_files.h"

#define TRIES		 16	   /* while a writer publishes */
#define MOST_ENVIRONMENT (8 << 20) /* the kernel takes 6 MiB, with the arguments */

extern char **environ;

enum { OPT_JSON, OPT_PID, OPT_FD, OPT_DIR };

static const struct cli_option options[] = {
	[OPT_JSON] = { "json", NULL, "one JSON object" },
	[OPT_PID] = { "pid", "PID", "instead: the connections of this process, a line each, by its environment" },
	[OPT_FD] = { "fd", "N", "of these, the one of this descriptor, in full" },
	[OPT_DIR] = { "dir", "DIR", "where the table is (default: $FAIRDIAL_DIR, else where the shim looks)" },
	{ 0 },
};

/* All that is asked, and what answers it. */
struct job {
	const struct verb *verb;
	const char *operand, *given_dir;
	int pid, fd; /* 0, -1: not asked for */
	bool json;
	char dir[PATH_MAX];
	struct environment environment;
	struct explain_dialer dialer;
	struct snapshot snapshot;
};

/* ---- whose environment ---- */

static int own_environment(struct environment *ret)
{
	size_t len = 0, at = 0;
	char *bytes;
	int r;

	for (char **entry = environ; entry && *entry; entry++)
		len += strlen(*entry) + 1;
	bytes = malloc(len + 1);
	if (!bytes)
		return -ENOMEM;
	for (char **entry = environ; entry && *entry; entry++) {
		memcpy(bytes + at, *entry, strlen(*entry) + 1);
		at += strlen(*entry) + 1;
	}
	r = environment_parse(bytes, at, ret);
	free(bytes);
	return r;
}

/* Another host name than ours: its hashes are not ours either. What cannot be read is taken to be the same. */
static bool has_other_host(int process)
{
	char own[64] = "", its[64] = "";
	ssize_t n = readlink("/proc/self/ns/uts", own, sizeof(own) - 1), m = readlinkat(process, "ns/uts", its, sizeof(its) - 1);

	return n > 0 && m > 0 && strcmp(own, its) != 0;
}

static int process_environment(struct job *j)
{
	struct proc_bytes bytes = { 0 };
	char path[32];
	int process, r;

	snprintf(path, sizeof(path), "/proc/%d", j->pid);
	process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = proc_read(process, "environ", MOST_ENVIRONMENT, &bytes);
	if (r >= 0)
		r = environment_parse(bytes.at, bytes.len, &j->environment);
	j->dialer.other_host = has_other_host(process);
	free(bytes.at);
	close(process);
	return r;
}

static int fail_process(const struct job *j, int error)
{
	switch (error) {
	case -ESRCH:
		return cli_fail(j->verb, EXIT_FAILED, "process %d: there is none that can be seen here: see ps", j->pid);
	case -EACCES:
	case -EPERM:
		return cli_fail(j->verb, EXIT_FAILED, "process %d: it is another user's: ask as that user, or as root", j->pid);
	case -EBADF:
		return cli_fail(j->verb, EXIT_FAILED, "process %d: it has no descriptor %d: ask without --fd for those it has",
				j->pid, j->fd);
	case -ENOTCONN:
		return cli_fail(j->verb, EXIT_FAILED,
				"process %d: descriptor %d is no open TCP connection of this network namespace: ask without --fd "
				"for those it has",
				j->pid, j->fd);
	default:
		return cli_fail(j->verb, EXIT_FAILED, "process %d: cannot look at it: %s", j->pid, strerror(-error));
	}
}

/* ---- a Service ---- */

static int explain_service(struct job *j)
{
	struct explain_question question;
	struct explanation explanation;
	char why[512];
	int r = target_find(j->operand, &j->snapshot, &question, why, sizeof(why));

	if (r < 0)
		return cli_fail(j->verb, r == -EINVAL ? EXIT_USAGE : EXIT_FAILED, "%s", why);
	r = explain_take(j->dir, &j->snapshot, &question, &j->dialer, &explanation);
	if (r < 0)
		return r;
	if (j->json)
		r = explain_print_json(&explanation);
	else
		explain_print(&explanation);
	explain_free(&explanation);
	return r;
}

/* ---- a process ---- */

static void free_told(struct explanation *told, size_t count)
{
	for (size_t i = 0; i < count; i++)
		explain_free(&told[i]);
	free(told);
}

/* Those to one port and family share one. */
static int tell_each(const struct job *j, struct explain_connections *all, struct explanation **ret_told, size_t *ret_count)
{
	struct explanation *told = calloc(all->count + 1, sizeof(*told));
	size_t count = 0;
	int r = told ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < all->count; i++) {
		struct explain_connection *c = &all->at[i];
		struct explain_question question = { c->service, c->port, true, c->peer.is_v4 };

		for (c->told = 0; c->told < count; c->told++)
			if (told[c->told].ports[0].seen == c->port && told[c->told].ports[0].families[0].v4 == c->peer.is_v4)
				break;
		if (c->told == count)
			r = explain_take(j->dir, &j->snapshot, &question, &j->dialer, &told[count]);
		if (r == 0 && c->told == count)
			count++;
	}
	if (r < 0) {
		free_told(told, count);
		return r;
	}
	*ret_told = told;
	*ret_count = count;
	return 0;
}

static int fail_unknown(const struct job *j, const struct explain_connection *c)
{
	char text[ADDR_TEXT];

	return cli_fail(j->verb, EXIT_FAILED,
			"descriptor %d of process %d goes to %s, which %s/table does not know: it is no Service's, or its endpoint "
			"has gone; `fairdial status` lists those it knows",
			j->fd, j->pid, addr_print(&c->peer, text), j->dir);
}

static int explain_process(struct job *j)
{
	struct explain_connections all;
	struct explanation *told;
	size_t count;
	int r = explain_connections(j->dir, &j->snapshot, j->pid, j->fd, &all);

	if (r < 0)
		return fail_process(j, r);
	if (j->fd >= 0 && !all.at[0].service) {
		r = fail_unknown(j, &all.at[0]);
		explain_connections_free(&all);
		return r;
	}
	r = tell_each(j, &all, &told, &count);
	if (r == 0) {
		if (j->json)
			r = explain_print_connections_json(&all, told);
		else if (j->fd >= 0)
			explain_print_connection(&all, told);
		else
			explain_print_connections(&all, told);
		free_told(told, count);
	}
	explain_connections_free(&all);
	return r;
}

/* ---- the verb ---- */

/* An exit code, or a negative errno; -EAGAIN: the table changed meanwhile. */
static int explain(struct job *j)
{
	struct report why = { .text = "" };
	struct trust trust = cli_trust();
	int r = snapshot_take(j->dir, &trust, NULL, &j->snapshot, &why);

	if (r < 0)
		return no_table_fail(j->verb, j->dir, r, why.text);
	r = j->pid ? explain_process(j) : explain_service(j);
	snapshot_free(&j->snapshot);
	return r;
}

static int explain_until_whole(struct job *j)
{
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && r == -EAGAIN; i++)
		r = explain(j);
	if (r == -EAGAIN)
		return cli_fail(j->verb, EXIT_FAILED, "%s/table: it changes faster than it can be read: try again", j->dir);
	if (r < 0)
		return cli_fail(j->verb, EXIT_FAILED, "%s/table: cannot explain it: %s", j->dir, strerror(-r));
	return cli_finish(j->verb, (enum exit_code)r);
}

static bool parse_number(const char *text, int least, int *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || *end || end == text || n < least || n > INT_MAX)
		return false;
	*ret = (int)n;
	return true;
}

/* 0, or an exit code. */
static int parse_options(struct job *j, int argc, char **argv)
{
	int option;

	while ((option = cli_option(j->verb, argc, argv)) >= 0) {
		if (option == OPT_JSON)
			j->json = true;
		else if (option == OPT_DIR)
			j->given_dir = optarg;
		else if (!parse_number(optarg, option == OPT_PID, option == OPT_PID ? &j->pid : &j->fd))
			return cli_fail(j->verb, EXIT_USAGE, "--%s '%s': expected a number", options[option].name, optarg);
	}
	if (optind < argc)
		j->operand = argv[optind++];
	if (optind < argc)
		return cli_fail(j->verb, EXIT_USAGE, "unexpected argument '%s'", argv[optind]);
	if (!j->operand && !j->pid)
		return cli_fail(j->verb, EXIT_USAGE, "explain what? NAME[:PORT], ADDR:PORT or --pid PID");
	if (j->operand && j->pid)
		return cli_fail(j->verb, EXIT_USAGE, "'%s' and --pid: one of them", j->operand);
	if (j->fd >= 0 && !j->pid)
		return cli_fail(j->verb, EXIT_USAGE, "--fd needs --pid PID: whose descriptor is it?");
	return 0;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct job j = { .verb = verb, .fd = -1 };
	int r = parse_options(&j, argc, argv);

	if (r)
		return r;
	r = j.pid ? process_environment(&j) : own_environment(&j.environment);
	if (r < 0 && j.pid)
		return fail_process(&j, r);
	if (r < 0)
		return cli_fail(verb, EXIT_FAILED, "cannot read the environment: %s", strerror(-r));
	j.dialer.pid = j.pid;
	j.dialer.environment = &j.environment;
	cli_table_dir(j.given_dir || !j.pid ? j.given_dir : j.environment.dir, j.dir);
	r = explain_until_whole(&j);
	environment_free(&j.environment);
	return r;
}

const struct verb explain_verb = {
	.name = "explain",
	.usage = "[--json] [--dir DIR] NAME[.NAMESPACE][:PORT] | ADDR:PORT | --pid PID [--fd N]",
	.summary = "where a dial would go now and why, or why a connection went where it went",
	.more = "Names the Service, each setting with where it comes from, the candidates with their numbers, those that are\n"
	"excluded with the reason, and the next pick: what the next dial of this pod would take, by the same code, as a\n"
	"blocking dial of a process with this environment. Nothing is claimed and no turn taken by asking. Where the policy\n"
	"draws (random, p2c), all candidates are possible.\n\n"
	"With --pid the environment is that which the process was started with, and its open TCP connections to Services and\n"
	"endpoints are named; when a connection was made, and the numbers of then, nobody keeps.\n\n"
	"Exit status 1: no Service has that name or address, or there is no table.",
	.options = options,
	.operands = OPERANDS_SERVICE_PORT,
	.run = run,
};
