/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long-lived connections that their programs make anew by themselves, one for each: gRPC channels, WebSockets, AMQP. At constant
 * load, three servers grow to six, and shrink to two: the connections end within one of even, and no request fails. All servers
 * go on serving all the time, so a request that fails does so because its connection was closed.
 */
#include "support/testing.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/databases.h"
#include "support/pools.h"
#include "support/process.h"
#include "support/services.h"

enum {
	SERVERS = 6,
	PROGRAMS = 4,
	CONNECTIONS = 12, /* divides evenly by three, six and two */
	LIMIT_MS = 90000,
};

struct streams {
	const char *kind;   /* stream_client.py */
	const char *window; /* of rebalance */
	const char *python; /* that has the module of that kind */
	struct services *s;
	struct place places[SERVERS];
	struct process *programs[PROGRAMS];
	unsigned answers, failed, again, ends; /* as all of them told */
};

/* ---- programs ---- */

static void start_server(struct streams *t, const char *kind)
{
	const char *argv[5 + SERVERS + 1] = { t->python, "-B", repository("tests/helpers/stream_server.py"), kind };

	unused_places(t->places, SERVERS);
	argv[4] = format("%d", t->places[0].port);
	for (size_t i = 0; i < SERVERS; i++)
		argv[5 + i] = t->places[i].address;
	process_expect(process_start(&(struct start){ .argv = argv }), "ready\n", LIMIT_MS);
}

static void start_programs(struct streams *t)
{
	for (size_t i = 0; i < PROGRAMS; i++)
		t->programs[i] = process_start(&(struct start){
			.argv = ARGV(t->python, "-B", repository("tests/helpers/stream_client.py"), t->kind, SERVICE_ADDRESS, "80",
				     format("%d", CONNECTIONS / PROGRAMS)),
			.env = t->s->env,
			.interactive = true });
}

static void expect_of_all(struct streams *t, const char *word)
{
	for (size_t i = 0; i < PROGRAMS; i++) {
		const char *line = process_line(t->programs[i], LIMIT_MS);

		if (!line || strcmp(line, word) != 0)
			fail_msg("%s: no \"%s\" but \"%s\": %s", t->kind, word, line ? line : "the end",
				 t->programs[i]->err_text);
	}
}

/* Until each connection has been asked some times more. */
static void wait_round(struct streams *t)
{
	for (size_t i = 0; i < PROGRAMS; i++)
		process_say(t->programs[i], "\n");
	expect_of_all(t, "round");
}

static void take_report(struct streams *t, struct process *p)
{
	const char *line;

	while ((line = process_line(p, LIMIT_MS))) {
		const struct {
			const char *format;
			unsigned *sum;
		} counts[] = { { "answers %u", &t->answers },
			       { "failed %u", &t->failed },
			       { "again %u", &t->again },
			       { "ends %u", &t->ends } };
		bool counted = false;

		for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
			unsigned n;

			if (sscanf(line, counts[i].format, &n) == 1 && (counted = true))
				*counts[i].sum += n;
		}
		if (!counted)
			printf("%s: %s\n", t->kind, line);
	}
}

static void end_programs(struct streams *t)
{
	for (size_t i = 0; i < PROGRAMS; i++)
		process_close_input(t->programs[i]);
	for (size_t i = 0; i < PROGRAMS; i++) {
		take_report(t, t->programs[i]);
		process_wait(t->programs[i], LIMIT_MS);
		assert_int_equal(t->programs[i]->exit_status, 0);
		fputs(t->programs[i]->err_text, stdout);
	}
	printf("%s: %u answers, %u failed; connections that were told to have ended: %u with a request, %u without\n", t->kind,
	       t->answers, t->failed, t->again, t->ends);
}

/* ---- what is counted ---- */

