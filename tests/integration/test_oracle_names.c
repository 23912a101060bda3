/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names answer, by two oracles: a services file's name answers as it would stand in /etc/hosts, a Kubernetes name as the
 * cluster's DNS answers it, and a name of nobody's as without the shim; each way to ask, under both C libraries. Where
 * that cannot be, the row that is expected instead is written out here (expected_row), with the reason.
 */
#include "support/testing.h"

#include <stdbool.h>

#include "support/cleanup.h"
#include "support/dns.h"
#include "support/kube_lists.h"
#include "support/compile.h"
#include "support/process.h"
#include "support/services.h"

enum { LIMIT_MS = 240000, LOOKUPS = 200000, GROWTH_KIB = 256 };

#define FOUR "127.96.0.20"
#define SIX "fd00::20"
#define DUAL_FOUR "127.96.0.21"
#define DUAL_SIX "fd00::21"
#define SHOP ".shop.svc.cluster.local"

/* A label as long as one may be. */
#define LONG_LABEL "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23"

static const char own_hosts[] = "127.0.0.1 localhost\n127.0.0.9 hosted alias.of.hosted\n";
static const char all_hosts[] = "127.0.0.1 localhost\n127.0.0.9 hosted alias.of.hosted\n" FOUR " web\n" SIX " six\n" DUAL_FOUR
				" dual\n" DUAL_SIX " dual\n" "127.96.0.23 " LONG_LABEL "\n";
static const char pod_resolv[] = "search shop.svc.cluster.local svc.cluster.local cluster.local\n"
				 "nameserver 127.0.0.1\noptions ndots:5 timeout:5\n";

/* ---- the scenes ---- */

static char *file_entry(const char *name, const char *addresses)
{
	return format("{ \"name\": \"%s\", \"addresses\": [ %s ], \"ports\": [ { \"port\": 80 } ], "
		      "\"endpoints\": [ \"127.0.0.1:9\" ] }",
		      name, addresses);
}

/* The names of `all_hosts` as Services, and some that /etc/hosts has already: those are not ours. */
static struct services *services_of_file(void)
{
	struct services *s = services_open();

	services_publish(s, format("%s, %s, %s, %s, %s, %s", file_entry("web", "\"" FOUR "\""),
				   file_entry("six", "\"" SIX "\""),
				   file_entry("dual", "\"" DUAL_FOUR "\", \"" DUAL_SIX "\""),
				   file_entry(LONG_LABEL, "\"127.96.0.23\""), file_entry("localhost", "\"127.96.0.30\""),
				   file_entry("hosted", "\"127.96.0.31\"")));
	return s;
}

static void put_pod_etc(const char *hosts)
{
	dns_put("/etc/hosts", hosts);
	dns_put("/etc/resolv.conf", pod_resolv);
}

/* web, six and dual of the namespace shop, which the DNS knows as well, and a pod of mysql. */
static struct services *services_of_cluster(struct dns *d)
{
	struct services *s = services_open();

	publish_objects(s, NULL, NULL, service_object("web", FOUR, ":80", NULL, NULL),
			service_object("six", SIX, ":80", NULL, NULL),
			service_object("dual", DUAL_FOUR " " DUAL_SIX, ":80", NULL, NULL),
			service_object("mysql", "127.96.0.22", ":80", NULL, NULL), slice_object("web", 1, ":9", "127.0.0.1"),
			slice_object("six", 1, ":9", "::1"), slice_object("dual", 1, ":9", "127.0.0.1"),
			slice_object("mysql", 1, ":9", "127.0.0.1"), NULL);
	dns_set(d, "web", FOUR);
	dns_set(d, "six", SIX);
	dns_set(d, "dual", DUAL_FOUR " " DUAL_SIX);
	dns_set(d, "mysql", "127.96.0.22");
	dns_set(d, "mysql-0.mysql" SHOP, "127.0.0.77");
	put_pod_etc(own_hosts);
	return s;
}

/* ---- rows ---- */

