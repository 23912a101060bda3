/* SPDX-License-Identifier: Apache-2.0 */
#include "support/services.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/testing.h"

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	remove(path);
	return 0;
}

static void remove_tree(void *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(path);
}

const char *scratch_base(void)
{
	const char *base = getenv("TMPDIR");

	return base ? base : "/tmp";
}

char *scratch_dir(void)
{
	char *dir;

	if (asprintf(&dir, "%s/fairdial-test-XXXXXX", scratch_base()) < 0 || !mkdtemp(dir))
		fail_msg("no scratch directory: %s", strerror(errno));
	after_test(remove_tree, dir);
	return dir;
}

const char *copy_of(const char *file, const char *name, mode_t mode)
{
	const char *dir = scratch_dir(), *copy = format("%s/%s", dir, name);

	assert_clean(run(NULL, "cp", file, copy, NULL));
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(copy, mode), 0);
	return copy;
}

void write_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd))
		fail_msg("cannot write %s: %s", path, strerror(errno));
}

char *read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *bytes;

	if (fd < 0 || fstat(fd, &st))
		fail_msg("cannot open %s: %s", path, strerror(errno));
	bytes = calloc(1, (size_t)st.st_size + 1);
	if (read(fd, bytes, (size_t)st.st_size) != st.st_size)
		fail_msg("cannot read %s", path);
	close(fd);
	after_test(free, bytes);
	if (size)
		*size = (size_t)st.st_size;
	return bytes;
}

struct services *services_open(void)
{
	struct services *s = calloc(1, sizeof(*s));

	after_test(free, s);
	snprintf(s->root, sizeof(s->root), "%s", scratch_dir());
	snprintf(s->dir, sizeof(s->dir), "%s/run", s->root);
	snprintf(s->file, sizeof(s->file), "%s/services.json", s->root);
	snprintf(s->table, sizeof(s->table), "%s/table", s->dir);
	snprintf(s->ledger, sizeof(s->ledger), "%s/ledger", s->dir);
	s->env[0] = format("LD_PRELOAD=%s", built("libfairdial.so"));
	s->env[1] = format("FAIRDIAL_DIR=%s", s->dir);
	if (mkdir(s->dir, 0755))
		fail_msg("cannot make %s: %s", s->dir, strerror(errno));
	return s;
}

char *service_entry(const char *name, const char *address, int port, const struct place *places, size_t count,
		    const char *more)
{
	char *endpoints = format("%s", "");

	for (size_t i = 0; i < count; i++)
		endpoints = format(strchr(places[i].address, ':') ? "%s%s\"[%s]:%d\"" : "%s%s\"%s:%d\"", endpoints,
				   i ? ", " : "", places[i].address, places[i].port);
	return format("{ \"name\": \"%s\", %s\"ports\": [ { \"port\": %d } ], \"endpoints\": [ %s ]%s%s }", name,
		      address ? format("\"addresses\": [\"%s\"], ", address) : "", port, endpoints, more ? ", " : "",
		      more ? more : "");
}

struct process *services_try(struct services *s, const char *text)
{
	write_file(s->file, text, strlen(text));
	return run(NULL, built("fairdial"), "publish", "--services", s->file, "--dir", s->dir, NULL);
}

void services_publish(struct services *s, const char *entries)
{
	struct process *p = services_try(s, format("{ \"services\": [ %s ] }\n", entries));

	if (p->exit_status)
		fail_msg("publish exits with %d: %s", p->exit_status, p->err_text);
}

void services_publish_web(struct services *s, const struct backends *b, const char *more)
{
	services_publish(s, service_entry("web", SERVICE_ADDRESS, 80, backends_places(b), backends_count(b), more));
}

struct services *services_of_web(const struct backends *b, const char *more)
{
	struct services *s = services_open();

	services_publish_web(s, b, more);
	return s;
}

void services_publish_at_first(struct services *s, const struct backends *b, const char *more)
{
	services_publish(s, service_entry("web", backends_address(b, 0), backends_port(b, 0), backends_places(b) + 1,
					  backends_count(b) - 1, more));
}

struct services *services_at_first(const struct backends *b, const char *more)
{
	struct services *s = services_open();

	services_publish_at_first(s, b, more);
	return s;
}

static void forget(void *json)
{
	json_decref(json);
}

json_t *services_status(struct services *s)
{
	struct process *p = run(NULL, built("fairdial"), "status", "--json", "--dir", s->dir, NULL);
	json_error_t error;
	json_t *status = json_loads(p->out_text, 0, &error);

	if (p->exit_status || !status)
		fail_msg("status exits with %d: %s%s", p->exit_status, p->out_text, p->err_text);
	after_test(forget, status);
	return status;
}

long services_generation(struct services *s)
{
	json_t *generation = json_object_get(json_object_get(services_status(s), "agent"), "generation");

	return json_is_integer(generation) ? (long)json_integer_value(generation) : -1;
}

static long number_of(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("status: \"%s\" is no number", key);
	return (long)json_integer_value(value);
}

/* true, a number other than 0, a text or an object: all say yes. */
static bool truth_of(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		fail_msg("status: no \"%s\"", key);
	return !json_is_false(value) && !json_is_null(value) && !(json_is_integer(value) && !json_integer_value(value));
}

static json_t *service_named(json_t *status, const char *name)
{
	json_t *service;
	size_t i;

	json_array_foreach(
		json_object_get(status, "services"), i,
		service) if (!strcmp(json_string_value(json_object_get(service, "name")), name)) return service;
	fail_msg("status has no Service %s", name);
	return NULL;
}

static struct endpoint_status read_endpoint(const json_t *object)
{
	struct endpoint_status e = { .port = (int)number_of(object, "port") };

	snprintf(e.address, sizeof(e.address), "%s", json_string_value(json_object_get(object, "address")));
	e.ready = truth_of(object, "ready");
	e.terminating = truth_of(object, "terminating");
	e.ejected = truth_of(object, "ejected");
	e.weight = number_of(object, "weight");
	e.active = number_of(object, "active");
	e.dials = number_of(object, "dials");
	e.failures = number_of(object, "failures");
	return e;
}

static struct endpoint_status find_endpoint(json_t *status, const char *name, const char *address, int port)
{
	json_t *a_port, *endpoint;
	size_t i, j;

	json_array_foreach(json_object_get(service_named(status, name), "ports"), i, a_port)
	{
		json_array_foreach(json_object_get(a_port, "endpoints"), j, endpoint)
		{
			struct endpoint_status e = read_endpoint(endpoint);

			if (!strcmp(e.address, address) && e.port == port)
				return e;
		}
	}
	fail_msg("status: Service %s has no endpoint %s:%d", name, address, port);
	return (struct endpoint_status){ 0 };
}

struct endpoint_status services_endpoint(struct services *s, const char *name, const char *address, int port)
{
	return find_endpoint(services_status(s), name, address, port);
}

struct endpoint_status services_backend(struct services *s, const char *name, const struct backends *b, size_t i)
{
	return services_endpoint(s, name, backends_address(b, i), backends_port(b, i));
}

void assert_status_matches(struct services *s, const char *name, const struct backends *b)
{
	json_t *status = services_status(s);

	for (size_t i = 0; i < backends_count(b); i++) {
		struct endpoint_status e = find_endpoint(status, name, backends_address(b, i), backends_port(b, i));

		if (e.dials != (long)backends_accepted(b, i))
			fail_msg("backend %zu took %u connections; status counts %ld dials", i + 1,
				 backends_accepted(b, i), e.dials);
	}
}
