/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FAIRDIAL_AUTOSTART and FAIRDIAL_WAIT: a dial that finds no table starts the agent beside the shim, the program sees nothing
 * of it, and waits no longer than it was told to.
 */
#include "support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/api_server.h"
#include "support/autostarts.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/process.h"
#include "support/services.h"
#include "table/mark.h"

enum { BACKENDS = 5, LIMIT_MS = 60000, COMMANDS = 1000, AT_ONCE = 48 };

/* Longer than any start takes, so that no dial goes without; shorter than what a test may take. */
#define LONG	"30s"
#define LONG_MS 30000

/* Nobody; and nobody that this test may meet, run once more at the same time: a directory of /tmp has the number in its name. */
static uid_t stranger(void)
{
	return 40000 + (uid_t)getpid() % 20000;
}

struct scene {
	struct backends *b;
	struct autostarts *a;
	const char *host, *port; /* of the first backend: a dial of it without a table passes through */
};

static struct scene scene_of(void)
{
	struct scene scene = { .b = backends_start(BACKENDS, ONE_PORT) };

	scene.a = autostarts_open(scene.b);
	scene.host = backends_address(scene.b, 0);
	scene.port = format("%d", backends_port(scene.b, 0));
	return scene;
}

/* What `starter` says: "backend-1 12 clean". */
struct saying {
	char answer[64], seen[64];
	long ms;
};

static struct saying take(const char *line)
{
	struct saying s = { "", "", -1 };
	const char *number = line;

	/* The answer may have spaces in it; behind the number there is what was seen, which has no digits. */
	for (const char *at = line; (at = strchr(at, ' ')); at++)
		if (at[1] >= '0' && at[1] <= '9')
			number = at;
	if (*number != ' ' || sscanf(number, " %ld %63[^\n]", &s.ms, s.seen) != 2)
		fail_msg("not a line of starter: \"%s\"", line);
	snprintf(s.answer, sizeof(s.answer), "%.*s", (int)(number - line), line);
	return s;
}

static struct saying start_as(const struct start *start)
{
	struct process *p = process_start(start);

	process_wait(p, LIMIT_MS);
	assert_clean(p);
	return take(p->out_text);
}

static struct saying start_to(const char *const *env, const char *how, const char *host, const char *port)
{
	return start_as(&(struct start){ .argv = ARGV(built("helpers/starter"), how, host, port), .env = env });
}

/* By the Service's name, which only the table knows. */
static struct saying start_by_name(const char *const *env, const char *how)
{
	return start_to(env, how, "web", "80");
}

static void assert_served(struct saying s)
{
	assert_int_equal(strncmp(s.answer, "backend-", 8), 0);
	assert_string_equal(s.seen, "clean");
}

/* To the first backend itself, without a table: as if nothing were there. */
static void assert_passes(const struct scene *scene, const char *const *env, const char *how)
{
	struct saying s = start_to(env, how, scene->host, scene->port);

	assert_string_equal(s.answer, "backend-1");
	assert_string_equal(s.seen, "clean");
}

static void wait_for_file(const char *path)
{
	for (long begun = now_ms(); access(path, F_OK) < 0; usleep(1000))
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("%s does not come", path);
}

/* Where there is no table. */
static void assert_status_says(const struct autostarts *a, const char *text)
{
	struct process *p = run(NULL, built("fairdial"), "status", "--dir", a->dir, NULL);

	assert_error(p, 1);
	if (!strstr(p->err_text, text))
		fail_msg("expected \"%s\": %s", text, p->err_text);
}

static struct mark mark_of(const struct autostarts *a)
{
	int fd = open(format("%s/" MARK_NAME, a->dir), O_RDONLY | O_CLOEXEC);
	struct mark mark;

	assert_true(fd >= 0);
	assert_int_equal(mark_read(fd, &mark), 0);
	close(fd);
	return mark;
}

/* ---- one agent, and nothing to be seen of it ---- */