static bool is_peer(const char *hex, const struct place *place)
{
	struct in_addr addr;
	size_t skip = strcspn(hex, ":") == 32 ? 24 : 0; /* v4-mapped */
	unsigned ip, port;

	inet_pton(AF_INET, place->address, &addr);
	return sscanf(hex + skip, "%8X:%4X", &ip, &port) == 2 && ip == addr.s_addr && port == (unsigned)place->port;
}

/* Adds how many connections the programs have to each server: proc_pid_net(5), established ones by their peer. */
static void count_in(const char *path, const struct streams *t, unsigned *open)
{
	char line[512], peer[64];
	FILE *f = fopen(path, "re");
	unsigned state;

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < SERVERS; i++)
			open[i] += sscanf(line, " %*[^:]: %*s %63s %2X", peer, &state) == 2 && state == 1 &&
				   is_peer(peer, &t->places[i]);
	if (f)
		fclose(f);
}

static void count_open(const struct streams *t, unsigned open[SERVERS])
{
	memset(open, 0, SERVERS * sizeof(*open));
	count_in("/proc/net/tcp", t, open);
	count_in("/proc/net/tcp6", t, open);
}

static json_t *port_status(const struct streams *t)
{
	json_t *service = json_array_get(json_object_get(services_status(t->s), "services"), 0);

	return json_array_get(json_object_get(service, "ports"), 0);
}

static const char *shown_moves(const struct streams *t)
{
	char *text = json_dumps(json_object_get(json_object_get(port_status(t), "moves"), "moved"), 0);

	after_test(free, text);
	return text;
}

static long moved(const struct streams *t, const char *reason)
{
	json_t *count = json_object_get(json_object_get(json_object_get(port_status(t), "moves"), "moved"), reason);

	if (!json_is_integer(count))
		fail_msg("status counts no \"%s\"", reason);
	return (long)json_integer_value(count);
}

/* What status says of the first `count`, which are all that it knows. */
static void count_active(const struct streams *t, unsigned active[SERVERS], size_t count)
{
	memset(active, 0, SERVERS * sizeof(*active));
	for (size_t i = 0; i < count; i++)
		active[i] = (unsigned)services_endpoint(t->s, "web", t->places[i].address, t->places[i].port).active;
}

static char *shown(const unsigned counts[SERVERS])
{
	char *text = format("%s", "");

	for (size_t i = 0; i < SERVERS; i++)
		text = format("%s %u", text, counts[i]);
	return text;
}

/* The first `count` have all of them, none more than one above another. */
static bool is_even(const unsigned counts[SERVERS], size_t count)
{
	unsigned least = CONNECTIONS, most = 0, all = 0;

	for (size_t i = 0; i < count; i++) {
		least = counts[i] < least ? counts[i] : least;
		most = counts[i] > most ? counts[i] : most;
		all += counts[i];
	}
	for (size_t i = count; i < SERVERS; i++)
		all += counts[i] ? CONNECTIONS + 1 : 0;
	return all == CONNECTIONS && most - least <= 1;
}

/* ---- lists ---- */

static void publish(struct streams *t, size_t count)
{
	services_publish(t->s, service_entry("web", SERVICE_ADDRESS, 80, t->places, count,
					     format("\"drain\": \"idle\", \"rebalance\": \"%s\", \"quiet\": \"300ms\"",
						    t->window)));
}

/* Until the connections are even over the first `count`, by the kernel and by status; and they are after a round more. */
static void wait_even(struct streams *t, size_t count)
{
	unsigned open[SERVERS], active[SERVERS] = { 0 };
	long end = now_ms() + LIMIT_MS;

	for (;; usleep(50000)) { /* /proc tells nobody; the condition decides, not the time */
		count_open(t, open);
		if (is_even(open, count)) {
			count_active(t, active, count);
			if (is_even(active, count))
				break;
		}
		if (now_ms() > end)
			fail_msg("%s: not even over %zu:%s; status counts%s; moved %s", t->kind, count, shown(open), shown(active),
				 shown_moves(t));
	}
}

