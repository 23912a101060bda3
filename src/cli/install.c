/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial install: shim and tool, with all that the tool needs, into a folder that other containers use. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/print_json.h"
#include "install/self.h"
#include "install/tree.h"
#include "view/paint.h"

enum { OPT_VERBOSE, OPT_JSON };

static const struct cli_option options[] = {
	[OPT_VERBOSE] = { "verbose", NULL, "tell each file: \"new\" or \"same\"" },
	[OPT_JSON] = { "json", NULL, "tell what was done as JSON" },
	{ 0 },
};

struct arguments {
	const char *dir;
	bool verbose, json;
};

static int parse(const struct verb *verb, int argc, char **argv, struct arguments *a)
{
	int option;

	while ((option = cli_option(verb, argc, argv)) >= 0) {
		if (option == OPT_JSON)
			a->json = true;
		else
			a->verbose = true;
	}
	if (optind >= argc)
		return cli_fail(verb, EXIT_USAGE, "where to? fairdial install DIR");
	a->dir = argv[optind++];
	if (optind < argc)
		return cli_fail_argument(verb, argv[optind]);
	if (a->json && a->verbose)
		return cli_fail(verb, EXIT_USAGE, "--json and --verbose exclude each other");
	return 0;
}

static void tell_file(const char *name, bool is_new)
{
	printf("%s  %s\n", is_new ? "new " : "same", name);
}

static int print_done_json(const struct arguments *a, const struct installed *done)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", a->dir);
	make_utf8(dir);
	return print_json(json_pack("{s:s, s:s, s:I, s:I, s:I}", "version", FAIRDIAL_VERSION, "dir", dir, "files",
				    (json_int_t)done->files, "bytes", (json_int_t)done->bytes, "changed",
				    (json_int_t)done->changed));
}

static int print_done(const struct arguments *a, const struct installed *done)
{
	double size_mib = (double)done->bytes / (1 << 20);

	if (a->json)
		return print_done_json(a, done);
	if (done->changed)
		printf("installed " FAIRDIAL_VERSION " into ");
	print_plain(a->dir);
	printf("%s (%zu files, %.1f MiB)\n", done->changed ? "" : " is up to date: " FAIRDIAL_VERSION, done->files, size_mib);
	return 0;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct arguments a = { 0 };
	char tool[PATH_MAX], shim[PATH_MAX];
	struct install install = { .tool = tool, .shim = shim, .version = FAIRDIAL_VERSION };
	struct installed done;
	struct report why;
	int r = parse(verb, argc, argv, &a);

	if (r)
		return r;
	r = self_path(tool);
	if (r < 0)
		return cli_fail(verb, EXIT_FAILED, "cannot tell where this program lies: %s", strerror(-r));
	if (cli_shim_path(shim) < 0)
		return cli_fail(verb, EXIT_FAILED, "cannot find libfairdial.so, also not as %s: build it", shim);
	install.dir = a.dir;
	install.tell = a.verbose ? tell_file : NULL;
	r = install_tree(&install, &done, &why);
	if (r < 0)
		return cli_fail(verb, EXIT_FAILED, "%s", why.text);
	if (print_done(&a, &done) < 0)
		return cli_fail(verb, EXIT_FAILED, "cannot write: out of memory");
	return cli_finish(verb, EXIT_DONE);
}

const struct verb install_verb = {
	.name = "install",
	.usage = "[--verbose|--json] DIR",
	.summary = "copies shim and tool, with the libraries the tool needs, to run in an image that has none of them",
	.more = "Then DIR/libfairdial.so is for LD_PRELOAD, and DIR/bin/fairdial is the tool, under any C library or none.\n"
	"Files that are in use are never changed: new ones take their place, each whole, and processes keep what they have.\n"
	"What is the same already is left alone. The libraries of the version before stay until the next install, so there\n"
	"has to be room for two.",
	.options = options,
	.operands = OPERANDS_DIRECTORY,
	.run = run,
};