static void thousand_commands_that_race_start_one_agent(void **state)
{
	struct scene scene = scene_of();
	const struct start start = { .argv = ARGV(built("helpers/starter"), "watch", "web", "80"),
				     .env = autostarts_waiting(scene.a, LONG) };
	unsigned counts[BACKENDS] = { 0 };
	long longest_ms = 0;
	size_t failed;
	char *rest = run_many(&start, COMMANDS, AT_ONCE, &failed), *line;

	(void)state;
	assert_int_equal(failed, 0);
	while ((line = strsep(&rest, "\n")) && *line) {
		struct saying s = take(line);

		assert_served(s);
		counts[atoi(s.answer + 8) - 1]++;
		longest_ms = s.ms > longest_ms ? s.ms : longest_ms;
	}
	printf("autostart: of %d commands, none waited for longer than %ld ms\n", COMMANDS, longest_ms);
	assert_even(counts, BACKENDS, COMMANDS, 1);
	autostarts_expect(scene.a, 1);
	assert_true(longest_ms <= LONG_MS);
}

static void program_sees_no_child_and_no_signal_of_it(void **state)
{
	static const char *const hows[] = { "watch", "reap" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct scene scene = scene_of();
		const char *program = i < 2 ? built("helpers/starter") : compiled_for_musl("starter", "");

		assert_served(start_as(&(struct start){ .argv = ARGV(program, hows[i % 2], "web", "80"),
							.env = autostarts_waiting(scene.a, LONG) }));
		autostarts_expect(scene.a, 1);
	}
}

static void threads_that_dial_at_once_start_one_agent(void **state)
{
	struct scene scene = scene_of();
	struct process *p = run(autostarts_waiting(scene.a, LONG), built("helpers/dialer"), "--threads", "16", "--count", "64",
				"web", "80", NULL);

	(void)state;
	assert_clean(p);
	assert_even_answers(p->out_text, BACKENDS, 64, 1);
	autostarts_expect(scene.a, 1);
}

/* Of one program, which dial before they have anything of their own. */
static void children_that_dial_at_once_start_one_agent(void **state)
{
	struct scene scene = scene_of();

	(void)state;
	assert_string_equal(start_by_name(autostarts_waiting(scene.a, LONG), "forks").answer, "16 of 16");
	autostarts_expect(scene.a, 1);
}

static bool has_line(const char *text, size_t size, const char *start)
{
	for (size_t at = 0; at < size; at += strlen(text + at) + 1)
		if (!strncmp(text + at, start, strlen(start)))
			return true;
	return false;
}

/* By reading what has no size of its own. */
static char *proc_file(pid_t pid, const char *name, size_t *size)
{
	char *text = format("%*s", 16384, "");
	int fd = open(format("/proc/%d/%s", (int)pid, name), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, 16383);

	if (n < 0)
		fail_msg("cannot read %s of process %d: %s", name, (int)pid, strerror(errno));
	close(fd);
	text[n] = '\0';
	*size = (size_t)n;
	return text;
}

static void agent_has_nothing_of_the_program(void **state)
{
	struct scene scene = scene_of();
	const char *const *env = with_env(autostarts_waiting(scene.a, LONG), "SECRET=1", "LD_LIBRARY_PATH=/nowhere",
					  "POD_NAME=web-0", NULL);
	char target[256], *text;
	pid_t agent;
	size_t size;
	ssize_t n;

	(void)state;
	assert_served(start_by_name(env, "watch"));
	agent = autostarts_agent(scene.a->dir);
	assert_true(agent > 0);
	text = proc_file(agent, "environ", &size);
	assert_false(has_line(text, size, "LD_"));
	assert_false(has_line(text, size, "SECRET"));
	assert_false(has_line(text, size, "FAIRDIAL_AUTOSTART"));
	assert_true(has_line(text, size, "FAIRDIAL_SERVICES=web:80="));
	assert_true(has_line(text, size, "POD_NAME=web-0"));
	n = readlink(format("/proc/%d/cwd", (int)agent), target, sizeof(target));
	assert_int_equal(n, 1);
	for (int fd = 0; fd < 3; fd++) {
		n = readlink(format("/proc/%d/fd/%d", (int)agent, fd), target, sizeof(target));
		assert_int_equal(n, 9);
		assert_memory_equal(target, "/dev/null", 9);
	}
}

