/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial: agent and tool. Which verb, and what it shares with the others. */
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/exporter.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/complete.h"
#include "install/self.h"
#include "table/mark.h"
#include "top/screen.h"
#include "view/paint.h"
#include "yaml/json.h"

static const struct verb *const verbs[] = { &run_verb,	   &publish_verb, &agent_verb,	 &status_verb, &top_verb,
					    &explain_verb, &check_verb,	  &install_verb, &inject_verb };

#define VERBS	    (sizeof(verbs) / sizeof(verbs[0]))
#define MAX_OPTIONS 32

/* Debian's folder for the libraries of a machine. */
#if defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
#else
#define MULTIARCH "x86_64-linux-gnu"
#endif

#define HELP_WIDTH   100
#define OPTION_WIDTH 34

const struct verb *cli_verb(size_t i)
{
	return i < VERBS ? verbs[i] : NULL;
}

/* ---- help ---- */

/*
 * One paragraph from `column` on, where the cursor is already; what follows is indented to there. Words are as they are: a
 * longer one goes beyond.
 */
static void print_wrapped(struct slice text, size_t column)
{
	size_t at = column;
	bool first = true;

	for (struct slice word = slice_word(&text); word.len; word = slice_word(&text)) {
		if (!first && at + 1 + word.len > HELP_WIDTH) {
			printf("\n%*s", (int)column, "");
			at = column;
		} else if (!first) {
			putchar(' ');
			at++;
		}
		printf("%.*s", (int)word.len, word.at);
		at += word.len;
		first = false;
	}
	putchar('\n');
}

/* Lines are joined up to an empty one; those that begin with a blank are examples, and stay. */
static void print_paragraphs(const char *text)
{
	while (*text) {
		const char *end = text;

		while (*end && *end != '\n')
			end++;
		while (*text != ' ' && *text != '\n' && *end && end[1] && end[1] != '\n' && end[1] != ' ')
			for (end++; *end && *end != '\n';)
				end++;
		if (*text == ' ')
			printf("%.*s\n", (int)(end - text), text);
		else
			print_wrapped((struct slice){ text, (size_t)(end - text) }, 0);
		text = *end ? end + 1 : end;
	}
}

static void print_row(const char *left, int width, const char *help)
{
	printf("  %-*s ", width, left);
	print_wrapped(slice_of(help), (size_t)width + 3);
}

static void print_help(void)
{
	puts("Usage: fairdial VERB [OPTION...]\n\n"
	     "Spreads the connections of unmodified programs evenly over the endpoints of a Service.\n");
	for (size_t i = 0; i < VERBS; i++)
		print_row(verbs[i]->name, 10, verbs[i]->summary);
	puts("\n  fairdial help VERB     says more about a verb, as does fairdial VERB --help\n"
	     "  fairdial --version     names the version and the libraries\n\n"
	     "Exit status: 0 done, 1 the work failed or the answer is no, 2 usage; of `run` the program's own.");
}

static void print_verb_help(const struct verb *verb)
{
	struct slice usage = slice_of(verb->usage);
	char sentence[256];

	for (bool first = true; usage.at; first = false) {
		struct slice line = slice_cut(&usage, '\n');
		int indent = printf("%s fairdial %s ", first ? "Usage:" : "      ", verb->name);

		print_wrapped(line, (size_t)indent);
	}
	putchar('\n');
	snprintf(sentence, sizeof(sentence), "%s.", verb->summary);
	sentence[0] = (char)toupper((unsigned char)sentence[0]);
	print_wrapped(slice_of(sentence), 0);
	if (verb->more) {
		putchar('\n');
		print_paragraphs(verb->more);
	}
	puts("\nOptions:");
	for (const struct cli_option *o = verb->options; o->name; o++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
		print_row(left, OPTION_WIDTH, o->help);
	}
	print_row("--help", OPTION_WIDTH, "this text");
}

/* ---- what verbs share ---- */

int cli_fail(const struct verb *verb, enum exit_code code, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	fprintf(stderr, "fairdial%s%s: ", verb ? " " : "", verb ? verb->name : "");
	print_plain_to(stderr, text ? text : format);
	fputc('\n', stderr);
	free(text);
	return code;
}

int cli_fail_argument(const struct verb *verb, const char *argument)
{
	return cli_fail(verb, EXIT_USAGE, "unexpected argument '%s' (see fairdial %s --help)", argument, verb->name);
}

int cli_finish(const struct verb *verb, enum exit_code code)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno == EPIPE)
		return EXIT_FAILED;
	/* What failed before, and filled the buffer then, has no errno any more. */
	return cli_fail(verb, EXIT_FAILED, "cannot write to standard output: %s", errno ? strerror(errno) : "it took not all");
}

static size_t options_begin_with(const struct verb *verb, struct slice text)
{
	size_t n = 0;

	for (const struct cli_option *o = verb->options; o->name; o++)
		n += strncmp(o->name, text.at, text.len) == 0;
	return n;
}

