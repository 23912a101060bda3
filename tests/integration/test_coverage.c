/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fairdial status --coverage`: which connections to a Service go through its own address, whose they are and why, as text and
 * as JSON. In a network namespace where a server listens at the Service's address, in place of kube-proxy: whoever is not
 * spread reaches it there. Clients keep their connections until the test ends.
 */
#include "support/testing.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/proc_files.h"
#include "inspect/shim_file.h"
#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/namespaces.h"
#include "support/process.h"
#include "support/schema.h"
#include "support/services.h"
#include "support/tun.h"

enum { LIMIT_MS = 20000, NOBODY = 65534, BACKENDS = 3 };

/* The Service `web`, at the address of the first backend, over the others. */
struct scene {
	struct backends *b;
	struct services *s;
	const char *host, *port;
};

static struct scene scene_of(const char *more)
{
	struct scene scene;

	need_network_namespace();
	scene.b = backends_start(BACKENDS, ONE_PORT);
	scene.s = services_at_first(scene.b, more);
	scene.host = backends_address(scene.b, 0);
	scene.port = format("%d", backends_port(scene.b, 0));
	return scene;
}

/* ---- clients ---- */

/* Runs until the test ends, and has said that its connections stand. */
static struct process *held_as(uid_t uid, const char *const *env, const char *const *argv)
{
	struct start start = { .argv = argv, .env = env, .interactive = true, .uid = uid };
	struct process *p = process_start(&start);

	process_expect(p, "ready\n", LIMIT_MS);
	return p;
}

static struct process *held(const struct scene *scene, const char *const *env, const char *program)
{
	return held_as(0, env, ARGV(program, "--hold", "--count", "2", scene->host, scene->port));
}

static const char *dialer(void)
{
	return built("helpers/dialer");
}

/* ---- reports ---- */

static void forget(void *json)
{
	json_decref(json);
}

static const char *text_of(const char *dir)
{
	struct process *p = run(NULL, built("fairdial"), "status", "--coverage", "--dir", dir, NULL);

	assert_clean(p);
	return p->out_text;
}

static json_t *parsed(const struct process *p)
{
	json_error_t error;
	json_t *report;

	assert_clean(p);
	report = json_loads(p->out_text, 0, &error);
	if (!report)
		fail_msg("no JSON: %s\n%s", error.text, p->out_text);
	assert_fits_schema("coverage", p->out_text);
	after_test(forget, report);
	return report;
}

static json_t *report_on(const char *dir)
{
	return parsed(run(NULL, built("fairdial"), "status", "--coverage", "--json", "--dir", dir, NULL));
}

static long number(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("no number %s", key);
	return (long)json_integer_value(value);
}

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static void assert_connections(json_t *report, long direct, long through)
{
	json_t *c = json_object_get(report, "connections");

	assert_int_equal(number(c, "direct"), direct);
	assert_int_equal(number(c, "through"), through);
	assert_int_equal(number(c, "open"), direct + through);
}

static json_t *process_of(json_t *report, pid_t pid)
{
	size_t i;
	json_t *row;

	json_array_foreach(json_object_get(report, "processes"), i, row) {
		if (number(row, "pid") == pid)
			return row;
	}
	fail_msg("process %d is not in the report", (int)pid);
	return NULL;
}

/* The only row of connections through the Service's address. */
static json_t *only_through(json_t *report)
{
	json_t *rows = json_object_get(report, "through");

	assert_int_equal(json_array_size(rows), 1);
	return json_array_get(rows, 0);
}

/* Both forms name this client's two connections, and nobody else's, with this reason. */
static json_t *assert_named(const struct scene *scene, const struct process *p, const char *reason)
{
	json_t *report = report_on(scene->s->dir), *row = only_through(report), *why;

	assert_connections(report, 0, 2);
	assert_string_equal(text(row, "reason"), reason);
	assert_int_equal(number(row, "open"), 2);
	assert_string_equal(text(row, "service"), "web");
	assert_string_equal(text(row, "address"), scene->host);
	assert_int_equal(number(row, "port"), atoi(scene->port));
	if (p)
		assert_int_equal(number(row, "pid"), p->pid);
	why = json_object_get(json_object_get(report, "reasons"), reason);
	assert_non_null(
		strstr(text_of(scene->s->dir), format("\n%s: %s\n  %s\n", reason, text(why, "text"), text(why, "remedy"))));
	return report;
}

/* The same, where the process would not be spread whatever it dialed. */
static void assert_uncovered(const struct scene *scene, const struct process *p, const char *reason)
{
	json_t *row = process_of(assert_named(scene, p, reason), p->pid);

	assert_string_equal(text(row, "reason"), reason);
	assert_true(json_is_false(json_object_get(row, "covered")));
	assert_int_equal(number(row, "through"), 2);
}

/* ---- who is spread ---- */

static void connections_of_a_covered_process_are_direct(void **state)
{
	struct scene scene = scene_of(NULL);
	struct process *p = held(&scene, scene.s->env, dialer());
	json_t *report = report_on(scene.s->dir), *row = process_of(report, p->pid);

	(void)state;
	assert_connections(report, 2, 0);
	assert_int_equal(json_array_size(json_object_get(report, "through")), 0);
	assert_true(json_is_true(json_object_get(row, "covered")));
	assert_string_equal(text(row, "reason"), "covered");
	assert_int_equal(number(row, "direct"), 2);
	assert_non_null(
		strstr(text_of(scene.s->dir), "2 of 2 to known Services go straight to an endpoint, 0 through"));
}

static void nothing_is_open_where_nobody_dials(void **state)
{
	struct scene scene = scene_of(NULL);

	(void)state;
	assert_connections(report_on(scene.s->dir), 0, 0);
	assert_non_null(strstr(text_of(scene.s->dir), "connections  none is open to a known Service\n"));
}

static void processes_are_told_apart(void **state)
{
	struct scene scene = scene_of(NULL);
	struct process *spread = held(&scene, scene.s->env, dialer()), *without = held(&scene, NULL, dialer());
	json_t *report = report_on(scene.s->dir);

	(void)state;
	assert_connections(report, 2, 2);
	assert_int_equal(number(only_through(report), "pid"), without->pid);
	assert_int_equal(number(process_of(report, spread->pid), "direct"), 2);
	assert_int_equal(number(process_of(report, without->pid), "direct"), 0);
	assert_non_null(strstr(text_of(scene.s->dir),
			       format("%-24s %-24s %6d %8d  %-16s %s\n", "web", format("%s:%s", scene.host, scene.port), 2,
				      (int)without->pid, "dialer", "preload-never")));
}

/* A Service whose address is another one's endpoint: whoever is there may have been dialed as either. */
static void address_that_is_also_an_endpoint_counts_as_one(void **state)
{
	struct scene scene = scene_of(NULL);
	const struct place *places = backends_places(scene.b);
	int port = atoi(scene.port);

	(void)state;
	services_publish(scene.s, format("%s, %s", service_entry("web", scene.host, port, places + 1, 1, NULL),
					 service_entry("db", places[1].address, port, places + 2, 1, NULL)));
	held_as(0, NULL, ARGV(dialer(), "--hold", places[1].address, scene.port));
	assert_connections(report_on(scene.s->dir), 1, 0);
}

/* ---- who is not, and why ---- */

static void static_program_is_named(void **state)
{
	struct scene scene = scene_of(NULL);

	(void)state;
	assert_uncovered(&scene, held(&scene, scene.s->env, compiled_for_musl("dialer", "-static")), "static");
}

static void program_of_go_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	char *program = format("%s/hold", scratch_dir());

	(void)state;
	if (!program_exists("go"))
		skip_because("there is no go");
	assert_clean(run_shell(NULL, "CGO_ENABLED=0 go build -o %s %s", program, repository("tests/helpers/go/hold.go")));
	for (int i = 0; i < 2; i++) {
		struct process *p = held_as(0, scene.s->env, ARGV(program, scene.host, scene.port));
		json_t *row = process_of(report_on(scene.s->dir), p->pid);

		assert_string_equal(text(row, "reason"), "go");
		assert_int_equal(number(row, "through"), 1);
	}
}

static void process_without_preload_is_named(void **state)
{
	struct scene scene = scene_of(NULL);

	(void)state;
	assert_uncovered(&scene, held(&scene, NULL, dialer()), "preload-never");
}

static void connection_by_a_mapped_address_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	struct process *p = held_as(0, NULL, ARGV(dialer(), "--hold", "--v6mapped", "--count", "2", scene.host, scene.port));

	(void)state;
	assert_uncovered(&scene, p, "preload-never");
}

/* The shell that started it has LD_PRELOAD, and stays. */
static void process_that_lost_its_environment_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	const char *line = format("env -i %s --hold --count 2 %s %s; true", dialer(), scene.host, scene.port);
	json_t *report;

	(void)state;
	held_as(0, scene.s->env, ARGV("sh", "-c", line));
	report = assert_named(&scene, NULL, "preload-lost");
	assert_string_equal(text(only_through(report), "program"), "dialer");
}

/* Until it is later than the process by more than both times are precise to. */
static void install_after(const struct process *p, const char *shim)
{
	struct proc_stat stat;
	struct shim_file file;
	int root = open("/", O_PATH | O_CLOEXEC), process = open(format("/proc/%d", (int)p->pid), O_PATH | O_CLOEXEC);
	long begun = now_ms();

	assert_int_equal(proc_read_stat(process, &stat), 0);
	do {
		assert_true(now_ms() - begun < LIMIT_MS);
		assert_clean(run_shell(NULL, "cp %s %s.tmp && mv %s.tmp %s", built("libfairdial.so"), shim, shim, shim));
		shim_file_look(root, shim, &file);
	} while (file.placed_ms <= stat.start_ms + 100);
	close(process);
	close(root);
}

static void process_that_is_older_than_the_shim_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	const char *shim = format("%s/libfairdial.so", scratch_dir());
	const char *const *env = with_env(NULL, format("LD_PRELOAD=%s", shim), format("FAIRDIAL_DIR=%s", scene.s->dir), NULL);
	struct process *p = held(&scene, env, dialer());

	(void)state;
	assert_uncovered(&scene, p, "no-file");
	install_after(p, shim);
	assert_uncovered(&scene, p, "started-before-install");
}

static void shim_that_its_user_cannot_read_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	const char *shim = copy_of(built("libfairdial.so"), "libfairdial.so", 0600);
	const char *const *env = with_env(scene.s->env, format("LD_PRELOAD=%s", shim), NULL);
	const char *const *argv = ARGV(dialer(), "--hold", "--count", "2", scene.host, scene.port);

	(void)state;
	if (geteuid() || getenv("FAIRDIAL_TEST_UNSHARED"))
		skip_because("only root can be another user");
	assert_uncovered(&scene, held_as(NOBODY, env, argv), "not-loaded");
}

/* In a mount namespace of the program's own: the file is looked for where the program sees it. */
static void shim_on_a_mount_without_execution_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	const char *dir = scratch_dir(), *mount = format("mount -t tmpfs -o noexec none %s", dir);
	const char *dial =
		format("LD_PRELOAD=%s/libfairdial.so %s --hold --count 2 %s %s; true", dir, dialer(), scene.host, scene.port);
	json_t *report;

	(void)state;
	if (run(NULL, "unshare", "-m", "sh", "-c", mount, NULL)->exit_status)
		skip_because("no mount of its own");
	held_as(0, NULL,
		ARGV("unshare", "-m", "sh", "-c", format("%s && cp %s %s && %s", mount, built("libfairdial.so"), dir, dial)));
	report = assert_named(&scene, NULL, "noexec");
	assert_string_equal(text(only_through(report), "program"), "dialer");
}

static void setuid_program_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	const char *program = copy_of(dialer(), "lifted", 0755);

	(void)state;
	if (geteuid() || getenv("FAIRDIAL_TEST_UNSHARED"))
		skip_because("only root can give files to others");
	assert_int_equal(chown(program, 1, 1), 0);
	assert_int_equal(chmod(program, 04755), 0);
	assert_uncovered(&scene, held_as(NOBODY, scene.s->env, ARGV(program, "--hold", "--count", "2", scene.host, scene.port)),
			 "privileged");
}

static void process_that_is_switched_off_or_observes_is_named(void **state)
{
	static const char *const values[][2] = { { "FAIRDIAL=off", "off" }, { "FAIRDIAL=observe", "observe" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scene scene = scene_of(NULL);
		struct process *p = held(&scene, with_env(scene.s->env, values[i][0], NULL), dialer());

		assert_uncovered(&scene, p, values[i][1]);
		process_close_input(p);
		process_wait(p, LIMIT_MS);
	}
}

static void process_of_another_table_or_none_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	struct services *other = services_of_web(scene.b, NULL), *none = services_open();
	struct process *p = held(&scene, other->env, dialer());

	(void)state;
	assert_uncovered(&scene, p, "other-table");
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	assert_uncovered(&scene, held(&scene, none->env, dialer()), "no-table");
}

/* With and without connections to others: what it leaves out it does not cover. */
static void service_that_a_process_leaves_out_is_named(void **state)
{
	static const char *const values[] = { "FAIRDIAL_EXCEPT=redis,web", "FAIRDIAL_ONLY=mysql" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scene scene = scene_of(NULL);
		struct process *p = held(&scene, with_env(scene.s->env, values[i], NULL), dialer());
		json_t *row = process_of(assert_named(&scene, p, "left-out"), p->pid);

		assert_string_equal(text(row, "reason"), "left-out");
		assert_true(json_is_false(json_object_get(row, "covered")));
		process_close_input(p);
		process_wait(p, LIMIT_MS);
	}
}

static void mode_of_a_service_is_named(void **state)
{
	static const char *const modes[][2] = { { "\"mode\": \"off\"", "service-off" },
						{ "\"mode\": \"observe\"", "service-observe" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scene scene = scene_of(modes[i][0]);
		struct process *p = held(&scene, scene.s->env, dialer());
		json_t *report = assert_named(&scene, p, modes[i][1]);

		assert_int_equal(number(json_object_get(report, "connections"), "would_be_spread"), 2);
		assert_non_null(strstr(text_of(scene.s->dir), "2 of these would be spread, were the mode on\n"));
		process_close_input(p);
		process_wait(p, LIMIT_MS);
	}
}

/* Who would be missed can be seen before it is switched on. */
static void what_a_process_lacks_is_named_before_the_mode_of_a_service(void **state)
{
	struct scene scene = scene_of("\"mode\": \"observe\"");
	struct process *would = held(&scene, scene.s->env, dialer()), *not = held(&scene, NULL, dialer());
	json_t *report = report_on(scene.s->dir), *row;
	size_t i;

	(void)state;
	assert_connections(report, 0, 4);
	assert_int_equal(number(json_object_get(report, "connections"), "would_be_spread"), 2);
	assert_int_equal(json_array_size(json_object_get(report, "through")), 2);
	json_array_foreach(json_object_get(report, "through"), i, row) {
		bool is_would = number(row, "pid") == would->pid;

		assert_string_equal(text(row, "reason"), is_would ? "service-observe" : "preload-never");
		assert_int_equal(json_is_true(json_object_get(row, "would_be_spread")), is_would);
	}
	assert_string_equal(text(process_of(report, not->pid), "reason"), "preload-never");
	assert_string_equal(text(process_of(report, would->pid), "reason"), "covered");
}

/* A list of all that runs drowns those that matter; an agent dials the API, not what it spreads. */
static void processes_without_connections_are_folded_and_ours_left_out(void **state)
{
	struct scene scene = scene_of(NULL);
	const char *const *idling = ARGV("sh", "-c", "echo ready; read end");
	const char *const *running = ARGV(built("fairdial"), "run", "--service", "x:80=127.0.0.1:80", "--", "sh", "-c",
					  "echo ready; read end");
	struct process *client = held(&scene, NULL, dialer()), *idle = held_as(0, NULL, idling);
	struct process *ours = held_as(0, NULL, running);
	json_t *report = report_on(scene.s->dir), *rows = json_object_get(report, "processes"), *row;
	const char *said = text_of(scene.s->dir);
	size_t i;

	(void)state;
	assert_int_equal(number(json_array_get(rows, 0), "pid"), client->pid);
	assert_int_equal(number(process_of(report, idle->pid), "through"), 0);
	json_array_foreach(rows, i, row) {
		assert_int_not_equal(number(row, "pid"), ours->pid);
	}
	assert_non_null(strstr(said, format("\nprocesses  0 of 1 that have connections to known Services is covered\n"
					    "  %-22s %8d  dialer %d\n", "preload-never", 1, (int)client->pid)));
	assert_non_null(strstr(said, "\nothers     "));
	assert_null(strstr(said, format(" %d", (int)idle->pid)));
}

/* A container may be without: here an empty file system lies over it. */
static void without_proc_it_says_so(void **state)
{
	struct scene scene = scene_of(NULL);
	const char *status = format("exec %s status --coverage --dir %s", built("fairdial"), scene.s->dir);
	struct process *p =
		run(NULL, "unshare", "-m", "sh", "-c", format("mount -t tmpfs none /proc && %s", status), NULL);

	(void)state;
	if (strstr(p->err_text, "mount:") || strstr(p->err_text, "unshare:"))
		skip_because("no mount of its own");
	assert_error(p, 1);
	assert_non_null(strstr(p->err_text, "/proc is not mounted here"));
}

/* Its table came after its dials. */
static void connection_that_is_older_than_the_table_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	struct process *p;

	(void)state;
	assert_int_equal(unlink(scene.s->table), 0);
	p = held(&scene, scene.s->env, dialer());
	services_publish_at_first(scene.s, scene.b, NULL);
	assert_string_equal(text(process_of(assert_named(&scene, p, "past-shim"), p->pid), "reason"), "covered");
}

static void service_without_endpoints_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	struct process *p;

	(void)state;
	services_publish(scene.s, service_entry("web", scene.host, atoi(scene.port), NULL, 0, NULL));
	p = held(&scene, scene.s->env, dialer());
	assert_named(&scene, p, "no-endpoint");
}

/* ---- a mesh ---- */

/* As Istio's proxy does. */
static void listen_as_a_mesh(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(15001), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	close_after_test(fd);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
}

static void service_behind_a_mesh_is_named(void **state)
{
	struct api_server *api;
	struct agent_run *a;
	struct backends *b;
	struct process *p;
	const char *dest;
	json_t *row;

	(void)state;
	need_network_namespace();
	listen_as_a_mesh();
	b = backends_start(2, ONE_PORT);
	dest = format("%s:%d", backends_address(b, 0), backends_port(b, 0));
	api = api_start(NULL);
	api_put_service(api, "web", backends_address(b, 0), format("http:%d", backends_port(b, 0)));
	api_put_slice(api, "web-1", "web", format("http:%d", backends_port(b, 1)), backends_address(b, 1));
	a = agent_start(api, NULL, NULL);
	agent_wait(a, dest, format("mesh: %s:%d", backends_address(b, 1), backends_port(b, 1)));
	p = held_as(0, a->env, ARGV(dialer(), "--hold", backends_address(b, 0), format("%d", backends_port(b, 0))));
	row = only_through(report_on(a->dir));
	assert_int_equal(number(row, "pid"), p->pid);
	assert_string_equal(text(row, "reason"), "stands-down");
	assert_string_equal(text(row, "namespace"), "shop");
	assert_string_equal(text(row, "detail"), "Istio listens on port 15001 of this pod and must see the ClusterIP");
	assert_non_null(strstr(text_of(a->dir), "stands-down: Istio listens on port 15001 of this pod"));
}

/* ---- who cannot be seen ---- */

static void process_of_another_user_cannot_be_seen(void **state)
{
	struct scene scene = scene_of(NULL);
	const char *tool = copy_of(built("fairdial"), "fairdial", 0755);
	struct start start = { .argv = ARGV(tool, "status", "--coverage", "--json", "--dir", scene.s->dir), .uid = NOBODY };
	struct process *p, *client;
	json_t *report;

	(void)state;
	if (geteuid() || getenv("FAIRDIAL_TEST_UNSHARED"))
		skip_because("only root can be another user");
	assert_int_equal(chmod(scene.s->root, 0755), 0);
	client = held(&scene, scene.s->env, compiled_for_musl("dialer", "-static"));
	p = process_start(&start);
	process_wait(p, LIMIT_MS);
	report = parsed(p);
	assert_true(json_is_null(json_object_get(only_through(report), "pid")));
	assert_string_equal(text(only_through(report), "reason"), "not-seen");
	assert_int_equal(number(only_through(report), "open"), 2);
	assert_string_equal(text(process_of(report, client->pid), "reason"), "hidden");
	assert_uncovered(&scene, client, "static");
}

static void process_of_another_network_is_left_out(void **state)
{
	struct scene scene = scene_of(NULL);
	struct process *p = held_as(0, NULL, ARGV("unshare", "-n", "sh", "-c", "echo ready; read end"));
	json_t *rows = json_object_get(report_on(scene.s->dir), "processes"), *row;
	size_t i;

	(void)state;
	assert_true(json_array_size(rows) > 0);
	json_array_foreach(rows, i, row) {
		assert_int_not_equal(number(row, "pid"), p->pid);
	}
}

/* ---- what it is called with, and what it prints ---- */

static void other_services_are_left_out_where_one_is_named(void **state)
{
	struct scene scene = scene_of(NULL);
	struct process *p;
	const char *entries = format(
		"%s, %s", service_entry("web", scene.host, atoi(scene.port), backends_places(scene.b) + 2, 1, NULL),
		service_entry("db", backends_address(scene.b, 1), atoi(scene.port), backends_places(scene.b) + 2, 1, NULL));
	const char *const *argv;

	(void)state;
	services_publish(scene.s, entries);
	held(&scene, NULL, dialer());
	argv = ARGV(dialer(), "--hold", backends_address(scene.b, 1), scene.port);
	held_as(0, NULL, argv);
	assert_connections(report_on(scene.s->dir), 0, 3);
	p = run(NULL, built("fairdial"), "status", "--coverage", "--json", "--dir", scene.s->dir, "db", NULL);
	assert_connections(parsed(p), 0, 1);
	assert_error(run(NULL, built("fairdial"), "status", "--coverage", "--dir", scene.s->dir, "nobody", NULL), 1);
}

/* A program may be called as it likes. */
static void names_of_programs_cannot_reach_the_terminal(void **state)
{
	struct scene scene = scene_of(NULL);
	const char *program = copy_of(dialer(), "a\033[31m\n\"b\xff", 0755), *report;
	json_t *row;

	(void)state;
	held(&scene, NULL, program);
	report = text_of(scene.s->dir);
	assert_null(strchr(report, '\033'));
	assert_non_null(strstr(report, "a?[31m?\"b?"));
	row = only_through(assert_named(&scene, NULL, "preload-never"));
	assert_string_equal(text(row, "program"), "a?[31m?\"b?");
}

static void environment_of_megabytes_is_read(void **state)
{
	struct scene scene = scene_of(NULL);
	char *large = format("PADDING=%*s", 100000, "x");
	const char *env[16];
	size_t n = 0;

	(void)state;
	while (n < 12) {
		env[n] = format("%zu%s", n, large);
		n++;
	}
	env[n++] = scene.s->env[0];
	env[n++] = scene.s->env[1];
	env[n++] = "FAIRDIAL=off";
	env[n] = NULL;
	assert_uncovered(&scene, held(&scene, env, dialer()), "off");
}

/* "name:type name:type …" of an object, in the order of names. */
static const char *keys_of(const json_t *object)
{
	static const char *const types[] = {
		[JSON_OBJECT] = "object", [JSON_ARRAY] = "array", [JSON_STRING] = "string", [JSON_INTEGER] = "number",
		[JSON_TRUE] = "bool",     [JSON_FALSE] = "bool",  [JSON_NULL] = "null"
	};
	char *text = json_dumps(object, JSON_SORT_KEYS), *keys = format("%s", "");
	json_t *sorted = json_loads(text, 0, NULL), *value;
	const char *key;

	json_object_foreach(sorted, key, value) {
		keys = format("%s%s%s:%s", keys, *keys ? " " : "", key, types[json_typeof(value)]);
	}
	json_decref(sorted);
	free(text);
	return keys;
}

/* What scripts rely on. Keys may be added. */
static void json_keeps_its_form(void **state)
{
	struct scene scene = scene_of(NULL);
	struct process *p = held(&scene, NULL, dialer());
	json_t *report = report_on(scene.s->dir);

	(void)state;
	assert_string_equal(keys_of(report), "connections:object processes:array reasons:object through:array");
	assert_string_equal(keys_of(json_object_get(report, "connections")),
			    "direct:number open:number through:number would_be_spread:number");
	assert_string_equal(
		keys_of(only_through(report)),
		"address:string detail:null namespace:string open:number pid:number port:number program:string reason:string "
		"service:string would_be_spread:bool");
	assert_string_equal(
		keys_of(process_of(report, p->pid)),
		"covered:bool direct:number exe:string pid:number program:string reason:string through:number uid:number");
	assert_string_equal(keys_of(json_object_get(json_object_get(report, "reasons"), "preload-never")),
			    "remedy:string text:string");
}

/* Processes come and go while they are looked at. */
static void processes_that_end_meanwhile_do_no_harm(void **state)
{
	struct scene scene = scene_of(NULL);
	struct start start = { .argv = ARGV("sh", "-c", "echo on; while :; do /bin/true; (/bin/true | /bin/true); done") };
	struct process *herd = process_start(&start), *client = held(&scene, NULL, dialer());

	(void)state;
	assert_string_equal(process_line(herd, LIMIT_MS), "on");
	for (int i = 0; i < 30; i++) {
		json_t *report = report_on(scene.s->dir);

		assert_connections(report, 0, 2);
		assert_int_equal(number(only_through(report), "pid"), client->pid);
		process_of(report, herd->pid);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(connections_of_a_covered_process_are_direct),
		TEST(nothing_is_open_where_nobody_dials),
		TEST(processes_are_told_apart),
		TEST(address_that_is_also_an_endpoint_counts_as_one),
		TEST(static_program_is_named),
		TEST(program_of_go_is_named),
		TEST(process_without_preload_is_named),
		TEST(connection_by_a_mapped_address_is_named),
		TEST(process_that_lost_its_environment_is_named),
		TEST(process_that_is_older_than_the_shim_is_named),
		TEST(shim_that_its_user_cannot_read_is_named),
		TEST(shim_on_a_mount_without_execution_is_named),
		TEST(setuid_program_is_named),
		TEST(process_that_is_switched_off_or_observes_is_named),
		TEST(process_of_another_table_or_none_is_named),
		TEST(service_that_a_process_leaves_out_is_named),
		TEST(mode_of_a_service_is_named),
		TEST(what_a_process_lacks_is_named_before_the_mode_of_a_service),
		TEST(processes_without_connections_are_folded_and_ours_left_out),
		TEST(without_proc_it_says_so),
		TEST(connection_that_is_older_than_the_table_is_named),
		TEST(service_without_endpoints_is_named),
		TEST(service_behind_a_mesh_is_named),
		TEST(process_of_another_user_cannot_be_seen),
		TEST(process_of_another_network_is_left_out),
		TEST(other_services_are_left_out_where_one_is_named),
		TEST(names_of_programs_cannot_reach_the_terminal),
		TEST(environment_of_megabytes_is_read),
		TEST(json_keeps_its_form),
		TEST(processes_that_end_meanwhile_do_no_harm),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
