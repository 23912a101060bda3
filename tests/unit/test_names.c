/* SPDX-License-Identifier: Apache-2.0 */
/* Which names are Services: every form, under every search list, and never somebody else's. */
#include "support/testing.h"

#include <errno.h>

#include "shim/names.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

static const char in_a_pod[] = "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n"
			       "options ndots:5\n";

/* A resolver's configuration, fed in pieces of `step` bytes. The structure points into itself. */
static void read_resolv(struct resolv *r, const char *text, size_t step)
{
	struct line_reader reader = { .take = resolv_take_line, .to = r };

	resolv_init(r);
	for (size_t at = 0, len = strlen(text); at < len; at += step)
		lines_feed(&reader, text + at, at + step < len ? step : len - at);
	lines_end(&reader);
	resolv_done(r);
}

static void assert_pod(const char *text, const char *namespace, const char *domain, unsigned ndots)
{
	for (size_t step = 1; step < 40; step += 6) {
		struct resolv r;

		read_resolv(&r, text, step);
		if (!slice_is(r.namespace, namespace) || !slice_is(r.domain, domain) || r.ndots != ndots)
			fail_msg("%s: namespace %.*s, domain %.*s, ndots %u", text, (int)r.namespace.len,
				 r.namespace.at, (int)r.domain.len, r.domain.at, r.ndots);
	}
}

/* ---- resolv.conf ---- */

static void the_search_list_tells_namespace_and_domain(void **state)
{
	(void)state;
	assert_pod(in_a_pod, "shop", "cluster.local", 5);
	assert_pod("search a.svc.my.own.zone\n", "a", "my.own.zone", 1);
	assert_pod("search example.com a.svc.k8s\n", "a", "k8s", 1);
	assert_pod("search\ta.svc.k8s.\t svc.k8s.\r\n", "a", "k8s", 1);
	assert_pod("search A.SVC.K8S\n", "A", "K8S", 1);
	assert_pod("domain a.svc.k8s\n", "a", "k8s", 1);
	assert_pod("nameserver 10.0.0.1\n", "", "", 1);
	assert_pod("", "", "", 1);
	assert_pod("search example.com svc.cluster.local cluster.local\n", "", "", 1);
	assert_pod("search a.b.svc.k8s\n", "", "", 1);
	assert_pod("search .svc.k8s a.svc. a.svc\n", "", "", 1);
}

static void the_last_of_the_keywords_counts(void **state)
{
	(void)state;
	assert_pod("search a.svc.one\nsearch b.svc.two\n", "b", "two", 1);
	assert_pod("search a.svc.one\ndomain b.svc.two\n", "b", "two", 1);
	assert_pod("domain a.svc.one\nsearch b.svc.two c.svc.three\n", "b", "two", 1);
	assert_pod("search a.svc.one\nsearch example.com\n", "", "", 1);
	assert_pod("options ndots:5\noptions ndots:2\n", "", "", 2);
	assert_pod("options ndots:5 timeout:1\noptions edns0\n", "", "", 5);
}

static void comments_and_the_end_of_the_file_do_not_matter(void **state)
{
	(void)state;
	assert_pod("# search x.svc.y\n;search x.svc.y\nsearch a.svc.k8s", "a", "k8s", 1);
	assert_pod("#\n;\n\n\nsearch a.svc.k8s\n#search x.svc.y\n", "a", "k8s", 1);
	assert_pod("searching x.svc.y\nSEARCH x.svc.y\n", "", "", 1);
	assert_pod("options ndots:5", "", "", 5);
}

static void a_keyword_begins_its_line(void **state)
{
	(void)state;
	assert_pod("search a.svc.k8s\n search x.svc.y\n", "a", "k8s", 1); /* the libcs do not see the second one */
}

static void ndots_is_bounded(void **state)
{
	(void)state;
	assert_pod("options ndots:0\n", "", "", 0);
	assert_pod("options ndots:15\n", "", "", 15);
	assert_pod("options ndots:16\n", "", "", 15);
	assert_pod("options ndots:99999999999999999999\n", "", "", 15);
	assert_pod("options rotate ndots:3 timeout:2\n", "", "", 3);
	assert_pod("options ndots\n", "", "", 1);
}

