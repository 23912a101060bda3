/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever is missing, damaged or forbidden, a program runs as if fairdial were not there. The address of the Service
 * is that of a live server, "backend-1", which is no endpoint of it: who answers tells whether a dial was passed
 * through.
 */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger/layout.h"
#include "support/backends.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "table/table.h"

enum { LIMIT_MS = 60000, VARIANTS = 10000, LEDGER_VARIANTS = 400, WORKERS = 2 };

struct scene {
	struct backends *b; /* the first is the address of `web`; the others are its endpoints */
	struct services *s;
	const char *host, *port;
};

static struct scene scene(void)
{
	struct scene scene = { .b = backends_start(4, ONE_PORT), .s = services_open() };

	scene.host = backends_address(scene.b, 0);
	scene.port = format("%d", backends_port(scene.b, 0));
	services_publish(scene.s, service_entry("web", scene.host, backends_port(scene.b, 0),
						backends_places(scene.b) + 1, 3, "\"balance\": \"round_robin\""));
	return scene;
}

static struct process *run_as(const char *const *argv, const char *const *env, uid_t uid)
{
	struct process *p = process_start(&(struct start){ .argv = argv, .env = env, .uid = uid });

	process_wait(p, LIMIT_MS);
	return p;
}

/* Several clients, each with `env` and with none of ours: what they print and how they end is the same. */
static void assert_as_without(const struct scene *scene, const char *dialer, const char *const *env, uid_t uid)
{
	const char *dead = format("%d", unused_port());
	const char *const *const clients[] = {
		ARGV(dialer, "--count", "3", scene->host, scene->port),
		ARGV(dialer, "--count", "3", "--nonblocking", scene->host, scene->port),
		ARGV(dialer, "--v6mapped", scene->host, scene->port),
		ARGV(dialer, "--fastopen", scene->host, scene->port),
		ARGV(dialer, scene->host, dead),
		ARGV(dialer, "--nonblocking", scene->host, dead),
		ARGV(dialer, "localhost", dead),
		ARGV("curl", "-sS", "--max-time", "20", format("http://%s:%s/", scene->host, scene->port)),
	};

	for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++)
		assert_same_run(run_as(clients[i], NULL, uid), run_as(clients[i], env, uid));
}

static void assert_scene_as_without(const struct scene *scene)
{
	assert_as_without(scene, built("helpers/dialer"), scene->s->env, 0);
}

static void assert_redirected(const struct scene *scene)
{
	struct process *p = run(scene->s->env, built("helpers/dialer"), scene->host, scene->port, NULL);

	assert_clean(p);
	assert_string_not_equal(p->out_text, "backend-1\n");
}

static void sound_table_is_used(void **state)
{
	struct scene one = scene();

	(void)state;
	assert_redirected(&one);
}

static void off_is_as_without(void **state)
{
	struct scene one = scene();

	(void)state;
	assert_as_without(&one, built("helpers/dialer"), with_env(one.s->env, "FAIRDIAL=off", NULL), 0);
}

static void no_table_is_as_without(void **state)
{
	struct scene one = scene();

	(void)state;
	assert_int_equal(unlink(one.s->table), 0);
	assert_scene_as_without(&one);
	assert_as_without(&one, built("helpers/dialer"),
			  with_env(one.s->env, format("FAIRDIAL_DIR=%s/nowhere", one.s->root), NULL), 0);
}

static void directory_in_place_of_the_table_is_as_without(void **state)
{
	struct scene one = scene();

	(void)state;
	assert_int_equal(unlink(one.s->table), 0);
	assert_int_equal(mkdir(one.s->table, 0755), 0);
	assert_scene_as_without(&one);
}

/* What another user needs to run under the shim: copies that it can reach. */
static void copy_for_others(const struct scene *scene, const char **dialer, const char *const **env)
{
	struct process *p = run_shell(NULL, "cp %s %s %s && chmod 755 %s %s/*.so %s/dialer %s", built("libfairdial.so"),
				      built("helpers/dialer"), scene->s->root, scene->s->root, scene->s->root,
				      scene->s->root, scene->s->dir);

	assert_clean(p);
	*dialer = format("%s/dialer", scene->s->root);
	*env = with_env(NULL, format("LD_PRELOAD=%s/libfairdial.so", scene->s->root), scene->s->env[1], NULL);
}