/* The part of a row behind the first `mark`, which is cut off there. "" where there is none. */
static char *cut(char *row, const char *mark)
{
	char *at = strstr(row, mark);

	if (!at)
		return row + strlen(row);
	*at = '\0';
	return at + strlen(mark);
}

/* " | entry | entry" without the canonical names. */
static char *without_names(const char *entries)
{
	char *kept = format("%s", ""), *copy = format("%s", entries), *entry;

	while (*(entry = copy)) {
		copy = cut(entry, " | ");
		cut(entry, " name ");
		if (*entry)
			kept = format("%s | %s", kept, entry);
	}
	return kept;
}

/* Those entries that have `text` in them (or, not `with`, that have it not). */
static char *entries_with(const char *entries, const char *text, bool with)
{
	char *kept = format("%s", ""), *copy = format("%s", entries), *entry;

	while (*(entry = copy)) {
		copy = cut(entry, " | ");
		if (*entry && (strstr(entry, text) != NULL) == with)
			kept = format("%s | %s", kept, entry);
	}
	return kept;
}

/* `kept` of these entries, with the canonical name, if there is one, where the libc has it: in glibc's lists behind the first. */
static const char *named(char *kept, const char *entries, bool musl)
{
	char *first = without_names(kept) + 3, *name = format("%s", entries), *others;

	name = cut(name, " name ");
	if (!*name || musl)
		return kept;
	cut(name, " | ");
	others = cut(first, " | ");
	return format(" | %s name %s%s%s", first, name, *others ? " | " : "", others);
}

/* What getaddrinfo says of names with addresses of both families, where the native list cannot be had. */
static const char *expected_list(const char *question, const char *entries, bool musl)
{
	char *v4 = entries_with(entries, "AF_INET ", true), *v6 = entries_with(entries, "AF_INET6 ", true);

	/* No list that a libc makes of numbers has two IPv6 addresses. */
	if (strstr(question, "AI_ALL") && strstr(entries, "::ffff:") && strstr(entries, "fd00:"))
		return named(entries_with(entries, "::ffff:", false), entries, musl);
	if (!*v4 || !*v6)
		return entries;
	/* Nor a canonical name beside two addresses. */
	if (strstr(question, "AI_CANONNAME"))
		return named(v4, entries, musl);
	/* musl gives the name unasked; and by its table it would have IPv4 before fd00::/8. */
	return musl ? format("%s%s", without_names(v6), without_names(v4)) : entries;
}

/* musl's hostent has what was asked for as an alias; of a number that is the canonical name itself. */
static const char *without_second_alias(const char *row)
{
	const char *alias = strstr(row, " alias ");

	alias = alias ? strstr(alias + 1, " alias ") : NULL;
	return alias ? format("%.*s%s", (int)(alias - row), row, strstr(alias, " AF_INET")) : row;
}

/* The row that is expected under the shim where the native one is `native`. */
static const char *expected_row(const char *native, bool musl)
{
	char *question = format("%s", native), *entries = cut(question, ": 0 |");

	if (strncmp(native, "getaddrinfo ", 12) == 0)
		return *entries ? format("%s: 0%s", question, expected_list(question, format(" |%s", entries), musl)) : native;
	return musl ? without_second_alias(native) : native;
}

/*
 * How large a buffer has to be: no larger than natively; but musl keeps the canonical name twice, and in a buffer that is not
 * aligned a few bytes are left out.
 */
static bool is_enough(const char *native, const char *row, bool musl)
{
	size_t question = (size_t)(strrchr(native, ':') - native) + 1;
	int more = musl ? 32 : strstr(native, " at 3 ") ? 4 : 0;

	return strncmp(native, row, question) == 0 && atoi(row + question) <= atoi(native + question) + more;
}

/* What a name may give: never the error of a number, nor a code of nobody's. */
static bool is_of_a_name(const char *row)
{
	static const char *const results[] = { "0 |",	     "EAI_NONAME",   "EAI_NODATA", "EAI_BADFLAGS",
					       "EAI_FAMILY", "EAI_SOCKTYPE", "EAI_SERVICE" };
	const char *result = strstr(row, ": ") + 2;

	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
		if (strncmp(result, results[i], strlen(results[i])) == 0)
			return true;
	return false;
}

