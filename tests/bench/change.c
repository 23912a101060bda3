/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change SERVICES COUNT CLIENT: the time from a change in the API to the first dial that uses it. The server is the stand-in of the
 * tests, the agent follows it with so many other Services, and a program under the shim dials without a pause; one endpoint of its
 * Service is another each time. Prints "ns N" for each change, from before the server has written it until that dial has
 * returned. All of it on loopback.
 */
#include "support/testing.h"

#include <signal.h>

#include "base/clock.h"
#include "support/agents.h"
#include "support/api_server.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"

enum { LIMIT_MS = 30000 };

static unsigned services, changes;
static const char *client;

static void put_others(struct api_server *api)
{
	for (unsigned i = 0; i < services; i++) {
		char *name = format("other-%u", i);

		api_put_service(api, name, format("10.97.%u.%u", i / 250, i % 250 + 1), "http:80");
		api_put_slice(api, format("%s-abcde", name), name, "http:8080", format("10.245.%u.%u", i / 250, i % 250 + 1));
	}
}

static void put_endpoint(struct api_server *api, const struct backends *b, unsigned i)
{
	api_put_slice(api, "web-abcde", "web", format("http:%d", backends_port(b, i)), backends_address(b, i));
}

/* What `client until` says: when the first connection to that address stood. */
static double dialed_at(struct process *p, const struct backends *b, unsigned i)
{
	process_say(p, format("%s\n", backends_address(b, i)));
	return atof(process_line(p, LIMIT_MS));
}

static void a_change_is_dialed(void **state)
{
	struct backends *b = backends_start(2, ONE_PORT);
	struct api_server *api = api_start(NULL);
	struct agent_run *a;
	struct process *p;

	(void)state;
	put_others(api);
	api_put_service(api, "web", "127.80.0.1", "http:80");
	put_endpoint(api, b, 0);
	a = agent_start(api, NULL, NULL);
	agent_wait(a, "127.80.0.1:80", format("%s:%d", backends_address(b, 0), backends_port(b, 0)));
	p = process_start(&(struct start){ .argv = ARGV(client, "until", "127.80.0.1", "80"), .env = a->env, .interactive = true });
	dialed_at(p, b, 0);
	for (unsigned i = 1; i <= changes; i++) {
		double begun = (double)clock_read_ns(CLOCK_MONOTONIC);

		put_endpoint(api, b, i % 2);
		printf("ns %.0f\n", dialed_at(p, b, i % 2) - begun);
	}
	process_close_input(p);
	process_wait(p, LIMIT_MS);
	assert_int_equal(p->exit_status, 0);
	agent_end(a, SIGTERM);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_change_is_dialed),
	};

	if (argc != 4) {
		fprintf(stderr, "usage: change SERVICES COUNT CLIENT\n");
		return 2;
	}
	services = (unsigned)atoi(argv[1]);
	changes = (unsigned)atoi(argv[2]);
	client = argv[3];
	return RUN_TESTS(tests);
}
