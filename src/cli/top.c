/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial top: what status shows, live, drawn as bars. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/cli.h"
#include "cli/no_table.h"
#include "cli/print_json.h"
#include "install/self.h"
#include "install/terminfo.h"
#include "top/canvas.h"
#include "top/choices.h"
#include "top/frame.h"
#include "top/json.h"
#include "top/live.h"
#include "top/plain.h"
#include "top/rates.h"
#include "top/screen.h"
#include "top/signals.h"
#include "view/paint.h"
#include "view/snapshot.h"

#define PIPE_WIDTH 100

enum { OPT_ONCE, OPT_JSON, OPT_DIR, OPT_INTERVAL, OPT_SORT };

static const struct cli_option options[] = {
	[OPT_ONCE] = { "once", NULL, "one frame as plain text, after one interval, and then end" },
	[OPT_JSON] = { "json", NULL, "with --once: one JSON object" },
	[OPT_DIR] = { "dir", "DIR", "where the table is (default: $FAIRDIAL_DIR, else where the shim looks)" },
	[OPT_INTERVAL] = { "interval", "DURATION", "how often to look, from 100ms to 1h (default: 1s)" },
	[OPT_SORT] = { "sort", "KEY", "name, open, rate, dials, failures or state (default: name)" },
	{ 0 },
};

struct arguments {
	const char *given, *name;
	bool once, json;
	struct choices choices;
};

/* ---- arguments ---- */

static int take_interval(const struct verb *verb, const char *text, uint32_t *ret_ms)
{
	uint32_t ms;

	if (duration_parse(text, strlen(text), &ms) < 0 || ms < INTERVAL_MIN_MS || ms > INTERVAL_MAX_MS)
		return cli_fail(verb, EXIT_USAGE, "--interval %s: expected a duration from 100ms to 1h", text);
	*ret_ms = ms;
	return 0;
}

static int take_option(const struct verb *verb, int option, struct arguments *a)
{
	switch (option) {
	case OPT_ONCE:
		a->once = true;
		return 0;
	case OPT_JSON:
		a->json = true;
		return 0;
	case OPT_DIR:
		a->given = optarg;
		return 0;
	case OPT_INTERVAL:
		return take_interval(verb, optarg, &a->choices.interval_ms);
	default:
		a->choices.sort = sort_key_named(optarg);
		if (a->choices.sort == SORT_COUNT)
			return cli_fail(verb, EXIT_USAGE, "--sort %s: expected name, open, rate, dials, failures or state", optarg);
		return 0;
	}
}

static int parse(const struct verb *verb, int argc, char **argv, struct arguments *a)
{
	int option, r = 0;

	while (r == 0 && (option = cli_option(verb, argc, argv)) >= 0)
		r = take_option(verb, option, a);
	if (r)
		return r;
	if (optind < argc)
		a->name = argv[optind++];
	if (optind < argc)
		return cli_fail_argument(verb, argv[optind]);
	if (a->json && !a->once)
		return cli_fail(verb, EXIT_USAGE, "--json is for --once");
	return 0;
}

/* ---- once ---- */

/* A locale that is not installed says all the same how its terminal reads bytes. */
static void take_locale(void)
{
	const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	const char *wish = NULL;

	for (size_t i = 0; i < 3 && (!wish || !*wish); i++)
		wish = getenv(names[i]);
	if (!setlocale(LC_CTYPE, "") && wish && (strcasestr(wish, "utf-8") || strcasestr(wish, "utf8")))
		setlocale(LC_CTYPE, "C.UTF-8");
}