/* What getopt_long(3) did not understand; of "-xy" it tells only the letter. */
static int fail_usage(const struct verb *verb, char **argv, bool needs_value)
{
	char letter[] = { '-', (char)optopt, '\0' };
	const char *what = optopt > MAX_OPTIONS ? letter : argv[optind - 1];
	struct slice value = slice_of(what), name = slice_cut(&value, '=');

	if (needs_value)
		return cli_fail(verb, EXIT_USAGE, "%s needs a value (see fairdial %s --help)", what, verb->name);
	for (const struct cli_option *o = verb->options; o->name; o++)
		if (value.at && name.len > 2 && slice_equal((struct slice){ name.at + 2, name.len - 2 }, slice_of(o->name)))
			return cli_fail(verb, EXIT_USAGE, "--%s takes no value (see fairdial %s --help)", o->name, verb->name);
	if (name.len > 2 && what[1] == '-' && options_begin_with(verb, (struct slice){ name.at + 2, name.len - 2 }) > 1)
		return cli_fail(verb, EXIT_USAGE, "%s may be one of several options: write it out (see fairdial %s --help)", what,
				verb->name);
	return cli_fail(verb, EXIT_USAGE, "unknown option %s (see fairdial %s --help)", what, verb->name);
}

/* Where an empty value is a variable that a script forgot to set: the default would be another place than the one that is meant. */
static bool names_a_place(const char *option)
{
	static const char *const places[] = { "dir", "services", "kubeconfig", "shim" };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (strcmp(option, places[i]) == 0)
			return true;
	return false;
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
		exit(cli_finish(verb, EXIT_DONE));
	}
	if (c == '?' || c == ':')
		exit(fail_usage(verb, argv, c == ':'));
	if (c >= 0 && optarg && !*optarg && names_a_place(verb->options[c].name))
		exit(cli_fail(verb, EXIT_USAGE, "--%s is empty: say one, or leave it out", verb->options[c].name));
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
	/*
	 * Beside the tool; where `make install` has it, and distributions have their libraries; where `fairdial install` has
	 * it, seen from the tool's set.
	 */
	static const char *const places[] = { "/libfairdial.so", "/../libfairdial.so", "/../lib/libfairdial.so",
					      "/../lib/" MULTIARCH "/libfairdial.so", "/../lib64/libfairdial.so",
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

bool cli_holds_table(const char *dir)
{
	return holds(dir, "table");
}

/* Anybody can make a link of that name in /tmp, which no shim follows. */
static bool user_dir_holds(const char *dir, const char *name)
{
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && holds(dir, name);
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
		if (snprintf(ret_dir, PATH_MAX, "%s/run", shim) < PATH_MAX && cli_holds_table(ret_dir))
			return 0;
	}
	snprintf(ret_dir, PATH_MAX, "/tmp/fairdial-%u", (unsigned)geteuid());
	if (!cli_holds_table("/run/fairdial") && user_dir_holds(ret_dir, "table"))
		return 0;
	/* Without a table: where a program has tried to start an agent. */
	if (cli_holds_table("/run/fairdial") || !user_dir_holds(ret_dir, MARK_NAME))
		strcpy(ret_dir, "/run/fairdial");
	return cli_holds_table(ret_dir) ? 0 : -ENOENT;
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
	const struct {
		const char *name, *version;
	} libraries[] = {
		{ "libcurl", curl_version_info(CURLVERSION_NOW)->version },
		{ "jansson", JANSSON_VERSION },
		{ "libyaml", yaml_json_version() },
		{ "libmicrohttpd", exporter_library() },
		{ "ncurses", screen_version() },
	};

	printf("fairdial %s (", FAIRDIAL_VERSION);
	for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++)
		if (libraries[i].version) /* NULL: built without it */
			printf("%s%s %s", i ? ", " : "", libraries[i].name, libraries[i].version);
	puts(")");
	return EXIT_DONE;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(name, verbs[i]->name) == 0)
			return verbs[i];
	if (*name == '-')
		exit(cli_fail(NULL, EXIT_USAGE, "unknown option '%s': a verb comes first, its options behind it: see fairdial --help",
			      name));
	exit(cli_fail(NULL, EXIT_USAGE, "unknown verb '%s': see fairdial --help", name));
}

static int help(const char *name)
{
	if (name && strcmp(name, "--help") != 0 && strcmp(name, "-h") != 0)
		print_verb_help(find_verb(name));
	else
		print_help();
	return EXIT_DONE;
}

/*
 * Of a descriptor that is closed the next file that is opened would take the number, and what is printed would go into a table.
 * Each is opened so that its use fails as before, and is gone again in a program that `run` starts.
 */
static void hold_standard_streams(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", (fd ? O_RDONLY : O_WRONLY) | O_CLOEXEC) != fd)
			return; /* without /dev there is nothing to be done */
}

int main(int argc, char **argv)
{
	const struct verb *verb;

	hold_standard_streams();
	self_begin(argv);
	if (argc < 2)
		return cli_fail(NULL, EXIT_USAGE, "which verb? See fairdial --help");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cli_finish(NULL, help(NULL));
	if (strcmp(argv[1], "help") == 0)
		return cli_finish(NULL, help(argv[2]));
	if (strcmp(argv[1], "--version") == 0)
		return cli_finish(NULL, print_version());
	if (strcmp(argv[1], "__complete") == 0)
		return complete(argc - 2, argv + 2);
	verb = find_verb(argv[1]);
	return verb->run(verb, argc - 1, argv + 1);
}