static void of_a_long_list_the_beginning_counts(void **state)
{
	char text[8192] = "search a.svc.k8s";

	(void)state;
	for (int i = 0; i < 300; i++)
		sprintf(text + strlen(text), " label-%d.example.com", i);
	strcat(text, "\noptions ndots:5\n");
	assert_pod(text, "a", "k8s", 5);
}

static void an_entry_that_is_cut_is_not_taken_for_a_shorter_one(void **state)
{
	(void)state;
	for (size_t padding = 1900; padding < 2400; padding++) {
		char text[4096] = "search ";
		struct resolv r;

		memset(text + 7, 'x', padding);
		strcpy(text + 7 + padding, " shop.svc.cluster.local\n");
		read_resolv(&r, text, 512);
		if (r.domain.len && !slice_is(r.domain, "cluster.local"))
			fail_msg("the domain became %.*s", (int)r.domain.len, r.domain.at);
	}
}

/* ---- names ---- */

static struct table *names_table(void)
{
	struct table_builder *b = builder_new();
	const char *dir = scratch_dir();

	builder_service(b, "mysql.shop", "10.96.0.20");
	builder_service(b, "web.shop", "10.96.0.21");
	builder_service(b, "web.blog", "10.96.0.22");
	builder_service(b, "local", "10.96.0.23")->flags = SERVICE_BARE_NAME;
	builder_service(b, "filed.shop", "10.96.0.24")->flags = SERVICE_BARE_NAME;
	publish_alone(dir, b);
	return map_table(dir);
}

/* "NAME.NAMESPACE CANONICAL", or "" where the name is not ours. Freed at the end of the test. */
static const char *find(const struct table *table, const char *resolv_conf, const char *host)
{
	char canonical[NAMES_MAX] = "?";
	struct table_view view = view_of(table);
	struct table_service row;
	struct resolv r;
	int i;

	if (resolv_conf)
		read_resolv(&r, resolv_conf, 512);
	i = names_find(&view, resolv_conf ? &r : NULL, slice_of(host), canonical);
	if (i < 0) {
		assert_int_equal(i, -ENOENT);
		return "";
	}
	assert_int_equal(table_service(&view, (uint32_t)i, &row), 0);
	return format("%s.%s %s", row.name, row.namespace, canonical);
}

static void assert_is(const struct table *table, const char *resolv_conf, const char *host, const char *expected)
{
	const char *found = find(table, resolv_conf, host);

	if (strcmp(found, expected) != 0)
		fail_msg("%s is \"%s\" instead of \"%s\"", host, found, expected);
}

#define MYSQL "mysql.shop mysql.shop.svc.cluster.local"

static void every_form_of_a_kubernetes_name_is_found(void **state)
{
	struct table *table = names_table();

	(void)state;
	assert_is(table, in_a_pod, "mysql", MYSQL);
	assert_is(table, in_a_pod, "mysql.shop", MYSQL);
	assert_is(table, in_a_pod, "mysql.shop.svc", MYSQL);
	assert_is(table, in_a_pod, "mysql.shop.svc.cluster.local", MYSQL);
	assert_is(table, in_a_pod, "mysql.shop.svc.cluster.local.", MYSQL);
	assert_is(table, in_a_pod, "web", "web.shop web.shop.svc.cluster.local");
	assert_is(table, in_a_pod, "web.blog", "web.blog web.blog.svc.cluster.local");
}

static void a_full_name_is_found_whatever_ndots_says(void **state)
{
	struct table *table = names_table();

	(void)state;
	for (int ndots = 0; ndots <= 15; ndots++) {
		const char *with =
			format("search shop.svc.cluster.local svc.cluster.local cluster.local eu.example.com\n"
			       "options ndots:%d\n",
			       ndots);

		assert_is(table, with, "mysql.shop.svc.cluster.local", MYSQL);
		assert_is(table, with, "mysql.shop.svc.cluster.local.", MYSQL);
	}
}

static void case_does_not_matter(void **state)
{
	struct table *table = names_table();

	(void)state;
	assert_true(find(table, in_a_pod, "MySQL")[0]);
	assert_true(find(table, in_a_pod, "MYSQL.Shop.SVC")[0]);
	assert_true(find(table, in_a_pod, "mysql.shop.svc.Cluster.LOCAL.")[0]);
	assert_true(find(table, in_a_pod, "LOCAL")[0]);
}

