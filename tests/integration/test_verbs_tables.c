/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs say of a table that is not there, cannot be used, or is old; and of one with ten thousand Services. Nothing is
 * dialed.
 */
#include "support/testing.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "support/tables.h"
#include "support/verbs.h"

enum { LIMIT_MS = 60000, NOBODY = 65534, SERVICES = 10000, ENDPOINTS = 10 };

/* Outside of a pod, and told of a directory by nothing but --dir. */
static const char *const bare[] = { "KUBERNETES_SERVICE_HOST", "FAIRDIAL_DIR", "FAIRDIAL_LEDGER", "FAIRDIAL_SERVICES", NULL };

/* Those that need a table. */
static const char *const readers[] = {
	"status", "status --json", "status --coverage", "status --coverage --json", "status web", "explain web",
	"explain --json web", "explain 10.96.0.1:80", "top --once --interval 100ms",
};

#define READERS (sizeof(readers) / sizeof(*readers))

static bool is_built(const char *reader)
{
	return strncmp(reader, "top", 3) != 0 || verb_exists("top");
}

/* ---- none that can be used ---- */

static void assert_told(const struct process *p, const struct bad_table *bad, const char *words)
{
	if (p->exit_status != 1 || p->out_length || lines_of(p->err_text) != 1 || !strstr(p->err_text, bad->reason) ||
	    !strstr(p->err_text, bad->remedy))
		fail_msg("%s, of a table that is %s: exit status %d, stdout \"%s\", stderr \"%s\"", words, bad->what, p->exit_status,
			 p->out_text, p->err_text);
}

static void table_that_cannot_be_used_is_one_line_with_reason_and_remedy(void **state)
{
	(void)state;
	for (size_t i = 0; i < bad_table_count; i++)
		for (size_t j = 0; j < READERS; j++) {
			const char *dir;
			struct process *p;

			if (!is_built(readers[j]))
				continue;
			dir = bad_tables[i].make();
			p = fairdial(bare, "%s --dir %s", readers[j], dir);
			assert_told(p, &bad_tables[i], readers[j]);
			if (!strstr(p->err_text, format("%s/table: ", dir)))
				fail_msg("%s: does not name %s/table: %s", readers[j], dir, p->err_text);
		}
}

static void table_that_this_user_may_not_read_is_told(void **state)
{
	const struct bad_table bad = { .what = "unreadable", .reason = "this user may not read it", .remedy = "chmod a+rX" };
	const char *dir = table_dir(), *home = scratch_dir(), *tool = format("%s/fairdial", home);
	struct start start = { .argv = ARGV(tool, "status", "--dir", dir), .env = bare, .uid = NOBODY };
	struct process *p;

	(void)state;
	if (geteuid() != 0)
		skip_because("only root can become another user");
	assert_clean(run(NULL, "cp", built("fairdial"), tool, NULL));
	assert_int_equal(chmod(home, 0755) + chmod(dir, 0755), 0);
	p = process_start(&start);
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	assert_int_equal(chmod(format("%s/table", dir), 0600), 0);
	p = process_start(&start);
	process_wait(p, LIMIT_MS);
	assert_told(p, &bad, "status");
	assert_int_equal(chmod(dir, 0700), 0);
	p = process_start(&start);
	process_wait(p, LIMIT_MS);
	assert_told(p, &bad, "status");
}

/* The program runs; that nothing is spread, a line says. */
static void run_warns_of_a_table_that_the_shim_will_pass_over(void **state)
{
	(void)state;
	for (size_t i = 0; i < bad_table_count; i++) {
		const char *dir = bad_tables[i].make();
		const char *const *env = with_env(bare, format("FAIRDIAL_DIR=%s", dir), NULL);
		struct process *p = fairdial(env, "run -- echo hello");

		if (bad_tables[i].is_bad_in_part) /* the rest of it is used */
			assert_clean(p);
		else if (p->exit_status != 0 || strcmp(p->out_text, "hello\n") != 0 || lines_of(p->err_text) != 1 ||
		    !strstr(p->err_text, "fairdial run: warning: ") || !strstr(p->err_text, format("%s/table", dir)))
			fail_msg("of a table that is %s: exit status %d, stdout \"%s\", stderr \"%s\"", bad_tables[i].what,
				 p->exit_status, p->out_text, p->err_text);
	}
	assert_clean(fairdial(with_env(bare, format("FAIRDIAL_DIR=%s", table_dir()), NULL), "run -- echo hello"));
}