static int width_of_output(void)
{
	const char *given = getenv("COLUMNS");
	int columns = given ? atoi(given) : 0;
	struct winsize size;

	if (columns <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		columns = size.ws_col;
	if (columns > CANVAS_MAX)
		columns = CANVAS_MAX;
	return columns > 0 ? columns : PIPE_WIDTH;
}

static void sleep_ms(uint32_t ms)
{
	struct timespec left = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

static int print_frame(const struct verb *verb, const struct arguments *a, const struct snapshot *snapshot,
		       const struct rates *rates)
{
	struct frame frame;
	int r = frame_make(&frame, snapshot, rates, &a->choices);

	if (r == 0)
		r = a->json ? print_json(top_json(&frame)) : plain_print(&frame, width_of_output());
	frame_free(&frame);
	return r < 0 ? cli_fail(verb, EXIT_FAILED, "cannot write: out of memory") : cli_finish(verb, EXIT_DONE);
}

static int show_once(const struct verb *verb, const struct arguments *a, const struct live_source *source,
		     struct snapshot *snapshot)
{
	struct rates rates = { 0 };
	struct report why = { "" };
	int r = rates_keep(&rates, snapshot, clock_read_ns(CLOCK_MONOTONIC));

	if (r == 0) {
		sleep_ms(a->choices.interval_ms);
		r = snapshot_renew(source->dir, source->trust, source->name, snapshot, &why);
	}
	rates_until(&rates, clock_read_ns(CLOCK_MONOTONIC));
	r = r < 0 ? no_table_fail(verb, source->dir, r, why.text) : print_frame(verb, a, snapshot, &rates);
	rates_free(&rates);
	return r;
}

/* ---- live ---- */

/* The descriptions of terminals that `fairdial install` has put beside the tool; NULL: none. */
static const char *own_terminfo(char buf[PATH_MAX])
{
	char tool[PATH_MAX];

	return self_path(tool) == 0 && terminfo_beside(tool, buf) == 0 && access(buf, F_OK) == 0 ? buf : NULL;
}

static int watch(const struct verb *verb, const struct arguments *a, const struct live_source *source, struct snapshot *snapshot)
{
	char terminfo[PATH_MAX];
	struct report why;
	sigset_t waiting;
	int r = screen_open(own_terminfo(terminfo), paint_wanted(), &waiting, &why);

	if (r < 0)
		return cli_fail(verb, EXIT_FAILED, "%s", why.text);
	r = live_watch(source, snapshot, &a->choices, &waiting);
	screen_close();
	if (r > 0)
		signals_die(r);
	if (r < 0)
		return cli_fail(verb, EXIT_FAILED, "%s", r == -EIO ? "the terminal is gone" : strerror(-r));
	return EXIT_DONE;
}

/* ---- the verb ---- */

static int run(const struct verb *verb, int argc, char **argv)
{
	struct arguments a = { .choices = { .interval_ms = 1000 } };
	struct trust trust = cli_trust();
	struct live_source source = { .trust = &trust };
	struct report why = { "" };
	struct snapshot snapshot;
	char dir[PATH_MAX];
	int r = parse(verb, argc, argv, &a);

	if (r)
		return r;
	if (!a.once && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return cli_fail(verb, EXIT_FAILED, "standard %s is not a terminal: see one frame with `fairdial top --once`",
				isatty(STDOUT_FILENO) ? "input" : "output");
	take_locale();
	cli_table_dir(a.given, dir);
	source.dir = dir;
	source.name = a.name;
	r = snapshot_take(dir, &trust, a.name, &snapshot, &why);
	if (r < 0)
		return no_table_fail(verb, dir, r, why.text);
	if (a.name && snapshot.service_count == 0)
		r = no_service_fail(verb, dir, a.name, &snapshot);
	else
		r = a.once ? show_once(verb, &a, &source, &snapshot) : watch(verb, &a, &source, &snapshot);
	snapshot_free(&snapshot);
	return r;
}

const struct verb top_verb = {
	.name = "top",
	.usage = "[--once [--json]] [--dir DIR] [--interval DURATION] [--sort KEY] [NAME[.NAMESPACE]]",
	.summary = "the same, live, drawn as bars: open connections and dials per second of each endpoint",
	.more = "Keys are those of top and htop: q quits, / filters, < and > choose the column that sorts, r turns it round,\n"
	"space pauses, + and - unfold and fold Services, s sets the interval, h says more.\n\n"
	"OPEN, DIALS and FAILED are what status calls ACTIVE, DIALS and FAILED. A bar compares the endpoints of one Service: its\n"
	"scale ends a little above the busiest of them. Evenness is Jain's index of the dials over the usable endpoints (1 is\n"
	"even); \"random\" is what picking at random would have given for as many dials. No rate (\"-\") is known of an endpoint\n"
	"that was not there an interval ago.\n\n"
	"Without a terminal it refuses, for there is nothing to watch: --once prints one frame, with the rates of one interval,\n"
	"as wide as COLUMNS says, or 100. Bars are blocks where the locale is one of UTF-8, else '#'. Colours only where the\n"
	"terminal has them, and NO_COLOR is not set.",
	.options = options,
	.operands = OPERANDS_SERVICE,
	.run = run,
};
