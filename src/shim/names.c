/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/names.h"

#include <errno.h>

#include "balance/rules.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "base/trace.h"
#include "shim/attach.h"
#include "table/atomics.h"

/* ---- files, line by line ---- */

void lines_feed(struct line_reader *reader, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			lines_end(reader);
		else if (reader->len < sizeof(reader->line))
			reader->line[reader->len++] = bytes[i];
		else
			reader->cut = true;
	}
}

void lines_end(struct line_reader *reader)
{
	/* Half a word is another word: of a line that was cut the last one goes. */
	while (reader->cut && reader->len && !text_is_space(reader->line[reader->len - 1]))
		reader->len--;
	reader->take(reader->to, (struct slice){ reader->line, reader->len });
	reader->len = 0;
	reader->cut = false;
}

/* What is read while a name is looked for. The caller's stack has no room for it. */
struct work {
	struct resolv resolv;
	struct line_reader reader;
	char bytes[512];
};

enum { WORKS = 4 };

/*
 * Some are kept, because fresh pages cost more than all the rest of a lookup. Who finds them taken makes one of his own; nobody
 * waits, so that a child forked in the middle of a lookup only has one less.
 */
static struct {
	struct work work;
	int taken;
} kept[WORKS];

/* NULL where there is no memory. */
static struct work *work_new(void)
{
	for (int i = 0; i < WORKS; i++)
		if (swap_if_int(&kept[i].taken, 0, 1))
			return &kept[i].work;
	return scratch_take(sizeof(struct work));
}

static void work_free(struct work *work)
{
	for (int i = 0; i < WORKS; i++) {
		if (work == &kept[i].work) {
			store_release_int(&kept[i].taken, 0);
			return;
		}
	}
	scratch_give(work, sizeof(*work));
}

static void read_lines(struct work *work, const char *path, void (*take)(void *, struct slice), void *to)
{
	struct line_reader *reader = &work->reader;
	int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	long n;

	if (fd < 0)
		return;
	reader->len = 0;
	reader->cut = false;
	reader->take = take;
	reader->to = to;
	while ((n = sys_read(fd, work->bytes, sizeof(work->bytes))) > 0)
		lines_feed(reader, work->bytes, (size_t)n);
	lines_end(reader);
	sys_close(fd);
}

/* ---- resolv.conf ---- */

void resolv_init(struct resolv *r)
{
	r->text[0] = '\0';
	r->search = r->namespace = r->domain = (struct slice){ r->text, 0 };
	r->ndots = 1;
}

static void take_options(struct resolv *r, struct slice line)
{
	struct slice word;

	while ((word = slice_word(&line)).len) {
		struct slice value = word, key = slice_cut(&value, ':');
		unsigned n = 0;

		if (!slice_is(key, "ndots") || !value.at)
			continue;
		for (size_t i = 0; i < value.len && text_is_digit(value.at[i]) && n < 100; i++)
			n = n * 10 + (unsigned)(value.at[i] - '0');
		r->ndots = n > 15 ? 15 : n; /* RES_MAXNDOTS */
	}
}

void resolv_take_line(void *to, struct slice line)
{
	struct resolv *r = to;
	bool is_indented = line.len && text_is_space(line.at[0]);
	struct slice key = slice_word(&line), word;
	bool is_domain = slice_is(key, "domain");

	if (is_indented) /* "the keyword must begin the line" */
		return;

	if (slice_is(key, "options"))
		take_options(r, line);
	if (!is_domain && !slice_is(key, "search"))
		return;

	/* The last of the two keywords counts. */
	struct text list = text_into(r->text, sizeof(r->text));

	while ((word = slice_word(&line)).len && list.len + word.len + 2 < sizeof(r->text)) {
		if (list.len)
			text_add_char(&list, ' ');
		text_add_slice(&list, word);
		if (is_domain)
			break;
	}
	r->search = (struct slice){ r->text, list.len };
}

static struct slice without_dot(struct slice name)
{
	if (name.len && name.at[name.len - 1] == '.')
		name.len--;
	return name;
}

