/* SPDX-License-Identifier: Apache-2.0 */
#include "support/databases.h"

#include <arpa/inet.h>
#include <glob.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"

enum { START_LIMIT_MS = 60000 };

bool place_answers(const struct place *place)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)place->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected;

	inet_pton(AF_INET, place->address, &to.sin_addr);
	connected = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	close(fd);
	return connected;
}

static void wait_for(const struct place *place, const char *log)
{
	long end = now_ms() + START_LIMIT_MS;

	while (!place_answers(place)) {
		if (now_ms() > end)
			fail_msg("no server at %s:%d: %s", place->address, place->port,
				 log ? read_file(log, NULL) : "");
		usleep(20000);
	}
}

/* Starts `line` with sh, as `uid`; what it says goes to `log`. */
static void start_server(const char *line, const char *log, uid_t uid, int end_with)
{
	const char *argv[] = { "sh", "-c", format("exec %s >%s 2>&1", line, log), NULL };

	process_start(&(struct start){ .argv = argv, .uid = uid, .end_with = end_with });
}

static void must(const char *line, uid_t uid)
{
	const char *argv[] = { "sh", "-c", line, NULL };
	struct process *p = process_start(&(struct start){ .argv = argv, .uid = uid });

	process_wait(p, START_LIMIT_MS);
	if (p->exit_status)
		fail_msg("%s: %s%s", line, p->out_text, p->err_text);
}

void start_mariadb(struct place *places, size_t count)
{
	const char *dir = scratch_dir(), *user = geteuid() ? "" : "--user=root", *small = "--innodb-log-file-size=4M";

	if (!program_exists("mariadbd") || !program_exists("mariadb-install-db"))
		skip_because("MariaDB's server is not installed");
	must(format("mariadb-install-db --no-defaults %s --datadir=%s/1 --auth-root-authentication-method=normal "
		    "--skip-test-db %s",
		    user, dir, small),
	     0);
	for (size_t i = 2; i <= count; i++)
		must(format("cp -a %s/1 %s/%zu", dir, dir, i), 0);
	unused_places(places, count);
	for (size_t i = 0; i < count; i++)
		start_server(
			format("mariadbd --no-defaults %s %s --datadir=%s/%zu --socket=%s/%zu/socket --bind-address=%s "
			       "--port=%d --server-id=%zu --pid-file=%s/%zu/pid --skip-grant-tables "
			       "--skip-networking=0 "
			       "--skip-name-resolve --innodb-buffer-pool-size=8M --max-connections=500",
			       user, small, dir, i + 1, dir, i + 1, places[i].address, places[i].port, i + 1, dir,
			       i + 1),
			format("%s/%zu.log", dir, i + 1), 0, 0);
	for (size_t i = 0; i < count; i++)
		wait_for(&places[i], format("%s/%zu.log", dir, i + 1));
}

/* The folder of PostgreSQL's server programs; NULL: not installed. */
static const char *postgres_folder(void)
{
	const char *const patterns[] = { "/usr/lib/postgresql/*/bin/postgres", "/usr/libexec/postgresql*/postgres",
					 "/usr/bin/postgres" };
	char *found = NULL;
	glob_t all;

	for (size_t i = 0; !found && i < sizeof(patterns) / sizeof(*patterns); i++) {
		if (glob(patterns[i], 0, NULL, &all))
			continue;
		found = format("%s", all.gl_pathv[all.gl_pathc - 1]);
		*strrchr(found, '/') = '\0';
		globfree(&all);
	}
	return found;
}

/* PostgreSQL refuses to be root. */
static uid_t somebody(void)
{
	struct passwd *user = getpwnam("postgres");

	if (geteuid())
		return 0;
	if (!user)
		user = getpwnam("nobody");
	if (!user)
		skip_because("there is no unprivileged user for PostgreSQL");
	return user->pw_uid;
}