/* However it came about that another process decides: it may have stopped in the middle. */
static void nobody_starts_one_while_another_decides(void **state)
{
	struct scene scene = scene_of();
	int fd;

	(void)state;
	assert_int_equal(mkdir(scene.a->dir, 0755), 0);
	fd = open(format("%s/" MARK_NAME, scene.a->dir), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(mark_lock(fd), 0);
	assert_passes(&scene, scene.a->env, "watch");
	autostarts_expect(scene.a, 0);
	assert_int_equal(mark_of(scene.a).state, MARK_NONE);
	close(fd);
	assert_passes(&scene, scene.a->env, "watch");
	autostarts_expect(scene.a, 1);
}

/* ---- who starts none ---- */

static void neither_pid_1_nor_who_adopts_orphans_starts_one(void **state)
{
	struct scene scene = scene_of();
	const char *starter = built("helpers/starter");

	(void)state;
	assert_passes(&scene, scene.a->env, "subreaper");
	if (geteuid())
		skip_because("only root makes pid namespaces without more ado");
	/* Its child would be PID 1 of that namespace, and take the namespace with it. */
	assert_clean(run(scene.a->env, "unshare", "-p", starter, "watch", scene.host, scene.port, NULL));
	assert_clean(run(scene.a->env, "unshare", "-pf", starter, "watch", scene.host, scene.port, NULL));
	autostarts_expect(scene.a, 0);
	assert_int_equal(access(scene.a->dir, F_OK), -1);
	/* But one of its children does; the namespace ends with its PID 1. */
	assert_clean(run_shell(scene.a->env, "unshare -pf sh -c '%s watch %s %s; until [ -s %s ]; do sleep 0.01; done'",
			       starter, scene.host, scene.port, scene.a->log));
	autostarts_expect(scene.a, 1);
}

/* The trace says why, and nobody waits for nobody. */
static void where_none_can_ever_be_started_nobody_waits_and_the_trace_says_why(void **state)
{
	struct scene scene = scene_of();
	const char *trace = format("%s/trace", scene.a->root), *starter = built("helpers/starter");
	const char *const *env = with_env(autostarts_waiting(scene.a, "60s"), format("FAIRDIAL_TRACE=attach:%s", trace), NULL);
	struct saying s = start_to(env, "subreaper", scene.host, scene.port);
	struct process *p;

	(void)state;
	assert_string_equal(s.answer, "backend-1");
	assert_true(s.ms < LONG_MS);
	assert_non_null(strstr(read_file(trace, NULL), " no agent is started: this process adopts orphans"));
	assert_int_equal(unlink(trace), 0);
	s = start_to(with_env(env, "FAIRDIAL_SERVICES", NULL), "watch", scene.host, scene.port);
	assert_string_equal(s.answer, "backend-1");
	assert_true(s.ms < LONG_MS);
	assert_non_null(strstr(read_file(trace, NULL), "neither KUBERNETES_SERVICE_HOST nor FAIRDIAL_SERVICES is set\n"));
	assert_int_equal(unlink(trace), 0);
	if (geteuid())
		skip_because("only root makes pid namespaces without more ado");
	p = run(env, "unshare", "-pf", starter, "watch", scene.host, scene.port, NULL);
	assert_clean(p);
	assert_true(take(p->out_text).ms < LONG_MS);
	assert_non_null(strstr(read_file(trace, NULL), " no agent is started: this process is PID 1"));
}

static void only_dials_of_tcp_and_lookups_start_one_where_there_is_something_to_follow(void **state)
{
	struct scene scene = scene_of();
	const char *const *nothing = with_env(scene.a->env, "FAIRDIAL_SERVICES", "KUBERNETES_SERVICE_HOST", NULL);
	const char *const *off = with_env(scene.a->env, "FAIRDIAL=off", NULL);
	const char *const *unasked = with_env(scene.a->env, "FAIRDIAL_AUTOSTART", NULL);

	(void)state;
	assert_clean(run(scene.a->env, "true", NULL));
	assert_passes(&scene, nothing, "watch");
	assert_passes(&scene, off, "watch");
	assert_passes(&scene, unasked, "watch");
	assert_string_equal(start_to(autostarts_waiting(scene.a, "60s"), "udp", scene.host, scene.port).answer, "udp");
	assert_int_equal(access(scene.a->dir, F_OK), -1);
	autostarts_expect(scene.a, 0);
	assert_passes(&scene, scene.a->env, "watch");
	autostarts_expect(scene.a, 1);
}

/* ---- what is not started ---- */

static void make_foreign(const struct autostarts *a)
{
	assert_int_equal(chown(a->binary, stranger(), stranger()), 0);
}

static void open_to_group(const struct autostarts *a)
{
	assert_int_equal(chmod(a->bin, 0775), 0);
}

static void open_to_all(const struct autostarts *a)
{
	assert_int_equal(chmod(a->bin, 0777), 0);
}

static void put_behind_a_link(const struct autostarts *a)
{
	const char *real = format("%s/real", a->root);

	assert_int_equal(rename(a->bin, real), 0);
	assert_int_equal(symlink(real, a->bin), 0);
}

static void take_away(const struct autostarts *a)
{
	assert_int_equal(unlink(a->binary), 0);
}

static void make_no_program(const struct autostarts *a)
{
	assert_int_equal(chmod(a->binary, 0644), 0);
}

static void make_garbage(const struct autostarts *a)
{
	write_file(a->binary, "\177ELF of nobody", 15);
}

static const struct {
	void (*change)(const struct autostarts *a);
	const char *why;
} unfit[] = {
	{ make_foreign, "not to be trusted" },
	{ open_to_group, "not to be trusted" },
	{ open_to_all, "not to be trusted" },
	{ put_behind_a_link, "not to be trusted" },
	{ take_away, "there is no fairdial" },
	{ make_no_program, "no program that this user" },
	{ make_garbage, "no program for this machine" },
};

/* And nobody waits for it, however long they would; and `status` says why. */
static void binary_that_is_unfit_is_not_started_and_not_waited_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(unfit) / sizeof(*unfit); i++) {
		struct scene scene;

		if (unfit[i].change == make_foreign && geteuid())
			continue;
		scene = scene_of();
		unfit[i].change(scene.a);
		for (int n = 0; n < 3; n++)
			assert_true(start_to(autostarts_waiting(scene.a, "60s"), "watch", scene.host, scene.port).ms < LONG_MS);
		autostarts_expect(scene.a, 0);
		assert_int_equal(mark_of(scene.a).tries, 1);
		assert_status_says(scene.a, unfit[i].why);
	}
}

