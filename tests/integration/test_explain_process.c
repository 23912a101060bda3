/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial explain --pid: what a process has open, why each connection went where it goes, what it would be now, if it stays. */
#include "support/testing.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/explained.h"
#include "support/kube_lists.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"

enum { LIMIT_MS = 60000, BACKENDS = 4, NOBODY = 65534 };

static struct process *explain_pid_as(const struct services *s, int pid, const char *fd, bool json, uid_t uid)
{
	const char *argv[] = { built("fairdial"), "explain", "--dir", s->dir, "--pid", format("%d", pid), NULL, NULL, NULL, NULL };
	size_t n = 6;
	struct process *p;

	if (fd) {
		argv[n++] = "--fd";
		argv[n++] = fd;
	}
	if (json)
		argv[n++] = "--json";
	p = process_start(&(struct start){ .argv = argv, .uid = uid });
	process_wait(p, LIMIT_MS);
	return p;
}

static struct process *explain_pid(const struct services *s, int pid, const char *fd, bool json)
{
	return explain_pid_as(s, pid, fd, json, 0);
}

/* Of a process with one connection to what the table knows; held against the schema. */
static json_t *only_connection(const struct services *s, const struct process *of)
{
	struct process *p = explain_pid(s, (int)of->pid, NULL, true);
	json_t *connections;

	assert_fits_schema("explain", p->out_text);
	connections = json_object_get(explained_json(p), "connections");
	if (json_array_size(connections) != 1)
		fail_msg("not one connection: %s", p->out_text);
	return json_array_get(connections, 0);
}

static const char *fd_of(const json_t *connection)
{
	return format("%d", (int)json_integer_value(json_object_get(connection, "fd")));
}

/* The same connection, in full. */
static const char *in_full(const struct services *s, const struct process *of)
{
	struct process *p = explain_pid(s, (int)of->pid, fd_of(only_connection(s, of)), false);

	assert_clean(p);
	return p->out_text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

static const char *moves_reason(const json_t *connection)
{
	return json_string_value(json_object_get(json_object_get(connection, "moves"), "reason"));
}

static struct process *hold(const struct services *s, size_t *ret_backend)
{
	struct process *p;
	size_t one = dial_web_and_hold(s->env, &p);

	if (ret_backend)
		*ret_backend = one;
	return p;
}

/* One that dials past the shim, straight to a backend. */
static struct process *hold_directly(const struct backends *b, size_t i, const char *const *env)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--hold", backends_address(b, i), format("%d", backends_port(b, i))),
		.env = env, .interactive = true });

	process_expect(p, "ready", LIMIT_MS);
	return p;
}

/* ---- a connection ---- */

static void connections_of_a_process_are_told(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\"");
	struct process *p, *text;
	json_t *connection;
	size_t one;

	(void)state;
	p = hold(s, &one);
	connection = only_connection(s, p);
	assert_int_equal(explained_backend(b, connection), one);
	assert_true(json_is_true(json_object_get(connection, "endpoint")));
	assert_true(json_is_null(json_object_get(connection, "reason")));
	assert_true(json_is_null(json_object_get(connection, "chosen_at")));
	assert_int_equal(explained_next(b, json_object_get(connection, "now")), explained_next(b, explained(s, "web")));
	text = explain_pid(s, (int)p->pid, NULL, false);
	assert_clean(text);
	assert_has(text->out_text, "1 open TCP connection, 1 to what the table knows");
	assert_has(text->out_text, format("fd %s ", fd_of(connection)));
	assert_int_equal(lines_of(text->out_text), 2);
}

static void one_of_them_is_told_in_full(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\"");
	const char *text = in_full(s, hold(s, NULL));

	(void)state;
	assert_has(text, "chosen at  not known");
	assert_has(text, "chosen by  round_robin (file), if that was the policy then");
	assert_has(text, "has 1 of 1 open connections counted now, after 1 dial\n");
	assert_has(text, "stays      until either side closes it: drain, rebalance and max_age are off");
	assert_has(text, "candidates");
}

static void two_connections_are_two_lines(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\"");
	struct process *p = process_start(&(struct start){ .argv = ARGV(built("helpers/dialer"), "--count", "2", "--hold",
									  SERVICE_ADDRESS, "80"),
							   .env = s->env, .interactive = true }), *told;
	json_t *connections;

	(void)state;
	process_expect(p, "ready", LIMIT_MS);
	told = explain_pid(s, (int)p->pid, NULL, true);
	assert_fits_schema("explain", told->out_text);
	connections = json_object_get(explained_json(told), "connections");
	assert_int_equal(json_array_size(connections), 2);
	assert_int_not_equal(explained_backend(b, json_array_get(connections, 0)),
			     explained_backend(b, json_array_get(connections, 1)));
	assert_int_equal(lines_of(explain_pid(s, (int)p->pid, NULL, false)->out_text), 3);
}

