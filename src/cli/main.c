/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial: agent and tool. Which verb, and what it shares with the others. */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/yaml_json.h"
#include "cli/cli.h"
#include "install/self.h"
#include "table/mark.h"

static const struct verb *const verbs[] = { &run_verb, &publish_verb, &agent_verb, &status_verb, &install_verb, &inject_verb };

#define VERBS	    (sizeof(verbs) / sizeof(verbs[0]))
#define MAX_OPTIONS 32

static void print_help(void)
{
	puts("Usage: fairdial VERB [OPTION...]\n\n"
	     "Spreads the connections of unmodified programs evenly over the endpoints of a Service.\n");
	for (size_t i = 0; i < VERBS; i++)
		printf("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
	puts("\n  fairdial VERB --help   says more about a verb\n"
	     "  fairdial --version     names the version and the libraries\n\n"
	     "Exit status: 0 done, 1 the work failed or the answer is no, 2 usage.");
}

static void print_verb_help(const struct verb *verb)
{
	printf("Usage: fairdial %s %s\n\n%s.\n", verb->name, verb->usage, verb->summary);
	if (verb->more)
		printf("\n%s\n", verb->more);
	puts("\nOptions:");
	for (const struct cli_option *o = verb->options; o->name; o++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
		printf("  %-34s %s\n", left, o->help);
	}
	printf("  %-34s %s\n", "--help", "this text");
}

int cli_fail(const struct verb *verb, enum exit_code code, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "fairdial%s%s: ", verb ? " " : "", verb ? verb->name : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

int cli_option(const struct verb *verb, int argc, char **argv)
{
	struct option table[MAX_OPTIONS + 2] = { { "help", no_argument, NULL, MAX_OPTIONS } };
	int c;

	for (int i = 0; i < MAX_OPTIONS && verb->options[i].name; i++)
		table[i + 1] = (struct option){ verb->options[i].name,
						verb->options[i].argument ? required_argument : no_argument, NULL, i };
	opterr = 0;
	/* '+' stops at the first operand, where a program follows that has options of its own. */
	c = getopt_long(argc, argv, verb->takes_program ? "+:h" : ":h", table, NULL);
	if (c == MAX_OPTIONS || c == 'h') {
		print_verb_help(verb);
		exit(EXIT_DONE);
	}
	if (c == '?' || c == ':') {
		const char *what = argv[optind - 1];

		exit(cli_fail(verb, EXIT_USAGE, c == ':' ? "%s needs a value (see fairdial %s --help)"
							  : "unknown option %s (see fairdial %s --help)",
			      what, verb->name));
	}
	return c;
}

static int shim_candidate(const char *dir, const char *rest, char ret_path[PATH_MAX])
{
	if (snprintf(ret_path, PATH_MAX, "%s%s", dir, rest) >= PATH_MAX)
		return -ENAMETOOLONG;
	return access(ret_path, R_OK) == 0 ? 0 : -errno;
}

int cli_shim_path(char ret_path[PATH_MAX])
{
	/* Beside the tool; where `make install` has it; where `fairdial install` has it, seen from the tool's set. */
	static const char *const places[] = { "/libfairdial.so", "/../libfairdial.so", "/../lib/libfairdial.so",
					      "/../../libfairdial.so" };
	char self[PATH_MAX];
	int r = self_path(self);
	char *slash;

	if (r < 0)
		return r;
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char found[PATH_MAX];

		if (shim_candidate(self, places[i], found) == 0 && realpath(found, ret_path))
			return 0;
	}
	snprintf(ret_path, PATH_MAX, "%.4000s%s", self, places[0]);
	return -ENOENT;
}

void cli_describe_file(const char *path, char *buf, size_t size)
{
	char absolute[PATH_MAX];

	if (strcmp(path, "-") == 0)
		snprintf(buf, size, "standard input");
	else
		snprintf(buf, size, "file %s", realpath(path, absolute) ? absolute : path);
}

struct trust cli_trust(void)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	char shim[PATH_MAX];
	struct stat st;

	if (cli_shim_path(shim) == 0 && stat(shim, &st) == 0)
		trust.shim_uid = st.st_uid;
	return trust;
}

static bool holds(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) && access(path, R_OK) == 0;
}

static bool holds_table(const char *dir)
{
	return holds(dir, "table");
}

int cli_table_dir(const char *given, char ret_dir[PATH_MAX])
{
	const char *dir = given ? given : getenv("FAIRDIAL_DIR");
	char shim[PATH_MAX];

	if (dir && *dir) {
		if (snprintf(ret_dir, PATH_MAX, "%s", dir) >= PATH_MAX)
			return -ENAMETOOLONG;
		return 0;
	}
	if (cli_shim_path(shim) == 0) {
		*strrchr(shim, '/') = '\0';
		if (snprintf(ret_dir, PATH_MAX, "%s/run", shim) < PATH_MAX && holds_table(ret_dir))
			return 0;
	}
	snprintf(ret_dir, PATH_MAX, "/tmp/fairdial-%u", (unsigned)geteuid());
	if (!holds_table("/run/fairdial") && holds_table(ret_dir))
		return 0;
	/* Without a table: where a program has tried to start an agent. */
	if (holds_table("/run/fairdial") || !holds(ret_dir, MARK_NAME))
		strcpy(ret_dir, "/run/fairdial");
	return holds_table(ret_dir) ? 0 : -ENOENT;
}

bool cli_join(char **text, const char *more)
{
	char *joined;

	if (asprintf(&joined, "%s%s%s", *text ? *text : "", *text ? ";" : "", more) < 0)
		return false;
	free(*text);
	*text = joined;
	return true;
}

static int print_version(void)
{
	const char *yaml = yaml_json_version();

	printf("fairdial %s (libcurl %s, jansson %s%s%s)\n", FAIRDIAL_VERSION, curl_version_info(CURLVERSION_NOW)->version,
	       JANSSON_VERSION, yaml ? ", libyaml " : "", yaml ? yaml : "");
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	self_begin(argv);
	if (argc < 2)
		return cli_fail(NULL, EXIT_USAGE, "which verb? See fairdial --help");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help();
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0)
		return print_version();
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(argv[1], verbs[i]->name) == 0)
			return verbs[i]->run(verbs[i], argc - 1, argv + 1);
	return cli_fail(NULL, EXIT_USAGE, "unknown verb '%s': see fairdial --help", argv[1]);
}
