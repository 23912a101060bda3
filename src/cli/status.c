/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial status: services, endpoints, who holds how many connections, how even it is, how old the table is. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/coverage.h"
#include "cli/no_table.h"
#include "cli/status.h"
#include "view/snapshot.h"

enum { OPT_JSON, OPT_COVERAGE, OPT_DIR };

static const struct cli_option options[] = {
	[OPT_JSON] = { "json", NULL, "one JSON object" },
	[OPT_COVERAGE] = { "coverage", NULL, "instead: which connections and processes are not spread, and why" },
	[OPT_DIR] = { "dir", "DIR", "where the table is (default: $FAIRDIAL_DIR, else where the shim looks)" },
	{ 0 },
};

/* ---- the verb ---- */

static int run(const struct verb *verb, int argc, char **argv)
{
	const char *given = NULL, *name = NULL;
	struct trust trust = cli_trust();
	struct snapshot snapshot;
	char dir[PATH_MAX];
	struct report why;
	bool json = false, coverage = false;
	int r, option;

	while ((option = cli_option(verb, argc, argv)) >= 0) {
		if (option == OPT_JSON)
			json = true;
		else if (option == OPT_COVERAGE)
			coverage = true;
		else
			given = optarg;
	}
	if (optind < argc)
		name = argv[optind++];
	if (optind < argc)
		return cli_fail_argument(verb, argv[optind]);
	cli_table_dir(given, dir);
	why.text[0] = '\0';
	r = snapshot_take(dir, &trust, name, &snapshot, &why);
	if (r < 0)
		return no_table_fail(verb, dir, r, why.text);
	if (name && snapshot.service_count == 0) {
		r = no_service_fail(verb, dir, name, &snapshot);
		snapshot_free(&snapshot);
		return r;
	}
	if (coverage)
		r = coverage_report(dir, &snapshot, json);
	else if (json)
		r = status_print_json(&snapshot);
	else
		status_print(&snapshot);
	snapshot_free(&snapshot);
	if (r < 0 && coverage && access("/proc/self/stat", F_OK) < 0)
		return cli_fail(verb, EXIT_FAILED, "/proc is not mounted here: --coverage looks at processes there");
	if (r < 0 && coverage)
		return cli_fail(verb, EXIT_FAILED, "cannot look at sockets and processes: %s", strerror(-r));
	if (r < 0)
		return cli_fail(verb, EXIT_FAILED, "cannot write: out of memory");
	return cli_finish(verb, EXIT_DONE);
}

const struct verb status_verb = {
	.name = "status",
	.usage = "[--json] [--coverage] [--dir DIR] [NAME[.NAMESPACE]]",
	.summary = "services, endpoints, who holds how many connections, how even it is, how old the table is",
	.more = "ACTIVE counts open connections of this pod, DIALS and FAILED all dials since the table was made. They count by\n"
	"the address of the endpoint, whichever Service it was dialed through: Services with the same pods show each\n"
	"other's dials (\"shared with\": the first four). Evenness is Jain's index of the dials over the usable endpoints:\n"
	"1 is even, 1/n is all on one of n.\n\n"
	"Of a Service in mode observe a dial is counted where it would have gone, and passes unchanged; what was counted\n"
	"while its mode was on stays in DIALS. Where kube-proxy takes them cannot be seen, so ACTIVE is 0 unless programs dial its\n"
	"pods.\n\n"
	"\"moved\" counts connections that were closed at a quiet point, or cut, for the program to dial again, by the reason,\n"
	"since the table was made; of a Service in mode observe, those that would have been.\n\n"
	"--coverage looks at the open TCP connections of this network namespace, and at the processes that can be seen here:\n"
	"what goes through a Service's own address instead of straight to an endpoint, whose it is, and why. A process's own\n"
	"reason comes first: service-observe, service-off and observe are left for those that would be spread. It exits\n"
	"with 0 also where something is not covered: what is to be covered, a script knows (--json).",
	.options = options,
	.operands = OPERANDS_SERVICE,
	.run = run,
};