static void binary_on_a_mount_without_programs_is_not_started(void **state)
{
	struct scene scene = scene_of();
	const char *mount =
		format("mount -t tmpfs -o noexec,mode=755 none %s && cp /bin/true %s/fairdial", scene.a->bin, scene.a->bin);
	struct process *p = run_shell(NULL, "unshare -m sh -c '%s'", mount);

	(void)state;
	if (p->exit_status)
		skip_because("cannot mount here: %s", p->err_text);
	p = run_shell(autostarts_waiting(scene.a, "60s"), "unshare -m sh -c '%s && exec %s watch %s %s'", mount,
		      built("helpers/starter"), scene.host, scene.port);
	assert_clean(p);
	assert_true(take(p->out_text).ms < LONG_MS);
	assert_int_equal(mark_of(scene.a).state, MARK_FAILED);
}

static void agent_that_fails_at_once_is_started_once_a_pause(void **state)
{
	struct scene scene = scene_of();

	(void)state;
	autostarts_become(scene.a, "exit 1");
	for (int i = 0; i < 20; i++)
		assert_passes(&scene, scene.a->env, "watch");
	autostarts_expect(scene.a, 1);
	assert_int_equal(mark_of(scene.a).tries, 1);
}

/* The tool itself says why, where those who wait look. */
static void agent_that_cannot_follow_is_not_waited_for(void **state)
{
	struct scene scene = scene_of();
	const char *services = format("FAIRDIAL_SERVICES=%s/none.json", scene.a->root);
	const char *const *env = with_env(autostarts_waiting(scene.a, "60s"), services, NULL);

	(void)state;
	assert_true(start_to(env, "watch", scene.host, scene.port).ms < LONG_MS);
	autostarts_expect(scene.a, 1);
	assert_int_equal(mark_of(scene.a).state, MARK_FAILED);
	assert_status_says(scene.a, "none.json");
}

/* ---- where the table is to be ---- */

static void other_users_start_one_of_their_own(void **state)
{
	struct scene scene = scene_of();
	const struct start start = { .argv = ARGV(built("helpers/starter"), "watch", "web", "80"),
				     .env = with_env(autostarts_waiting(scene.a, LONG), "FAIRDIAL_DIR", NULL),
				     .uid = stranger() };
	const char *dir = format("/tmp/fairdial-%u", stranger());
	struct stat st;
	pid_t agent;

	(void)state;
	if (geteuid())
		skip_because("only root becomes another user");
	if (access(dir, F_OK) == 0)
		skip_because("%s is there already", dir);
	assert_served(start_as(&start));
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_uid, stranger());
	assert_int_equal(st.st_mode & 07777, 0700);
	agent = autostarts_agent(dir);
	assert_true(agent > 0);
	assert_served(start_as(&start));
	autostarts_expect(scene.a, 1);
	kill(agent, SIGTERM);
	autostarts_wait_gone(dir, agent);
	assert_clean(run(NULL, "rm", "-r", dir, NULL));
}