static void assert_even_still(struct streams *t, size_t count)
{
	unsigned open[SERVERS];
	long rebalanced = moved(t, "rebalance"), drained = moved(t, "drain");

	wait_round(t);
	wait_even(t, count);
	count_open(t, open);
	printf("%s: over %zu:%s connections; moved %s\n", t->kind, count, shown(open), shown_moves(t));
	assert_int_equal(moved(t, "rebalance"), rebalanced);
	assert_int_equal(moved(t, "drain"), drained);
}

/* All of it, from servers that listen. */
static void follow(struct streams *t)
{
	t->s = services_open();
	publish(t, 3);
	start_programs(t);
	expect_of_all(t, "ready");
	wait_even(t, 3);
	assert_even_still(t, 3);
	assert_int_equal(moved(t, "rebalance"), 0);
	publish(t, 6);
	wait_even(t, 6);
	assert_even_still(t, 6);
	assert_int_equal(moved(t, "rebalance"), 6); /* the fewest after which each has its share */
	publish(t, 2);
	wait_even(t, 2);
	assert_even_still(t, 2);
	assert_int_equal(moved(t, "drain"), 8); /* two of each that went */
	assert_int_equal(moved(t, "rebalance") + moved(t, "cut") + moved(t, "max_age"), 6);
	end_programs(t);
}

/* ---- kinds ---- */

/* For whoever is quiet in every pause: six are to move, one after another, and the last has a pause left. */
#define WINDOW "6s"

/*
 * gRPC asks for the round trip (a PING, to learn the bandwidth) in about every second pause, and between calls nobody reads what
 * the server says to that: such a pause is not quiet. The last one to move has three seconds left of this.
 */
#define GRPC_WINDOW "20s"

static void grpc_channels_follow_the_list_and_no_request_fails(void **state)
{
	struct streams t = { .kind = "grpc", .window = GRPC_WINDOW, .python = python_with("grpc") };

	(void)state;
	start_server(&t, "grpc");
	follow(&t);
	assert_int_equal(t.failed, 0);
}

/*
 * Between calls nobody polls the socket of such a channel, so the next call is written to a connection that has ended, and fails
 * with UNAVAILABLE, as it does where a server closes without a GOAWAY. That is what a retry policy is for: README.
 */
static void a_grpc_channel_without_a_retry_policy_fails_at_most_one_request_for_each_move(void **state)
{
	struct streams t = { .kind = "grpc-plain", .window = GRPC_WINDOW, .python = python_with("grpc") };

	(void)state;
	start_server(&t, "grpc");
	follow(&t);
	assert_true(t.failed <= 14);
}

static void websockets_follow_the_list_and_no_request_fails(void **state)
{
	struct streams t = { .kind = "websocket", .window = WINDOW, .python = python_with("websockets") };

	(void)state;
	start_server(&t, "websocket");
	follow(&t);
	assert_int_equal(t.failed, 0);
	assert_int_equal(t.again + t.ends, 14);
}

static void follow_amqp(const char *kind)
{
	struct streams t = { .kind = kind, .window = WINDOW, .python = python_with("pika") };

	start_rabbitmq(t.places, SERVERS);
	follow(&t);
	assert_int_equal(t.failed, 0);
	assert_int_equal(t.again + t.ends, 14);
}

static void amqp_connections_follow_the_list_and_no_request_fails(void **state)
{
	(void)state;
	follow_amqp("amqp");
}

static void amqp_connections_with_heartbeats_follow_the_list_and_no_request_fails(void **state)
{
	(void)state;
	follow_amqp("amqp-heartbeat");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(grpc_channels_follow_the_list_and_no_request_fails),
		TEST(a_grpc_channel_without_a_retry_policy_fails_at_most_one_request_for_each_move),
		TEST(websockets_follow_the_list_and_no_request_fails),
		TEST(amqp_connections_follow_the_list_and_no_request_fails),
		TEST(amqp_connections_with_heartbeats_follow_the_list_and_no_request_fails),
	};

	return RUN_TESTS(tests);
}
