/* SPDX-License-Identifier: Apache-2.0 */
/* Services and slices in one line each, in the words of kube_objects.h, as the JSON that a server holds. */
#include "support/testing.h"

#include "support/api_state.h"

/* The next word up to a blank, in `word`; false at the end. */
static bool next_word(const char **rest, char *word, size_t size)
{
	const char *start = *rest + strspn(*rest, " ");
	size_t length = strcspn(start, " ");

	snprintf(word, size, "%.*s", (int)length, start);
	*rest = start + length;
	return length;
}

static void add_names(struct text *t, const char *name)
{
	const char *dot = strchr(name, '.');

	text_printf(t, "'name':'%.*s','namespace':'%s'", dot ? (int)(dot - name) : (int)strlen(name), name,
		    dot ? dot + 1 : "shop");
}

/* "http:80/UDP"; "?:80" has no name, "http:?" no number. */
static void add_port(struct text *t, const char *word)
{
	const char *colon = strchr(word, ':'), *slash;

	if (!colon)
		fail_msg("a port is NAME:NUMBER: %s", word);
	slash = strchr(colon, '/');
	text_printf(t, "{'protocol':'%s'", slash ? slash + 1 : "TCP");
	if (*word != '?')
		text_printf(t, ",'name':'%.*s'", (int)(colon - word), word);
	if (colon[1] != '?')
		text_printf(t, ",'port':%d", atoi(colon + 1));
	text_puts(t, "}");
}

static void add_ports(struct text *t, const char *ports)
{
	char word[128];
	const char *comma = "";

	text_puts(t, "'ports':[");
	for (; next_word(&ports, word, sizeof(word)); comma = ",") {
		text_puts(t, comma);
		add_port(t, word);
	}
	text_puts(t, "]");
}

static void add_addresses(struct text *t, const char *addresses)
{
	const char *comma = "", *rest = addresses;
	char word[64];

	next_word(&rest, word, sizeof(word));
	text_printf(t, "'clusterIP':'%s','clusterIPs':[", word);
	for (rest = addresses; next_word(&rest, word, sizeof(word)); comma = ",")
		text_printf(t, "%s'%s'", comma, word);
	text_puts(t, "]");
}

void api_put_service(struct api_server *s, const char *name, const char *addresses, const char *ports)
{
	struct text t = { 0 };

	text_puts(&t, "{'metadata':{");
	add_names(&t, name);
	text_puts(&t, "},'spec':{'type':'ClusterIP',");
	add_addresses(&t, addresses);
	text_puts(&t, ",");
	add_ports(&t, ports);
	text_puts(&t, "}}");
	api_put_json(s, KUBE_SERVICE, t.bytes);
	text_done(&t);
}

/* What stands behind an endpoint's address. */
struct endpoint_words {
	struct text conditions, zones, nodes, more;
};

static void add_condition(struct endpoint_words *e, const char *name, char value)
{
	text_printf(&e->conditions, "%s'%s':%s", e->conditions.length ? "," : "", name,
		    value == '1' ? "true" : "false");
}

static void read_endpoint_word(struct endpoint_words *e, const char *word)
{
	if (word[0] == 'r')
		add_condition(e, "ready", word[1]);
	else if (word[0] == 's')
		add_condition(e, "serving", word[1]);
	else if (word[0] == 't')
		add_condition(e, "terminating", word[1]);
	else if (strncmp(word, "hz=", 3) == 0)
		text_printf(&e->zones, "%s{'name':'%s'}", e->zones.length ? "," : "", word + 3);
	else if (strncmp(word, "hn=", 3) == 0)
		text_printf(&e->nodes, "%s{'name':'%s'}", e->nodes.length ? "," : "", word + 3);
	else if (strncmp(word, "n=", 2) == 0)
		text_printf(&e->more, ",'nodeName':'%s'", word + 2);
	else if (strncmp(word, "z=", 2) == 0)
		text_printf(&e->more, ",'zone':'%s'", word + 2);
	else if (strncmp(word, "p=", 2) == 0)
		text_printf(&e->more, ",'targetRef':{'kind':'Pod','name':'%s'}", word + 2);
	else if (strncmp(word, "h=", 2) == 0)
		text_printf(&e->more, ",'hostname':'%s'", word + 2);
	else
		fail_msg("what is \"%s\" of an endpoint?", word);
}

static const char *or_nothing(const struct text *t)
{
	return t->length ? t->bytes : "";
}

/* "'forZones':[…]", unless there are none. */
static void add_hints(struct text *t, const char *key, const struct text *hints)
{
	if (hints->length)
		text_printf(t, "%s'%s':[%s]", t->bytes[t->length - 1] == '{' ? "" : ",", key, hints->bytes);
}

static void write_endpoint(struct text *t, const char *address, const struct endpoint_words *e)
{
	text_printf(t, "{'addresses':['%s'],'conditions':{%s}%s", address, or_nothing(&e->conditions),
		    or_nothing(&e->more));
	if (e->zones.length || e->nodes.length) {
		text_puts(t, ",'hints':{");
		add_hints(t, "forZones", &e->zones);
		add_hints(t, "forNodes", &e->nodes);
		text_puts(t, "}");
	}
	text_puts(t, "}");
}

static void add_endpoint(struct text *t, char *words)
{
	struct endpoint_words e = { 0 };
	char *rest = words, *address = strsep(&rest, ","), *word;

	while ((word = strsep(&rest, ",")))
		read_endpoint_word(&e, word);
	write_endpoint(t, address, &e);
	text_done(&e.conditions);
	text_done(&e.zones);
	text_done(&e.nodes);
	text_done(&e.more);
}

static bool is_v6(const char *endpoints)
{
	return memchr(endpoints, ':', strcspn(endpoints, " ,"));
}

void api_put_slice(struct api_server *s, const char *name, const char *service, const char *ports,
		   const char *endpoints)
{
	const char *comma = "", *rest = endpoints;
	struct text t = { 0 };
	char word[256];

	text_puts(&t, "{'metadata':{");
	add_names(&t, name);
	text_puts(&t, ",'labels':{");
	if (*service)
		text_printf(&t, "'kubernetes.io/service-name':'%s'", service);
	text_printf(&t, "}},'addressType':'%s','endpoints':[", is_v6(endpoints) ? "IPv6" : "IPv4");
	for (; next_word(&rest, word, sizeof(word)); comma = ",") {
		text_puts(&t, comma);
		add_endpoint(&t, word);
	}
	text_puts(&t, "],");
	add_ports(&t, ports);
	text_puts(&t, "}");
	api_put_json(s, KUBE_SLICE, t.bytes);
	text_done(&t);
}