/* A folder of that name, or a link, which somebody else made first. */
static void directory_that_a_stranger_made_is_not_used(void **state)
{
	struct scene scene = scene_of();
	const char *dir = format("/tmp/fairdial-%u", stranger()), *own = format("%s/own", scene.a->root);
	struct start start = { .argv = ARGV(built("helpers/starter"), "watch", scene.host, scene.port),
			       .env = with_env(scene.a->env, "FAIRDIAL_DIR", NULL),
			       .uid = stranger() };

	(void)state;
	if (geteuid())
		skip_because("only root becomes another user");
	if (access(dir, F_OK) == 0)
		skip_because("%s is there already", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(chown(dir, stranger() + 1, stranger() + 1), 0);
	assert_int_equal(chmod(dir, 0777), 0); /* he would like to have them in there */
	assert_string_equal(start_as(&start).answer, "backend-1");
	assert_int_equal(rmdir(dir), 0); /* it is empty */
	assert_int_equal(mkdir(own, 0755), 0);
	assert_int_equal(chown(own, stranger(), stranger()), 0);
	assert_int_equal(symlink(own, dir), 0);
	assert_string_equal(start_as(&start).answer, "backend-1");
	assert_int_equal(unlink(dir), 0);
	autostarts_expect(scene.a, 0);
}

static void directory_that_cannot_be_written_has_no_agent(void **state)
{
	struct scene scene = scene_of();
	const struct start start = { .argv = ARGV(built("helpers/starter"), "watch", scene.host, scene.port),
				     .env = scene.a->env,
				     .uid = stranger() };

	(void)state;
	if (geteuid())
		skip_because("only root becomes another user");
	assert_int_equal(mkdir(scene.a->dir, 0755), 0);
	assert_string_equal(start_as(&start).answer, "backend-1");
	assert_int_equal(chmod(scene.a->dir, 0777), 0); /* nor one that is not trusted */
	assert_string_equal(start_as(&start).answer, "backend-1");
	autostarts_expect(scene.a, 0);
}

static void each_directory_has_an_agent_of_its_own(void **state)
{
	struct scene scene = scene_of();
	const char *other = format("%s/other", scene.a->root);
	const char *const *env = autostarts_waiting(scene.a, LONG);

	(void)state;
	assert_served(start_by_name(env, "watch"));
	assert_served(start_by_name(with_env(env, format("FAIRDIAL_DIR=%s", other), NULL), "watch"));
	autostarts_expect(scene.a, 2);
	assert_true(autostarts_agent(scene.a->dir) != autostarts_agent(other));
}

static void table_that_was_published_for_good_needs_none(void **state)
{
	struct scene scene = scene_of();
	struct services *s = services_of_web(scene.b, NULL);
	struct process *p;

	(void)state;
	assert_served(start_by_name(with_env(scene.a->env, s->env[1], NULL), "watch"));
	autostarts_expect(scene.a, 0);
	p = run(with_env(scene.a->env, "LD_PRELOAD", NULL), built("fairdial"), "agent", "--autostarted", "--dir", s->dir, NULL);
	assert_int_equal(p->exit_status, 0);
	assert_int_equal(services_generation(s), 1);
}

/* ---- the wait ---- */

static void dial_that_does_not_block_does_not_wait(void **state)
{
	struct scene scene = scene_of();
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/dialer"), "--nonblocking", scene.host, scene.port),
		.env = with_env(NULL, format("LD_PRELOAD=%s", built("libfairdial.so")), "FAIRDIAL_DIR=/nowhere",
				"FAIRDIAL_WAIT=60s", NULL) });

	(void)state;
	process_wait(p, LONG_MS);
	assert_clean(p);
	assert_string_equal(p->out_text, "backend-1\n");
}

static const char *const *waiting_env(const struct services *s, const char *wait)
{
	return with_env(s->env, format("FAIRDIAL_WAIT=%s", wait), NULL);
}

