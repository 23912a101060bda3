/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial publish: checks services and writes a static table, once. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/publish.h"
#include "cli/cli.h"
#include "cli/print_json.h"
#include "model/addresses.h"
#include "model/model.h"
#include "services/source.h"
#include "view/paint.h"

#define WARNING_TEXT 1280

enum { OPT_SERVICES, OPT_DIR, OPT_RANGE, OPT_NODE, OPT_ZONE, OPT_JSON };

static const struct cli_option options[] = {
	[OPT_SERVICES] = { "services", "FILE|-",
			   "a services file, or a Kubernetes List; - reads standard input (default: $FAIRDIAL_SERVICES)" },
	[OPT_DIR] = { "dir", "DIR", "where the table goes (default: $FAIRDIAL_DIR)" },
	[OPT_RANGE] = { "address-range", "PREFIX[,PREFIX]",
			"for Services without an address (default: 240.0.0.0/4)" },
	[OPT_NODE] = { "node", "NAME", "the node of the programs, for rules that ask (default: $NODE_NAME)" },
	[OPT_ZONE] = { "zone", "NAME", "its zone (default: $NODE_ZONE, else that of any endpoint on the node)" },
	[OPT_JSON] = { "json", NULL, "one JSON object: what was published, and the warnings" },
	{ 0 },
};

struct arguments {
	const char *services, *dir, *range, *node, *zone;
	bool json;
};

static int parse(const struct verb *verb, int argc, char **argv, struct arguments *a)
{
	const char *services = getenv("FAIRDIAL_SERVICES");
	struct address_ranges ranges;
	int option;

	while ((option = cli_option(verb, argc, argv)) >= 0) {
		if (option == OPT_SERVICES)
			a->services = optarg;
		else if (option == OPT_DIR)
			a->dir = optarg;
		else if (option == OPT_NODE)
			a->node = optarg;
		else if (option == OPT_ZONE)
			a->zone = optarg;
		else if (option == OPT_JSON)
			a->json = true;
		else
			a->range = optarg;
	}
	if (optind < argc)
		return cli_fail_argument(verb, argv[optind]);
	if (address_ranges_parse(a->range, &ranges) < 0)
		return cli_fail(verb, EXIT_USAGE, "--address-range %s: expected a prefix such as 240.0.0.0/4, or one of each family",
				a->range);
	if (!a->dir)
		a->dir = getenv("FAIRDIAL_DIR");
	if (!a->services && (!services || !*services))
		return cli_fail(verb, EXIT_USAGE, "which services? Name a file with --services FILE, or - for standard input");
	if (!a->dir || !*a->dir)
		return cli_fail(verb, EXIT_USAGE, "where to? Name a directory with --dir DIR, or set FAIRDIAL_DIR");
	return 0;
}

/* Given, else of the environment; an empty one is unknown. */
static const char *name_or(const char *given, const char *variable)
{
	const char *name = given ? given : getenv(variable);

	return name && *name ? name : NULL;
}

static int load(const struct arguments *a, struct model *model, char *source, size_t size, struct report *why)
{
	if (!a->services) {
		snprintf(source, size, "FAIRDIAL_SERVICES");
		return source_load_any(model, "FAIRDIAL_SERVICES", getenv("FAIRDIAL_SERVICES"), why);
	}
	cli_describe_file(a->services, source, size);
	return source_load_file(model, a->services, why);
}

/* ---- what is said ---- */

static json_t *warnings; /* all of them, for --json; who warns has no place to put them */

static void warn(const char *line)
{
	char text[WARNING_TEXT];

	snprintf(text, sizeof(text), "%s", line);
	make_utf8(text); /* names of files are in it, and it may have been cut */
	cli_fail(&publish_verb, EXIT_DONE, "warning: %s", text);
	json_array_append_new(warnings, json_string(text));
}

static void warn_of_what_is_missing(const char *source, const struct published *published)
{
	char line[WARNING_TEXT];

	if (published->services == 0)
		snprintf(line, sizeof(line), "%s names no service; the table is empty now", source);
	else if (published->unsynced)
		snprintf(line, sizeof(line),
			 "%s has no EndpointSlices, so %zu services stand down: use `kubectl get services,endpointslices -o json`",
			 source, published->unsynced);
	else
		return;
	warn(line);
}

/* Both names may be of files, which need not be UTF-8. */
static int print_published_json(const char *given, char *source, const struct published *published)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", given);
	make_utf8(dir);
	make_utf8(source);
	return print_json(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:O}", "dir", dir, "source", source, "generation",
				    (json_int_t)published->generation, "services", (json_int_t)published->services, "endpoints",
				    (json_int_t)published->endpoints, "services_without_slices", (json_int_t)published->unsynced,
				    "warnings", warnings));
}

static int print_done(const struct arguments *a, char *source, const struct published *published)
{
	warn_of_what_is_missing(source, published);
	if (a->json && print_published_json(a->dir, source, published) < 0)
		return cli_fail(&publish_verb, EXIT_FAILED, "cannot write: out of memory");
	if (!a->json) {
		printf("published %zu service%s with %zu endpoint%s as generation %llu in ", published->services,
		       published->services == 1 ? "" : "s", published->endpoints, published->endpoints == 1 ? "" : "s",
		       (unsigned long long)published->generation);
		print_plain(a->dir);
		putchar('\n');
	}
	return cli_finish(&publish_verb, EXIT_DONE);
}

/* ---- the verb ---- */

static int run(const struct verb *verb, int argc, char **argv)
{
	struct arguments a = { 0 };
	struct published published;
	struct report why;
	struct model_options model_options = { 0 };
	struct model *model;
	char source[TABLE_SOURCE_SIZE];
	int r = parse(verb, argc, argv, &a);

	if (r)
		return r;
	model_options.warn = warn;
	model_options.address_range = a.range;
	model_options.node = name_or(a.node, "NODE_NAME");
	model_options.zone = name_or(a.zone, "NODE_ZONE");
	model = model_new(&model_options);
	warnings = json_array();
	if (!model || !warnings)
		return cli_fail(verb, EXIT_FAILED, "out of memory");
	r = load(&a, model, source, sizeof(source), &why);
	if (r == 0)
		r = publish_once(a.dir, false, model, source, &published, &why);
	model_free(model);
	if (r < 0)
		cli_fail(verb, EXIT_FAILED, "%s", why.text);
	else
		r = print_done(&a, source, &published);
	json_decref(warnings);
	return r < 0 ? EXIT_FAILED : r;
}

const struct verb publish_verb = {
	.name = "publish",
	.usage = "--services FILE|- --dir DIR [--json] [--address-range PREFIX] [--node NAME] [--zone NAME]",
	.summary = "checks a services file, or a Kubernetes List, and writes a static table once",
	.more = "Programs that run under the shim with this directory follow at their next dial. A table that is already\n"
	"published stays where the services are refused. `kubectl get services,endpointslices -o json |\n"
	"fairdial publish --services - --dir DIR` takes what a cluster has now.",
	.options = options,
	.run = run,
};
