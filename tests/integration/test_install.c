/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a tree of `fairdial install` runs: with no other file, beside another C library, as a user that nobody knows, under the
 * filter of a container runtime, and with variables of the environment that are meant for another loader.
 */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/installed.h"
#include "support/process.h"
#include "support/roots.h"
#include "support/services.h"

enum { NOBODY = 65532, LIMIT_MS = 60000, BACKENDS = 3, DIALS = 6 };

#define SERVICE	 "10.96.0.1"
#define ENDPOINT "10.0.0.1"

/* Where an agent is to run. */
struct setting {
	const char *root;	   /* NULL: this machine's */
	const char *tree;	   /* its name there */
	const char *const *before; /* what starts it, or NULL; NULL at the end */
	const char *const *env;	   /* or NULL */
	uid_t uid;
};

/* A file or folder of the setting, as it is called from here. */
static const char *outside(const struct setting *s, const char *path)
{
	return format("%s%s", s->root ? s->root : "", path);
}

static struct process *start(const struct setting *s, const char *const *arguments)
{
	const char *const *env = with_env(s->env, "KUBERNETES_SERVICE_HOST", "POD_NAME", "POD_IP", "NODE_NAME", NULL);
	const char *argv[32];
	size_t n = 0;

	for (const char *const *one = s->before; one && *one; one++)
		argv[n++] = *one;
	argv[n++] = format("%s/bin/fairdial", s->tree);
	for (; *arguments; arguments++)
		argv[n++] = *arguments;
	argv[n] = NULL;
	return process_start(&(struct start){ .argv = argv, .root = s->root, .uid = s->uid, .env = env });
}

static struct process *run_tool(const struct setting *s, const char *const *arguments)
{
	struct process *p = start(s, arguments);

	process_wait(p, LIMIT_MS);
	return p;
}

/* A folder of the user's in which the agent makes another one; returns its name inside. */
static const char *room_in(const struct setting *s)
{
	const char *room = format("%s/run", s->tree);

	assert_clean(run(NULL, "mkdir", "-p", outside(s, room), NULL));
	assert_int_equal(chown(outside(s, room), s->uid, s->uid), 0);
	return room;
}

static const char *write_services(const struct setting *s, const char *room, const struct place *places, size_t count)
{
	const char *file = format("%s/services.json", room);
	const char *entry = service_entry("web", SERVICE, 80, places, count, "\"balance\": \"round_robin\"");
	const char *text = format("{ \"services\": [ %s ] }\n", entry);

	write_file(outside(s, file), text, strlen(text));
	return file;
}

static void assert_named_after_the_tool(const struct process *p)
{
	char name[32] = "";
	int fd = open(format("/proc/%d/comm", p->pid), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && read(fd, name, sizeof(name) - 1) > 0);
	close(fd);
	assert_string_equal(name, "fairdial\n");
}

/* An agent publishes, `status` reads what it did, and it ends when it is told to. */
static void assert_serves(const struct setting *s)
{
	const struct place endpoint = { ENDPOINT, 8080 };
	const char *room = room_in(s), *services = write_services(s, room, &endpoint, 1), *dir = format("%s/pod", room);
	struct agent_run agent = { .dir = (char *)outside(s, dir) };
	struct process *status;

	agent.process = start(s, ARGV("agent", "--services", services, "--dir", dir));
	agent_wait(&agent, SERVICE ":80", ENDPOINT ":8080");
	agent_wait_vouched(&agent, true);
	assert_named_after_the_tool(agent.process);
	status = run_tool(s, ARGV("status", "--dir", dir));
	assert_clean(status);
	assert_non_null(strstr(status->out_text, "agent alive"));
	assert_non_null(strstr(status->out_text, ENDPOINT));
	agent_end(&agent, SIGTERM);
	assert_int_equal(agent.process->exit_status, 0);
	assert_null(strstr(agent.process->err_text ? agent.process->err_text : "", "cannot"));
}

/* ---- nothing but the tree ---- */

static void tool_runs_in_a_root_that_holds_nothing_else(void **state)
{
	struct setting s = { .root = tree_of_build(), .tree = "" };

	(void)state;
	assert_clean(run_tool(&s, ARGV("--version")));
	assert_clean(run_tool(&s, ARGV("agent", "--help")));
	assert_error(run_tool(&s, ARGV("status")), 1);
	assert_serves(&s);
}