void start_postgres(struct place *places, size_t count)
{
	const char *dir = scratch_dir(), *bin = postgres_folder();
	uid_t uid;

	if (!bin)
		skip_because("PostgreSQL's server is not installed");
	uid = somebody();
	if (uid && chown(dir, uid, (gid_t)-1))
		fail_msg("cannot give %s away", dir);
	must(format("%s/initdb -D %s/1 -A trust --no-sync -U postgres", bin, dir), uid);
	for (size_t i = 2; i <= count; i++)
		must(format("cp -a %s/1 %s/%zu", dir, dir, i), uid);
	unused_places(places, count);
	for (size_t i = 0; i < count; i++)
		start_server(format("%s/postgres -D %s/%zu -h %s -p %d -k '' -c cluster_name=backend-%zu -c fsync=off "
				    "-c shared_buffers=1MB",
				    bin, dir, i + 1, places[i].address, places[i].port, i + 1),
			     format("%s/%zu.log", dir, i + 1), uid,
			     SIGINT); /* its shared memory would outlive SIGKILL */
	for (size_t i = 0; i < count; i++)
		wait_for(&places[i], format("%s/%zu.log", dir, i + 1));
}

void start_redis(struct place *places, size_t count)
{
	const char *dir = scratch_dir();

	if (!program_exists("redis-server"))
		skip_because("Redis is not installed");
	unused_places(places, count);
	for (size_t i = 0; i < count; i++)
		start_server(format("redis-server --bind %s --port %d --save '' --appendonly no --dir %s "
				    "--protected-mode no",
				    places[i].address, places[i].port, dir),
			     format("%s/%zu.log", dir, i + 1), 0, 0);
	for (size_t i = 0; i < count; i++) {
		wait_for(&places[i], format("%s/%zu.log", dir, i + 1));
		must(format("redis-cli -h %s -p %d set id backend-%zu", places[i].address, places[i].port, i + 1), 0);
	}
}

/* Where it lies, not the one in PATH, which is for the package's own user and folders; NULL: not installed. */
static const char *rabbitmq_server(void)
{
	const char *const patterns[] = { "/usr/lib/rabbitmq/bin/rabbitmq-server",
					 "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server" };
	const char *found = NULL;
	glob_t all;

	for (size_t i = 0; !found && i < sizeof(patterns) / sizeof(*patterns); i++) {
		if (glob(patterns[i], 0, NULL, &all))
			continue;
		found = format("%s", all.gl_pathv[0]);
		globfree(&all);
	}
	return found;
}

/* Erlang's nodes register there; without one of ours, Erlang would start one that outlives the test. */
static struct place start_epmd(const char *dir)
{
	struct place place = { "127.0.0.1", unused_port() };
	const char *log = format("%s/epmd.log", dir);

	start_server(format("epmd -address %s -port %d", place.address, place.port), log, 0, 0);
	wait_for(&place, log);
	return place;
}

static void configure_rabbitmq(const char *dir, const struct place *places, size_t count)
{
	char *text = format("%s", "loopback_users.guest = false\nlog.file = false\nlog.console = true\n");

	for (size_t i = 0; i < count; i++)
		text = format("%slisteners.tcp.%zu = %s:%d\n", text, i + 1, places[i].address, places[i].port);
	write_file(format("%s/rabbitmq.conf", dir), text, strlen(text));
	write_file(format("%s/plugins", dir), "[].\n", 4);
}

/* `detached`: the script becomes the server, which then ends with the test. */
static const char *rabbitmq_environment(const char *dir, int epmd_port)
{
	return format("env HOME=%s ERL_EPMD_PORT=%d ERL_EPMD_ADDRESS=127.0.0.1 detached=1 RABBITMQ_NODENAME=fairdial@localhost "
		      "RABBITMQ_CONF_ENV_FILE=%s/none RABBITMQ_CONFIG_FILE=%s/rabbitmq.conf "
		      "RABBITMQ_ENABLED_PLUGINS_FILE=%s/plugins RABBITMQ_MNESIA_BASE=%s/mnesia RABBITMQ_LOG_BASE=%s/logs",
		      dir, epmd_port, dir, dir, dir, dir, dir);
}

/* A node that has its name at once does without another start of Erlang, which would only see to an epmd. */
static const char *rabbitmq_erlang(void)
{
	return "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-sname fairdial@localhost -start_epmd false -setcookie fairdial "
	       "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none'";
}

void start_rabbitmq(struct place *places, size_t count)
{
	const char *server = rabbitmq_server(), *dir = scratch_dir(), *log = format("%s/log", dir);

	if (!server || !program_exists("epmd"))
		skip_because("RabbitMQ is not installed");
	unused_places(places, count);
	configure_rabbitmq(dir, places, count);
	start_server(format("%s %s %s", rabbitmq_environment(dir, start_epmd(dir).port), rabbitmq_erlang(), server), log, 0, 0);
	for (size_t i = 0; i < count; i++)
		wait_for(&places[i], log);
}