/* Root may read everything. */
static uid_t nobody(void)
{
	return geteuid() ? 0 : 65534;
}

static void unreadable_table_is_as_without(void **state)
{
	struct scene one = scene();
	const char *const *env, *dialer;

	(void)state;
	copy_for_others(&one, &dialer, &env);
	assert_int_equal(chmod(one.s->table, 0), 0);
	assert_as_without(&one, dialer, env, nobody());
}

static void table_that_anybody_may_write_is_passed_over(void **state)
{
	struct scene one = scene();

	(void)state;
	assert_int_equal(chmod(one.s->table, 0666), 0);
	assert_scene_as_without(&one);
}

static void table_of_a_stranger_is_passed_over(void **state)
{
	struct scene one = scene();

	(void)state;
	if (geteuid())
		skip_because("only root can give a file to somebody else");
	assert_int_equal(chown(one.s->table, 65534, 65534), 0);
	assert_scene_as_without(&one);
}

/* Another file under the table's name, as the writer makes one: whole. */
static bool replace(const char *path, const void *bytes, size_t size)
{
	char other[160];
	int fd;
	bool written;

	snprintf(other, sizeof(other), "%s.new", path);
	fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	written = fd >= 0 && write(fd, bytes, size) == (ssize_t)size;
	close(fd);
	return written && rename(other, path) == 0;
}

static void table_of_another_version_is_as_without(void **state)
{
	struct scene one = scene();
	size_t size;
	struct table_head *head = (struct table_head *)read_file(one.s->table, &size);

	(void)state;
	assert_true(replace(one.s->table, head, size));
	assert_redirected(&one); /* so it is the version that counts below */
	head->major++;
	head->sum = table_sum(0, head, offsetof(struct table_head, sum) / 8);
	assert_true(replace(one.s->table, head, size));
	assert_scene_as_without(&one);
}

static void truncated_table_is_as_without(void **state)
{
	struct scene one = scene();
	size_t size;
	char *bytes = read_file(one.s->table, &size);
	const size_t sizes[] = { 0, 1, 8, 64, 127, 128, 152, 160, 192, 512, 1024, 4096, size / 2, size - 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		if (sizes[i] >= size)
			continue;
		assert_true(replace(one.s->table, bytes, sizes[i]));
		struct process *p = run(one.s->env, built("helpers/dialer"), one.host, one.port, NULL);

		assert_clean(p);
		assert_string_equal(p->out_text, "backend-1\n");
	}
	assert_scene_as_without(&one);
}

/* ---- thousands of damaged files ---- */

struct damage {
	const char *path;  /* of the file that is damaged */
	const char *sound; /* its bytes, NULL: none are kept */
	size_t size;
	bool may_redirect; /* damage that changes nothing leaves a table that works */
	void (*seal)(char *bytes); /* each other variant has its sum right again; NULL: none */
	const struct scene *scene;
};

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* All random, or the sound bytes with a few changed: mostly in front, where the structure is. */
static size_t damaged(const struct damage *d, char *bytes, uint64_t *seed)
{
	if (!d->sound) {
		size_t size = next_random(seed) % 2 ? d->size : next_random(seed) % d->size;

		for (size_t i = 0; i + 8 <= size; i += 8)
			memcpy(bytes + i, (uint64_t[]){ next_random(seed) }, 8);
		return size;
	}
	memcpy(bytes, d->sound, d->size);
	for (uint64_t n = 1 + next_random(seed) % 4; n; n--) {
		size_t range = next_random(seed) % 2 && d->size > 1024 ? 1024 : d->size;

		bytes[next_random(seed) % range] = (char)next_random(seed);
	}
	return d->size;
}

