/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's words: usage and help, `publish`, which refuses what is wrong and keeps what is right, and `status`. */
#include "support/testing.h"

#include <glob.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/moves.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"
#include "table/map.h"
#include "table/table.h"

enum { LIMIT_MS = 60000 };

/* ---- usage ---- */

static void usage_errors_exit_with_2_and_one_line(void **state)
{
	const char *const *const lines[] = {
		ARGV("nonsense"),
		ARGV("--nonsense"),
		ARGV("run"),
		ARGV("run", "--"),
		ARGV("run", "--nonsense", "--", "true"),
		ARGV("run", "--service"),
		ARGV("run", "--balance", "fairly", "--", "true"),
		ARGV("publish"),
		ARGV("publish", "--services"),
		ARGV("publish", "--services", "x", "--nonsense"),
		ARGV("publish", "--services", "x", "--dir", "y", "surplus"),
		ARGV("status", "--nonsense"),
		ARGV("top", "--json"),
		ARGV("top", "--once", "--sort", "colour"),
		ARGV("top", "--once", "--interval", "soon"),
		ARGV("top", "--once", "--interval", "1ms"),
		ARGV("top", "--once", "web", "surplus"),
	};
	const char *argv[8];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		size_t n = 0;

		argv[n++] = built("fairdial");
		for (size_t j = 0; lines[i][j]; j++)
			argv[n++] = lines[i][j];
		argv[n] = NULL;

		struct process *p = process_start(&(struct start){ .argv = argv });

		process_wait(p, LIMIT_MS);
		if (p->exit_status != 2 || lines_of(p->err_text) != 1 || p->out_length)
			fail_msg("fairdial %s %s: exit status %d, stdout \"%s\", stderr \"%s\"", argv[1],
				 argv[2] ? argv[2] : "", p->exit_status, p->out_text, p->err_text);
	}
}

static void failures_exit_with_1_and_one_line(void **state)
{
	const char *dir = scratch_dir();

	(void)state;
	assert_error(run(NULL, built("fairdial"), "publish", "--services", "/nowhere/file", "--dir", dir, NULL), 1);
	assert_error(run(NULL, built("fairdial"), "status", "--dir", dir, NULL), 1);
	assert_error(run(NULL, built("fairdial"), "run", "--services", "/nowhere/file", "--", "true", NULL), 1);
	assert_error(run(NULL, built("fairdial"), "run", "--service", "web:80=nonsense", "--", "true", NULL), 1);
}

/* On a terminal of a hundred columns; the sentence behind the usage begins as one. */
static void assert_help_reads_well(const char *help)
{
	const char *sentence = strstr(help, "\n\n");

	for (const char *line = help; *line; line = strchr(line, '\n') + 1)
		if (strcspn(line, "\n") > 100)
			fail_msg("too long: %.*s", (int)strcspn(line, "\n"), line);
	assert_true(sentence && sentence[2] >= 'A' && sentence[2] <= 'Z');
}

static void help_of_every_verb_exits_with_0(void **state)
{
	const char *const verbs[] = { "run", "publish", "agent", "status", "top", "explain", "install", "inject" };

	(void)state;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		struct process *p = run(NULL, built("fairdial"), verbs[i], "--help", NULL);

		assert_clean(p);
		assert_non_null(strstr(p->out_text, verbs[i]));
		assert_help_reads_well(p->out_text);
		assert_string_equal(run(NULL, built("fairdial"), "help", verbs[i], NULL)->out_text, p->out_text);
		p = run(NULL, built("fairdial"), "--help", NULL);
		assert_help_reads_well(p->out_text);
		assert_clean(p);
		assert_non_null(strstr(p->out_text, verbs[i]));
	}
	assert_string_equal(run(NULL, built("fairdial"), "help", NULL)->out_text,
			    run(NULL, built("fairdial"), "--help", NULL)->out_text);
	assert_error(run(NULL, built("fairdial"), "help", "nonsense", NULL), 2);
	assert_clean(run(NULL, built("fairdial"), "--version", NULL));
}