static void a_process_without_connections_is_told_as_such(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	struct process *p = process_start(&(struct start){ .argv = ARGV("cat"), .env = s->env, .interactive = true }), *told;

	(void)state;
	told = explain_pid(s, (int)p->pid, NULL, false);
	assert_clean(told);
	assert_has(told->out_text, "0 open TCP connections, 0 to what the table knows");
	told = explain_pid(s, (int)p->pid, NULL, true);
	assert_fits_schema("explain", told->out_text);
}

static void other_services_with_that_endpoint_are_named(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_open();
	char *web = service_entry("web", SERVICE_ADDRESS, 80, backends_places(b), 1, NULL);
	char *also = service_entry("also", "127.96.0.21", 80, backends_places(b), 1, NULL);
	struct process *p;

	(void)state;
	services_publish(s, format("%s, %s", web, also));
	p = hold(s, NULL);
	assert_int_equal(json_array_size(json_object_get(only_connection(s, p), "or_through")), 1);
	assert_has(in_full(s, p), "through another Service with the same endpoint");
}

/* ---- why not, and what of it holds now ---- */

static void a_connection_past_the_shim_says_why(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_at_first(b, NULL);
	struct process *p = hold_directly(b, 0, with_env(s->env, "FAIRDIAL=off", NULL));
	json_t *connection = only_connection(s, p), *now = json_object_get(connection, "now");

	(void)state;
	assert_true(json_is_false(json_object_get(connection, "endpoint")));
	assert_string_equal(explained_string(connection, "reason"), "off");
	assert_string_equal(moves_reason(connection), "own-address");
	assert_explained_pass(now, "process-off");
	assert_explained_setting(now, "mode", "off", "environment");
	assert_has(in_full(s, p), "the Service's own address, not spread (off)");
	assert_has(in_full(s, p), format("environment of process %d", (int)p->pid));
}

/* That it dialed an endpoint is its own choice: the next dial would pass through, whatever its environment says. */
static void a_process_without_the_shim_is_not_told_a_next_pick(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"drain\": \"idle\"");
	struct process *p = hold_directly(b, 1, NULL), *told;
	json_t *connection = only_connection(s, p);
	const char *text;

	(void)state;
	assert_true(json_is_true(json_object_get(connection, "endpoint")));
	assert_string_equal(explained_string(connection, "reason"), "preload-never");
	assert_string_equal(moves_reason(connection), "process");
	assert_explained_pass(json_object_get(connection, "now"), "process");
	assert_true(json_is_null(json_object_get(explained_family(json_object_get(connection, "now")), "next")));
	told = explain_pid(s, (int)p->pid, NULL, false);
	assert_has(told->out_text, "not spread by this table: nobody gave it LD_PRELOAD");
	text = in_full(s, p);
	assert_has(text, "chosen by  not by fairdial");
	assert_has(text, format("dials of process %d pass by this table: nobody gave it LD_PRELOAD", (int)p->pid));
	assert_null(strstr(text, "  next"));
}

static void one_that_looks_at_another_table_is_told_so(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL), *other = services_of_web(b, NULL);
	struct process *p = hold(other, NULL), *told;

	(void)state;
	assert_string_equal(explained_string(only_connection(s, p), "reason"), "other-table");
	assert_explained_pass(json_object_get(only_connection(s, p), "now"), "process");
	/* Without --dir it is the process's own that is asked. */
	told = run(NULL, built("fairdial"), "explain", "--json", "--pid", format("%d", (int)p->pid), NULL);
	assert_true(json_is_null(json_object_get(explained_json(told), "not_spread")));
}

static void its_own_variables_decide(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"hash\"");
	struct process *p;
	json_t *now;

	(void)state;
	dial_web_and_hold(with_env(s->env, "FAIRDIAL_BALANCE=round_robin", NULL), &p);
	now = json_object_get(only_connection(s, p), "now");
	assert_explained_setting(now, "balance", "round_robin", "environment");
	assert_has(in_full(s, p), "chosen by  round_robin (environment)");
	p = hold_directly(b, 0, with_env(s->env, "FAIRDIAL_EXCEPT=web", NULL));
	assert_explained_pass(json_object_get(only_connection(s, p), "now"), "left-out");
	p = hold_directly(b, 0, with_env(s->env, "FAIRDIAL_ONLY=db", NULL));
	assert_explained_pass(json_object_get(only_connection(s, p), "now"), "left-out");
	p = hold_directly(b, 0, with_env(s->env, "FAIRDIAL=observe", NULL));
	assert_explained_pass(json_object_get(only_connection(s, p), "now"), "observed");
}

