/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial explain: where a dial would go now, why there, and why not elsewhere. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/explain_json.h"
#include "cli/no_table.h"
#include "explain/dialer.h"
#include "explain/explain.h"
#include "explain/target.h"

#define TRIES 16 /* while a writer publishes */

enum { OPT_JSON, OPT_PID, OPT_FD, OPT_DIR };

static const struct cli_option options[] = {
	[OPT_JSON] = { "json", NULL, "one JSON object" },
	[OPT_PID] = { "pid", "PID", "instead: the connections of this process, a line each, by its environment" },
	[OPT_FD] = { "fd", "N", "of these, the one of this descriptor, in full" },
	[OPT_DIR] = { "dir", "DIR", "where the table is (default: $FAIRDIAL_DIR, of the process where there is one; else where "
				    "the shim looks)" },
	{ 0 },
};

/* All that is asked, and what answers it. */
struct job {
	const struct verb *verb;
	const char *operand, *given_dir;
	int pid, fd; /* 0, -1: not asked for */
	bool json;
	char dir[PATH_MAX], shim[PATH_MAX];
	struct explain_place place;
	struct environment environment;
	struct explain_dialer dialer;
	struct snapshot snapshot;
};

/* ---- a Service ---- */

static int explain_service(struct job *j)
{
	struct explain_question question;
	struct explanation explanation;
	char why[512];
	int r = target_find(j->operand, &j->snapshot, &question, why, sizeof(why));

	if (r < 0)
		return cli_fail(j->verb, r == -EINVAL ? EXIT_USAGE : EXIT_FAILED, "%s", why);
	r = explain_take(&j->place, &j->snapshot, &question, &j->dialer, &explanation);
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

static int fail_process(const struct job *j, int error)
{
	switch (error) {
	case -ESRCH:
		return cli_fail(j->verb, EXIT_FAILED, "process %d: there is none that can be seen here: see ps", j->pid);
	case -EACCES:
	case -EPERM:
		return cli_fail(j->verb, EXIT_FAILED,
				"process %d: it is another user's, or hides itself: ask as that user, or as root", j->pid);
	case -EBADF:
		return cli_fail(j->verb, EXIT_FAILED, "process %d: it has no descriptor %d: ask without --fd for those it has",
				j->pid, j->fd);
	case -ENOTSOCK:
		return cli_fail(j->verb, EXIT_FAILED, "process %d: descriptor %d is no socket: ask without --fd for those that are",
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

/* Explanations, of which connections to one port and family share one. */
struct told {
	struct explanation *at;
	size_t count;
};

static void free_told(struct told *told)
{
	for (size_t i = 0; i < told->count; i++)
		explain_free(&told->at[i]);
	free(told->at);
}

static size_t find_told(const struct told *told, const struct explain_connection *c)
{
	size_t i = 0;

	while (i < told->count &&
	       (told->at[i].ports[0].seen != c->port || told->at[i].ports[0].families[0].v4 != c->peer.is_v4))
		i++;
	return i;
}

/* What is told is freed by the caller, also where it fails. */
static int tell_each(const struct job *j, struct explain_connections *all, struct told *told)
{
	int r = 0;

	told->at = calloc(all->count + 1, sizeof(*told->at));
	if (!told->at)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < all->count; i++) {
		struct explain_connection *c = &all->at[i];
		struct explain_question question = { c->service, c->port, true, c->peer.is_v4 };

		c->told = find_told(told, c);
		if (c->told < told->count)
			continue;
		r = explain_take(&j->place, &j->snapshot, &question, &j->dialer, &told->at[told->count]);
		if (r == 0)
			told->count++;
	}
	return r;
}

static int fail_unknown(const struct job *j, const struct explain_connection *c)
{
	char text[ADDR_TEXT];

	return cli_fail(j->verb, EXIT_FAILED,
			"descriptor %d of process %d goes to %s, which %s/table does not know: it is no Service's, or its endpoint "
			"has gone; `fairdial status` lists those it knows",
			j->fd, j->pid, addr_print(&c->peer, text), j->dir);
}

static int print_connections(const struct job *j, const struct explain_connections *all, const struct told *told)
{
	if (j->json)
		return explain_print_connections_json(all, told->at);
	if (j->fd >= 0)
		explain_print_connection(all, told->at);
	else
		explain_print_connections(all, told->at);
	return 0;
}

static int explain_process(struct job *j)
{
	struct explain_connections all;
	struct told told = { 0 };
	int r = explain_connections(&j->place, &j->snapshot, j->pid, j->fd, &all);

	if (r < 0)
		return fail_process(j, r);
	j->dialer.unspread = all.unspread;
	if (j->fd >= 0 && !all.at[0].service)
		r = fail_unknown(j, &all.at[0]);
	else
		r = tell_each(j, &all, &told);
	if (r == 0)
		r = print_connections(j, &all, &told);
	free_told(&told);
	explain_connections_free(&all);
	return r;
}

/* ---- the table ---- */

/* An exit code, or a negative errno; -EAGAIN: the table changed meanwhile. */
static int explain(struct job *j)
{
	struct report why = { .text = "" };
	int r = snapshot_take(j->dir, &j->place.trust, NULL, &j->snapshot, &why);

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

/* ---- the verb ---- */

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
			return cli_fail(j->verb, EXIT_USAGE, "--%s '%s': expected the number of a %s", options[option].name, optarg,
					option == OPT_PID ? "process, as ps(1) shows it" : "descriptor");
	}
	if (optind < argc)
		j->operand = argv[optind++];
	if (optind < argc)
		return cli_fail_argument(j->verb, argv[optind]);
	if (!j->operand && !j->pid)
		return cli_fail(j->verb, EXIT_USAGE, "explain what? NAME[:PORT], ADDR:PORT or --pid PID");
	if (j->operand && j->pid)
		return cli_fail(j->verb, EXIT_USAGE, "'%s' and --pid: one of them", j->operand);
	if (j->fd >= 0 && !j->pid)
		return cli_fail(j->verb, EXIT_USAGE, "--fd needs --pid PID: whose descriptor is it?");
	return 0;
}

/* Whose dial it is. 0, or an exit code. */
static int find_dialer(struct job *j)
{
	int r = j->pid ? dialer_of_process(j->pid, &j->environment, &j->dialer) : dialer_of_caller(&j->environment, &j->dialer);

	if (r < 0 && j->pid)
		return fail_process(j, r);
	if (r < 0)
		return cli_fail(j->verb, EXIT_FAILED, "cannot read the environment: %s", strerror(-r));
	return 0;
}

/* Where it looks: the ledger too is that process's. 0, or an exit code. */
static int find_place(struct job *j)
{
	const struct environment *env = &j->environment;

	if (j->pid && !j->given_dir && env->sets_dir && !env->dir)
		return cli_fail(j->verb, EXIT_FAILED,
				"process %d: its FAIRDIAL_DIR is no absolute path: name the directory with --dir", j->pid);
	if (j->pid && (env->ledger ? setenv("FAIRDIAL_LEDGER", env->ledger, 1) : unsetenv("FAIRDIAL_LEDGER")) < 0)
		return cli_fail(j->verb, EXIT_FAILED, "cannot take its environment: %s", strerror(errno));
	cli_table_dir(j->given_dir || !j->pid ? j->given_dir : env->dir, j->dir);
	j->place = (struct explain_place){ .dir = j->dir, .trust = cli_trust() };
	if (cli_shim_path(j->shim) == 0)
		j->place.shim_path = j->shim;
	return 0;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct job j = { .verb = verb, .fd = -1 };
	int r = parse_options(&j, argc, argv);

	if (r == 0)
		r = find_dialer(&j);
	if (r == 0)
		r = find_place(&j);
	if (r == 0)
		r = explain_until_whole(&j);
	environment_free(&j.environment);
	return r;
}

const struct verb explain_verb = {
	.name = "explain",
	.usage = "[--json] [--dir DIR] NAME[.NS][:PORT] | ADDR:PORT | --pid PID [--fd N]",
	.summary = "where a dial would go now and why, or why a connection went where it went",
	.more = "Of a Service: each setting with where it comes from, the age of the table, the candidates with their numbers,\n"
	"those that are excluded with the reason, and the next pick. That is whom the next dial would take, by the shim's own\n"
	"rules: a blocking dial of a process with the environment of this command, in this pod. Asking claims nothing and takes\n"
	"no turn. Where the policy draws (random, p2c), any candidate may be next.\n"
	"\n"
	"Of a process: its open TCP connections to Services and endpoints, by the environment that it was started with; with --fd\n"
	"one of them in full: by which policy it was chosen, or why fairdial had no part in it; what would be chosen now; and\n"
	"whether it may be closed for another (drain, rebalance, max_age). When a connection was made, and the numbers of then,\n"
	"nobody keeps.\n"
	"\n"
	"  fairdial explain web.shop          all ports of a Service\n"
	"  fairdial explain web:http          one of them, by its name or number\n"
	"  fairdial explain 10.96.0.20:80     what a program dials\n"
	"  fairdial explain --pid 4711        what a process has open\n"
	"\n"
	"Exit status: 1 also where no Service has that name or address, where the descriptor is no connection to one, or where\n"
	"there is no table.",
	.options = options,
	.operands = OPERANDS_SERVICE_PORT,
	.run = run,
};
