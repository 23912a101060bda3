/* SPDX-License-Identifier: Apache-2.0 */
#include "support/kinds.h"

#include <dirent.h>
#include <sys/stat.h>

#include "support/backends.h"
#include "support/cleanup.h"
#include "support/dns.h"
#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"

enum { LIMIT_MS = 120000, BACKENDS = 4, ENDPOINTS = BACKENDS - 1 };

#define ROUND_ROBIN "\"balance\": \"round_robin\""

/* ---- the stand ---- */

static const char *folder(const char *root, const char *name, mode_t mode)
{
	const char *path = format("%s/%s", root, name);

	if (mkdir(path, 0755) || chmod(path, mode))
		fail_msg("cannot make %s", path);
	return path;
}

/* `web` is the first one's address over the others, and `phantom` over the same ones. */
static void publish(const struct stand *stand)
{
	const struct place *endpoints = backends_places(stand->b) + 1;
	int port = backends_port(stand->b, 0);

	services_publish(stand->s,
			 format("%s, %s",
				service_entry("web", backends_address(stand->b, 0), port, endpoints, ENDPOINTS, ROUND_ROBIN),
				service_entry("phantom", NULL, port, endpoints, ENDPOINTS, ROUND_ROBIN)));
}

static const char *const *variables(const struct stand *stand)
{
	return with_env(NULL, format("HOST=%s", backends_address(stand->b, 0)),
			format("PORT=%d", backends_port(stand->b, 0)), format("DEAD=%d", unused_port()),
			format("HELPERS=%s", repository("tests/helpers")), format("BIN=%s", stand->bin),
			format("SHIM=%s", stand->shim), format("P=%s/program", stand->bin), NULL);
}

struct stand *stand_open(void)
{
	struct stand *stand = calloc(1, sizeof(*stand));
	struct dns *dns = dns_start();
	struct services *other;

	after_test(free, stand);
	stand->b = backends_start(BACKENDS, ONE_PORT);
	stand->s = services_open();
	other = services_of_web(stand->b, ROUND_ROBIN); /* a `web` at another address */
	dns_set(dns, "web", backends_address(stand->b, 0));
	publish(stand);
	services_publish(other, service_entry("other", SERVICE_ADDRESS, 80, backends_places(stand->b), 1, NULL));
	assert_int_equal(chmod(stand->s->root, 0755) | chmod(other->root, 0755), 0);
	stand->other_table = other->dir;
	stand->no_table = folder(stand->s->root, "no-table", 0755);
	stand->bin = folder(stand->s->root, "bin", 0755);
	stand->work = folder(stand->s->root, "work", 0777);
	stand->shim = format("%s/libfairdial.so", stand->bin);
	stand->env = variables(stand);
	assert_clean(run(NULL, "install", "-m", "755", built("libfairdial.so"), stand->shim, NULL));
	return stand;
}

/* ---- one kind ---- */

void kind_build(const struct stand *stand, const struct kind *kind)
{
	struct process *p;

	if (!kind->build) {
		assert_clean(run(NULL, "install", "-m", "755", built("helpers/dialer"), format("%s/program", stand->bin), NULL));
		return;
	}
	p = run_shell(stand->env, "%s", kind->build);
	if (p->exit_status)
		fail_msg("%s: %s exits with %d: %s", kind->what, kind->build, p->exit_status, p->err_text);
}

/* Those before, the shim unless natively, those behind. */
static const char *preload_of(const struct stand *stand, const struct kind *kind, bool shimmed)
{
	const char *const parts[] = { kind->before, shimmed ? stand->shim : NULL, kind->after };
	const char *list = "";

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (parts[i])
			list = format("%s%s%s", list, *list ? ":" : "", parts[i]);
	return *list ? format("LD_PRELOAD=\"%s\"", list) : "";
}

struct process *kind_run(const struct stand *stand, const struct kind *kind, const char *dir, const char *line)
{
	const char *text = format("cd %s && %s %s %s exec %s %s", stand->work, preload_of(stand, kind, dir),
				  dir ? format("FAIRDIAL_DIR=%s", dir) : "", kind->with ? kind->with : "",
				  kind->under ? kind->under : "", line);
	struct start start = { .argv = ARGV("sh", "-c", text), .env = stand->env, .uid = kind->uid };
	struct process *p;

