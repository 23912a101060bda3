/* SPDX-License-Identifier: Apache-2.0 */
/* A start: what of a program's environment its agent has, and where there is none. The agent is a script that tells it. */
#include "support/testing.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/autostart.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 60000 };

static const char *const variables[] = { "KUBECONFIG", "FAIRDIAL_SERVICES", "FAIRDIAL_LEDGER", "SSL_CERT_FILE", "SSL_CERT_DIR" };

/* ---- a folder with a shim, an agent beside it, and a directory for the table ---- */

struct place {
	const char *root, *out;
	struct settings settings;
};

static void go_back(void *unused)
{
	(void)unused;
	assert_int_equal(chdir("/"), 0);
}

static struct place *place_new(void)
{
	static struct place p;
	const char *agent;
	char *script;

	memset(&p, 0, sizeof(p));
	p.root = scratch_dir();
	p.out = format("%s/out", p.root);
	agent = format("%s/fairdial", p.root);
	script = format("#!/bin/sh\nenv >%s.part && mv %s.part %s\n", p.out, p.out, p.out);
	write_file(agent, script, strlen(script));
	assert_int_equal(chmod(agent, 0755), 0);
	p.settings.has_dir = true;
	snprintf(p.settings.dir, SETTINGS_PATH, "%s/dir", p.root);
	snprintf(p.settings.beside, SETTINGS_PATH, "%s/run", p.root);
	p.settings.shim_uid = geteuid();
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	setenv("PATH", "/usr/bin:/bin", 1);
	after_test(go_back, NULL);
	assert_int_equal(chdir(p.root), 0);
	return &p;
}

static enum autostart_result start_at(const struct place *p)
{
	autostart_keep_environment();
	return autostart_agent(&p->settings);
}

static char *told(const struct place *p)
{
	for (long begun = now_ms(); access(p->out, F_OK) < 0; usleep(1000))
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("%s: the agent that was started says nothing", p->out);
	return read_file(p->out, NULL);
}

/* A process that is not to be the test itself; its status. */
static int in_child(int (*what)(const struct place *), const struct place *p)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(what(p));
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- tests ---- */

/* Its directory is another one. */
static void relative_paths_are_whole_ones_for_the_agent(void **state)
{
	struct place *p = place_new();
	const char *text;

	(void)state;
	setenv("KUBECONFIG", "config", 1);
	setenv("SSL_CERT_FILE", "certs/ca.pem", 1);
	setenv("SSL_CERT_DIR", "/etc/certs", 1);
	setenv("FAIRDIAL_SERVICES", "services.json", 1);
	setenv("FAIRDIAL_LEDGER", "", 1);
	assert_int_equal(start_at(p), AUTOSTART_COMING);
	text = told(p);
	assert_non_null(strstr(text, format("KUBECONFIG=%s/config\n", p->root)));
	assert_non_null(strstr(text, format("SSL_CERT_FILE=%s/certs/ca.pem\n", p->root)));
	assert_non_null(strstr(text, "SSL_CERT_DIR=/etc/certs\n"));
	assert_non_null(strstr(text, format("FAIRDIAL_SERVICES=%s/services.json\n", p->root)));
	assert_null(strstr(text, "FAIRDIAL_LEDGER"));
	assert_non_null(strstr(text, "FAIRDIAL=off\n"));
}

static void list_in_a_variable_is_no_path(void **state)
{
	struct place *p = place_new();

	(void)state;
	setenv("FAIRDIAL_SERVICES", "web:80=10.0.0.1:80", 1);
	assert_int_equal(start_at(p), AUTOSTART_COMING);
	assert_non_null(strstr(told(p), "FAIRDIAL_SERVICES=web:80=10.0.0.1:80\n"));
}

static void assert_never_started(const struct place *p)
{
	assert_int_equal(start_at(p), AUTOSTART_NEVER);
	assert_int_equal(access(p->settings.dir, F_OK), -1); /* nothing was made for it either */
}

/* An agent that follows something else than it was told to is worse than none. */
static void path_that_cannot_be_told_starts_no_agent(void **state)
{
	struct place *p = place_new();
	const char *gone = format("%s/gone", p->root);

	(void)state;
	setenv("KUBECONFIG", format("%0*d", SETTINGS_PATH, 0), 1); /* longer than any path that is kept */
	assert_never_started(p);
	setenv("KUBECONFIG", format("%0*d", SETTINGS_PATH - 2, 0), 1); /* the directory before it is too much */
	assert_never_started(p);
	assert_int_equal(mkdir(gone, 0755), 0);
	assert_int_equal(chdir(gone), 0);
	assert_int_equal(rmdir(gone), 0);
	setenv("KUBECONFIG", "config", 1);
	assert_never_started(p);
	setenv("KUBECONFIG", "/config", 1);
	assert_int_equal(start_at(p), AUTOSTART_COMING);
	assert_non_null(strstr(told(p), "KUBECONFIG=/config\n"));
}

static int start_without_room(const struct place *p)
{
	struct rlimit before, none;
	enum autostart_result result;

	getrlimit(RLIMIT_FSIZE, &before);
	none = (struct rlimit){ 0, before.rlim_max };
	setrlimit(RLIMIT_FSIZE, &none);
	result = start_at(p);
	setrlimit(RLIMIT_FSIZE, &before);
	return (int)result;
}

/* Who cannot note a start would start one with each dial. */
static void where_the_mark_cannot_be_written_no_agent_is_started(void **state)
{
	struct place *p = place_new();

	(void)state;
	p->settings.trace = 0xff;
	snprintf(p->settings.trace_path, SETTINGS_PATH, "%s/trace", p->root);
	assert_int_equal(in_child(start_without_room, p), AUTOSTART_NO);
	assert_int_equal(access(p->out, F_OK), -1);
	assert_int_equal(start_at(p), AUTOSTART_COMING);
	assert_non_null(told(p));
	assert_non_null(strstr(read_file(p->settings.trace_path, NULL), "an agent is started"));
}

static int start_as_subreaper(const struct place *p)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		return 100;
	return (int)start_at(p);
}

/* It would become a child of it. But that of another process is its own as well. */
static void process_that_adopts_orphans_waits_only_for_the_agent_of_another(void **state)
{
	struct place *p = place_new();

	(void)state;
	assert_int_equal(in_child(start_as_subreaper, p), AUTOSTART_NEVER);
	assert_int_equal(access(p->settings.dir, F_OK), -1);
	assert_int_equal(start_at(p), AUTOSTART_COMING);
	assert_non_null(told(p));
	assert_int_equal(unlink(p->out), 0);
	assert_int_equal(in_child(start_as_subreaper, p), AUTOSTART_COMING);
	assert_int_equal(access(p->out, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(relative_paths_are_whole_ones_for_the_agent),
		TEST(list_in_a_variable_is_no_path),
		TEST(path_that_cannot_be_told_starts_no_agent),
		TEST(where_the_mark_cannot_be_written_no_agent_is_started),
		TEST(process_that_adopts_orphans_waits_only_for_the_agent_of_another),
	};

	return RUN_TESTS(tests);
}