/* What is not to be trusted it does not touch; over all else it publishes. */
static void publish_puts_a_good_table_in_place_of_a_bad_one_or_says_why_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < bad_table_count; i++) {
		const char *dir = bad_tables[i].make();
		struct process *p;
		struct process *after;

		p = process_start(&(struct start){ .argv = ARGV(built("fairdial"), "publish", "--services", "-", "--dir", dir),
						   .env = bare,
						   .input = "{\"services\": [{\"name\": \"db\", \"addresses\": [\"10.96.0.9\"], "
							    "\"ports\": [{\"port\": 1}], \"endpoints\": [\"10.244.0.9:1\"]}]}" });
		process_wait(p, LIMIT_MS);
		after = fairdial(bare, "status db --dir %s", dir);
		if (p->exit_status == 0 && (p->err_length || after->exit_status != 0 || !strstr(after->out_text, "10.244.0.9:1")))
			fail_msg("of a table that is %s, after publishing: %s%s%s", bad_tables[i].what, p->err_text, after->out_text,
				 after->err_text);
		if (p->exit_status != 0)
			assert_error(p, 1);
	}
}

/* ---- old ones ---- */

static void old_table_is_shown_as_what_it_is(void **state)
{
	const char *dir = aged_table_dir(20000, 10000);
	struct process *p = fairdial(bare, "status --dir %s", dir);
	json_t *root, *agent;

	(void)state;
	assert_clean(p);
	assert_non_null(strstr(p->out_text, "generation 1, agent silent for 2"));
	assert_non_null(strstr(p->out_text, "10.244.0.2:80"));
	p = fairdial(bare, "status --json --dir %s", dir);
	assert_clean(p);
	assert_fits_schema("status", p->out_text);
	root = json_loads(p->out_text, 0, NULL);
	agent = json_object_get(root, "agent");
	assert_true(json_is_false(json_object_get(agent, "alive")) && json_is_false(json_object_get(agent, "static")));
	assert_true(json_integer_value(json_object_get(agent, "age_ms")) >= 20000);
	json_decref(root);
	assert_non_null(strstr(fairdial(bare, "explain --json web --dir %s", dir)->out_text, "\"stale\": true"));
	p = fairdial(bare, "check --dir %s %s", dir, built("helpers/dialer"));
	assert_null(strstr(p->out_text, ": covered\n"));
	if (verb_exists("top"))
		assert_int_equal(fairdial(bare, "top --once --interval 100ms --dir %s", dir)->exit_status, 0);
}

static void table_of_an_agent_that_was_heard_just_now_is_alive(void **state)
{
	const char *dir = aged_table_dir(0, 60000);
	struct process *p = fairdial(bare, "status --json --dir %s", dir);

	(void)state;
	assert_clean(p);
	assert_fits_schema("status", p->out_text);
	assert_non_null(strstr(fairdial(bare, "explain --json web --dir %s", dir)->out_text, "\"stale\": false"));
}

/* Of no boot, and never old: as by an image that carries its table. */
static void static_table_of_another_boot_is_as_good_as_new(void **state)
{
	const char *dir = table_dir();
	size_t size;
	char *bytes = read_file(format("%s/table", dir), &size);
	struct table_head *head = (void *)bytes;

	(void)state;
	memset(head->boot_id, 7, sizeof(head->boot_id));
	head->heartbeat_ms = 0;
	repair_head(head);
	write_file(format("%s/table", dir), bytes, size);
	for (size_t i = 0; i < READERS; i++)
		if (is_built(readers[i]) && fairdial(bare, "%s --dir %s", readers[i], dir)->exit_status != 0)
			fail_msg("%s: %s", readers[i], fairdial(bare, "%s --dir %s", readers[i], dir)->err_text);
	assert_non_null(strstr(fairdial(bare, "status --dir %s", dir)->out_text, "static, published "));
	assert_clean(fairdial(with_env(bare, format("FAIRDIAL_DIR=%s", dir), NULL), "run -- true"));
}

/* ---- ten thousand ---- */