/* Which the launcher cannot keep out: the agent is not spread by what it publishes all the same. */
static void agent_that_every_program_is_shimmed_with_switches_it_off(void **state)
{
	struct setting s = { .root = tree_of_build(), .tree = "" };
	const struct place endpoint = { ENDPOINT, 8080 };
	const char *room = room_in(&s), *services = write_services(&s, room, &endpoint, 1), *dir = format("%s/pod", room);
	struct agent_run agent = { .dir = (char *)outside(&s, dir) };
	struct process *seen;

	(void)state;
	if (!access(format("%s/ld-musl-x86_64.so.1", set_in(s.root)), F_OK))
		skip_because("musl reads no /etc/ld.so.preload");
	assert_clean(run_shell(NULL, "mkdir %s/etc && echo /libfairdial.so >%s/etc/ld.so.preload", s.root, s.root));
	agent.process = start(&s, ARGV("agent", "--services", services, "--dir", dir));
	agent_wait(&agent, SERVICE ":80", ENDPOINT ":8080");
	seen = run_shell(NULL, "tr '\\0' '\\n' </proc/%d/environ; cat /proc/%d/maps", agent.process->pid, agent.process->pid);
	assert_non_null(strstr(seen->out_text, "/libfairdial.so\n"));
	assert_non_null(strstr(seen->out_text, "FAIRDIAL=off\n"));
	assert_named_after_the_tool(agent.process);
	agent_end(&agent, SIGTERM);
	assert_int_equal(agent.process->exit_status, 0);
}

/* As an image of nothing else does in the container that comes first. */
static void tree_copies_itself_out_of_a_root_that_holds_nothing_else(void **state)
{
	struct setting s = { .root = tree_of_build(), .tree = "", .uid = NOBODY };
	const char *volume = format("%s/opt/fairdial", s.root);

	(void)state;
	assert_clean(run(NULL, "mkdir", "-p", volume, NULL));
	assert_int_equal(chmod(volume, 0777), 0);
	assert_clean(run_tool(&s, ARGV("install", "/opt/fairdial")));
	assert_tree_of(built("fairdial"), volume);
	assert_clean(run(NULL, "diff", "-r", "--no-dereference", tree_of_build(), volume, NULL));
	s.tree = "/opt/fairdial";
	assert_non_null(strstr(run_tool(&s, ARGV("install", "/opt/fairdial"))->out_text, "up to date"));
}

static void tool_runs_as_a_user_that_no_file_names(void **state)
{
	struct setting s = { .root = tree_of_build(), .tree = "", .uid = NOBODY };

	(void)state;
	assert_serves(&s);
}

static void tool_runs_under_the_filter_of_a_container_runtime(void **state)
{
	struct setting s = { .tree = tree_of_build(), .before = ARGV(built("helpers/confine"), "container") };

	(void)state;
	assert_serves(&s);
	assert_clean(run_tool(&s, ARGV("install", open_dir())));
}

/* ---- beside another C library ---- */

/* A program is started by the tool, and dials through the shim. */
static void assert_runs_spread(struct setting *s, const char *const *program)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	const char *room = room_in(s), *services = write_services(s, room, backends_places(b), BACKENDS);
	struct process *p;

	s->env = with_env(s->env, format("FAIRDIAL_DIR=%s", room), NULL);
	assert_clean(run_tool(s, ARGV("publish", "--services", services)));
	p = run_tool(s, program);
	assert_clean(p);
	assert_even_answers(p->out_text, BACKENDS, DIALS, 0);
}

/* Where scratch directories have the names that they have here. */
static void tool_runs_in_a_system_with_glibc_2_31(void **state)
{
	const char *const *env = with_env(NULL, "LD_PRELOAD=libcurl.so.4", NULL); /* its own, not the tool's */
	struct setting s = { .root = furnished_root("bullseye"), .tree = tree_of_build(), .env = env };
	const char *web = "http://web/";

	(void)state;
	assert_runs_spread(&s, ARGV("run", "--", "curl", "-sS", "-H", "Connection: close", web, web, web, web, web, web));
	assert_serves(&s);
	assert_clean(run_tool(&s, ARGV("install", open_dir())));
}

/* busybox, musl's loader, a dialer of musl, and a folder of libraries that are none. */
static const char *root_with_musl(void)
{
	const char *root = open_dir(), *dialer = compiled_for_musl("dialer", ""), *loader = "/lib/ld-musl-x86_64.so.1";

	if (access(loader, R_OK) || access("/bin/busybox", X_OK))
		skip_because("there is no %s, or no /bin/busybox", loader);
	assert_clean(run_shell(NULL,
			       "cd %s && mkdir bin lib none opt && cp -L /bin/busybox %s bin && cp -L %s lib && "
			       "for f in libc.so.6 libcurl.so.4 libjansson.so.4; do echo none >none/$f; done",
			       root, dialer, loader));
	install_with(built("fairdial"), format("%s/opt/fairdial", root));
	return root;
}