	printf("%s: %s, %s\n", kind->what, line, dir ? dir : "natively");
	p = process_start(&start);
	process_wait(p, LIMIT_MS);
	return p;
}

void assert_nothing_left(const struct stand *stand)
{
	DIR *dir = opendir(stand->work);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			fail_msg("it left %s behind", entry->d_name);
	closedir(dir);
}

void assert_is_the_same(const struct stand *stand, const struct kind *kind, const char *line)
{
	struct process *native = kind_run(stand, kind, NULL, line);

	assert_same_run(native, kind_run(stand, kind, stand->no_table, line));
	assert_same_run(native, kind_run(stand, kind, stand->s->dir, line));
	assert_nothing_left(stand);
}

void assert_is_spread(const struct process *p)
{
	unsigned counts[BACKENDS];

	if (p->exit_status || p->err_length || tally(p->out_text, counts, BACKENDS) || counts[0])
		fail_msg("exit status %d, signal %d:\n%s%s", p->exit_status, p->signal, p->out_text, p->err_text);
	assert_even(counts + 1, ENDPOINTS, SIX, 0);
}

static void assert_dials(const struct stand *stand, const struct kind *kind, const char *line)
{
	struct process *native;

	if (!kind->entered) {
		assert_is_the_same(stand, kind, line);
		return;
	}
	native = kind_run(stand, kind, NULL, line);
	assert_clean(native);
	assert_same_run(native, kind_run(stand, kind, stand->other_table, line));
	assert_is_spread(kind_run(stand, kind, stand->s->dir, line));
	assert_nothing_left(stand);
}

/*
 * Natively nobody reaches an endpoint: what they accepted is what the shim sent there, and counted. Of dials that waited for
 * an answer all have been accepted by now.
 */
static void assert_counted(const struct stand *stand, const struct kind *kind)
{
	bool answered = !kind->dials || kind->dials[0];
	long accepted = 0, dials = 0;

	for (size_t i = 1; i < BACKENDS; i++) {
		accepted += backends_accepted(stand->b, i);
		dials += services_backend(stand->s, "web", stand->b, i).dials;
	}
	assert_int_equal(dials > 0, kind->entered);
	if (answered)
		assert_int_equal(accepted, dials);
}

/* ---- all of it ---- */

static const char *const dialer_dials[] = {
	"$P --count 6 $HOST $PORT",
	"$P --count 6 --nonblocking $HOST $PORT",
	"$P --count 6 --threads 6 $HOST $PORT",
	"$P --count 6 --v6mapped $HOST $PORT",
	"$P --count 6 --fastopen $HOST $PORT",
	"$P --count 6 web $PORT",
	NULL,
};

static const char *const dialer_others[] = {
	"$P --count 2 $HOST $DEAD",
	"$P --nonblocking localhost $DEAD",
	"$P nobody $PORT",
	"$P --nonsense",
	NULL,
};

static const char *const brief_dials[] = {
	"$P --count 6 --threads 6 $HOST $PORT",
	"$P --count 6 --nonblocking web $PORT",
	NULL,
};

static const char *const brief_others[] = { "$P nobody $DEAD", NULL };

static void assert_kind(const struct kind *kind)
{
	const char *const *dials = kind->dials ? kind->dials : kind->brief ? brief_dials : dialer_dials;
	const char *const *others = kind->others ? kind->others : kind->brief ? brief_others : dialer_others;
	struct stand *stand = stand_open();

	kind_build(stand, kind);
	for (; *dials; dials++)
		assert_dials(stand, kind, *dials);
	for (; *others; others++)
		assert_is_the_same(stand, kind, *others);
	assert_counted(stand, kind);
}

void assert_kinds(const struct kind *kinds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_kind(&kinds[i]);
		end_of_test(NULL); /* each is a test of its own, and there is one port for DNS */
	}
}

bool is_shimmed(pid_t pid)
{
	FILE *maps = fopen(format("/proc/%d/maps", (int)pid), "r");
	char line[512];
	bool found = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		found |= strstr(line, "libfairdial.so") != NULL;
	fclose(maps);
	return found;
}
