/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that dial both families of a Service at once (RFC 8305), of which one is a black hole: they close that dial
 * while it is under way, and nobody may hold it against the endpoint, which may only be slower.
 */
#include "support/testing.h"

#include <stdbool.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/keeping.h"
#include "support/process.h"
#include "support/services.h"
#include "support/tun.h"

enum { BACKENDS = 2, DIALS = 4 };

/* Of the documentation's prefix, which leads to the TUN device, whose responder knows no IPv6. Preferred (RFC 6724). */
static const char *const holes[] = { "2001:db8::2", "2001:db8::3" };

struct street {
	struct backends *backends;
	struct services *s;
	struct keeping *k;
};

static void lead_ipv6_into_the_hole(void)
{
	struct process *p = run(NULL, "ip", "-6", "addr", "add", "2001:db8::1/32", "dev", "fairdial0", "nodad", NULL);

	if (p->exit_status)
		skip_because("no IPv6 in a network namespace: %s", p->err_text);
}

/* `web`, with addresses and endpoints of both families. Whoever fails once is out for long. */
static struct street open_street(const char *program)
{
	struct street street = { 0 };
	struct place places[BACKENDS + 2];

	if (!program_exists(program) || !program_exists("ip"))
		skip_because("no %s", program_exists("ip") ? program : "ip");
	tun_open();
	lead_ipv6_into_the_hole();
	street.backends = backends_start(BACKENDS, ONE_PORT);
	street.s = services_open();
	memcpy(places, backends_places(street.backends), BACKENDS * sizeof(places[0]));
	for (int i = 0; i < 2; i++) {
		snprintf(places[BACKENDS + i].address, sizeof(places[0].address), "%s", holes[i]);
		places[BACKENDS + i].port = 80;
	}
	services_publish(street.s, service_entry("web", SERVICE_ADDRESS "\", \"2001:db8::20", 80, places, BACKENDS + 2,
						 "\"eject_after\": 1, \"eject_timeouts_after\": 1, \"eject_for\": \"60s\""));
	street.k = keep_by_hand(street.s, false);
	return street;
}

static const char *hole_place(int i)
{
	return format("[%s]:80", holes[i]);
}

/* SYNs, among others, that were sent again in this namespace: on a slow machine, a dial may have lasted a second. */
static unsigned sent_again(void)
{
	FILE *file = fopen("/proc/net/snmp", "re");
	unsigned long n = 0;
	char line[1024];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "Tcp: %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %lu", &n) == 1;
	if (file)
		fclose(file);
	assert_true(found);
	return (unsigned)n;
}

/* Its dials came through, by the other family; those that it gave up are ended, and held against nobody. */
static void assert_gives_up_without_blame(struct street *street, const char *const *argv)
{
	unsigned dials = 0, failures = 0;

	for (int i = 0; i < DIALS; i++) {
		struct process *p = process_start(&(struct start){ .argv = argv, .env = street->s->env });

		process_wait(p, 60000);
		assert_clean(p);
		if (strncmp(p->out_text, "backend-", 8) != 0)
			fail_msg("%s: %s", argv[0], p->out_text);
	}
	for (int i = 0; i < 2; i++) {
		expect_active(street->k, hole_place(i), 0);
		dials += score_at(street->k, hole_place(i)).dials;
		failures += score_at(street->k, hole_place(i)).failures;
	}
	for (int i = 0; i < BACKENDS; i++)
		failures += score_at(street->k, place_of(backends_address(street->backends, (size_t)i),
							 backends_port(street->backends, (size_t)i))).failures;
	if (dials < DIALS)
		fail_msg("%s: %u dials into the hole: it is not tried first", argv[0], dials);
	if (failures > sent_again())
		fail_msg("%s: %u failures of %u dials that it gave up", argv[0], failures, dials);
}

static void curl_gives_up_without_blame(void **state)
{
	struct street street = open_street("curl");

	(void)state;
	assert_gives_up_without_blame(&street, ARGV("curl", "-sS", "--happy-eyeballs-timeout-ms", "100", "http://web/"));
}

static void node_gives_up_without_blame(void **state)
{
	static const char script[] =
		"const s = require('net').connect({ host: 'web', port: 80, autoSelectFamily: true,\n"
		"	autoSelectFamilyAttemptTimeout: 250 }, () => s.write('who\\n'));\n"
		"s.once('data', (line) => { process.stdout.write(line); s.destroy(); });\n";
	struct street street = open_street("node");

	(void)state;
	assert_gives_up_without_blame(&street, ARGV("node", "-e", script));
}

static void asyncio_gives_up_without_blame(void **state)
{
	static const char script[] =
		"import asyncio\n"
		"async def main():\n"
		"    reader, writer = await asyncio.open_connection('web', 80, happy_eyeballs_delay=0.1)\n"
		"    writer.write(b'who\\n')\n"
		"    print((await reader.readline()).decode(), end='')\n"
		"    writer.close()\n"
		"asyncio.run(main())\n";
	struct street street = open_street("python3");

	(void)state;
	assert_gives_up_without_blame(&street, ARGV("python3", "-c", script));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(curl_gives_up_without_blame),
		TEST(node_gives_up_without_blame),
		TEST(asyncio_gives_up_without_blame),
	};

	(void)argc;
	tun_need_root(argv);
	return RUN_TESTS(tests);
}