static const char *const *hostile_variables(void)
{
	return with_env(NULL, "LD_PRELOAD=/lib/ld-musl-x86_64.so.1:/opt/fairdial/libfairdial.so", "LD_LIBRARY_PATH=/none",
			"LD_AUDIT=/none/a.so", "LD_DEBUG=all", NULL);
}

static void tool_runs_beside_musl_whatever_its_programs_preload(void **state)
{
	struct setting s = { .root = root_with_musl(), .tree = "/opt/fairdial", .env = hostile_variables() };

	(void)state;
	assert_clean(run_tool(&s, ARGV("--version")));
	assert_serves(&s);
}

static void program_of_musl_is_spread_by_the_installed_tool(void **state)
{
	struct setting s = { .root = root_with_musl(), .tree = "/opt/fairdial" };

	(void)state;
	assert_runs_spread(&s, ARGV("run", "--", "/bin/dialer", "--count", format("%d", DIALS), "web", "80"));
}

static void program_gets_the_variables_that_the_tool_was_kept_from(void **state)
{
	struct setting s = { .root = root_with_musl(), .tree = "/opt/fairdial", .env = hostile_variables() };
	struct process *p = run_tool(&s, ARGV("run", "--", "/bin/busybox", "env"));

	(void)state;
	assert_int_equal(p->exit_status, 0); /* static: it has no loader that would obey them */
	assert_int_equal(lines_of(p->err_text), 1);
	assert_non_null(strstr(p->err_text, "there is nothing to spread"));
	for (const char *const *variable = hostile_variables(); *variable; variable++)
		assert_non_null(strstr(p->out_text, format("%s\n", *variable)));
	assert_null(strchr(p->out_text, '\1'));
}

/* ---- a tool of another C library ---- */

/* The sources of an install, and the launcher in them. */
static const char *installer_flags(void)
{
	return format("-DLAUNCHER_FILE='\"%s\"' -I%s %s/*.c %s", built("fairdial-launcher"), repository("src"),
		      repository("src/install"), repository("src/base/report.c"));
}

/* `root`: where the installer runs, NULL for here. The tree that it makes runs where there is nothing else. */
static void assert_installs_itself(const char *installer, const char *root, const char *library)
{
	const char *dir = open_dir(), *again = format("%s/again", dir), *const *env = with_env(NULL, "LD_TEST=1", NULL);
	struct process *p = run_in_root(root, env, ARGV(installer));

	assert_clean(p);
	assert_string_equal(p->out_text, "started, LD_TEST=1\n");
	assert_clean(run_in_root(root, NULL, ARGV(installer, dir, built("libfairdial.so"))));
	assert_int_equal(access(format("%s/%s", set_in(dir), library), R_OK), 0);
	p = run_in_root(dir, env, ARGV("/bin/fairdial"));
	assert_clean(p);
	assert_string_equal(p->out_text, "launched, LD_TEST=1\n");
	assert_clean(run_in_root(dir, NULL, ARGV("/bin/fairdial", "/again", "/libfairdial.so")));
	assert_clean(run(NULL, "diff", "-r", set_in(dir), set_in(again), NULL));
}

static void tool_of_musl_installs_itself(void **state)
{
	(void)state;
	assert_installs_itself(compiled_for_musl("special/installer", installer_flags()), NULL, "ld-musl-x86_64.so.1");
}

/* Whose getaddrinfo has its parts in libraries that nobody names as needed. */
static void tool_of_glibc_2_31_installs_itself(void **state)
{
	const char *root = furnished_root("bullseye");
	const char *installer = compiled_for_root(root, "special/installer", "libdl.so.2 libc.so.6",
						  format("-D_GNU_SOURCE %s", installer_flags()));

	(void)state;
	assert_installs_itself(installer, root, "libnss_dns.so.2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tool_runs_in_a_root_that_holds_nothing_else),
		TEST(agent_that_every_program_is_shimmed_with_switches_it_off),
		TEST(tree_copies_itself_out_of_a_root_that_holds_nothing_else),
		TEST(tool_runs_as_a_user_that_no_file_names),
		TEST(tool_runs_under_the_filter_of_a_container_runtime),
		TEST(tool_runs_in_a_system_with_glibc_2_31),
		TEST(tool_runs_beside_musl_whatever_its_programs_preload),
		TEST(program_of_musl_is_spread_by_the_installed_tool),
		TEST(program_gets_the_variables_that_the_tool_was_kept_from),
		TEST(tool_of_musl_installs_itself),
		TEST(tool_of_glibc_2_31_installs_itself),
	};

	return RUN_TESTS(tests);
}
