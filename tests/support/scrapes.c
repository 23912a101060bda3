/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testing.h"

#include "support/scrapes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/agents.h"
#include "support/cleanup.h"
#include "support/process.h"

enum { LIMIT_MS = 60000, PAUSE_MS = 20 };

int listen_port(struct agent_run *a)
{
	static const char says[] = "/readyz on 127.0.0.1:";
	int port;

	agent_wait_log(a, says);
	agent_wait_log(a, "\n");
	port = atoi(strstr(a->process->err_text, says) + sizeof(says) - 1);
	assert_true(port > 0);
	return port;
}

/* ---- requests ---- */

static struct sockaddr_in address_of(const char *ip, int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	assert_int_equal(inet_pton(AF_INET, ip, &sa.sin_addr), 1);
	return sa;
}

int scrape_connect(int port, const char *from)
{
	struct sockaddr_in there = address_of("127.0.0.1", port), here = address_of(from ? from : "127.0.0.1", 0);
	const struct timeval limit = { .tv_sec = LIMIT_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	close_after_test(fd);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&there, sizeof(there)), 0);
	return fd;
}

void scrape_write(int fd, const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

/* Up to the end; what ends with a reset is taken for ended as well. */
static char *read_all(int fd, size_t *ret_len)
{
	size_t len = 0, size = 65536;
	char *all = malloc(size);
	ssize_t n;

	assert_non_null(all);
	while ((n = recv(fd, all + len, size - len - 1, 0)) > 0) {
		len += (size_t)n;
		if (size - len < 32768)
			all = realloc(all, size *= 2);
		assert_non_null(all);
	}
	if (n < 0 && errno == EAGAIN)
		fail_msg("no end within %d ms of an answer of %zu bytes so far", LIMIT_MS, len);
	all[len] = '\0';
	*ret_len = len;
	return all;
}

struct answer scrape_ask(int port, const char *request)
{
	int fd = scrape_connect(port, NULL);
	struct answer answer = { 0 };
	char *all, *end;
	size_t len;

	scrape_write(fd, request);
	all = read_all(fd, &len);
	after_test(free, all);
	end = strstr(all, "\r\n\r\n");
	if (!end || sscanf(all, "HTTP/1.%*d %d", &answer.status) != 1)
		fail_msg("this is no answer: \"%s\"", all);
	*end = '\0';
	answer.head = all;
	answer.body = end + 4;
	answer.size = len - (size_t)(answer.body - all);
	return answer;
}

struct answer scrape_send(int port, const char *method, const char *path, const char *headers)
{
	return scrape_ask(port, format("%s %s HTTP/1.1\r\nHost: agent\r\n%s\r\n", method, path, headers ? headers : ""));
}

static const char *metrics_of(int port, const char *headers)
{
	struct answer answer = scrape_send(port, "GET", "/metrics", headers);

	if (answer.status != 200)
		fail_msg("/metrics answers %d: %s", answer.status, answer.body);
	return answer.body;
}

const char *scrape(int port)
{
	return metrics_of(port, NULL);
}

const char *scrape_open_metrics(int port)
{
	return metrics_of(port, "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n");
}

/* ---- samples ---- */

static const char *find_sample(const char *text, const char *sample)
{
	size_t n = strlen(sample);

	for (const char *line = text; line; line = strchr(line, '\n'), line += line != NULL)
		if (strncmp(line, sample, n) == 0 && line[n] == ' ')
			return line + n + 1;
	return NULL;
}

bool has_sample(const char *text, const char *sample)
{
	return find_sample(text, sample) != NULL;
}

double sample_of(const char *text, const char *sample)
{
	const char *value = find_sample(text, sample);

	if (!value)
		fail_msg("there is no %s in\n%s", sample, text);
	return strtod(value, NULL);
}

size_t samples_of(const char *text, const char *beginning)
{
	size_t n = 0;

	for (const char *line = text; line; line = strchr(line, '\n'), line += line != NULL)
		n += strncmp(line, beginning, strlen(beginning)) == 0;
	return n;
}

const char *web_sample(const char *name, const char *label)
{
	return format("fairdial_service_%s{namespace=\"\",service=\"web\",port=\"80\"%s%s}", name, label ? "," : "",
		      label ? label : "");
}

static void wait_value(int port, const char *sample, double value, bool above)
{
	long begun = now_ms();
	const char *text;

	for (;;) {
		text = scrape(port);
		if (has_sample(text, sample) && (above ? sample_of(text, sample) > value : sample_of(text, sample) == value))
			return;
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("%s is not %s%g in\n%s", sample, above ? "above " : "", value, text);
		poll(NULL, 0, PAUSE_MS);
	}
}

void wait_sample(int port, const char *sample, double value)
{
	wait_value(port, sample, value, false);
}

void wait_sample_above(int port, const char *sample, double value)
{
	wait_value(port, sample, value, true);
}

struct answer wait_page(int port, const char *path, int status)
{
	long begun = now_ms();
	struct answer answer;

	for (;;) {
		answer = scrape_send(port, "GET", path, NULL);
		if (answer.status == status)
			return answer;
		if (now_ms() - begun > LIMIT_MS)
			fail_msg("%s answers %d: %s", path, answer.status, answer.body);
		poll(NULL, 0, PAUSE_MS);
	}
}