static bool is_answer(const char *text, bool may_redirect)
{
	unsigned counts[4];

	if (!may_redirect)
		return !strcmp(text, "backend-1\n");
	return tally(text, counts, 4) == 0 && counts[0] + counts[1] + counts[2] + counts[3] == 1;
}

/* One variant after the other; tells of the first that did harm. In a child: nothing here may assert. */
static bool try_variants(const struct damage *d, uint64_t seed, size_t count)
{
	char *bytes = malloc(d->size + 8), text[512];
	const char *const argv[] = { built("helpers/dialer"), d->scene->host, d->scene->port, NULL };

	for (size_t i = 0; i < count; i++) {
		size_t size = damaged(d, bytes, &seed);
		int status;

		if (d->seal && i % 2 && size >= 1024)
			d->seal(bytes);
		if (!replace(d->path, bytes, size))
			return false;
		status = run_quickly(&(struct start){ .argv = argv, .env = d->scene->s->env }, text, sizeof(text));
		if (status || !is_answer(text, d->may_redirect)) {
			printf("variant %zu of %s: status %x, \"%s\"\n", i, d->path, (unsigned)status, text);
			fflush(stdout);
			return false;
		}
	}
	return true;
}

/* Two at a time, each in a scene of its own. */
static void assert_harmless(struct damage *d, size_t count)
{
	pid_t worker[WORKERS];
	int status;

	fflush(stdout);
	for (int i = 0; i < WORKERS; i++) {
		worker[i] = fork();
		if (worker[i] == 0)
			_exit(!try_variants(&d[i], 0x9e3779b97f4a7c15u * (uint64_t)(i + 1), count / WORKERS));
	}
	for (int i = 0; i < WORKERS; i++) {
		waitpid(worker[i], &status, 0);
		assert_int_equal(status, 0);
	}
}

static void thousands_of_tables_of_random_bytes_are_as_without(void **state)
{
	struct scene scenes[WORKERS] = { scene(), scene() };
	struct damage damage[WORKERS];

	(void)state;
	for (int i = 0; i < WORKERS; i++)
		damage[i] = (struct damage){ .path = scenes[i].s->table, .size = 16384, .scene = &scenes[i] };
	assert_harmless(damage, VARIANTS);
}

static void thousands_of_tables_with_damaged_bytes_lead_nowhere_else(void **state)
{
	struct scene scenes[WORKERS] = { scene(), scene() };
	struct damage damage[WORKERS];

	(void)state;
	for (int i = 0; i < WORKERS; i++) {
		damage[i] = (struct damage){ .path = scenes[i].s->table, .may_redirect = true, .scene = &scenes[i] };
		damage[i].sound = read_file(scenes[i].s->table, &damage[i].size);
	}
	assert_harmless(damage, VARIANTS);
}

/* As who means it does: chance alone never finds the sum. What the sizes and places are to be, a few bytes of them say. */
static void seal_ledger(char *bytes)
{
	struct ledger_head *head = (void *)bytes;
	uint64_t random = table_sum(0, head, sizeof(*head) / 8) | 1, n = next_random(&random);

	((uint8_t *)head)[offsetof(struct ledger_head, cursors) + n % 32] = (uint8_t)(n >> 32);
	head->sum = table_sum(0, head, offsetof(struct ledger_head, sum) / 8);
}

static void hundreds_of_damaged_ledgers_lead_nowhere_else(void **state)
{
	struct scene scenes[WORKERS] = { scene(), scene() };
	struct damage damage[WORKERS];

	(void)state;
	for (int i = 0; i < WORKERS; i++) {
		assert_redirected(&scenes[i]); /* makes the ledger */
		damage[i] = (struct damage){ .path = scenes[i].s->ledger, .may_redirect = true, .seal = seal_ledger,
					     .scene = &scenes[i] };
		damage[i].sound = read_file(scenes[i].s->ledger, &damage[i].size);
	}
	assert_harmless(damage, LEDGER_VARIANTS);
	for (int i = 0; i < WORKERS; i++)
		damage[i].sound = NULL;
	assert_harmless(damage, LEDGER_VARIANTS);
}