/* ---- what is missing ---- */

static void assert_says(const struct process *p, int exit_status, const char *text)
{
	assert_error(p, exit_status);
	if (!strstr(p->err_text, text))
		fail_msg("stderr \"%s\" does not say \"%s\"", p->err_text, text);
}

static void directory_without_a_parent_is_told(void **state)
{
	const char *dir = format("%s/missing/dir", scratch_dir()), *said = "the one that it is to be in does not exist";
	struct services *s = services_open();

	(void)state;
	write_file(s->file, "{}", 2);
	assert_says(run(NULL, built("fairdial"), "publish", "--services", s->file, "--dir", dir, NULL), 1, said);
	assert_says(run(NULL, built("fairdial"), "agent", "--services", s->file, "--dir", dir, NULL), 1, said);
	assert_says(run(NULL, built("fairdial"), "agent", "--services", s->file, "--dir", dir, "--autostarted", NULL), 1, said);
	assert_says(run(NULL, built("fairdial"), "agent", "--services", s->file, "--dir", dir, "--per-namespace", NULL), 1,
		    said);
}

static void table_of_a_pod_below_the_directory_is_named(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *parent = format("%s/parent", s->root);

	(void)state;
	assert_int_equal(mkdir(parent, 0755), 0);
	assert_clean(run(NULL, built("fairdial"), "publish", "--services", s->file, "--dir", format("%s/pod", parent), NULL));
	assert_says(run(NULL, built("fairdial"), "status", "--dir", parent, NULL), 1,
		    format("there is one in %s/pod: name it with --dir %s/pod\n", parent, parent));
}

static void within_a_pod_the_log_of_the_agent_is_named(void **state)
{
	const char *const env[] = { "KUBERNETES_SERVICE_HOST=10.96.0.1", NULL };

	(void)state;
	assert_says(run(env, built("fairdial"), "status", "--dir", scratch_dir(), NULL), 1,
		    "kubectl logs POD -c fairdial-agent");
}

static void empty_standard_input_is_told(void **state)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("fairdial"), "publish", "--services", "-", "--dir", scratch_dir()), .input = "\n" });

	(void)state;
	process_wait(p, LIMIT_MS);
	assert_says(p, 1, "standard input is empty: ");
}

/* Who started it can give no options. */
static void agent_that_a_program_started_names_what_can_be_set(void **state)
{
	const char *const env[] = { "KUBERNETES_SERVICE_HOST", "KUBECONFIG", "FAIRDIAL_SERVICES", NULL };
	struct process *p = run(env, built("fairdial"), "agent", "--autostarted", "--dir", scratch_dir(), NULL);

	(void)state;
	assert_says(p, 1, "ount the service account's token, or set KUBECONFIG or FAIRDIAL_SERVICES");
	assert_null(strstr(p->err_text, "--"));
}

/* ---- annotations ---- */

static struct process *publish_annotated(struct services *s, const char *annotations)
{
	static const char list[] =
		"{\"kind\": \"List\", \"items\": ["
		"{\"kind\": \"Service\", \"metadata\": {\"name\": \"web\", \"namespace\": \"shop\", \"annotations\": {%s}}, "
		"\"spec\": {\"clusterIP\": \"10.96.0.1\", \"ports\": [{\"port\": 80}]}}, "
		"{\"kind\": \"EndpointSlice\", \"metadata\": {\"name\": \"other\"}, \"addressType\": \"IPv4\"}]}";

	return services_try(s, format(list, annotations));
}

