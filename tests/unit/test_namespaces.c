/* SPDX-License-Identifier: Apache-2.0 */
/* A table for each namespace: which are written when, what stays, and what a failure of one does to the others. */
#include "support/testing.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/namespaces.h"
#include "base/clock.h"
#include "model/policy.h"
#include "model/spec_hash.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

static void close_shelf(void *what)
{
	struct namespaces **n = what;

	namespaces_close(*n);
	free(n);
}

/* Closed at the end of the test, or by close_now. */
static struct namespaces **open_shelf(const char *dir)
{
	struct namespaces **n = calloc(1, sizeof(struct namespaces *));
	struct report why;

	assert_non_null(n);
	after_test(close_shelf, n);
	if (namespaces_open(dir, n, &why) < 0)
		fail_msg("namespaces_open: %s", why.text);
	return n;
}

static void close_now(struct namespaces **n)
{
	namespaces_close(*n);
	*n = NULL;
}

/* `web` of each of these namespaces, in order; "" is none. */
static struct table_builder *web_of(const char *const *names, const char *endpoints)
{
	struct table_builder *b = builder_new();

	for (size_t i = 0; names[i]; i++) {
		builder_service(b, names[i][0] ? format("web.%s", names[i]) : "web", format("10.96.0.%zu", i + 1));
		builder_port(b, 80, PROTOCOL_TCP, endpoints);
	}
	return b;
}

static void publish_all(struct namespaces **n, const struct table_builder *b)
{
	struct report why;

	if (namespaces_publish(*n, &b->spec, &why) < 0)
		fail_msg("namespaces_publish: %s", why.text);
}

static struct table *table_in(const char *dir, const char *name)
{
	return map_table(format("%s/%s", dir, name));
}

static uint64_t generation_in(const char *dir, const char *name)
{
	return generation_of(table_in(dir, name));
}

static void assert_says(const char *dir, const char *name, const char *dest, const char *expected)
{
	char *text = endpoints_at(table_in(dir, name), dest, PROTOCOL_TCP);

	if (!expected)
		assert_null(text);
	else
		assert_string_equal(text ? text : "nothing", expected);
	free(text);
}

static bool is_heard_since(const char *dir, const char *name, uint64_t boot_ms)
{
	return table_head(table_in(dir, name))->heartbeat_ms >= boot_ms;
}

/* ---- which table has what ---- */