void resolv_done(struct resolv *r)
{
	struct slice list = r->search, word;

	while ((word = slice_word(&list)).len) {
		struct slice rest = without_dot(word);
		struct slice namespace = slice_cut(&rest, '.');

		if (!rest.at || !slice_equal_nocase(slice_cut(&rest, '.'), slice_of("svc")) || !rest.len || !namespace.len)
			continue;
		r->namespace = namespace;
		r->domain = rest;
		return;
	}
}

/* ---- hosts ---- */

bool hosts_line_names(struct slice line, struct slice host)
{
	struct slice word;

	for (size_t i = 0; i < line.len; i++)
		if (line.at[i] == '#')
			line.len = i;
	slice_word(&line); /* the address */
	while ((word = slice_word(&line)).len)
		if (slice_equal_nocase(word, host))
			return true;
	return false;
}

struct hosts_search {
	struct slice host;
	bool found;
};

static void hosts_take_line(void *to, struct slice line)
{
	struct hosts_search *search = to;

	search->found = search->found || hosts_line_names(line, search->host);
}

static bool is_in_hosts(struct work *work, struct slice host)
{
	struct hosts_search search = { host, false };

	read_lines(work, "/etc/hosts", hosts_take_line, &search);
	return search.found;
}

/* ---- names ---- */

static unsigned count_dots(struct slice name)
{
	unsigned n = 0;

	for (size_t i = 0; i < name.len; i++)
		n += name.at[i] == '.';
	return n;
}

/* The labels of `name` before ".svc.DOMAIN". False where it does not end so. */
static bool strip_cluster(struct slice name, struct slice domain, struct slice *ret_head)
{
	size_t tail = domain.len + 5; /* ".svc." */

	if (domain.len == 0 || name.len <= tail)
		return false;
	*ret_head = (struct slice){ name.at, name.len - tail };
	return slice_equal_nocase((struct slice){ name.at + ret_head->len, 5 }, slice_of(".svc.")) &&
	       slice_equal_nocase((struct slice){ name.at + name.len - domain.len, domain.len }, domain);
}

enum full_name { FULL_NOT_CLUSTER, FULL_SERVICE, FULL_UNKNOWN, FULL_NO_SERVICE_FORM };

/* What a complete name is. `head` are its labels before ".svc.DOMAIN". */
static enum full_name judge_full(const struct table_view *view, struct slice domain, struct slice full, int *ret_row)
{
	struct slice head, namespace, name;

	if (!strip_cluster(full, domain, &head))
		return FULL_NOT_CLUSTER;
	namespace = head;
	name = slice_cut(&namespace, '.');
	if (!namespace.at)
		return FULL_NO_SERVICE_FORM;
	if (count_dots(namespace) == 0) {
		*ret_row = table_find_service(view, name, namespace);
		return *ret_row >= 0 ? FULL_SERVICE : FULL_UNKNOWN;
	}
	/* POD.SERVICE.NAMESPACE: the name of a single pod, if there is such a Service. */
	name = slice_cut(&namespace, '.');
	if (count_dots(namespace) == 0 && table_find_service(view, name, namespace) >= 0)
		return FULL_UNKNOWN;
	return FULL_NO_SERVICE_FORM;
}

static bool complete(struct slice host, struct slice suffix, char *buf, struct slice *ret_full)
{
	struct text full = text_into(buf, NAMES_MAX);

	text_add_slice(&full, host);
	if (suffix.len) {
		text_add_char(&full, '.');
		text_add_slice(&full, suffix);
	}
	*ret_full = (struct slice){ buf, full.len };
	return !full.full;
}

/* As resolv.conf(5) completes names: those with fewer dots than ndots through the list, in its order. */
static int find_by_search(const struct table_view *view, const struct resolv *r, struct slice host, char *ret_canonical)
{
	struct slice list = r->search, word, full;

	while ((word = slice_word(&list)).len) {
		int row;

		if (!complete(host, without_dot(word), ret_canonical, &full))
			return -ENOENT;
		switch (judge_full(view, r->domain, full, &row)) {
		case FULL_SERVICE:
			return row;
		case FULL_NO_SERVICE_FORM:
			continue; /* no DNS server of a cluster answers this one */
		default:
			return -ENOENT; /* it may well be somebody's: the libc asks, in its own order */
		}
	}
	return -ENOENT;
}