static bool is_right(const char *native, const char *row, bool musl)
{
	if (strncmp(native, "enough for ", 11) == 0)
		return is_enough(native, row, musl);
	if (strncmp(row, "getaddrinfo ", 12) == 0 && !is_of_a_name(row))
		return false;
	return strcmp(native, row) == 0 || strcmp(expected_row(native, musl), row) == 0;
}

static bool is_right_of_glibc(const char *native, const char *row)
{
	return is_right(native, row, false);
}

static bool is_right_of_musl(const char *native, const char *row)
{
	return is_right(native, row, true);
}

static bool is_equal(const char *native, const char *row)
{
	return strcmp(native, row) == 0;
}

/* Row by row; the first few that are wrong are shown. */
static void assert_rows(const struct process *native, const struct process *p,
			bool (*right)(const char *native, const char *row))
{
	char *a = format("%s", native->out_text), *b = format("%s", p->out_text), *shown = format("%s", "");
	size_t wrong = 0;

	assert_clean(native);
	assert_clean(p);
	assert_true(lines_of(a) > 100);
	assert_int_equal(lines_of(a), lines_of(b));
	while (*a) {
		char *native_row = a, *row = b;

		a = cut(a, "\n");
		b = cut(b, "\n");
		if (!right(native_row, row) && wrong++ < 5)
			shown = format("%s\nnatively: %s\nshimmed:  %s\n", shown, native_row, row);
	}
	if (wrong)
		fail_msg("%zu rows are wrong; the first of them:\n%s", wrong, shown);
}

/* ---- the oracles ---- */

static struct process *run_long(const char *const *env, const char *const *argv)
{
	struct process *p = process_start(&(struct start){ .argv = argv, .env = env });

	process_wait(p, LIMIT_MS);
	return p;
}

/* Natively they stand in /etc/hosts, and those of nobody's alone under the shim. */
static void assert_as_in_hosts(const struct services *s, const char *const *argv, const char *hosts,
			       bool (*right)(const char *native, const char *row))
{
	struct process *native;

	put_pod_etc(hosts);
	native = run_long(NULL, argv);
	put_pod_etc(own_hosts);
	assert_rows(native, run_long(s->env, argv), right);
}

static void file_names_answer(const char *program, const char *hosts, bool (*right)(const char *native, const char *row))
{
	struct dns *d = dns_start();
	struct services *s = services_of_file();

	assert_as_in_hosts(s, ARGV(program, "--every", "3", "web", "dual"), hosts, right);
	assert_as_in_hosts(s, ARGV(program, "--every", "5", "six"), hosts, right);
	assert_as_in_hosts(s, ARGV(program, "--every", "37", "WEB", "Dual", "sIX", LONG_LABEL), hosts, right);
	assert_int_equal(dns_answered(d), 0);
}

static void names_of_a_file_answer_as_names_in_etc_hosts(void **state)
{
	(void)state;
	file_names_answer(built("helpers/lookups"), all_hosts, is_right_of_glibc);
}

static void names_of_a_file_answer_as_names_in_etc_hosts_under_musl(void **state)
{
	/* It compares the names of /etc/hosts letter by letter, those of the DNS not. */
	const char *hosts = format("%s" FOUR " web WEB\n" SIX " six sIX\n" DUAL_FOUR " dual Dual\n" DUAL_SIX " dual Dual\n", own_hosts);

	(void)state;
	file_names_answer(compiled_for_musl("lookups", ""), format("%s127.96.0.23 " LONG_LABEL "\n", hosts), is_right_of_musl);
}

static void assert_as_of_dns(const struct services *s, const char *const *argv,
			     bool (*right)(const char *native, const char *row))
{
	assert_rows(run_long(NULL, argv), run_long(s->env, argv), right);
}