static void each_namespace_has_a_table_of_its_services(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces **n = open_shelf(dir);
	struct stat st;

	(void)state;
	publish_all(n, web_of(ARGV("bar", "foo"), "10.0.0.1:80 10.0.0.2:80"));
	assert_int_equal(namespaces_count(*n), 2);
	assert_says(dir, "bar", "10.96.0.1:80", "10.0.0.1:80 10.0.0.2:80");
	assert_says(dir, "bar", "10.96.0.2:80", NULL);
	assert_says(dir, "foo", "10.96.0.2:80", "10.0.0.1:80 10.0.0.2:80");
	assert_says(dir, "foo", "10.96.0.1:80", NULL);
	assert_int_equal(stat(format("%s/foo", dir), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(format("%s/foo/table", dir), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(files_in(format("%s/foo", dir)), 1);
}

static void service_without_a_namespace_is_in_all_tables(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces **n = open_shelf(dir);

	(void)state;
	publish_all(n, web_of(ARGV("", "bar", "foo"), "10.0.0.1:80"));
	assert_says(dir, "bar", "10.96.0.1:80", "10.0.0.1:80");
	assert_says(dir, "foo", "10.96.0.1:80", "10.0.0.1:80");
	publish_all(n, web_of(ARGV("", "bar", "foo"), "10.0.0.2:80"));
	assert_says(dir, "bar", "10.96.0.1:80", "10.0.0.2:80");
	assert_says(dir, "foo", "10.96.0.1:80", "10.0.0.2:80");
	assert_int_equal(files_in(dir), 2);
}

static void name_that_is_no_label_becomes_no_path(void **state)
{
	static const char *const names[] = { ".", "..", "../up", "/tmp", "UP", "a/b", "a.b", "-a", "a-", "a b", "a_b" };
	const char *root = scratch_dir(), *dir = format("%s/in", root);
	struct namespaces **n = open_shelf(dir);
	struct table_builder *b = builder_new();
	struct report why;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		builder_service(b, "web", format("10.96.1.%zu", i))->namespace = builder_text(b, names[i]);
		builder_port(b, 80, PROTOCOL_TCP, "10.0.0.1:80");
	}
	builder_service(b, "web.shop", "10.96.0.1");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.1:80");
	publish_all(n, b);
	publish_all(n, b);
	assert_int_equal(namespaces_patch(*n, &b->spec, &why), 0);
	assert_int_equal(namespaces_count(*n), 1);
	assert_int_equal(files_in(root), 1);
	assert_int_equal(files_in(dir), 1);
	assert_says(dir, "shop", "10.96.0.1:80", "10.0.0.1:80");
}

/* ---- what is written when ---- */

/* `web` of a, b and c, all of one endpoint but for b's. */
static struct table_builder *web_of_b(const char *endpoints)
{
	struct table_builder *b = builder_new();

	for (int i = 0; i < 3; i++) {
		builder_service(b, format("web.%c", 'a' + i), format("10.96.0.%d", i + 1));
		builder_port(b, 80, PROTOCOL_TCP, i == 1 ? endpoints : "10.0.0.1:80");
	}
	return b;
}

static void only_tables_whose_services_differ_are_written(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces **n = open_shelf(dir);
	struct table_builder *b = web_of(ARGV("a", "b", "c"), "10.0.0.1:80");
	struct report why;

	(void)state;
	publish_all(n, b);
	publish_all(n, web_of(ARGV("a", "b", "c"), "10.0.0.1:80"));
	assert_int_equal(generation_in(dir, "a") + generation_in(dir, "b") + generation_in(dir, "c"), 3);

	b = builder_new();
	builder_service(b, "web.b", "10.96.0.2");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.1:80 10.0.0.2:80");
	assert_int_equal(namespaces_patch(*n, &b->spec, &why), 0);
	assert_int_equal(generation_in(dir, "a"), 1);
	assert_int_equal(generation_in(dir, "b"), 2);
	assert_says(dir, "b", "10.96.0.2:80", "10.0.0.1:80 10.0.0.2:80");

	/* What the patch said is known: a whole one that says the same writes nothing. */
	publish_all(n, web_of_b("10.0.0.1:80 10.0.0.2:80"));
	assert_int_equal(generation_in(dir, "b"), 2);
	publish_all(n, web_of_b("10.0.0.2:80"));
	assert_int_equal(generation_in(dir, "a"), 1);
	assert_int_equal(generation_in(dir, "b"), 3);
	assert_int_equal(generation_in(dir, "c"), 1);

	b = web_of(ARGV("a", "b", "c"), "10.0.0.1:80");
	b->spec.mode = MODE_OFF;
	publish_all(n, b);
	assert_int_equal(generation_in(dir, "a"), 2);
	assert_int_equal(generation_in(dir, "b"), 4);
	assert_int_equal(generation_in(dir, "c"), 2);
}

static void patch_of_what_is_not_published_asks_for_the_whole(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces **n = open_shelf(dir);
	struct table_builder *b = web_of(ARGV("a", "b"), "10.0.0.1:80");
	struct report why;

	(void)state;
	assert_int_equal(namespaces_patch(*n, &b->spec, &why), -ESTALE);
	publish_all(n, b);
	b = builder_new();
	builder_service(b, "db.b", "10.96.0.9");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.1:80");
	assert_int_equal(namespaces_patch(*n, &b->spec, &why), -ESTALE);
	publish_all(n, web_of(ARGV("a", "b"), "10.0.0.1:80"));
	assert_int_equal(generation_in(dir, "a"), 1);
	assert_int_equal(generation_in(dir, "b"), 2);
}

/* Every field that a table shows. */
static void hash_of_a_service_sees_each_of_its_fields(void **state)
{
	struct spec_endpoint endpoint = { .addr = addr_of("10.0.0.1:80"), .weight = 1, .flags = 1, .zone = "a", .node = "n" };
	struct spec_port port = { "http", "h2", 80, PROTOCOL_TCP, &endpoint, 1 };
	struct spec_address address = { addr_of("10.96.0.1"), ADDRESS_CLUSTER };
	struct spec_service service = { "web", "shop", 1, 0, 0, policy_defaults(), &address, 1, &port, 1 };
	uint64_t seen[32];
	size_t count = 0;

	(void)state;
#define SEES(change, undo) (change, seen[count++] = spec_hash_service(&service), undo)
	SEES((void)0, (void)0);
	SEES(service.name = "wec", service.name = "web");
	SEES(service.namespace = "shoq", service.namespace = "shop");
	SEES(service.flags = 2, service.flags = 1);
	SEES(service.stand_down = 1, service.stand_down = 0);
	SEES(service.affinity_s = 1, service.affinity_s = 0);
	SEES(service.policy.mode = MODE_OFF, service.policy.mode = MODE_ON);
	SEES(service.policy.origin = 1, service.policy.origin = 0);
	SEES(service.address_count = 0, service.address_count = 1);
	SEES(address.addr.ip[15]++, address.addr.ip[15]--);
	SEES(address.kind = ADDRESS_ALLOCATED, address.kind = ADDRESS_CLUSTER);
	SEES(service.port_count = 0, service.port_count = 1);
	SEES(port.name = NULL, port.name = "http");
	SEES(port.app_protocol = NULL, port.app_protocol = "h2");
	SEES(port.port = 81, port.port = 80);
	SEES(port.protocol = PROTOCOL_UDP, port.protocol = PROTOCOL_TCP);
	SEES(port.endpoint_count = 0, port.endpoint_count = 1);
	SEES(endpoint.addr.ip[15]++, endpoint.addr.ip[15]--);
	SEES(endpoint.addr.port_be++, endpoint.addr.port_be--);
	SEES(endpoint.weight = 2, endpoint.weight = 1);
	SEES(endpoint.flags = 2, endpoint.flags = 1);
	SEES(endpoint.zone = "b", endpoint.zone = "a");
	SEES(endpoint.node = NULL, endpoint.node = "n");
	SEES(endpoint.added_ms = 1, endpoint.added_ms = 0);
#undef SEES
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (seen[i] == seen[j])
				fail_msg("changes %zu and %zu look alike", j, i);
}

/* ---- what stays ---- */

static void table_of_a_namespace_without_services_becomes_empty_and_stays(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces **n = open_shelf(dir);
	struct table *mapped;
	uint64_t before;

	(void)state;
	publish_all(n, web_of(ARGV("a", "b"), "10.0.0.1:80"));
	mapped = table_in(dir, "a");
	publish_all(n, web_of(ARGV("b"), "10.0.0.1:80"));
	assert_int_equal(find_port(mapped, "10.96.0.1:80", PROTOCOL_TCP), -ENOENT);
	assert_int_equal(table_head(mapped)->retired, 0);
	before = clock_boot_ms();
	namespaces_heartbeat(*n);
	assert_true(table_head(mapped)->heartbeat_ms >= before);
	publish_all(n, web_of(ARGV("a", "b"), "10.0.0.3:80"));
	assert_true(find_port(mapped, "10.96.0.1:80", PROTOCOL_TCP) >= 0);
}

static void successor_takes_all_of_them_over(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces **n = open_shelf(dir), *other;
	struct table *a, *gone;
	struct report why;
	uint64_t before;

	(void)state;
	publish_all(n, web_of(ARGV("a", "gone"), "10.0.0.1:80"));
	a = table_in(dir, "a");
	gone = table_in(dir, "gone");
	assert_int_equal(namespaces_open(dir, &other, &why), -EBUSY);
	close_now(n);
	mkdir(format("%s/other", dir), 0755); /* not a table's */
	n = open_shelf(dir);
	assert_int_equal(namespaces_count(*n), 2);
	assert_true(namespaces_have_services(*n));
	before = clock_boot_ms();
	namespaces_heartbeat(*n);
	assert_true(table_head(a)->heartbeat_ms >= before && table_head(gone)->heartbeat_ms >= before);
	assert_true(find_port(gone, "10.96.0.2:80", PROTOCOL_TCP) >= 0); /* until there is a list */
	publish_all(n, web_of(ARGV("a"), "10.0.0.1:80"));
	assert_int_equal(find_port(gone, "10.96.0.2:80", PROTOCOL_TCP), -ENOENT);
	assert_int_equal(generation_of(a), 2);
	assert_int_equal(table_head(a)->retired, 0);
}

/* ---- troubles ---- */

static const char *note_in(const char *dir, const char *name)
{
	struct table_note note;

	assert_int_equal(table_note(table_in(dir, name), &note), 0);
	return format("%s", note.text);
}

static void directory_that_cannot_be_written_is_the_trouble_of_one_table(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces **n = open_shelf(dir);
	const struct table_builder *b = web_of(ARGV("a", "bad", "c"), "10.0.0.1:80");
	struct table_builder *changed = builder_new();
	struct report why;
	uint64_t before;

	(void)state;
	write_file(format("%s/bad", dir), "", 0);
	publish_all(n, b);
	assert_says(dir, "a", "10.96.0.1:80", "10.0.0.1:80");
	assert_says(dir, "c", "10.96.0.3:80", "10.0.0.1:80");
	assert_false(namespaces_are_due(*n, clock_boot_ms()));
	assert_true(namespaces_are_due(*n, clock_boot_ms() + 10000));

	/* Its changes wait, and do not make the others' dear. */
	builder_service(changed, "web.bad", "10.96.0.2");
	builder_port(changed, 80, PROTOCOL_TCP, "10.0.0.9:80");
	assert_int_equal(namespaces_patch(*n, &changed->spec, &why), 0);

	assert_int_equal(unlink(format("%s/bad", dir)), 0);
	namespaces_note(*n, "all of them");
	publish_all(n, b);
	assert_false(namespaces_are_due(*n, clock_boot_ms() + 10000));
	assert_says(dir, "bad", "10.96.0.2:80", "10.0.0.1:80");
	assert_string_equal(note_in(dir, "bad"), "all of them");
	assert_int_equal(generation_in(dir, "a"), 1);
	before = clock_boot_ms();
	namespaces_heartbeat(*n);
	assert_true(is_heard_since(dir, "bad", before) && is_heard_since(dir, "c", before));
}

/* As one does after a namespace, which may come again. */
static void directory_that_somebody_removed_is_made_anew(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces **n = open_shelf(dir), *other;
	struct table_builder *changed = builder_new();
	struct report why;

	(void)state;
	publish_all(n, web_of(ARGV("a", "b"), "10.0.0.1:80"));
	publish_all(n, web_of(ARGV("a"), "10.0.0.1:80"));
	assert_clean(run_shell(NULL, "rm -r %s/b", dir));
	publish_all(n, web_of(ARGV("a", "b"), "10.0.0.2:80"));
	assert_says(dir, "b", "10.96.0.2:80", "10.0.0.2:80");

	/* A patch sees it too, and the directory is held, whoever made it. */
	assert_clean(run_shell(NULL, "rm -r %s/b && mkdir %s/b", dir, dir));
	builder_service(changed, "web.b", "10.96.0.2");
	builder_port(changed, 80, PROTOCOL_TCP, "10.0.0.3:80");
	assert_int_equal(namespaces_patch(*n, &changed->spec, &why), -ESTALE);
	publish_all(n, web_of(ARGV("a", "b"), "10.0.0.3:80"));
	assert_says(dir, "b", "10.96.0.2:80", "10.0.0.3:80");
	assert_int_equal(namespaces_open(format("%s/b", dir), &other, &why), -EBUSY);
}

/* An endpoint that is named twice is one that the writer refuses. */
static void table_that_cannot_be_published_tells_so_and_is_not_vouched_for(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces **n = open_shelf(dir);
	struct table_builder *b = web_of(ARGV("a", "b"), "10.0.0.1:80");
	uint64_t before;

	(void)state;
	publish_all(n, b);
	b = web_of(ARGV("a", "b"), "10.0.0.1:80");
	builder_port(b, 81, PROTOCOL_TCP, "10.0.0.2:80 10.0.0.2:80"); /* of b */
	publish_all(n, b);
	assert_says(dir, "b", "10.96.0.2:80", "10.0.0.1:80");
	assert_true(note_in(dir, "b")[0] != '\0');
	assert_string_equal(note_in(dir, "a"), "");
	poll(NULL, 0, 2); /* the clock's next millisecond */
	before = clock_boot_ms();
	namespaces_heartbeat(*n);
	assert_true(is_heard_since(dir, "a", before));
	assert_false(is_heard_since(dir, "b", before));
	publish_all(n, web_of(ARGV("a", "b"), "10.0.0.1:80"));
	assert_string_equal(note_in(dir, "b"), "");
	namespaces_heartbeat(*n);
	assert_true(is_heard_since(dir, "b", before));
}

static void directory_that_others_may_write_is_refused(void **state)
{
	const char *dir = scratch_dir();
	struct namespaces *n;
	struct report why;

	(void)state;
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(namespaces_open(dir, &n, &why), -EPERM);
	assert_non_null(strstr(why.text, "chmod go-w"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_namespace_has_a_table_of_its_services),
		TEST(service_without_a_namespace_is_in_all_tables),
		TEST(name_that_is_no_label_becomes_no_path),
		TEST(only_tables_whose_services_differ_are_written),
		TEST(patch_of_what_is_not_published_asks_for_the_whole),
		TEST(hash_of_a_service_sees_each_of_its_fields),
		TEST(table_of_a_namespace_without_services_becomes_empty_and_stays),
		TEST(successor_takes_all_of_them_over),
		TEST(directory_that_cannot_be_written_is_the_trouble_of_one_table),
		TEST(table_that_cannot_be_published_tells_so_and_is_not_vouched_for),
		TEST(directory_that_somebody_removed_is_made_anew),
		TEST(directory_that_others_may_write_is_refused),
	};

	return RUN_TESTS(tests);
}