static void a_trailing_dot_means_the_full_name(void **state)
{
	struct table *table = names_table();

	(void)state;
	assert_is(table, in_a_pod, "mysql.", "");
	assert_is(table, in_a_pod, "mysql.shop.", "");
	assert_is(table, in_a_pod, "mysql.shop.svc.", "");
	assert_is(table, in_a_pod, "local.", "");
	assert_is(table, in_a_pod, "mysql.shop.svc.cluster.local..", "");
}

static void single_pods_are_never_ours(void **state)
{
	static const char *const pods[] = { "mysql-0.mysql",
					    "mysql-0.mysql.shop",
					    "mysql-0.mysql.shop.svc",
					    "mysql-0.mysql.shop.svc.cluster.local",
					    "mysql-0.mysql.shop.svc.cluster.local.",
					    "10-0-0-1.shop.pod.cluster.local",
					    "a.b.mysql.shop.svc.cluster.local" };
	struct table *table = names_table();

	(void)state;
	for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++)
		assert_is(table, in_a_pod, pods[i], "");
}

static void other_domains_are_never_ours(void **state)
{
	static const char *const others[] = { "example.com",
					      "mysql.example.com",
					      "mysql.shop.svc.other.local",
					      "mysql.shop.svc.cluster.local.example.com",
					      "shop.svc.cluster.local",
					      "svc.cluster.local",
					      "cluster.local",
					      "xmysql",
					      "mysql.shopp",
					      "mysql.sho",
					      "mysql.shop.svcx.cluster.local",
					      "mysql.shop.pod.cluster.local",
					      "",
					      ".",
					      "..",
					      "mysql..shop",
					      ".mysql",
					      "10.96.0.20",
					      "::1",
					      "mysql.shop.svc.cluster.localx" };
	struct table *table = names_table();

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_is(table, in_a_pod, others[i], "");
}

/*
 * A namespace called "com": in a pod its Service has the short name that the DNS of the cluster gives it, and no other. Where the
 * name is asked for as it stands, or in full, it is the world's.
 */
static void public_name_is_a_services_only_where_the_dns_of_the_cluster_says_so(void **state)
{
	static const char *const others[] = { "google.com.", "www.google.com", "google.com.org", "google", "com" };
	struct table_builder *b = builder_new();
	const char *dir = scratch_dir();
	struct table *table;

	(void)state;
	builder_service(b, "google.com", "10.96.0.66");
	publish_alone(dir, b);
	table = map_table(dir);
	assert_is(table, in_a_pod, "google.com", "google.com google.com.svc.cluster.local");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_is(table, in_a_pod, others[i], "");
	assert_is(table, "search shop.svc.cluster.local svc.cluster.local\n", "google.com", ""); /* ndots:1 */
	assert_is(table, "search shop.svc.cluster.local\noptions ndots:5\n", "google.com", "");
	assert_is(table, "search example.com\noptions ndots:5\n", "google.com", "");
	assert_is(table, "nameserver 10.96.0.10\n", "google.com", "");
	assert_is(table, NULL, "google.com", "");
}

static void bare_names_need_no_cluster(void **state)
{
	struct table *table = names_table();

	(void)state;
	assert_is(table, NULL, "local", "local. local");
	assert_is(table, NULL, "filed", "filed.shop filed");
	assert_is(table, NULL, "mysql", "");
	assert_is(table, NULL, "mysql.shop.svc.cluster.local", "");
	assert_is(table, "nameserver 10.0.0.1\n", "filed", "filed.shop filed");
	assert_is(table, "search example.com\n", "filed", "filed.shop filed");
	assert_is(table, "search example.com\n", "mysql.shop", "");
}

static void the_domain_is_never_assumed(void **state)
{
	const char *elsewhere = "search blog.svc.k8s.example svc.k8s.example\noptions ndots:5\n";
	struct table *table = names_table();

	(void)state;
	assert_is(table, "search example.com\n", "mysql.shop.svc.cluster.local", "");
	assert_is(table, elsewhere, "mysql.shop.svc.cluster.local", "");
	assert_is(table, elsewhere, "web", "web.blog web.blog.svc.k8s.example");
	assert_is(table, elsewhere, "mysql", "");
	assert_is(table, elsewhere, "mysql.shop", "mysql.shop mysql.shop.svc.k8s.example");
}