/* A process whose trace tells that it waits. */
static struct process *start_waiting(const struct services *s, const char *how, const char *host, const char *port)
{
	const char *trace = format("%s/trace", s->root);
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("helpers/starter"), how, host, port),
		.env = with_env(waiting_env(s, "60s"), format("FAIRDIAL_TRACE=attach:%s", trace), NULL) });
	long begun = now_ms();

	while (access(trace, F_OK) < 0 || !strstr(read_file(trace, NULL), "waits for a table")) {
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("nobody waits");
		usleep(1000);
	}
	return p;
}

static void lookup_and_dial_wait_for_a_table_that_is_being_made(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct backends *b = backends_start(BACKENDS, ONE_PORT);
		struct services *s = services_open();
		struct process *p = start_waiting(s, "watch", i ? SERVICE_ADDRESS : "web", "80");

		services_publish_web(s, b, NULL);
		process_wait(p, LIMIT_MS);
		assert_clean(p);
		assert_served(take(p->out_text));
	}
}

/* An agent's first table is an empty one; what is waited for is the API's list. */
static void dial_waits_until_the_api_has_answered(void **state)
{
	struct scene scene = scene_of();
	struct api_server *api = api_start(NULL);
	const char *kubeconfig = format("%s/kubeconfig", scene.a->root);
	struct process *p;

	(void)state;
	api_write_kubeconfig(api, kubeconfig, &(struct api_kubeconfig){ .namespace = "shop" });
	api_put_service(api, "web", SERVICE_ADDRESS, "http:80");
	api_put_slice(api, "web-1", "web", format("http:%s", scene.port), scene.host);
	api_script(api, &(struct api_script){ .count = API_ALWAYS, .hold = true });
	p = process_start(&(struct start){
		.argv = ARGV(built("helpers/starter"), "watch", SERVICE_ADDRESS, "80"),
		.env = with_env(autostarts_waiting(scene.a, "60s"), "FAIRDIAL_SERVICES", "KUBERNETES_SERVICE_HOST=127.0.0.1",
				format("KUBECONFIG=%s", kubeconfig), NULL) });
	api_wait_held(api, 2, LIMIT_MS); /* of services, and of slices */
	wait_for_file(format("%s/table", scene.a->dir));
	api_unscript(api);
	api_release(api);
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	assert_string_equal(take(p->out_text).answer, "backend-1");
	autostarts_expect(scene.a, 1);
}

static void process_waits_once_and_no_longer_than_it_was_told(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_open();
	const char *port = format("%d", backends_port(b, 0));
	struct process *p;
	struct saying saying;
	long begun;

	(void)state;
	saying = start_to(waiting_env(s, "300ms"), "watch", backends_address(b, 0), port);
	assert_string_equal(saying.answer, "backend-1");
	assert_true(saying.ms >= 300);
	assert_true(saying.ms < LONG_MS);
	/* A second for each of a hundred dials would be more than the bound. */
	begun = now_ms();
	p = run(waiting_env(s, "1s"), built("helpers/dialer"), "--count", "100", "--threads", "4", backends_address(b, 0), port,
		NULL);
	assert_clean(p);
	assert_true(now_ms() - begun >= 1000);
	assert_true(now_ms() - begun < 20000);
}

/* Else a thousand of them take the time that the agent needs. strace slows each look, and so leaves room for fewer. */
static void threads_that_wait_look_one_for_all(void **state)
{
	enum { THREADS = 64 };
	struct scene scene = scene_of();
	const char *const *env = with_env(autostarts_waiting(scene.a, "1s"), "FAIRDIAL_AUTOSTART=0", NULL);
	const char *file = format("%s/strace", scene.a->root), *threads = format("%d", THREADS), *at;
	unsigned looks = 0;
	struct process *p;

	(void)state;
	if (run(NULL, "strace", "-o", "/dev/null", "true", NULL)->exit_status)
		skip_because("strace is not installed, or may not trace");
	p = run(env, "strace", "-f", "-qq", "-o", file, "-e", "trace=openat", built("helpers/dialer"), "--threads", threads,
		"--count", threads, scene.host, scene.port, NULL);
	assert_int_equal(p->exit_status, 0);
	for (at = read_file(file, NULL); (at = strstr(at, scene.a->dir)); at++)
		looks++;
	assert_in_range(looks, THREADS, THREADS * 12); /* each looks when its time is over; all by themselves: 60 times */
}