/* Of its turns, not of those of a process with this command's environment. */
static void its_own_ledger_is_asked(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\"");
	const char *const *env = with_env(s->env, format("FAIRDIAL_LEDGER=%s/own", s->root), NULL);
	struct process *p;
	size_t next;

	(void)state;
	dial_web_and_hold(env, &p);
	next = explained_next(b, json_object_get(only_connection(s, p), "now"));
	dial_web(s->env);
	dial_web(s->env);
	assert_int_equal(explained_next(b, json_object_get(only_connection(s, p), "now")), next);
	assert_int_equal(dial_web(env), next);
}

/* The ledger is root's: whoever asks as root sees it, and that process does not. */
static void a_user_who_may_not_have_the_ledger_is_told_no_next_pick(void **state)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, "\"balance\": \"round_robin\"");
	struct process *p;
	json_t *now;

	(void)state;
	if (geteuid() || getenv("FAIRDIAL_TEST_UNSHARED"))
		skip_because("only root can be another user");
	assert_int_equal(chmod(s->root, 0755), 0);
	dial_web(s->env); /* which makes it */
	p = process_start(&(struct start){ .argv = ARGV(built("helpers/dialer"), "--hold", SERVICE_ADDRESS, "80"), .env = s->env,
					   .interactive = true, .uid = NOBODY });
	process_expect(p, "ready", LIMIT_MS);
	now = explained_family(json_object_get(only_connection(s, p), "now"));
	assert_string_equal(json_string_value(json_object_get(now, "told")), "no-ledger");
	assert_true(json_is_null(json_object_get(now, "next")));
	assert_has(in_full(s, p), "counts are not known");
}

/* ---- whether it stays ---- */

/* Two backends, of which this one ends; none does: BACKENDS. */
static void publish_draining(struct services *s, const struct backends *b, size_t ending)
{
	char *endpoints = format("%s", "");

	for (size_t i = 0; i < 2; i++)
		endpoints = format("%s%s{ \"address\": \"%s\", \"port\": %d%s }", endpoints, i ? ", " : "", backends_address(b, i),
				   backends_port(b, i), i == ending ? ", \"ready\": false, \"terminating\": true" : "");
	services_publish(s, format("{ \"name\": \"web\", \"addresses\": [\"" SERVICE_ADDRESS "\"], \"ports\": [ { "
				   "\"port\": 80 } ], \"drain\": \"idle\", \"quiet\": \"10m\", \"endpoints\": [ %s ] }",
				   endpoints));
}

static void a_connection_whose_endpoint_ends_may_move(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();
	struct process *p;
	json_t *connection;
	size_t one;

	(void)state;
	publish_draining(s, b, BACKENDS);
	p = hold(s, &one);
	connection = only_connection(s, p);
	assert_true(json_is_true(json_object_get(json_object_get(connection, "moves"), "may_move")));
	assert_null(moves_reason(connection));
	assert_has(in_full(s, p), "may move   drain idle, rebalance off, max_age off, quiet 10m;");
	assert_has(in_full(s, p), "its endpoint is in");
	publish_draining(s, b, one);
	assert_has(in_full(s, p), "its endpoint is terminating: it is closed as soon as it is quiet");
	assert_has(in_full(s, p), "excluded now: terminating");
}

static void others_say_why_they_stay(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, "\"max_age\": \"1h\", \"mode\": \"observe\"");
	struct process *p = hold_directly(b, 0, s->env);

	(void)state;
	assert_string_equal(moves_reason(only_connection(s, p)), "observed");
	services_publish_web(s, b, "\"max_age\": \"1h\", \"mode\": \"off\"");
	assert_string_equal(moves_reason(only_connection(s, p)), "not-now");
	assert_has(in_full(s, p), "as long as dials pass through");
	publish_objects(s, NULL, NULL, service_object("web", "None", ":80", NULL, NULL),
			slice_object("web", 1, format(":%d", backends_port(b, 0)),
				     format("%s %s", backends_address(b, 0), backends_address(b, 1))),
			NULL);
	assert_string_equal(moves_reason(only_connection(s, p)), "headless");
}

static void whom_a_pin_holds_stays(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_open();
	struct process *p;

	(void)state;
	publish_objects(s, NULL, NULL,
			service_object("web", SERVICE_ADDRESS, ":80", NULL, "'sessionAffinity': 'ClientIP'"),
			slice_object("web", 1, format(":%d", backends_port(b, 0)),
				     format("%s %s", backends_address(b, 0), backends_address(b, 1))),
			NULL);
	p = hold(s, NULL);
	assert_has(in_full(s, p), "chosen by  sessionAffinity, which pins all of this pod to one");
	assert_has(in_full(s, p), "now it would be the same");
	assert_string_equal(moves_reason(only_connection(s, p)), "not-asked");
}