static const char *ten_thousand(void)
{
	struct services *s = services_open();
	char *text = malloc((size_t)SERVICES * (160 + ENDPOINTS * 32)), *at = text;

	after_test(free, text);
	for (int i = 0; i < SERVICES; i++) {
		at += sprintf(at, "%s{\"name\": \"web%d\", \"namespace\": \"shop\", \"addresses\": [\"10.96.%d.%d\"], "
				  "\"ports\": [{\"port\": 80}], \"endpoints\": [", i ? ", " : "", i, i / 250, i % 250 + 1);
		for (int j = 0; j < ENDPOINTS; j++)
			at += sprintf(at, "%s\"10.%d.%d.%d:8080\"", j ? ", " : "", 100 + j, i / 250, i % 250 + 1);
		at += sprintf(at, "]}");
	}
	services_publish(s, text);
	return s->dir;
}

/* The most memory that it has held, in KiB, when so much of its output was read; it waits for the rest to be read then. */
static long peak_of(const char *const *argv, size_t output)
{
	struct process *p = process_start(&(struct start){ .argv = argv, .env = bare });
	char piece[65536], *line;

	while (output) {
		ssize_t n = read(p->out, piece, output < sizeof(piece) ? output : sizeof(piece));

		if (n <= 0)
			fail_msg("it ended %zu bytes too early", output);
		output -= (size_t)n;
	}
	line = strstr(run(NULL, "cat", format("/proc/%d/status", (int)p->pid), NULL)->out_text, "\nVmHWM:");
	assert_non_null(line);
	return atol(line + strlen("\nVmHWM:"));
}

static void ten_thousand_services_are_shown_whole(void **state)
{
	const char *dir = ten_thousand();
	struct process *p = fairdial(bare, "status --dir %s", dir);
	json_t *services, *root;

	(void)state;
	assert_clean(p);
	assert_int_equal(lines_of(p->out_text), 2 + SERVICES * (4 + ENDPOINTS));
	p = fairdial(bare, "status --json --dir %s", dir);
	assert_clean(p);
	root = json_loads(p->out_text, JSON_REJECT_DUPLICATES, NULL);
	services = json_object_get(root, "services");
	assert_int_equal(json_array_size(services), SERVICES);
	for (size_t i = 0; i < SERVICES; i++) {
		json_t *port = json_array_get(json_object_get(json_array_get(services, i), "ports"), 0);

		assert_int_equal(json_array_size(json_object_get(port, "endpoints")), ENDPOINTS);
	}
	json_decref(root);
	p = fairdial(bare, "status --json --dir %s web7777.shop", dir);
	assert_fits_schema("status", p->out_text);
	assert_non_null(strstr(p->out_text, "\"10.109.31.28\""));
	assert_fits_schema("coverage", fairdial(bare, "status --coverage --json --dir %s", dir)->out_text);
	assert_non_null(strstr(fairdial(bare, "check --dir %s sh", dir)->out_text, "10000 Services"));
	if (verb_exists("top"))
		assert_int_equal(fairdial(bare, "top --once --interval 100ms --dir %s web7777", dir)->exit_status, 0);
}

/* As one tree it would be six times as much as the text. */
static void json_of_ten_thousand_services_is_never_whole_in_memory(void **state)
{
	const char *dir = ten_thousand();
	long text = peak_of(ARGV(built("fairdial"), "status", "--dir", dir), 1 << 20);
	long json = peak_of(ARGV(built("fairdial"), "status", "--json", "--dir", dir), 32 << 20);

	(void)state;
	printf("status of %d Services with %d endpoints each held %ld MiB, as JSON %ld MiB\n", SERVICES, ENDPOINTS, text / 1024,
	       json / 1024);
	assert_in_range(json, 1, text * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(table_that_cannot_be_used_is_one_line_with_reason_and_remedy),
		TEST(table_that_this_user_may_not_read_is_told),
		TEST(run_warns_of_a_table_that_the_shim_will_pass_over),
		TEST(publish_puts_a_good_table_in_place_of_a_bad_one_or_says_why_not),
		TEST(old_table_is_shown_as_what_it_is),
		TEST(table_of_an_agent_that_was_heard_just_now_is_alive),
		TEST(static_table_of_another_boot_is_as_good_as_new),
		TEST(ten_thousand_services_are_shown_whole),
		TEST(json_of_ten_thousand_services_is_never_whole_in_memory),
	};

	return RUN_TESTS(tests);
}