static void handler_ends_a_wait_as_it_ends_a_dial(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct services *s = services_open();
	const char *port = format("%d", backends_port(b, 0));
	const char *const programs[] = { built("helpers/starter"), compiled_for_musl("starter", "") };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct saying ended = start_as(&(struct start){
			.argv = ARGV(programs[i], "interrupt", backends_address(b, 0), port), .env = waiting_env(s, "60s") });
		struct saying went_on = start_as(&(struct start){
			.argv = ARGV(programs[i], "restart", backends_address(b, 0), port), .env = waiting_env(s, "500ms") });
		struct saying cancelled = start_as(&(struct start){
			.argv = ARGV(programs[i], "cancel", backends_address(b, 0), port), .env = waiting_env(s, "60s") });

		/* On loopback the connection may be there before anybody could say that it is not. */
		if (strcmp(ended.answer, "EINTR backend-1") && strcmp(ended.answer, "handled backend-1"))
			fail_msg("expected the dial to be interrupted: %s", ended.answer);
		assert_true(ended.ms < LONG_MS);
		assert_string_equal(went_on.answer, "handled backend-1");
		assert_true(went_on.ms >= 500);
		assert_string_equal(cancelled.answer, "cancelled");
		assert_true(cancelled.ms < LONG_MS);
	}
}

static void handler_that_closes_the_socket_ends_its_wait(void **state)
{
	struct backends *b = backends_start(1, ONE_PORT);
	struct saying s = start_to(waiting_env(services_open(), "60s"), "close", backends_address(b, 0),
				   format("%d", backends_port(b, 0)));

	(void)state;
	assert_string_equal(s.answer, "EBADF");
	assert_true(s.ms < LONG_MS);
	assert_int_equal(backends_accepted(b, 0), 0);
}

/* A signal that comes in the middle of a start: what it holds meanwhile (a lock, for one) would be held for good. */
static void handler_that_leaves_the_dial_leaves_nothing_of_a_start_behind(void **state)
{
	struct scene scene = scene_of();
	const char *file = format("%s/strace", scene.a->root);
	struct process *p;

	(void)state;
	if (run(NULL, "strace", "-o", "/dev/null", "-e", "inject=clone:signal=SIGUSR1", "true", NULL)->exit_status)
		skip_because("strace is not installed, or may not trace, or is older than 4.22");
	p = run(scene.a->env, "strace", "-qq", "-o", file, "-e", "trace=clone", "-e", "inject=clone:signal=SIGUSR1:when=1",
		built("helpers/starter"), "leave", scene.host, scene.port, NULL);
	assert_clean(p);
	assert_string_equal(take(p->out_text).answer, "left");
	autostarts_expect(scene.a, 1);
}

/* ---- the end of an agent, and its successor ---- */

static struct process *agent_of(const struct autostarts *a, const char *idle)
{
	struct process *p = process_start(&(struct start){
		.argv = ARGV(built("fairdial"), "agent", "--autostarted", "--exit-when-idle", idle, "--dir", a->dir),
		.env = with_env(a->env, "LD_PRELOAD", "FAIRDIAL_AUTOSTART", NULL),
		.end_with = SIGTERM });

	autostarts_wait(a->dir);
	wait_for_file(format("%s/table", a->dir));
	return p;
}

static void agent_that_nobody_uses_ends_and_the_next_dial_starts_another(void **state)
{
	struct scene scene = scene_of();
	struct process *agent = agent_of(scene.a, "1s"), *p;

	(void)state;
	/* One that has its table, and dials again when that has been taken back. */
	p = process_start(&(struct start){ .argv = ARGV(built("helpers/dialer"), "--step", "--count", "2", "web", "80"),
					   .env = autostarts_waiting(scene.a, LONG),
					   .interactive = true });
	process_say(p, "\n");
	assert_non_null(process_line(p, LIMIT_MS));
	process_wait(agent, LIMIT_MS);
	assert_int_equal(agent->exit_status, 0);
	assert_int_equal(access(format("%s/table", scene.a->dir), F_OK), -1);
	autostarts_expect(scene.a, 0);
	assert_status_says(scene.a, "as it does when nobody dials");
	process_say(p, "\n");
	assert_int_equal(strncmp(process_line(p, LIMIT_MS), "backend-", 8), 0);
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	assert_clean(p);
	autostarts_expect(scene.a, 1);
	assert_true(autostarts_agent(scene.a->dir) > 0);
}

