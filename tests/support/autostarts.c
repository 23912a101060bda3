/* SPDX-License-Identifier: Apache-2.0 */
#include "support/autostarts.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"
#include "table/mark.h"

enum { LIMIT_MS = 60000 };

pid_t autostarts_agent(const char *dir)
{
	int fd = open(format("%s/" MARK_NAME, dir), O_RDONLY | O_CLOEXEC), pid = 0;

	if (fd < 0)
		return 0;
	pid = mark_holder(fd);
	close(fd);
	return pid;
}

pid_t autostarts_wait(const char *dir)
{
	long begun = now_ms();
	pid_t pid;

	while ((pid = autostarts_agent(dir)) == 0) {
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("%s: no agent comes", dir);
		usleep(1000);
	}
	return pid;
}

void autostarts_wait_gone(const char *dir, pid_t agent)
{
	for (long begun = now_ms(); autostarts_agent(dir) == agent; usleep(1000))
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("%s: agent %d does not end", dir, (int)agent);
}

/* Of those that were started here, which still is what it was. */
static bool is_agent(pid_t pid)
{
	char path[64], text[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text));
	close(fd);
	return n > 0 && memmem(text, (size_t)n, "--autostarted", strlen("--autostarted"));
}

static void end_all(void *of)
{
	const struct autostarts *a = of;
	FILE *log = fopen(a->log, "re");
	long begun = now_ms();
	int pid;

	while (log && fscanf(log, "%d", &pid) == 1) {
		if (pid <= 1 || !is_agent(pid))
			continue;
		kill(pid, SIGTERM);
		while (is_agent(pid) && now_ms() - begun < LIMIT_MS)
			usleep(1000);
	}
	if (log)
		fclose(log);
}

void autostarts_become(const struct autostarts *a, const char *line)
{
	char *script = format("#!/bin/sh\necho $$ >>%s\n%s\n", a->log, line);

	write_file(a->binary, script, strlen(script));
	assert_int_equal(chmod(a->binary, 0755), 0);
}

static char *services_of(const struct backends *b)
{
	char *text = format("FAIRDIAL_SERVICES=web:80=");

	for (size_t i = 0; i < backends_count(b); i++)
		text = format("%s%s%s:%d", text, i ? "," : "", backends_address(b, i), backends_port(b, i));
	return text;
}

struct autostarts *autostarts_open(const struct backends *b)
{
	struct autostarts *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	after_test(free, a);
	a->root = scratch_dir();
	assert_int_equal(chmod(a->root, 0755), 0);
	a->bin = format("%s/bin", a->root);
	a->binary = format("%s/fairdial", a->bin);
	a->dir = format("%s/run", a->root);
	a->log = format("%s/starts", a->root);
	assert_int_equal(mkdir(a->bin, 0755), 0);
	write_file(a->log, "", 0);
	assert_int_equal(chmod(a->log, 0666), 0); /* whoever starts one */
	autostarts_become(a, format("exec %s \"$@\"", built("fairdial")));
	assert_clean(run(NULL, "cp", built("libfairdial.so"), a->root, NULL));
	a->env = with_env(NULL, format("LD_PRELOAD=%s/libfairdial.so", a->root), format("FAIRDIAL_DIR=%s", a->dir),
			  "FAIRDIAL_AUTOSTART=1", "FAIRDIAL_BALANCE=round_robin", services_of(b), NULL);
	after_test(end_all, a);
	return a;
}

const char *const *autostarts_waiting(const struct autostarts *a, const char *wait)
{
	return with_env(a->env, format("FAIRDIAL_WAIT=%s", wait), NULL);
}

void autostarts_expect(const struct autostarts *a, unsigned count)
{
	long begun = now_ms();
	size_t found;

	while ((found = lines_of(read_file(a->log, NULL))) < count && now_ms() - begun < LIMIT_MS)
		usleep(1000);
	assert_int_equal(found, count);
}
