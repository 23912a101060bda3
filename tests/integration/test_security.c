/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What those can do, and cannot, who are not to be trusted: another user of the machine, another process of the pod, another team's
 * Service. The README's table "Who may do what" names these tests, and those that were there before them.
 */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/model.h"
#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/dns.h"
#include "support/kube_asks.h"
#include "support/process.h"
#include "support/scrapes.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { VICTIM = 64321, STRANGER = 64322, NOBODY = 65534, LIMIT_MS = 60000, MAPPED = 200, REFUSED = 200 };

static void write_text(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

/* Root of a user namespace that has one user alone is not enough. */
static void need_root(void)
{
	if (chown(scratch_dir(), STRANGER, STRANGER) < 0)
		skip_because("only root becomes another user");
}

/* In a child that is the stranger: its exit status. */
static int as_stranger(int (*what)(const char *dir), const char *dir)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(setgid(STRANGER) || setuid(STRANGER) ? 99 : what(dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

/* ---- a table that is exchanged ---- */

static bool is_forbidden(int r)
{
	return r < 0 && (errno == EACCES || errno == EPERM);
}

/* 0, or the number of the first that was let through. In a sticky directory a new name can be made, and that is all. */
static int tries_to_exchange(const char *dir)
{
	char table[256], own[256], spare[256];
	int made;

	snprintf(table, sizeof(table), "%s/table", dir);
	snprintf(own, sizeof(own), "%s/own", dir);
	snprintf(spare, sizeof(spare), "%s/spare", dir);
	made = open(own, O_WRONLY | O_CREAT, 0644);
	if (made >= 0 && !is_forbidden(rename(own, table)))
		return 1;
	if (made >= 0 && !is_forbidden((int)syscall(SYS_renameat2, AT_FDCWD, own, AT_FDCWD, table, RENAME_EXCHANGE)))
		return 2;
	if (!is_forbidden(rename(table, spare)))
		return 3;
	if (!is_forbidden(unlink(table)))
		return 4;
	if (!is_forbidden(open(table, O_RDWR)) || !is_forbidden(truncate(table, 0)) || !is_forbidden(chmod(table, 0666)))
		return 5;
	if (!is_forbidden(chmod(dir, 0777)) || !is_forbidden(rmdir(dir)))
		return 6;
	return mount(dir, dir, NULL, MS_BIND, NULL) == 0 ? 7 : 0;
}

static void stranger_can_neither_write_nor_exchange_what_is_trusted(void **state)
{
	char *dir = scratch_dir(), *ours;
	struct table *table;

	(void)state;
	need_root();
	publish_alone(dir, builder_web("10.0.0.1:80"));
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(as_stranger(tries_to_exchange, dir), 0);
	assert_int_equal(chmod(dir, 01777), 0);
	assert_int_equal(as_stranger(tries_to_exchange, dir), 0);
	table = map_table(dir);
	ours = endpoints_at(table, "10.96.0.1:80", PROTOCOL_TCP);
	assert_string_equal(ours, "10.0.0.1:80");
	free(ours);
	assert_int_equal(chmod(dir, 0777), 0); /* else these attempts could not succeed at all */
	assert_int_not_equal(as_stranger(tries_to_exchange, dir), 0);
}

/* Exchanges two names of its own directory until it is killed. */
static pid_t start_exchanging(const char *a, const char *b)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(STRANGER) || setuid(STRANGER))
			_exit(99);
		for (int i = 0; i < 50000000; i++)
			if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
				_exit(98);
		_exit(0);
	}
	return pid;
}

/*
 * The directory lies in one of the stranger's, who may therefore put anything in its place: his own, with a table of his, or with
 * one that the victim would believe elsewhere, as a second name of an old one is. Whatever the moment, what is read lies in the
 * directory that was looked at.
 */