static void ledger_that_cannot_be_made_still_dials(void **state)
{
	struct scene one = scene();
	const char *const *env = with_env(one.s->env, format("FAIRDIAL_LEDGER=%s/nowhere/ledger", one.s->root), NULL);
	struct process *p = run(env, built("helpers/dialer"), "--count", "6", one.host, one.port, NULL);

	(void)state;
	assert_clean(p);
	assert_even_answers(p->out_text, 4, 6, 6);
}

/* In a mount namespace: the directory is a small tmpfs; `then` is done to it before the dialer runs. */
static struct process *dial_on_tmpfs(const struct scene *scene, const char *then)
{
	const char *unshare = geteuid() ? "unshare -rm" : "unshare -m";

	if (run_shell(NULL, "%s mount -t tmpfs none %s", unshare, scene->s->dir)->exit_status)
		skip_because("no mount namespace of its own (run as root)");
	return run_shell(
		NULL,
		"%s sh -c 'cd / && mount -t tmpfs -o size=8m,mode=755 none %s && "
		"%s publish --services %s --dir %s >/dev/null && { %s; } && export LD_PRELOAD=%s FAIRDIAL_DIR=%s && "
		"exec %s --count 6 %s %s'",
		unshare, scene->s->dir, built("fairdial"), scene->s->file, scene->s->dir, then, built("libfairdial.so"),
		scene->s->dir, built("helpers/dialer"), scene->host, scene->port);
}

static void full_disk_is_not_noticed(void **state)
{
	struct scene one = scene();
	struct process *p = dial_on_tmpfs(&one, format("! cat /dev/zero 2>/dev/null >%s/fill", one.s->dir));

	(void)state;
	assert_clean(p);
	assert_even_answers(p->out_text, 4, 6, 6);
}

static void full_disk_refuses_a_publish_and_keeps_the_table(void **state)
{
	struct scene one = scene();
	struct process *p =
		dial_on_tmpfs(&one, format("mkdir %s/other; ! cat /dev/zero 2>/dev/null >%s/fill; "
					   "! %s publish --services %s --dir %s/other 2>/dev/null",
					   one.s->dir, one.s->dir, built("fairdial"), one.s->file, one.s->dir));

	(void)state;
	assert_clean(p);
	assert_even_answers(p->out_text, 4, 6, 6);
}

static void readonly_directory_is_not_noticed(void **state)
{
	struct scene one = scene();
	struct process *p;

	(void)state;
	if (geteuid())
		skip_because("only root may mount a filesystem again, read-only");
	p = dial_on_tmpfs(&one, format("mount -o remount,ro %s", one.s->dir));
	assert_clean(p);
	assert_even_answers(p->out_text, 4, 6, 6);
}

static void directory_that_others_may_not_write_is_not_noticed(void **state)
{
	struct scene one = scene();
	const char *const *env, *dialer;

	(void)state;
	copy_for_others(&one, &dialer, &env);
	struct process *p = run_as(ARGV(dialer, "--count", "6", one.host, one.port), env, nobody());

	assert_clean(p);
	assert_even_answers(p->out_text, 4, 6, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sound_table_is_used),
		TEST(off_is_as_without),
		TEST(no_table_is_as_without),
		TEST(directory_in_place_of_the_table_is_as_without),
		TEST(unreadable_table_is_as_without),
		TEST(table_that_anybody_may_write_is_passed_over),
		TEST(table_of_a_stranger_is_passed_over),
		TEST(table_of_another_version_is_as_without),
		TEST(truncated_table_is_as_without),
		TEST(thousands_of_tables_of_random_bytes_are_as_without),
		TEST(thousands_of_tables_with_damaged_bytes_lead_nowhere_else),
		TEST(hundreds_of_damaged_ledgers_lead_nowhere_else),
		TEST(ledger_that_cannot_be_made_still_dials),
		TEST(full_disk_is_not_noticed),
		TEST(full_disk_refuses_a_publish_and_keeps_the_table),
		TEST(readonly_directory_is_not_noticed),
		TEST(directory_that_others_may_not_write_is_not_noticed),
	};

	return RUN_TESTS(tests);
}