static void annotations_that_make_no_sense_are_told_by_publish_and_status(void **state)
{
	struct services *s = services_open();
	struct process *p = publish_annotated(s, "\"fairdial.dev/mode\": \"of\", \"fairdial.dev/quiet\": \"long\"");
	json_t *web, *bad;

	(void)state;
	assert_int_equal(p->exit_status, 0);
	assert_int_equal(lines_of(p->err_text), 2);
	assert_non_null(strstr(p->err_text, "warning: service shop/web: annotation fairdial.dev/mode is not understood, so "));
	assert_non_null(strstr(p->err_text, "warning: service shop/web: annotation fairdial.dev/quiet is passed over"));
	p = run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL);
	assert_clean(p);
	assert_non_null(strstr(p->out_text,
			       "  mode off\n"
			       "  annotation fairdial.dev/mode is not understood, so the Service is off: expected on, observe or off\n"
			       "  annotation fairdial.dev/quiet is not understood, and passed over: expected a duration"));
	web = json_array_get(json_object_get(services_status(s), "services"), 0);
	bad = json_object_get(web, "annotations_not_understood");
	assert_int_equal(json_array_size(bad), 2);
	assert_string_equal(json_string_value(json_array_get(bad, 0)), "mode");
	assert_clean(publish_annotated(s, "\"fairdial.dev/mode\": \"Observe \""));
	web = json_array_get(json_object_get(services_status(s), "services"), 0);
	assert_string_equal(json_string_value(json_object_get(web, "mode")), "observe");
	assert_int_equal(json_array_size(json_object_get(web, "annotations_not_understood")), 0);
}

/* ---- endpoints of several Services ---- */

/* The counts are of addresses: each shows what the other was dialed for. */
static void endpoints_of_two_services_are_marked(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	const struct place *places = backends_places(b);
	struct services *s = services_open();
	struct process *p;
	json_t *web, *endpoints, *endpoint;
	size_t i, marked = 0;

	(void)state;
	services_publish(s, format("%s, %s", service_entry("web", SERVICE_ADDRESS, 80, places, 3, NULL),
				   service_entry("api", SERVICE_ADDRESS, 81, places + 1, 2, NULL)));
	assert_clean(run(s->env, built("helpers/dialer"), "--count", "4", SERVICE_ADDRESS, "81", NULL));
	p = run(NULL, built("fairdial"), "status", "--dir", s->dir, "web", NULL);
	assert_clean(p);
	assert_non_null(strstr(p->out_text, "    shared with api: 2 of 3 endpoints, whose counts are of dials through any of "));
	assert_int_equal(services_endpoint(s, "web", places[1].address, backends_port(b, 1)).dials, 2);
	web = json_array_get(json_object_get(services_status(s), "services"), 0);
	if (strcmp(json_string_value(json_object_get(web, "name")), "web") != 0)
		web = json_array_get(json_object_get(services_status(s), "services"), 1);
	endpoints = json_object_get(json_array_get(json_object_get(web, "ports"), 0), "endpoints");
	json_array_foreach(endpoints, i, endpoint) {
		json_t *shared = json_object_get(endpoint, "shared_with");

		assert_true(json_is_array(shared));
		marked += json_array_size(shared);
		if (json_array_size(shared))
			assert_string_equal(json_string_value(json_array_get(shared, 0)), "api");
	}
	assert_int_equal(marked, 2);
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, places, 3, NULL));
	assert_null(strstr(run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL)->out_text, "shared"));
}

/* ---- connections that moved ---- */

/* Of the table's first port. */
static struct ledger_key cursor_in(const struct services *s)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct table_view view;
	struct table_port port;
	struct table table;

	assert_int_equal(table_map(s->dir, &trust, &table, NULL), 0);
	assert_true(table_begin(&table, &view));
	assert_int_equal(table_port(&view, 0, &port), 0);
	assert_true(table_end(&view));
	table_unmap(&table);
	return (struct ledger_key){ port.cursor, port.cursor_tag };
}

static void assert_moves(struct services *s, const char *expected)
{
	json_t *service = json_array_get(json_object_get(services_status(s), "services"), 0);
	json_t *moves = json_object_get(json_array_get(json_object_get(service, "ports"), 0), "moves");
	char *text = json_dumps(moves, JSON_COMPACT);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static char *status_text(const struct services *s)
{
	struct process *p = run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL);

	assert_clean(p);
	return p->out_text;
}

