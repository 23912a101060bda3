/* SPDX-License-Identifier: Apache-2.0 */
#include "support/kube_lists.h"

#include "support/testing.h"

#include <stdbool.h>

#include "support/process.h"
#include "support/services.h"

/* Appends with a comma between the members. */
static char *add(const char *list, const char *member)
{
	return *list ? format("%s, %s", list, member) : format("%s", member);
}

static char *split_name(const char *name, const char **ret_namespace)
{
	const char *dot = strchr(name, '.');

	*ret_namespace = dot ? dot + 1 : "shop";
	return dot ? format("%.*s", (int)(dot - name), name) : format("%s", name);
}

static char *ports_of(const char *ports)
{
	char *list = format("%s", ""), *copy = format("%s", ports), *word;

	while ((word = strsep(&copy, " "))) {
		char *colon = strchr(word, ':');

		list = add(list, format("{ 'name': '%.*s', 'port': %s, 'protocol': 'TCP' }", (int)(colon - word), word, colon + 1));
	}
	return list;
}

char *service_object(const char *name, const char *addresses, const char *ports, const char *metadata, const char *spec)
{
	const char *namespace, *own = split_name(name, &namespace);
	char *list = format("%s", ""), *copy = format("%s", addresses), *word;

	while ((word = strsep(&copy, " ")))
		list = add(list, format("'%s'", word));
	return format("{ 'apiVersion': 'v1', 'kind': 'Service', 'metadata': { 'name': '%s', 'namespace': '%s'%s%s }, "
		      "'spec': { 'type': 'ClusterIP', 'clusterIPs': [ %s ], 'ports': [ %s ]%s%s } }",
		      own, namespace, metadata ? ", " : "", metadata ? metadata : "", list, ports_of(ports), spec ? ", " : "",
		      spec ? spec : "");
}

struct details {
	char *conditions, *hints, *others;
};

static void add_detail(struct details *d, const char *word)
{
	static const char *const names[] = { ['r'] = "ready", ['s'] = "serving", ['t'] = "terminating" };

	if (strncmp(word, "hz=", 3) == 0)
		d->hints = add(d->hints, format("'forZones': [ { 'name': '%s' } ]", word + 3));
	else if (strncmp(word, "hn=", 3) == 0)
		d->hints = add(d->hints, format("'forNodes': [ { 'name': '%s' } ]", word + 3));
	else if (strncmp(word, "n=", 2) == 0)
		d->others = format("%s, 'nodeName': '%s'", d->others, word + 2);
	else if (strncmp(word, "z=", 2) == 0)
		d->others = format("%s, 'zone': '%s'", d->others, word + 2);
	else
		d->conditions = add(d->conditions,
				    format("'%s': %s", names[(unsigned char)word[0]], word[1] == '1' ? "true" : "false"));
}

static char *endpoint_of(const char *text)
{
	char *copy = format("%s", text), *address = strsep(&copy, ","), *word;
	struct details d = { format("%s", ""), format("%s", ""), format("%s", "") };

	while ((word = strsep(&copy, ",")))
		add_detail(&d, word);
	return format("{ 'addresses': [ '%s' ], 'conditions': { %s }, 'hints': { %s }%s }", address, d.conditions, d.hints,
		      d.others);
}

char *slice_object(const char *service, int number, const char *ports, const char *endpoints)
{
	const char *namespace, *own = split_name(service, &namespace);
	char *list = format("%s", ""), *copy = format("%s", endpoints), *word;
	bool is_v6 = strchr(endpoints, ':') != NULL;

	while ((word = strsep(&copy, " ")))
		if (*word)
			list = add(list, endpoint_of(word));
	return format("{ 'apiVersion': 'discovery.k8s.io/v1', 'kind': 'EndpointSlice', 'addressType': '%s', 'metadata': { "
		      "'name': '%s-%d', 'namespace': '%s', 'labels': { 'kubernetes.io/service-name': '%s' } }, 'ports': [ %s ], "
		      "'endpoints': [ %s ] }",
		      is_v6 ? "IPv6" : "IPv4", own, number, namespace, own, ports_of(ports), list);
}

void publish_objects(struct services *s, const char *node, const char *zone, ...)
{
	char *list = format("%s", ""), *text;
	const char *object;
	struct process *p;
	va_list objects;

	va_start(objects, zone);
	while ((object = va_arg(objects, const char *)))
		list = add(list, object);
	va_end(objects);
	text = format("{ 'apiVersion': 'v1', 'kind': 'List', 'items': [ %s ] }\n", list);
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	write_file(s->file, text, strlen(text));
	p = run(NULL, built("fairdial"), "publish", "--services", s->file, "--dir", s->dir, "--node", node ? node : "", "--zone",
		zone ? zone : "", NULL);
	assert_clean(p);
}