static void cluster_names_answer(const char *program, bool (*right)(const char *native, const char *row))
{
	struct dns *d = dns_start();
	struct services *s = services_of_cluster(d);
	unsigned before;
	struct process *native, *p;

	assert_as_of_dns(s, ARGV(program, "--every", "13", "web", "six", "dual", "mysql"), right);
	assert_as_of_dns(s, ARGV(program, "--every", "37", "web.shop", "dual.shop.svc", "Web.SHOP.svc.Cluster.Local", "six" SHOP,
				 "dual" SHOP, "web" SHOP "."), right);
	/* And nobody has been asked for them: what is answered by the DNS are the native lookups. */
	native = run_long(NULL, ARGV(program, "--every", "301", "web", "dual" SHOP, "six.shop"));
	before = dns_answered(d);
	p = run_long(s->env, ARGV(program, "--every", "301", "web", "dual" SHOP, "six.shop"));
	assert_int_equal(dns_answered(d), before);
	assert_rows(native, p, right);
}

static void cluster_names_answer_as_the_dns_does(void **state)
{
	(void)state;
	cluster_names_answer(built("helpers/lookups"), is_right_of_glibc);
}

static void cluster_names_answer_as_the_dns_does_under_musl(void **state)
{
	(void)state;
	cluster_names_answer(compiled_for_musl("lookups", ""), is_right_of_musl);
}

static const char *const resolv_confs[] = {
	"search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\n",
	"search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\noptions ndots:2\n",
	"search svc.cluster.local shop.svc.cluster.local\nnameserver 127.0.0.1\noptions ndots:5\n",
	"search cluster.local example.com\nnameserver 127.0.0.1\noptions ndots:5\n",
	"nameserver 127.0.0.1\noptions ndots:0\n",
};

static void search_lists_complete(const char *program, bool (*right)(const char *native, const char *row))
{
	struct services *s = services_of_cluster(dns_start());

	for (size_t i = 0; i < sizeof(resolv_confs) / sizeof(*resolv_confs); i++) {
		dns_put("/etc/resolv.conf", resolv_confs[i]);
		assert_as_of_dns(s, ARGV(program, "--every", "301", "web", "web.shop", "six.shop.svc", "dual" SHOP, "web.shop.",
					 "web" SHOP "."), right);
	}
}

static void search_list_and_ndots_complete_as_they_do_without(void **state)
{
	(void)state;
	search_lists_complete(built("helpers/lookups"), is_right_of_glibc);
}

static void search_list_and_ndots_complete_as_they_do_without_under_musl(void **state)
{
	(void)state;
	search_lists_complete(compiled_for_musl("lookups", ""), is_right_of_musl);
}

/* ---- names of nobody's ---- */

/* `length` bytes in labels of 50. */
static char *name_of_length(size_t length)
{
	char *name = format("%*s", (int)length, "");

	for (size_t i = 0; i < length; i++)
		name[i] = i % 51 == 50 ? '.' : 'n';
	return name;
}

static void nobodys_names_answer(const char *program)
{
	struct dns *d = dns_start();
	struct services *of_file = services_of_file(), *of_cluster = services_of_cluster(d), *none = services_open();
	const char *const sets[][12] = {
		/* No node at all, numbers, and what stands in /etc/hosts though a Service has its name. */
		{ program, "--every", "17", "-", "localhost", "hosted", "127.0.0.1", "::1", "fe80::1%lo", NULL },
		{ program, "--every", "101", "", " ", "web ", " web", "web%lo", "we\xc3\xa9", "\xff\xfe", NULL },
		{ program, "--every", "101", ".", "..", "web..", "7", "0x7f.1", "::ffff:127.0.0.1", "alias.of.hosted", NULL },
		{ program, "--every", "101", "nosuchname", "mysql-0.mysql", "mysql-0.mysql" SHOP, "nosuch" SHOP, "web.other", NULL },
		{ program, "--every", "301", name_of_length(253), name_of_length(254), name_of_length(255), name_of_length(300),
		  LONG_LABEL "4", LONG_LABEL "44." LONG_LABEL, NULL },
	};

	put_pod_etc(own_hosts);
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		struct process *native = run_long(NULL, sets[i]);

		assert_rows(native, run_long(of_file->env, sets[i]), is_equal);
		assert_rows(native, run_long(of_cluster->env, sets[i]), is_equal);
		assert_rows(native, run_long(none->env, sets[i]), is_equal);
	}
}