/* ---- what is no connection ---- */

/* A server's connection, to who dialed it, is none to a Service. */
static int connect_elsewhere(int *ret_listening)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*ret_listening, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(*ret_listening, 1), 0);
	assert_int_equal(getsockname(*ret_listening, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void assert_refused(const struct services *s, int pid, const char *fd, const char *text)
{
	struct process *p = explain_pid(s, pid, fd, false);

	assert_error(p, 1);
	assert_has(p->err_text, text);
}

static void other_descriptors_are_refused_each_for_what_it_is(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fresh = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), pipes[2];
	int listening, elsewhere = connect_elsewhere(&listening), self = getpid();

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_refused(s, self, format("%d", udp), "is no open TCP connection");
	assert_refused(s, self, format("%d", fresh), "is no open TCP connection");
	assert_refused(s, self, format("%d", listening), "is no open TCP connection");
	assert_refused(s, self, format("%d", pipes[0]), "is no socket");
	assert_refused(s, self, "1000000", "it has no descriptor 1000000"); /* nor ever had it */
	assert_refused(s, self, format("%d", elsewhere), "table does not know: it is no Service's");
	for (int i = 0; i < 6; i++)
		close((int[]){ udp, fresh, listening, elsewhere, pipes[0], pipes[1] }[i]);
}

static void a_process_that_is_not_there_is_refused(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	struct process *gone = run(NULL, "true", NULL);

	(void)state;
	assert_refused(s, 4194304, NULL, "there is none that can be seen here");
	assert_refused(s, (int)gone->pid, NULL, "there is none that can be seen here");
}

static void another_users_process_is_refused(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	struct process *p;

	(void)state;
	if (geteuid() || getenv("FAIRDIAL_TEST_UNSHARED"))
		skip_because("only root can be another user");
	assert_int_equal(chmod(s->root, 0755), 0);
	p = run(NULL, "cp", built("fairdial"), format("%s/fairdial", s->root), NULL);
	assert_clean(p);
	p = process_start(&(struct start){ .argv = ARGV(format("%s/fairdial", s->root), "explain", "--dir", s->dir, "--pid",
							format("%d", (int)getpid())),
					   .uid = NOBODY });
	process_wait(p, LIMIT_MS);
	assert_error(p, 1);
	assert_has(p->err_text, "it is another user's");
}

static void a_directory_that_is_not_absolute_is_asked_for(void **state)
{
	struct start start = { .argv = ARGV("cat"), .env = ARGV("FAIRDIAL_DIR=run"), .interactive = true };
	struct process *p = process_start(&start);
	struct process *told = run(NULL, built("fairdial"), "explain", "--pid", format("%d", (int)p->pid), NULL);

	(void)state;
	assert_error(told, 1);
	assert_has(told->err_text, "its FAIRDIAL_DIR is no absolute path");
}

/* What a program calls itself is its own affair. */
static void the_name_of_a_program_is_not_obeyed(void **state)
{
	struct services *s = services_of_web(backends_start(2, ONE_PORT), NULL);
	const char *program = format("%s/c\033[2Jt", s->root);
	struct process *p, *told;

	(void)state;
	assert_clean(run_shell(NULL, "cp \"$(command -v cat)\" '%s'", program));
	p = process_start(&(struct start){ .argv = ARGV(program), .interactive = true });
	process_say(p, "ready\n"); /* it is what it is to be, when it answers */
	process_expect(p, "ready", LIMIT_MS);
	told = explain_pid(s, (int)p->pid, NULL, false);
	assert_has(told->out_text, "c?[2Jt");
	assert_null(strchr(told->out_text, '\033'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connections_of_a_process_are_told),
		TEST(one_of_them_is_told_in_full),
		TEST(two_connections_are_two_lines),
		TEST(a_process_without_connections_is_told_as_such),
		TEST(other_services_with_that_endpoint_are_named),
		TEST(a_connection_past_the_shim_says_why),
		TEST(a_process_without_the_shim_is_not_told_a_next_pick),
		TEST(one_that_looks_at_another_table_is_told_so),
		TEST(its_own_variables_decide),
		TEST(its_own_ledger_is_asked),
		TEST(a_user_who_may_not_have_the_ledger_is_told_no_next_pick),
		TEST(a_connection_whose_endpoint_ends_may_move),
		TEST(others_say_why_they_stay),
		TEST(whom_a_pin_holds_stays),
		TEST(other_descriptors_are_refused_each_for_what_it_is),
		TEST(a_process_that_is_not_there_is_refused),
		TEST(another_users_process_is_refused),
		TEST(a_directory_that_is_not_absolute_is_asked_for),
		TEST(the_name_of_a_program_is_not_obeyed),
	};

	return RUN_TESTS(tests);
}