static void exchange_leads_nowhere(uid_t owner)
{
	struct trust trust = { .euid = VICTIM, .shim_uid = VICTIM };
	char *top = scratch_dir(), *dir = format("%s/dir", top), *other = format("%s/other", top);
	long limit = now_ms() + LIMIT_MS;
	int mapped = 0, refused = 0, foreign = 0, odd = 0;
	pid_t pid;

	publish_alone(dir, builder_web("10.0.0.1:80"));
	publish_alone(other, builder_web("10.66.66.66:80"));
	assert_int_equal(chown(format("%s/table", other), owner, owner) + chown(other, STRANGER, STRANGER), 0);
	assert_int_equal(chown(top, STRANGER, STRANGER) + chmod(top, 0755), 0);
	assert_int_equal(chown(format("%s/table", dir), VICTIM, VICTIM) + chown(dir, VICTIM, VICTIM), 0);
	pid = start_exchanging(dir, other);
	while ((mapped < MAPPED || refused < REFUSED) && now_ms() < limit) {
		struct table table;
		char *says;
		int r = table_map(dir, &trust, &table, NULL);

		if (r == 0) {
			says = endpoints_at(&table, "10.96.0.1:80", PROTOCOL_TCP);
			foreign += !says || strcmp(says, "10.0.0.1:80") != 0;
			free(says);
			table_unmap(&table);
		}
		mapped += r == 0;
		refused += r == -EPERM;
		odd += r != 0 && r != -EPERM;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(foreign, 0);
	assert_int_equal(odd, 0);
	assert_true(mapped >= MAPPED && refused >= REFUSED);
}

static void exchange_between_look_and_map_leads_nowhere(void **state)
{
	(void)state;
	need_root();
	exchange_leads_nowhere(STRANGER);
	exchange_leads_nowhere(VICTIM);
}

/* ---- locks ---- */

/* Every lock that can be had of what can be opened for reading; holds them until it is killed. */
static void lock_all(const char *dir, int tell)
{
	static const char *const names[] = { ".", "table", "lock", "ledger" };
	char held[8] = "";

	if (setgid(STRANGER) || setuid(STRANGER))
		_exit(99);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct flock shared = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
		int fd = open(format("%s/%s", dir, names[i]), O_RDONLY | O_CLOEXEC);

		held[i] = fd < 0 ? '-' : flock(fd, LOCK_SH | LOCK_NB) == 0 ? 'L' : 'l';
		if (fd >= 0)
			fcntl(fd, F_SETLK, &shared);
	}
	if (write(tell, held, sizeof(held)) != sizeof(held))
		_exit(98);
	for (;;)
		pause();
}

static pid_t start_locking(const char *dir, char held[8])
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		lock_all(dir, ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], held, 8), 8);
	close(ends[0]);
	return pid;
}

