/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include "support/backends.h"
#include "support/process.h"
#include "support/services.h"
#include "support/spread.h"

enum { SERVERS = 3, DATABASE_RUNS = 30, BACKENDS = 5 };

void assert_runs_spread(struct services *s, const struct backends *b, size_t runs, unsigned dials,
			const struct start *start)
{
	size_t failed;
	char *answers = run_many(start, runs, 1, &failed);

	assert_int_equal(failed, 0);
	assert_even_answers(answers, backends_count(b), (unsigned)runs * dials, 0);
	assert_status_matches(s, "web", b);
}

void assert_run_spread(struct services *s, const struct backends *b, unsigned dials, const struct process *p,
		       int exit_status)
{
	if (p->exit_status != exit_status)
		fail_msg("exit status %d, signal %d; stdout:\n%s\nstderr:\n%s", p->exit_status, p->signal, p->out_text,
			 p->err_text);
	assert_even_answers(p->out_text, backends_count(b), dials, 0);
	assert_status_matches(s, "web", b);
}

void assert_dialer_is_spread(const char *root, const char *dialer)
{
	struct backends *b = backends_start(BACKENDS, ONE_PORT);
	struct services *s = services_of_web(b, ROUND_ROBIN);
	const char *const *const envs[] = { s->env, with_env(s->env, "LD_BIND_NOW=1", NULL) };
	const char *const *const clients[] = {
		ARGV(dialer, "--count", "10", "web", "80"),
		ARGV(dialer, "--count", "10", SERVICE_ADDRESS, "80"),
		ARGV(dialer, "--count", "10", "--nonblocking", "web", "80"),
		ARGV(dialer, "--count", "10", "--nonblocking", SERVICE_ADDRESS, "80"),
		ARGV(dialer, "--count", "10", "--v6mapped", "web", "80"),
		ARGV(dialer, "--count", "10", "--fastopen", "web", "80"),
	};

	for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++)
		for (size_t j = 0; j < 2; j++)
			assert_run_spread(s, b, 10, run_in_root(root, envs[j], clients[i]), 0);
}

void assert_database_is_spread(const struct place *places, const char *name, int port, const struct start *start)
{
	struct services *s = services_open();
	struct start shimmed = *start;
	size_t failed;
	char *answers;

	services_publish(s, service_entry(name, SERVICE_ADDRESS, port, places, SERVERS, ROUND_ROBIN));
	shimmed.env = s->env;
	answers = run_many(&shimmed, DATABASE_RUNS, 2, &failed);
	assert_int_equal(failed, 0);
	assert_even_answers(answers, SERVERS, DATABASE_RUNS, 0);
	for (size_t i = 0; i < SERVERS; i++)
		assert_int_equal(services_endpoint(s, name, places[i].address, places[i].port).dials,
				 DATABASE_RUNS / SERVERS);
}

void assert_mysql_is_spread(const char *root, const struct place *places)
{
	const char *const who = "select concat('backend-', @@server_id)";
	const char *const *const clients[] = {
		ARGV("mysql", "--no-defaults", "-h", "db", "-P", "3306", "-N", "-e", who),
		ARGV("mysql", "--no-defaults", "-h", SERVICE_ADDRESS, "-N", "-e", who),
	};

	for (size_t i = 0; i < 2; i++)
		assert_database_is_spread(places, "db", 3306, &(struct start){ .argv = clients[i], .root = root });
}