static void status_tells_of_moves_by_their_reasons(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct ledger_key cursor = cursor_in(s);
	struct ledger ledger;
	char *text;

	(void)state;
	assert_int_equal(open_ledger(s->ledger, cursor.slot + 64, LEDGER_MAKE, &ledger), 0);
	text = status_text(s);
	assert_null(strstr(text, "moved"));
	assert_null(strstr(text, "thread"));
	assert_moves(s, "{\"moved\":{\"drain\":0,\"cut\":0,\"rebalance\":0,\"max_age\":0},"
			"\"would_have_moved\":{\"drain\":0,\"cut\":0,\"rebalance\":0,\"max_age\":0},"
			"\"processes_without_thread\":0}");
	for (unsigned i = 0; i < 12; i++)
		ledger_count_move(&ledger, cursor, i < 4 ? 1 : 3, false);
	for (unsigned i = 0; i < 3; i++)
		ledger_count_move(&ledger, cursor, 4, true);
	ledger_count_without_thread(&ledger, cursor);
	text = status_text(s);
	assert_non_null(strstr(text, "\n    moved 12: drain 4, rebalance 8\n"
				     "    observed: 3 would have moved: max_age 3\n"
				     "    1 process could not make the thread that closes connections: nothing moves there\n"));
	assert_moves(s, "{\"moved\":{\"drain\":4,\"cut\":0,\"rebalance\":8,\"max_age\":0},"
			"\"would_have_moved\":{\"drain\":0,\"cut\":0,\"rebalance\":0,\"max_age\":3},"
			"\"processes_without_thread\":1}");
	ledger_count_move(&ledger, cursor, 2, false);
	ledger_count_without_thread(&ledger, cursor);
	text = status_text(s);
	assert_non_null(strstr(text, "\n    moved 13: drain 4, cut 1, rebalance 8\n"));
	assert_non_null(strstr(text, "\n    2 processes could not make the thread that closes connections: nothing moves there\n"));
	ledger_close(&ledger);
}

/* Which no program that runs is parted from. */
static void status_reads_a_ledger_of_the_version_before(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	struct ledger ledger;

	(void)state;
	open_older_ledger(s->ledger, 64, &ledger);
	assert_clean(run(s->env, built("helpers/dialer"), "--count", "4", SERVICE_ADDRESS, "80", NULL));
	ledger_count_move(&ledger, cursor_in(s), 1, false);
	assert_int_equal(services_backend(s, "web", b, 0).dials, 2);
	assert_int_equal(services_backend(s, "web", b, 1).dials, 2);
	assert_moves(s, "{\"moved\":{\"drain\":0,\"cut\":0,\"rebalance\":0,\"max_age\":0},"
			"\"would_have_moved\":{\"drain\":0,\"cut\":0,\"rebalance\":0,\"max_age\":0},"
			"\"processes_without_thread\":0}");
	ledger_close(&ledger);
}

/* ---- publish and status ---- */

static void publishing_again_keeps_the_file_and_raises_the_generation(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	long first = services_generation(s);
	struct stat before, after;

	(void)state;
	assert_int_equal(stat(s->table, &before), 0);
	services_publish_web(s, b, "\"mode\": \"off\"");
	assert_int_equal(stat(s->table, &after), 0);
	assert_true(before.st_ino == after.st_ino);
	assert_int_equal(services_generation(s), first + 1);
}

static void bad_services_files_are_refused_and_the_table_stays(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	long generation = services_generation(s);
	glob_t files;

	(void)state;
	if (glob(repository("tests/data/bad-services/*.json"), 0, NULL, &files))
		skip_because("there is no file in tests/data/bad-services");
	for (size_t i = 0; i < files.gl_pathc; i++) {
		const char *file = format("%s", files.gl_pathv[i]);
		struct process *p = run(NULL, built("fairdial"), "publish", "--services", file, "--dir", s->dir, NULL);

		if (p->exit_status != 1 || lines_of(p->err_text) != 1 || !strstr(p->err_text, strrchr(file, '/') + 1))
			fail_msg("%s: exit status %d, stderr \"%s\"", file, p->exit_status, p->err_text);
		assert_int_equal(services_generation(s), generation);
	}
	globfree(&files);
	assert_clean(run(s->env, built("helpers/dialer"), "web", "80", NULL));
}