static void names_of_nobodys_answer_as_without(void **state)
{
	(void)state;
	nobodys_names_answer(built("helpers/lookups"));
}

static void names_of_nobodys_answer_as_without_under_musl(void **state)
{
	(void)state;
	nobodys_names_answer(compiled_for_musl("lookups", ""));
}

/* ---- loopback alone ---- */

/*
 * AI_ADDRCONFIG does not count loopback's addresses, so that a name has none there. A Service's has: what it stands for may be
 * on loopback too, and programs that ask so (Node) would reach nothing in a container of no network.
 */
static bool is_right_on_loopback(const char *native, const char *row)
{
	if (strstr(native, "AI_ADDRCONFIG") && strstr(native, ": EAI_NONAME"))
		return is_of_a_name(row) && !strstr(row, ": EAI_NONAME");
	return is_right_of_glibc(native, row);
}

static struct process *run_on_loopback(const char *const *env, const char *hosts)
{
	put_pod_etc(hosts);
	return run_long(env, ARGV("unshare", "-n", "sh", "-c",
				  format("ip link set lo up && exec %s --every 11 dual", built("helpers/lookups"))));
}

/* 127.96.0.21 can be reached there and fd00::21 cannot. */
static void an_address_that_cannot_be_reached_is_behind_one_that_can(void **state)
{
	struct services *s;
	struct process *native, *p;

	(void)state;
	dns_start();
	s = services_of_file();
	native = run_on_loopback(NULL, all_hosts);
	p = run_on_loopback(s->env, own_hosts);
	assert_rows(native, p, is_right_on_loopback);
	assert_non_null(strstr(p->out_text, ": 0 | AF_INET SOCK_STREAM 6 " DUAL_FOUR " port 80 | AF_INET6 SOCK_STREAM 6 " DUAL_SIX));
}

/* ---- soundness ---- */

static const char *const our_names[] = { "web", "six", "dual", "WEB", "localhost", "nosuchname" };

#define OUR_NAMES our_names[0], our_names[1], our_names[2], our_names[3], our_names[4], our_names[5]

/* What a checker has to say is on stderr; stdout is long. */
static void assert_nothing_is_found(const struct process *p)
{
	if (p->exit_status || p->err_length)
		fail_msg("exit status %d, signal %d:\n%s", p->exit_status, p->signal, p->err_text);
	assert_non_null(strstr(p->out_text, ": 0 | AF_INET6 SOCK_STREAM 6 " DUAL_SIX));
}

static void assert_errno_is_kept(const struct services *s, const char *program)
{
	struct process *p = run_long(s->env, ARGV(program, "--every", "7", "--errno", "web", "six", "dual"));
	unsigned succeeded = 0, changed = 1;

	assert_clean(p);
	assert_int_equal(sscanf(p->out_text, "%u lookups succeeded, %u changed errno", &succeeded, &changed), 2);
	assert_in_range(succeeded, 500, 50000);
	assert_int_equal(changed, 0);
}

static void errno_is_the_callers_after_an_answer(void **state)
{
	struct services *s;

	(void)state;
	dns_start();
	s = services_of_file();
	put_pod_etc(own_hosts);
	assert_errno_is_kept(s, built("helpers/lookups"));
	assert_errno_is_kept(s, compiled_for_musl("lookups", ""));
}

static void valgrind_finds_nothing(void **state)
{
	struct services *s;
	struct process *p;

	(void)state;
	if (!program_exists("valgrind"))
		skip_because("valgrind is not installed");
	dns_start();
	s = services_of_file();
	put_pod_etc(own_hosts);
	p = run_long(s->env, ARGV("valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
				  "--show-leak-kinds=definite,indirect,possible",
				  built("helpers/lookups"), "--every", "31", OUR_NAMES));
	assert_nothing_is_found(p);
}

/* Where the compiler keeps the sanitizer's object. */
static const char *libasan(void)
{
	struct process *p = run(NULL, "gcc", "-print-file-name=libasan.so", NULL);

	assert_clean(p);
	return process_line(p, 0);
}