/* Else whoever may read a table could keep its next agent out for ever, and an update by hand as well. */
static void lock_of_a_stranger_keeps_nobody_from_publishing(void **state)
{
	struct api_server *api = api_of_web(NULL);
	const char *dir = scratch_dir();
	struct agent_run *a;
	char held[8];
	pid_t pid;

	(void)state;
	need_root();
	publish_alone(dir, builder_web("10.0.0.9:80"));
	assert_int_equal(chmod(dir, 0755), 0);
	pid = start_locking(dir, held);
	assert_string_equal(held, "LL--"); /* the third one is not for strangers, and there is no ledger */
	publish_alone(dir, builder_web("10.0.0.8:80"));
	a = agent_start(api, dir, NULL);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
	assert_int_equal(agent_logged(a, "waiting for it to end"), 0);
	agent_end(a, SIGTERM);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/*
 * For a node's agent: who is root in a pod that mounts a namespace's folder has that lock as well. The agent goes on with the other
 * namespaces, and takes this one when it is free.
 */
static void lock_of_one_namespace_is_the_trouble_of_its_table_alone(void **state)
{
	struct api_server *api = api_of_web(NULL);
	const char *dir = scratch_dir(), *shop = format("%s/shop", dir), *till = format("%s/till", dir);
	struct agent_run *a;
	int fd;

	(void)state;
	api_put_service(api, "pay.till", "10.96.0.2", "http:80");
	assert_int_equal(mkdir(till, 0755), 0);
	fd = open(format("%s/lock", till), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	a = agent_start(api, dir, ARGV("--all-namespaces", "--per-namespace"));
	agent_wait_log(a, "namespace till: another fairdial publishes into");
	agent_wait(&(struct agent_run){ .process = a->process, .dir = (char *)shop }, WEB_PORT, "10.0.0.1:8080");
	assert_string_equal(table_says(till, "10.96.0.2:80"), "no table");
	close(fd);
	agent_wait(&(struct agent_run){ .process = a->process, .dir = (char *)till }, "10.96.0.2:80", "");
	agent_wait_log(a, "namespace till is well again");
}

/* A name that was there first, where others may make some; and one that is a link to a file of ours. */
static void lock_that_a_stranger_made_is_refused(void **state)
{
	const char *dir = scratch_dir(), *lock = format("%s/lock", dir), *precious = format("%s/precious", scratch_dir());
	struct writer_options options = { .is_static = true };
	struct table_writer *writer;
	struct report why = { "" };

	(void)state;
	need_root();
	write_text(lock, "");
	assert_int_equal(chown(lock, STRANGER, STRANGER), 0);
	assert_int_equal(writer_open(dir, &options, &writer, &why), -EPERM);
	assert_non_null(strstr(why.text, lock));
	assert_int_equal(unlink(lock), 0);
	write_text(precious, "precious");
	assert_int_equal(symlink(precious, lock), 0);
	assert_int_equal(writer_open(dir, &options, &writer, &why), -ELOOP);
	assert_int_equal(unlink(lock), 0);
	write_text(lock, ""); /* ours, and everybody's to read: it is not for long */
	assert_int_equal(writer_open(dir, &options, &writer, &why), 0);
	writer_close(writer);
	assert_int_equal(run_shell(NULL, "test $(stat -c %%a %s) = 600", lock)->exit_status, 0);
}

/* Whatever the umask: what a program makes is for its user, what all may read nobody else may write. */
static void umask_gives_nothing_away(void **state)
{
	static const char *const modes[] = { "table 644", "lock 600", "ledger 600", ". 755" };
	const char *dir = format("%s/dir", scratch_dir());
	const char *const *env = with_env(NULL, format("DIR=%s", dir), format("FILE=%s.json", dir), format("BIN=%s", built("")),
					  NULL);

	(void)state;
	write_text(format("%s.json", dir), "{\"services\": [{\"name\": \"web\", \"ports\": [{\"port\": 80}], "
					   "\"endpoints\": [\"10.0.0.1:80\"]}]}");
	assert_clean(run_shell(env, "umask 000; \"$BIN/fairdial\" publish --services $FILE --dir $DIR >/dev/null && rm $DIR/ledger && "
				    "FAIRDIAL_DIR=$DIR LD_PRELOAD=$BIN/libfairdial.so cat /dev/null"));
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		assert_clean(run_shell(env, "set -- %s; test \"$(stat -c %%a $DIR/$1)\" = $2", modes[i]));
}

/* ---- places that are strange ---- */

static const char *made(const char *line)
{
	const char *dir = scratch_dir();

	assert_clean(run_shell(with_env(NULL, format("D=%s", dir), NULL), "cd $D && %s", line));
	return dir;
}

static struct process *dial(const struct services *s, const char *dir, const struct backends *b, uid_t uid)
{
	const char *const *env = with_env(s->env, dir ? format("FAIRDIAL_DIR=%s", dir) : "FAIRDIAL_DIR", NULL);
	struct start start = { .argv = ARGV(built("helpers/dialer"), "--count", "4", backends_address(b, 0),
					    format("%d", backends_port(b, 0))),
			       .env = env,
			       .uid = uid };
	struct process *p = process_start(&start);

	process_wait(p, LIMIT_MS);
	return p;
}

#define PASSED "backend-1\nbackend-1\nbackend-1\nbackend-1\n"

static void places_that_hold_no_table_are_as_without(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	struct services *s = services_at_first(b, NULL);
	const char *const places[] = {
		"/dev", "/proc/self/fd", "/dev/null", "/dev/zero", "/etc/passwd", "/", "../..", ".", "table", "\x1b[31m",
		made("ln -s /dev/zero table"),
		made("ln -s table table"),
		made("mkfifo table"),
		made("mknod table c 1 5 2>/dev/null || mkdir table"),
		made("truncate -s 64M table"),		    /* nothing but a hole */
		made("truncate -s 8T table 2>/dev/null || truncate -s 1G table"),
		format("%s/..", s->dir),
		format("/%0*d", 4200, 1),		    /* longer than a path */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct process *p = dial(s, places[i], b, 0);

		if (p->exit_status != 0 || p->err_length || strcmp(p->out_text, PASSED) != 0)
			fail_msg("place %zu: exit status %d, \"%s\", \"%s\"", i, p->exit_status, p->out_text, p->err_text);
	}
	/* A way round to the table leads there all the same. */
	assert_null(strstr(dial(s, format("%s/../%s", s->dir, strrchr(s->dir, '/') + 1), b, 0)->out_text, "backend-1"));
}

static void leave_mount(void *dir)
{
	umount2(dir, MNT_DETACH);
}

/* A /run and a /tmp of the test's own, in its own mount namespace; what the test needs of the old /tmp it keeps. */
static char *own_place(const char *path)
{
	char *copy = format("%s", path);

	if (mount("test", path, "tmpfs", 0, "mode=1777") < 0)
		skip_because("cannot mount a tmpfs");
	after_test(leave_mount, copy);
	return copy;
}

static struct process *as_victim(const char *const *env, const char *line)
{
	struct start start = { .argv = ARGV("sh", "-c", line), .env = env, .uid = VICTIM };
	struct process *p = process_start(&start);

	process_wait(p, LIMIT_MS);
	return p;
}

/* What the victim's shim and tool are told to read must be readable for it, and lie outside of what is covered. */
static const char *readable_copies(void)
{
	static const char *const files[] = { "fairdial", "libfairdial.so", "helpers/dialer" };
	char *place = own_place("/mnt");

	assert_int_equal(chmod(place, 0755), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_clean(run(NULL, "cp", built(files[i]), place, NULL));
	return place;
}

static const char *const *victim_env(const struct backends *b, const char *bin, const char *mine)
{
	return with_env(NULL, "FAIRDIAL_DIR", "FAIRDIAL_LEDGER", "FAIRDIAL_SERVICES", "KUBERNETES_SERVICE_HOST",
			format("BIN=%s", bin), format("MINE=%s", mine), format("TO=%s %d", backends_address(b, 0), backends_port(b, 0)), NULL);
}

static void assert_passed_over_by_readers(const char *const *env)
{
	struct process *p = as_victim(env, "LD_PRELOAD=$BIN/libfairdial.so $BIN/dialer --count 4 $TO");

	assert_clean(p);
	assert_string_equal(p->out_text, PASSED);
	p = as_victim(env, "FAIRDIAL_AUTOSTART=1 FAIRDIAL_SERVICES='web:1=10.0.0.1:1' LD_PRELOAD=$BIN/libfairdial.so "
			   "$BIN/dialer --count 4 $TO");
	assert_clean(p);
	assert_string_equal(p->out_text, PASSED);
	p = as_victim(env, "$BIN/fairdial status");
	assert_int_equal(p->exit_status, 1);
	assert_int_equal(p->out_length, 0);
}

static void assert_passed_over_by_all(const char *const *env)
{
	struct process *p;

	assert_passed_over_by_readers(env);
	p = as_victim(env, "exec timeout 30 $BIN/fairdial agent --services $MINE --dir /tmp/fairdial-$(id -u)");
	assert_int_equal(p->exit_status, 1);
	assert_non_null(strstr(p->err_text, "/tmp/fairdial-"));
	p = as_victim(env, "$BIN/fairdial publish --services $MINE --dir /tmp/fairdial-$(id -u)");
	assert_int_equal(p->exit_status, 1);
	/* It has a directory of its own. */
	p = as_victim(env, "$BIN/fairdial run --services $MINE -- $BIN/dialer phantom 80");
	assert_string_equal(p->out_text, "backend-2\n");
	assert_int_equal(p->exit_status, 0);
}

static void directory_in_tmp_that_a_stranger_made_first_is_passed_over_by_all(void **state)
{
	struct backends *b = backends_start(3, ONE_PORT);
	const char *dir = format("/tmp/fairdial-%d", VICTIM), *bin, *file, *const *env;
	struct services *s = services_at_first(b, NULL);
	char *his, *table;
	size_t size;

	(void)state;
	need_root();
	table = read_file(s->table, &size);
	bin = readable_copies();
	own_place("/run");
	file = format("%s/services.json", bin);
	write_text(file, format("{\"services\": [{\"name\": \"phantom\", \"ports\": [{\"port\": 80}], \"endpoints\": [\"%s:%d\"]}]}",
				backends_address(b, 1), backends_port(b, 1)));
	env = victim_env(b, bin, file);
	own_place("/tmp");
	/* His own directory, with a table that would lead the victim elsewhere. */
	assert_int_equal(mkdir(dir, 0755), 0);
	his = format("%s/table", dir);
	write_file(his, table, size);
	assert_int_equal(chown(his, STRANGER, STRANGER) + chown(dir, STRANGER, STRANGER), 0);
	assert_passed_over_by_all(env);
	/* With a table that the victim would believe, linked there by name. */
	assert_int_equal(chown(his, VICTIM, VICTIM), 0);
	assert_passed_over_by_all(env);
	/* A link to a directory of the victim's own, with a table of its own. */
	assert_int_equal(mkdir("/tmp/own", 0755) + chown("/tmp/own", VICTIM, VICTIM), 0);
	assert_int_equal(rename(his, "/tmp/own/table") + rmdir(dir), 0);
	assert_int_equal(symlink("/tmp/own", dir) + lchown(dir, STRANGER, STRANGER), 0);
	assert_passed_over_by_readers(env);
	assert_int_equal(unlink(dir), 0);
	/* What the directory is there for. */
	assert_int_equal(mkdir(dir, 0700), 0);
	write_file(his, table, size);
	assert_int_equal(chown(his, VICTIM, VICTIM) + chown(dir, VICTIM, VICTIM), 0);
	assert_null(strstr(as_victim(with_env(NULL, "FAIRDIAL_DIR", NULL),
				     format("LD_PRELOAD=%s/libfairdial.so %s/dialer --count 4 %s %d", bin, bin,
					    backends_address(b, 0), backends_port(b, 0)))->out_text, "backend-1"));
}

static const char *life_of_root(const struct services *s, const char *life)
{
	struct process *p = run(s->env, built("helpers/lives"), life, SERVICE_ADDRESS, "80", "-", NULL);

	assert_clean(p);
	return p->out_text;
}

/* Only where nobody listens at the Service's own address is a dial answered that the table has led elsewhere. */
static void user_that_a_program_is_for_a_moment_is_not_believed(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct services *s = services_of_web(b, NULL);

	(void)state;
	need_root();
	assert_int_equal(chmod(s->root, 0755) + chmod(s->dir, 0755), 0);
	assert_int_equal(chown(s->table, NOBODY, NOBODY) + chown(s->dir, NOBODY, NOBODY), 0);
	assert_string_equal(life_of_root(s, "user-for-a-moment"), "answers: 0 0 0\n");
	assert_non_null(strstr(life_of_root(s, "another-user"), " 1 1\n")); /* for good, it is that user */
}

/* In a directory of the stranger's, who can rename what is in it: the name leads to a folder of ours when it is to be removed. */
static void private_directory_of_run_that_became_a_link_is_not_followed(void **state)
{
	const char *place = scratch_dir(), *precious = scratch_dir();
	const char *const *env = with_env(NULL, "FAIRDIAL_DIR", format("TMPDIR=%s", place), format("PRECIOUS=%s", precious), NULL);
	struct process *p;

	(void)state;
	need_root();
	write_text(format("%s/file", precious), "precious");
	assert_int_equal(chown(place, STRANGER, STRANGER) + chmod(place, 0755), 0);
	p = run_shell(env, "exec %s run --service web:80=10.0.0.1:80 -- setpriv --reuid %d --regid %d --clear-groups sh -c '"
			   "cd $TMPDIR && for D in *; do mv $D moved; ln -s $PRECIOUS $D; done'",
		      built("fairdial"), STRANGER, STRANGER);
	assert_int_equal(p->exit_status, 0);
	assert_int_equal(access(format("%s/moved", place), F_OK), 0); /* so it was exchanged */
	assert_int_equal(access(format("%s/file", precious), F_OK), 0);
}

/* The same before anything is published: it waits for its services, which come from a FIFO. */
static void private_directory_of_run_that_became_a_link_is_not_written_to(void **state)
{
	const char *place = scratch_dir(), *precious = scratch_dir(), *fifo = format("%s/fifo", scratch_dir());
	const char *const *env = with_env(NULL, "FAIRDIAL_DIR", format("TMPDIR=%s", place), format("PRECIOUS=%s", precious),
					  format("FIFO=%s", fifo), format("RUN=%s run", built("fairdial")), NULL);
	struct process *p;

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	p = run_shell(env, "$RUN --services $FIFO -- true & P=$!; "
			   "until D=$(ls -d $TMPDIR/fairdial-run-* 2>/dev/null); do sleep 0.02; done; "
			   "mv $D $TMPDIR/moved; ln -s $PRECIOUS $D; echo '{\"services\": [{\"name\": \"web\", \"ports\": "
			   "[{\"port\": 80}], \"endpoints\": [\"10.0.0.1:80\"]}]}' >$FIFO; wait $P");
	assert_int_equal(p->exit_status, 1);
	assert_non_null(strstr(p->err_text, "cannot open the directory"));
	assert_clean(run_shell(env, "test -z \"$(ls $PRECIOUS)\" && test -z \"$(ls $TMPDIR/moved)\""));
}

/* ---- what a Service may claim ---- */

static void service_claims_no_address_but_those_the_api_gave_it(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);
	static const char *const never[] = { "192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80", "192.0.2.4:80",
					     "192.0.2.5:80", "10.96.0.7:80" };

	(void)state;
	api_put_json(api, KUBE_SERVICE,
		     "{'metadata':{'name':'greedy'},'spec':{'type':'LoadBalancer','clusterIP':'10.96.0.6','clusterIPs':['10.96.0.6'],"
		     "'externalIPs':['192.0.2.1'],'loadBalancerIP':'192.0.2.2','ports':[{'name':'http','port':80,'nodePort':30080}]},"
		     "'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.3','ipMode':'VIP'},{'ip':'192.0.2.4'}]}}}");
	api_put_json(api, KUBE_SERVICE,
		     "{'metadata':{'name':'elsewhere'},'spec':{'type':'ExternalName','externalName':'192.0.2.5',"
		     "'clusterIP':'10.96.0.7','clusterIPs':['10.96.0.7'],'ports':[{'name':'http','port':80}]}}");
	api_put_slice(api, "greedy-1", "greedy", "http:8080", "10.66.0.1");
	api_put_slice(api, "elsewhere-1", "elsewhere", "http:8080", "10.66.0.2");
	agent_wait(a, "10.96.0.6:80", "10.66.0.1:8080");
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_string_equal(table_says(a->dir, never[i]), "none");
	assert_string_equal(table_says(a->dir, "10.96.0.6:30080"), "none");
}

/* Two teams, two namespaces; the agent follows both, and the second one says what is the first one's. */
static void other_namespace_takes_no_dial_of_a_service(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_start(api, NULL, ARGV("--namespace", "shop,other"));
	const char *slice = "{'metadata':{'name':'%s','namespace':'other','labels':{'kubernetes.io/service-name':'%s'},"
			    "'ownerReferences':[{'apiVersion':'v1','kind':'Service','name':'web','uid':'1'}]},"
			    "'addressType':'IPv4','endpoints':[{'addresses':['10.66.0.1']}],'ports':[{'name':'http','port':8080}]}";

	(void)state;
	agent_wait(a, WEB_PORT, "10.0.0.1:8080");
	api_put_json(api, KUBE_SLICE, format(slice, "web-1", "web"));
	api_put_json(api, KUBE_SLICE, format(slice, "web-2", "web.shop"));
	api_put_json(api, KUBE_SLICE, format(slice, "web-3", "shop/web"));
	api_put_service(api, "web.other", "10.96.0.9", "http:80");
	agent_wait(a, "10.96.0.9:80", "10.66.0.1:8080"); /* its own Service has it */
	assert_string_equal(table_says(a->dir, WEB_PORT), "10.0.0.1:8080");
}

/* The node's own: a cloud's metadata, a cache of the DNS. And what is nobody's. */
static void endpoints_that_can_be_no_pods_are_left_out(void **state)
{
	struct api_server *api = api_of_web(NULL);
	struct agent_run *a = agent_of_web(api, NULL);

	(void)state;
	api_put_slice(api, "web-2", "web", "http:80", "169.254.169.254 169.254.20.10 224.0.0.1 255.255.255.255 0.0.0.0 10.0.0.2");
	agent_wait(a, WEB_PORT, "10.0.0.1:8080 10.0.0.2:80");
}

/* It would be the pod that dials. Where the API server is on loopback itself, servers may be. */
static void endpoints_on_loopback_are_left_out_unless_the_api_is_there(void **state)
{
	struct api_server *api;
	const char *server;

	(void)state;
	dns_start();
	dns_put("/etc/hosts", "127.0.0.1 localhost\n127.0.0.1 kubernetes.default.svc\n");
	api = api_of_web(NULL);
	server = format("https://kubernetes.default.svc:%d", api_port(api));
	api_put_slice(api, "web-2", "web", "http:80", "127.0.0.1 10.0.0.2");
	agent_wait(agent_start(api, NULL, NULL), WEB_PORT, "10.0.0.1:8080 10.0.0.2:80 127.0.0.1:80");
	agent_wait(agent_start_as(&(struct agent_setup){
			   .api = api, .kubeconfig = &(struct api_kubeconfig){ .namespace = "shop", .server = server } }),
		   WEB_PORT, "10.0.0.1:8080 10.0.0.2:80");
}

/* Whoever writes it is whom the pod's dials are entrusted to: it may name any address, and what it does not name is left alone. */
static void services_file_claims_what_it_names_and_nothing_else(void **state)
{
	struct services *s = services_open();

	(void)state;
	services_publish(s, "{\"name\": \"out\", \"addresses\": [\"192.0.2.9\"], \"ports\": [{\"port\": 443}], "
			    "\"endpoints\": [\"10.0.0.1:8443\"]}");
	assert_string_equal(table_says(s->dir, "192.0.2.9:443"), "10.0.0.1:8443");
	assert_string_equal(table_says(s->dir, "192.0.2.9:80"), "none");
	assert_string_equal(table_says(s->dir, "192.0.2.10:443"), "none");
	assert_string_equal(table_says(s->dir, "10.0.0.1:8443"), "none");
}

/* ---- the agent ---- */

static void assert_is_not_in(const char *where, const char *secret)
{
	FILE *file = fopen(where, "re");
	char bytes[65536];
	size_t n = file ? fread(bytes, 1, sizeof(bytes), file) : 0;

	if (!file || n == 0)
		fail_msg("%s cannot be read", where);
	fclose(file);
	if (memmem(bytes, n, secret, strlen(secret)))
		fail_msg("%s has the token", where);
}

static void token_is_in_no_metric_no_table_and_not_in_the_process_list(void **state)
{
	static const char *const pages[] = { "/metrics", "/healthz", "/readyz", "/", "/metrics?token=1", "/../../etc/passwd" };
	const char *secret = "sesame-0123456789-abcdefghijklmnopqrstuvwxyz", *file = format("%s/token", scratch_dir());
	const struct api_kubeconfig config = { .namespace = "shop", .token_file = file };
	struct api_server *api = api_of_web(NULL);
	const struct agent_setup setup = { .api = api, .kubeconfig = &config, .more = ARGV(LISTEN_ANY) };
	struct agent_run *a;
	int port;

	(void)state;
	write_text(file, secret);
	api_require_token(api, secret);
	a = agent_start_as(&setup);
	agent_wait(a, WEB_PORT, "10.0.0.1:8080"); /* so it has been read, and used */
	port = listen_port(a);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		struct answer answer = scrape_send(port, "GET", pages[i], "Authorization: Bearer nobody\r\n");

		assert_null(memmem(answer.body, answer.size, secret, strlen(secret)));
		assert_null(strstr(answer.head, secret));
		assert_null(strstr(answer.body, "root:"));
	}
	assert_is_not_in(format("%s/table", a->dir), secret);
	assert_is_not_in(format("/proc/%d/cmdline", (int)a->process->pid), secret);
	assert_is_not_in(format("/proc/%d/environ", (int)a->process->pid), secret);
	agent_end(a, SIGTERM);
	assert_null(strstr(a->process->err_text, secret));
	assert_null(strstr(a->process->out_text, secret));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(stranger_can_neither_write_nor_exchange_what_is_trusted),
		TEST(exchange_between_look_and_map_leads_nowhere),
		TEST(lock_of_a_stranger_keeps_nobody_from_publishing),
		TEST(lock_of_one_namespace_is_the_trouble_of_its_table_alone),
		TEST(lock_that_a_stranger_made_is_refused),
		TEST(umask_gives_nothing_away),
		TEST(places_that_hold_no_table_are_as_without),
		TEST(directory_in_tmp_that_a_stranger_made_first_is_passed_over_by_all),
		TEST(user_that_a_program_is_for_a_moment_is_not_believed),
		TEST(private_directory_of_run_that_became_a_link_is_not_followed),
		TEST(private_directory_of_run_that_became_a_link_is_not_written_to),
		TEST(service_claims_no_address_but_those_the_api_gave_it),
		TEST(other_namespace_takes_no_dial_of_a_service),
		TEST(endpoints_that_can_be_no_pods_are_left_out),
		TEST(endpoints_on_loopback_are_left_out_unless_the_api_is_there),
		TEST(services_file_claims_what_it_names_and_nothing_else),
		TEST(token_is_in_no_metric_no_table_and_not_in_the_process_list),
	};

	(void)argc;
	dns_need_namespaces(argv);
	return RUN_TESTS(tests);
}