static void names_are_completed_in_the_order_of_the_list(void **state)
{
	struct table *table = names_table();

	(void)state;
	/* What comes first may be somebody's: only the libc can know. */
	assert_is(table, "search example.com shop.svc.cluster.local\noptions ndots:5\n", "mysql", "");
	assert_is(table, "search shop.svc.cluster.local example.com\noptions ndots:5\n", "mysql", MYSQL);
	assert_is(table, "search shop.svc.cluster.local example.com\noptions ndots:5\n", "mysql.shop", "");
	/* A name with as many dots as ndots is asked as it stands, first. */
	assert_is(table, "search svc.cluster.local shop.svc.cluster.local\noptions ndots:1\n", "mysql.shop", "");
	assert_is(table, "search svc.cluster.local shop.svc.cluster.local\noptions ndots:2\n", "mysql.shop", MYSQL);
	/* A Service of that name in the pod's namespace would be asked first. */
	assert_is(table, "search blog.svc.cluster.local svc.cluster.local\noptions ndots:5\n", "web",
		  "web.blog web.blog.svc.cluster.local");
}

static void names_that_are_too_long_are_not_ours(void **state)
{
	struct table *table = names_table();
	char name[600];

	(void)state;
	for (size_t len = 60; len < sizeof(name) - 1; len += 7) {
		memset(name, 'x', len);
		name[len] = '\0';
		assert_is(table, in_a_pod, name, "");
		memcpy(name + len - 27, "shop.svc.cluster.local", 23);
		assert_is(table, in_a_pod, name, "");
	}
}

/* ---- hosts ---- */

static bool names(const char *line, const char *host)
{
	return hosts_line_names(slice_of(line), slice_of(host));
}

static void a_line_of_hosts_names_its_hosts(void **state)
{
	(void)state;
	assert_true(names("127.0.0.1 localhost", "localhost"));
	assert_true(names("10.0.0.1\tweb.shop  web\tWWW # note", "web"));
	assert_true(names("10.0.0.1 web.shop web", "WEB.shop"));
	assert_true(names("10.0.0.1 web.shop web www\r", "www"));
	assert_true(names("   10.0.0.1 web", "web"));
	assert_true(names("::1 ip6-localhost#note", "ip6-localhost"));
	assert_false(names("10.0.0.1 web # db", "db"));
	assert_false(names("# 10.0.0.1 web", "web"));
	assert_false(names("#10.0.0.1 web", "web"));
	assert_false(names("10.0.0.1 web", "10.0.0.1"));
	assert_false(names("10.0.0.1 web", "we"));
	assert_false(names("10.0.0.1 web", "webs"));
	assert_false(names("10.0.0.1", "web"));
	assert_false(names("", "web"));
	assert_false(names("10.0.0.1 web", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_search_list_tells_namespace_and_domain),
		TEST(the_last_of_the_keywords_counts),
		TEST(comments_and_the_end_of_the_file_do_not_matter),
		TEST(a_keyword_begins_its_line),
		TEST(ndots_is_bounded),
		TEST(of_a_long_list_the_beginning_counts),
		TEST(an_entry_that_is_cut_is_not_taken_for_a_shorter_one),
		TEST(every_form_of_a_kubernetes_name_is_found),
		TEST(a_full_name_is_found_whatever_ndots_says),
		TEST(case_does_not_matter),
		TEST(a_trailing_dot_means_the_full_name),
		TEST(single_pods_are_never_ours),
		TEST(other_domains_are_never_ours),
		TEST(public_name_is_a_services_only_where_the_dns_of_the_cluster_says_so),
		TEST(bare_names_need_no_cluster),
		TEST(the_domain_is_never_assumed),
		TEST(names_are_completed_in_the_order_of_the_list),
		TEST(names_that_are_too_long_are_not_ours),
		TEST(a_line_of_hosts_names_its_hosts),
	};

	return RUN_TESTS(tests);
}