/* Adds the items of a list as the API sends it, which names their kind but once: "ServiceList". */
static void add_items(json_t *all, const char *file)
{
	json_t *list = json_load_file(file, 0, NULL), *items = json_object_get(list, "items"), *item;
	const char *kind = json_string_value(json_object_get(list, "kind"));
	size_t i;

	assert_true(kind && json_is_array(items));
	json_array_foreach(items, i, item)
		json_object_set_new(item, "kind", json_stringn(kind, strlen(kind) - strlen("List")));
	json_array_extend(all, items);
	json_decref(list);
}

/* The recorded lists, as `kubectl get services,endpointslices -o json` joins them. */
static char *kubernetes_list(void)
{
	json_t *all = json_array(), *list;
	glob_t files;
	char *text, *kept;

	if (glob(repository("tests/data/kubernetes/list-*s.json"), 0, NULL, &files))
		skip_because("there is no list in tests/data/kubernetes");
	for (size_t i = 0; i < files.gl_pathc; i++)
		add_items(all, files.gl_pathv[i]);
	globfree(&files);
	list = json_pack("{s:s, s:s, s:o}", "kind", "List", "apiVersion", "v1", "items", all);
	text = json_dumps(list, 0);
	kept = format("%s", text);
	free(text);
	json_decref(list);
	return kept;
}

static void kubernetes_list_on_stdin_is_published(void **state)
{
	struct services *s = services_open();
	const char *const argv[] = { built("fairdial"), "publish", "--services", "-", "--dir", s->dir, NULL };
	struct process *p = process_start(&(struct start){ .argv = argv, .input = kubernetes_list() });

	(void)state;
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	assert_true(json_array_size(json_object_get(services_status(s), "services")) > 0);
}

static void status_tells_what_was_published(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, "\"namespace\": \"shop\", \"balance\": \"random\"");
	json_t *service = json_array_get(json_object_get(services_status(s), "services"), 0);
	json_t *port = json_array_get(json_object_get(service, "ports"), 0);
	struct process *p;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(service, "name")), "web");
	assert_string_equal(json_string_value(json_object_get(service, "namespace")), "shop");
	assert_string_equal(json_string_value(json_object_get(service, "mode")), "on");
	assert_string_equal(json_string_value(json_array_get(json_object_get(service, "addresses"), 0)),
			    SERVICE_ADDRESS);
	assert_int_equal(json_integer_value(json_object_get(port, "port")), 80);
	assert_string_equal(json_string_value(json_object_get(port, "protocol")), "TCP");
	assert_string_equal(json_string_value(json_object_get(port, "balance")), "random");
	assert_int_equal(json_array_size(json_object_get(port, "endpoints")), 2);
	p = run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL);
	assert_clean(p);
	assert_non_null(strstr(p->out_text, "web"));
	assert_non_null(strstr(p->out_text, backends_address(b, 1)));
}

/* Nine dials of three endpoints in turn; of nine at random Jain's index is about 9 / (9 + 3 - 1). */
static void status_tells_how_even_it_is_beside_what_chance_would_give(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\"");
	struct process *p = run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL);
	json_t *port;

	(void)state;
	assert_clean(p);
	assert_null(strstr(p->out_text, "evenness")); /* of nothing there is nothing to say */
	assert_clean(run(s->env, built("helpers/dialer"), "--count", "9", SERVICE_ADDRESS, "80", NULL));
	p = run(NULL, built("fairdial"), "status", "--dir", s->dir, NULL);
	assert_clean(p);
	assert_non_null(strstr(p->out_text, "  port 80/TCP  round_robin  evenness 1.000, at random about 0.818\n"));
	port = json_array_get(json_object_get(json_array_get(json_object_get(services_status(s), "services"), 0), "ports"), 0);
	assert_int_equal(json_real_value(json_object_get(port, "evenness")) * 1000, 1000);
	assert_int_equal(json_real_value(json_object_get(port, "evenness_random")) * 1000, 818);
}