int names_find(const struct table_view *view, const struct resolv *r, struct slice host, char ret_canonical[NAMES_MAX])
{
	bool absolute = host.len && host.at[host.len - 1] == '.';
	struct slice name = without_dot(host), full;
	int row;

	if (name.len == 0 || name.len >= NAMES_MAX)
		return -ENOENT;
	if (!absolute && count_dots(name) == 0) {
		row = table_find_bare(view, name);
		if (row >= 0)
			return complete(name, (struct slice){ "", 0 }, ret_canonical, &full) ? row : -ENOENT;
	}
	if (!r || r->domain.len == 0)
		return -ENOENT;
	/* In full, whatever ndots says: no DNS of a cluster has NAME.NAMESPACE.svc.DOMAIN.more under its own domain. */
	if (judge_full(view, r->domain, name, &row) == FULL_SERVICE)
		return complete(name, (struct slice){ "", 0 }, ret_canonical, &full) ? row : -ENOENT;
	if (absolute || count_dots(name) >= r->ndots)
		return -ENOENT;
	return find_by_search(view, r, name, ret_canonical);
}

/* ---- the answer ---- */

static void take_address(struct answer *answer, const struct table_address *row)
{
	struct addr addr = { .is_v4 = row->is_v4 };

	memcpy(addr.ip, row->ip, 16);
	if (row->is_v4 && !answer->has_v4) {
		answer->v4 = addr;
		answer->has_v4 = true;
	} else if (!row->is_v4 && !answer->has_v6) {
		answer->v6 = addr;
		answer->has_v6 = true;
	}
}

/* A bare name is canonical as the services file writes it, like one of /etc/hosts; a full one as it was asked for, like DNS's. */
static void take_own_name(struct answer *answer, const struct table_service *service)
{
	struct text own;

	if (count_dots(slice_of(answer->canonical)))
		return;
	own = text_into(answer->canonical, sizeof(answer->canonical));
	text_add(&own, service->name);
}

static bool is_ordered(const struct table_service *service)
{
	return (service->flags & SERVICE_HEADLESS) && service->policy.headless == HEADLESS_ORDER;
}

/* Why its name is not answered, by its rules alone; NULL where it is. The words are those of a dial. */
static const char *why_passed(const struct attachment *attachment, const struct settings *s, const struct table_view *view,
			      const struct table_service *service, uint8_t mode)
{
	struct table_rules rules = table_rules(view);

	if (mode == MODE_OFF)
		return "the mode of the Service, or of all, is off";
	if (mode == MODE_OBSERVE && !is_ordered(service))
		return "mode observe";
	if (table_area_verify(view) < 0)
		return "the table is damaged";
	if (service->stand_down)
		return "the Service stands down";
	if (table_freshness(&attachment->table, rules.stale_after_ms, clock_boot_ms()) != FRESH)
		return "the agent has been silent for too long to answer names";
	if (!settings_allow(s, slice_of(service->name), slice_of(service->namespace)))
		return "FAIRDIAL_ONLY or FAIRDIAL_EXCEPT leaves this Service out";
	return NULL;
}

/* What becomes of its name, by its rules alone. */
static enum names_result judge(const struct attachment *attachment, const struct settings *s, const struct table_view *view,
			       const struct table_service *service, const char **ret_why)
{
	struct table_rules rules = table_rules(view);
	uint8_t mode = rules_mode(rules.mode, service->policy.mode, s->mode);

	*ret_why = why_passed(attachment, s, view, service, mode);
	if (*ret_why)
		return NAMES_LIBC;
	if (is_ordered(service)) /* its name stands for its pods, which DNS knows */
		return mode == MODE_OBSERVE ? NAMES_OBSERVED : NAMES_ORDER;
	return NAMES_ADDRESSES;
}

static enum names_result answer_from(const struct attachment *attachment, const struct settings *s, const struct table_view *view,
				     const struct resolv *resolv, struct slice host, struct answer *answer)
{
	struct table_service service;
	enum names_result result;
	int row = names_find(view, resolv, host, answer->canonical);

	answer->has_v4 = answer->has_v6 = false;
	answer->why = "no Service";
	if (row < 0 || table_service(view, (uint32_t)row, &service) < 0)
		return NAMES_LIBC;
	result = judge(attachment, s, view, &service, &answer->why);
	if (result != NAMES_ADDRESSES)
		return result;
	answer->why = "the Service has no address";
	take_own_name(answer, &service);
	for (uint32_t i = 0; i < service.address_count; i++) {
		struct table_address address;

		if (table_address(view, service.first_address + i, &address) < 0)
			return NAMES_LIBC;
		take_address(answer, &address);
	}
	return answer->has_v4 || answer->has_v6 ? NAMES_ADDRESSES : NAMES_LIBC;
}