static void address_sanitizer_finds_nothing(void **state)
{
	const char *program = format("%s/lookups", scratch_dir()), *object = libasan();
	struct services *s;
	struct process *p;

	(void)state;
	if (*object != '/')
		skip_because("the compiler has no AddressSanitizer");
	dns_start();
	s = services_of_file();
	put_pod_etc(own_hosts);
	assert_clean(run(NULL, "gcc", "-D_GNU_SOURCE", "-g", "-O1", "-fsanitize=address,undefined", "-o", program,
			 repository("tests/helpers/lookups.c"), NULL));
	p = run_long(with_env(s->env, format("LD_PRELOAD=%s:%s", object, built("libfairdial.so")), NULL),
		     ARGV(program, "--every", "13", OUR_NAMES));
	assert_nothing_is_found(p);
}

/* ---- many lookups ---- */

struct many {
	int wrong, descriptors;
	long memory;
};

static struct many read_many(const struct process *p)
{
	struct many m = { -1, -1, -1 };

	assert_clean(p);
	assert_int_equal(sscanf(p->out_text, "wrong %d memory %ld descriptors %d", &m.wrong, &m.memory, &m.descriptors), 3);
	return m;
}

/* Those of a file, and a headless one, whose addresses the DNS tells. */
static struct services *services_of_all_kinds(void)
{
	struct dns *d = dns_start();
	struct services *s = services_of_cluster(d);

	publish_objects(s, NULL, NULL, service_object("web", FOUR, ":80", NULL, NULL),
			service_object("six", SIX, ":80", NULL, NULL),
			service_object("dual", DUAL_FOUR " " DUAL_SIX, ":80", NULL, NULL),
			service_object("bare", "None", ":80", NULL, NULL), slice_object("web", 1, ":9", "127.0.0.1"),
			slice_object("bare", 1, ":80", "127.0.0.71 127.0.0.72"), NULL);
	dns_set(d, "bare", "127.0.0.71 127.0.0.72");
	return s;
}

/* Of a hundred lookups one is of the headless Service. */
static struct process *start_many(const struct services *s, const char *program, const char *threads, int count)
{
	static const char *const pairs[] = { "web", FOUR, "six" SHOP, SIX, "dual", DUAL_FOUR "," DUAL_SIX };
	const char *argv[210] = { program, threads, format("%d", count), "bare", "127.0.0.71,127.0.0.72" };

	for (size_t i = 5; i < 203; i++)
		argv[i] = pairs[(i - 5) % 6];
	return process_start(&(struct start){ .argv = argv, .env = s->env });
}

static void assert_many_are_right(struct process *p)
{
	struct many m;

	process_wait(p, LIMIT_MS);
	m = read_many(p);
	assert_int_equal(m.wrong, 0);
	assert_int_equal(m.descriptors, 0);
	if (m.memory > GROWTH_KIB)
		fail_msg("grown by %ld KiB", m.memory);
}

static void memory_and_descriptors_do_not_grow_over_200000_lookups(void **state)
{
	struct services *s = services_of_all_kinds();
	struct process *p[2];

	(void)state;
	p[0] = start_many(s, built("helpers/many_lookups"), "1", LOOKUPS);
	p[1] = start_many(s, compiled_for_musl("many_lookups", ""), "1", LOOKUPS);
	assert_many_are_right(p[0]);
	assert_many_are_right(p[1]);
}

static void threads_that_look_up_at_once_get_right_answers(void **state)
{
	struct services *s = services_of_all_kinds();
	const char *const programs[] = { built("helpers/many_lookups"), compiled_for_musl("many_lookups", "") };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct process *p = start_many(s, programs[i], "8", 10000);
		struct many m;

		process_wait(p, LIMIT_MS);
		m = read_many(p);
		assert_int_equal(m.wrong, 0);
		assert_int_equal(m.descriptors, 0);
	}
}

/* ---- programs as they are ---- */

