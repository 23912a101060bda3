/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that are dialed through, and the listeners behind their first Service: loopback only. */
#include "bench.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

bool listeners_open(struct bench *bench)
{
	for (int i = 0; i < BENCH_ENDPOINTS; i++) {
		struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof(sa);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 1024) < 0 ||
		    getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
			return false;
		bench->listeners[i] = fd;
		snprintf(bench->ports[i], sizeof(bench->ports[i]), "%u", ntohs(sa.sin_port));
	}
	return true;
}

void listeners_drain(const struct bench *bench)
{
	for (int i = 0; i < BENCH_ENDPOINTS; i++) {
		int fd;

		while ((fd = accept(bench->listeners[i], NULL, NULL)) >= 0)
			close(fd);
	}
}

static void write_endpoints(const struct bench *bench, FILE *file, unsigned service)
{
	unsigned n = service == 1 ? 20 - BENCH_ENDPOINTS : 10;

	for (unsigned i = 0; service == 0 && i < BENCH_ENDPOINTS; i++)
		fprintf(file, "%s\"127.0.0.1:%s\"", i ? "," : "", bench->ports[i]);
	for (unsigned i = 0; service != 0 && i < n; i++)
		fprintf(file, "%s\"10.%u.%u.%u:8080\"", i ? "," : "", i + 1, service / 256, service % 256);
}

static bool end_services(FILE *file)
{
	bool good;

	fprintf(file, "]}\n");
	good = !ferror(file);
	return fclose(file) == 0 && good;
}

static bool write_services(const struct bench *bench, const char *path, unsigned services)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return false;
	fprintf(file, "{\"services\":[");
	for (unsigned i = 0; i < services; i++) {
		fprintf(file, "%s{\"name\":\"s%u\",\"namespace\":\"bench\",\"addresses\":[\"127.80.%u.%u\"],"
			"\"ports\":[{\"port\":80}],\"endpoints\":[", i ? ",\n" : "\n", i, i / 250, i % 250 + 1);
		write_endpoints(bench, file, i);
		fprintf(file, "]}");
	}
	return end_services(file);
}

static bool write_wide_service(const char *path, unsigned endpoints)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return false;
	fprintf(file, "{\"services\":[{\"name\":\"wide\",\"namespace\":\"bench\",\"addresses\":[\"127.80.0.1\"],"
		"\"ports\":[{\"port\":80}],\"endpoints\":[");
	for (unsigned i = 0; i < endpoints; i++)
		fprintf(file, "%s\"10.0.%u.%u:8080\"", i ? "," : "", i / 256, i % 256);
	fprintf(file, "]}");
	return end_services(file);
}

static bool publish_file(const struct bench *bench, const char *dir, const char *path)
{
	const char *const argv[] = { bench->tool, "publish", "--services", path, "--dir", dir, NULL };
	struct side side = { .argv = argv };

	return (mkdir(dir, 0700) == 0 || access(dir, W_OK) == 0) && ended_well(start(&side, -1, -1, 2));
}

bool publish(const struct bench *bench, const char *dir, unsigned services)
{
	char path[BENCH_PATH + 16];

	snprintf(path, sizeof(path), "%s/services", bench->scratch);
	return write_services(bench, path, services) && publish_file(bench, dir, path);
}

bool publish_wide(const struct bench *bench, const char *dir, unsigned endpoints)
{
	char path[BENCH_PATH + 16];

	snprintf(path, sizeof(path), "%s/services", bench->scratch);
	return write_wide_service(path, endpoints) && publish_file(bench, dir, path);
}