/* By the canonical name: the row that was found before the libc was asked may be another's by now. */
enum names_result names_headless(const struct attachment *attachment, const struct settings *s, const struct table_view *view,
				 const struct answer *answer, struct table_service *ret_service)
{
	struct slice rest = slice_of(answer->canonical), name = slice_cut(&rest, '.');
	int row = rest.at ? table_find_service(view, name, slice_cut(&rest, '.')) : table_find_bare(view, name);
	enum names_result result = NAMES_LIBC;
	const char *why;

	if (row >= 0 && table_service(view, (uint32_t)row, ret_service) == 0)
		result = judge(attachment, s, view, ret_service, &why);
	return result == NAMES_ADDRESSES ? NAMES_LIBC : result;
}

__attribute__((noinline))
static void trace_names(const struct settings *s, const char *host, enum names_result result, const struct answer *answer)
{
	char buf[512], addr[ADDR_TEXT];
	struct text line;

	/* What is put in order, or might have been, is traced when that is done. */
	if (!(s->trace & TRACE_NAMES) || result == NAMES_ORDER || result == NAMES_OBSERVED)
		return;
	if (result == NAMES_LIBC && !answer->why)
		return;
	line = trace_begin(buf, sizeof(buf), "names");
	text_add(&line, host);
	text_add(&line, result == NAMES_ADDRESSES ? " ->" : " passed: ");
	if (result == NAMES_LIBC)
		text_add(&line, answer->why);
	if (result == NAMES_ADDRESSES && answer->has_v4) {
		text_add(&line, " ");
		text_add(&line, addr_print_ip(&answer->v4, addr));
	}
	if (result == NAMES_ADDRESSES && answer->has_v6) {
		text_add(&line, " ");
		text_add(&line, addr_print_ip(&answer->v6, addr));
	}
	trace_end(&line, s->trace_path);
}

static enum names_result look_up(const struct attachment *attachment, const struct settings *s, struct work *work,
				 struct slice host, struct answer *ret_answer)
{
	resolv_init(&work->resolv);
	read_lines(work, "/etc/resolv.conf", resolv_take_line, &work->resolv);
	resolv_done(&work->resolv);
	for (int i = 0; i < TABLE_TRIES; i++) {
		struct table_view view;
		enum names_result result;

		if (!table_begin(&attachment->table, &view))
			continue;
		result = answer_from(attachment, s, &view, &work->resolv, host, ret_answer);
		if (!table_end(&view))
			continue;
		if (result == NAMES_LIBC || !is_in_hosts(work, without_dot(host)))
			return result;
		ret_answer->why = "it is in /etc/hosts";
		return NAMES_LIBC;
	}
	ret_answer->why = "no table";
	return NAMES_LIBC;
}

static enum names_result find_answer(const struct settings *s, struct slice host, struct answer *ret_answer)
{
	struct addr number;
	bool is_number = addr_parse_ip(host.at, host.len, &number) == 0;
	const struct attachment *attachment = attach_get(is_number ? ATTACH_NO_SOCKET : ATTACH_LOOKUP);
	enum names_result result;
	struct work *work;

	ret_answer->why = is_number ? NULL : "no table";
	if (!attachment)
		return NAMES_LIBC;
	attach_refresh(attachment);
	work = is_number ? NULL : work_new(); /* a number is nobody's name */
	if (!work)
		return NAMES_LIBC;
	result = look_up(attachment, s, work, host, ret_answer);
	work_free(work);
	return result;
}

enum names_result names_answer(const char *host, struct answer *ret_answer)
{
	const struct settings *s = attach_settings();
	enum names_result result;

	if (!s || s->mode == MODE_OFF)
		return NAMES_LIBC;
	result = find_answer(s, slice_of(host), ret_answer);
	trace_names(s, host, result, ret_answer);
	return result;
}