/* A program that looks up names, with them in /etc/hosts and with them as Services. */
static void assert_program_answers_the_same(const char *const *argv)
{
	struct services *s;
	struct process *native, *p;

	if (!program_exists(argv[0]))
		skip_because("%s is not installed", argv[0]);
	dns_start();
	s = services_of_file();
	put_pod_etc(all_hosts);
	native = run_long(NULL, argv);
	put_pod_etc(own_hosts);
	p = run_long(s->env, argv);
	assert_int_equal(native->exit_status, p->exit_status);
	assert_int_equal(p->signal, 0);
	assert_string_equal(native->err_text, p->err_text);
	assert_string_equal(native->out_text, p->out_text);
	assert_true(p->out_length > 0);
}

static void node_gets_the_same_answers(void **state)
{
	(void)state;
	assert_program_answers_the_same(ARGV("node", repository("tests/helpers/lookups.js"), "web", "six", "dual", "nosuchname",
					     "localhost", "web web", name_of_length(300)));
}

/* Not dual: Java asks for the canonical name, and gets IPv4 alone. */
static void java_gets_the_same_answers(void **state)
{
	(void)state;
	assert_program_answers_the_same(ARGV("java", "-XX:TieredStopAtLevel=1", repository("tests/helpers/Lookups.java"), "web",
					     "six", "nosuchname", "localhost", "web web", name_of_length(300)));
}

static void python_gets_the_same_answers(void **state)
{
	(void)state;
	assert_program_answers_the_same(ARGV("python3", repository("tests/helpers/lookups.py"), "web", "six", "dual", "WEB",
					     "nosuchname", "localhost", "", "web web", name_of_length(300)));
}

static void perl_gets_the_same_answers(void **state)
{
	(void)state;
	assert_program_answers_the_same(
		ARGV("perl", "-MSocket=:addrinfo,inet_ntoa", "-e",
		     "for (@ARGV) { my ($e, @a) = getaddrinfo($_, 'http'); print \"$_ $e \", "
		     "join(' ', map { (getnameinfo($_->{addr}, 3))[1] . \" $_->{socktype}\" } @a), \"\\n\"; "
		     "my @h = gethostbyname($_); print @h ? \"$h[0] \" . inet_ntoa($h[4]) : $?, \"\\n\" }",
		     "web", "six", "dual", "nosuchname", "localhost"));
}

/* Nor here: getent asks for canonical names too. */
static void getent_and_bash_get_the_same_answers(void **state)
{
	(void)state;
	assert_program_answers_the_same(
		ARGV("bash", "-c",
		     "for n in web six WEB nosuchname localhost; do for d in hosts ahosts ahostsv4 ahostsv6; do "
		     "echo $n $d; getent $d $n; done; (: </dev/tcp/$n/9) 2>&1 | sed 's/line [0-9]*//'; done"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(names_of_a_file_answer_as_names_in_etc_hosts),
		TEST(names_of_a_file_answer_as_names_in_etc_hosts_under_musl),
		TEST(cluster_names_answer_as_the_dns_does),
		TEST(cluster_names_answer_as_the_dns_does_under_musl),
		TEST(search_list_and_ndots_complete_as_they_do_without),
		TEST(search_list_and_ndots_complete_as_they_do_without_under_musl),
		TEST(names_of_nobodys_answer_as_without),
		TEST(names_of_nobodys_answer_as_without_under_musl),
		TEST(an_address_that_cannot_be_reached_is_behind_one_that_can),
		TEST(errno_is_the_callers_after_an_answer),
		TEST(valgrind_finds_nothing),
		TEST(address_sanitizer_finds_nothing),
		TEST(memory_and_descriptors_do_not_grow_over_200000_lookups),
		TEST(threads_that_look_up_at_once_get_right_answers),
		TEST(node_gets_the_same_answers),
		TEST(java_gets_the_same_answers),
		TEST(python_gets_the_same_answers),
		TEST(perl_gets_the_same_answers),
		TEST(getent_and_bash_get_the_same_answers),
	};

	(void)argc;
	dns_need_namespaces(argv);
	return RUN_TESTS(tests);
}