static void connection_that_is_open_keeps_the_agent(void **state)
{
	struct scene scene = scene_of();
	struct process *agent = agent_of(scene.a, "1s");
	struct process *p = process_start(&(struct start){ .argv = ARGV(built("helpers/dialer"), "--hold", "web", "80"),
							   .env = scene.a->env,
							   .interactive = true });

	(void)state;
	process_expect(p, "ready", LIMIT_MS);
	usleep(3000000); /* three times as long as it would live; it cannot be told sooner that it does not end */
	assert_int_equal(autostarts_agent(scene.a->dir), agent->pid);
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	process_wait(agent, LIMIT_MS);
	assert_int_equal(agent->exit_status, 0);
}

static void agent_that_was_killed_is_replaced(void **state)
{
	struct scene scene = scene_of();
	pid_t first, second;

	(void)state;
	assert_served(start_by_name(autostarts_waiting(scene.a, LONG), "watch"));
	first = autostarts_agent(scene.a->dir);
	assert_true(first > 0);
	assert_int_equal(kill(first, SIGKILL), 0);
	autostarts_wait_gone(scene.a->dir, first);
	assert_served(start_by_name(scene.a->env, "watch")); /* by the list of the dead one */
	second = autostarts_wait(scene.a->dir);
	assert_true(second != first);
	autostarts_expect(scene.a, 2);
}

/* A program that asked for it does not replace what its operator runs otherwise. */
static void agent_that_a_person_started_is_not_replaced(void **state)
{
	struct scene scene = scene_of();
	struct process *p = agent_of(scene.a, "10m");

	(void)state;
	process_signal(p, SIGTERM);
	process_wait(p, LIMIT_MS);
	assert_int_equal(access(format("%s/" MARK_NAME, scene.a->dir), F_OK), 0);
	p = process_start(&(struct start){ .argv = ARGV(built("fairdial"), "agent", "--dir", scene.a->dir),
					   .env = with_env(scene.a->env, "LD_PRELOAD", "FAIRDIAL_AUTOSTART", NULL),
					   .end_with = SIGTERM });
	for (long begun = now_ms(); access(format("%s/" MARK_NAME, scene.a->dir), F_OK) == 0; usleep(1000))
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("the mark stays");
	process_signal(p, SIGKILL);
	process_wait(p, LIMIT_MS);
	assert_served(start_by_name(scene.a->env, "watch"));
	autostarts_expect(scene.a, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(thousand_commands_that_race_start_one_agent),
		TEST(program_sees_no_child_and_no_signal_of_it),
		TEST(threads_that_dial_at_once_start_one_agent),
		TEST(children_that_dial_at_once_start_one_agent),
		TEST(agent_has_nothing_of_the_program),
		TEST(nobody_starts_one_while_another_decides),
		TEST(neither_pid_1_nor_who_adopts_orphans_starts_one),
		TEST(where_none_can_ever_be_started_nobody_waits_and_the_trace_says_why),
		TEST(only_dials_of_tcp_and_lookups_start_one_where_there_is_something_to_follow),
		TEST(binary_that_is_unfit_is_not_started_and_not_waited_for),
		TEST(binary_on_a_mount_without_programs_is_not_started),
		TEST(agent_that_fails_at_once_is_started_once_a_pause),
		TEST(agent_that_cannot_follow_is_not_waited_for),
		TEST(other_users_start_one_of_their_own),
		TEST(directory_that_a_stranger_made_is_not_used),
		TEST(directory_that_cannot_be_written_has_no_agent),
		TEST(each_directory_has_an_agent_of_its_own),
		TEST(table_that_was_published_for_good_needs_none),
		TEST(dial_that_does_not_block_does_not_wait),
		TEST(lookup_and_dial_wait_for_a_table_that_is_being_made),
		TEST(dial_waits_until_the_api_has_answered),
		TEST(process_waits_once_and_no_longer_than_it_was_told),
		TEST(threads_that_wait_look_one_for_all),
		TEST(handler_ends_a_wait_as_it_ends_a_dial),
		TEST(handler_that_closes_the_socket_ends_its_wait),
		TEST(handler_that_leaves_the_dial_leaves_nothing_of_a_start_behind),
		TEST(agent_that_nobody_uses_ends_and_the_next_dial_starts_another),
		TEST(connection_that_is_open_keeps_the_agent),
		TEST(agent_that_was_killed_is_replaced),
		TEST(agent_that_a_person_started_is_not_replaced),
	};

	return RUN_TESTS(tests);
}
