/* SPDX-License-Identifier: Apache-2.0 */
/* The agent as a program: follows an API server, publishes, says what it lacks, and dies at any time without harm. */
#include "support/testing.h"

#include <signal.h>

#include "support/agents.h"
#include "support/api_server.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 20000 };

static struct api_server *api_of_web(void)
{
	struct api_server *api = api_start(NULL);

	api_put_service(api, "web", "10.96.0.1", "http:80");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.1 10.0.0.2");
	return api;
}

static void changes_of_endpoints_are_published_as_they_come(void **state)
{
	struct api_server *api = api_of_web();
	struct agent_run *a = agent_start(api, NULL, NULL);

	(void)state;
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080 10.0.0.2:8080");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.1 10.0.0.2 10.0.0.3");
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
	api_put_slice(api, "web-1", "web", "http:8080", "10.0.0.1,r0 10.0.0.3");
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080! 10.0.0.3:8080");
	api_put_slice(api, "web-2", "web", "http:8080", "10.0.0.9");
	agent_wait(a, "10.96.0.1:80", "10.0.0.1:8080! 10.0.0.3:8080 10.0.0.9:8080");
	api_delete(api, KUBE_SLICE, "web-1");
	agent_wait(a, "10.96.0.1:80", "10.0.0.9:8080");
	api_delete(api, KUBE_SERVICE, "web");
	agent_wait(a, "10.96.0.1:80", "none");
	agent_end(a, SIGTERM);
	assert_int_equal(a->process->exit_status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(changes_of_endpoints_are_published_as_they_come),
	};

	return RUN_TESTS(tests);
}