/* Who looks may live in another network namespace, where none of the programs' sockets are. */
static void status_leaves_the_ledger_as_it_is(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);
	const char *path = format("%s/ledger", s->dir);
	size_t size, size_after;
	char *before, *after;
	json_t *port;

	(void)state;
	assert_clean(run(s->env, built("helpers/dialer"), "--count", "3", SERVICE_ADDRESS, "80", NULL));
	before = read_file(path, &size);
	port = json_array_get(json_object_get(json_array_get(json_object_get(services_status(s), "services"), 0), "ports"), 0);
	for (size_t i = 0; i < 2; i++) /* all were closed, which the ledger does not know yet */
		assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(port, "endpoints"), i), "active")), 0);
	after = read_file(path, &size_after);
	assert_int_equal(size, size_after);
	assert_memory_equal(before, after, size);
}

static void status_of_one_service_tells_of_no_other(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_open();
	struct process *p;

	(void)state;
	services_publish(s, format("%s, %s", service_entry("web", SERVICE_ADDRESS, 80, backends_places(b), 1, NULL),
				   service_entry("api", SERVICE_ADDRESS, 81, backends_places(b), 1, NULL)));
	p = run(NULL, built("fairdial"), "status", "--dir", s->dir, "api", NULL);
	assert_clean(p);
	assert_non_null(strstr(p->out_text, "\napi "));
	assert_null(strstr(p->out_text, "\nweb"));
	assert_error(run(NULL, built("fairdial"), "status", "--dir", s->dir, "nonsense", NULL), 1);
}

/* The table has room for so many bytes of where its services come from; the cut may fall within a character. */
static void status_is_json_wherever_a_long_source_is_cut(void **state)
{
	struct services *s = services_open();
	const char *env[] = { format("FAIRDIAL_DIR=%s", s->dir), NULL };

	(void)state;
	for (int more = 0; more < 2; more++) {
		char *path = format("%s/%s", s->root, more ? "x" : "");
		json_t *status;

		for (int i = 0; i < 60; i++)
			path = format("%s\xc3\xbc", path); /* u with dots, two bytes */
		write_file(path, "{\"services\": []}", strlen("{\"services\": []}"));
		assert_int_equal(run(env, built("fairdial"), "publish", "--services", path, "--dir", s->dir, NULL)->exit_status, 0);
		status = services_status(s);
		assert_non_null(strstr(json_string_value(json_object_get(json_object_get(status, "agent"), "source")), "\xc3\xbc"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(usage_errors_exit_with_2_and_one_line),
		TEST(failures_exit_with_1_and_one_line),
		TEST(help_of_every_verb_exits_with_0),
		TEST(directory_without_a_parent_is_told),
		TEST(table_of_a_pod_below_the_directory_is_named),
		TEST(within_a_pod_the_log_of_the_agent_is_named),
		TEST(empty_standard_input_is_told),
		TEST(agent_that_a_program_started_names_what_can_be_set),
		TEST(annotations_that_make_no_sense_are_told_by_publish_and_status),
		TEST(endpoints_of_two_services_are_marked),
		TEST(status_tells_of_moves_by_their_reasons),
		TEST(status_reads_a_ledger_of_the_version_before),
		TEST(publishing_again_keeps_the_file_and_raises_the_generation),
		TEST(bad_services_files_are_refused_and_the_table_stays),
		TEST(kubernetes_list_on_stdin_is_published),
		TEST(status_tells_what_was_published),
		TEST(status_tells_how_even_it_is_beside_what_chance_would_give),
		TEST(status_leaves_the_ledger_as_it_is),
		TEST(status_of_one_service_tells_of_no_other),
		TEST(status_is_json_wherever_a_long_source_is_cut),
	};

	return RUN_TESTS(tests);
}
