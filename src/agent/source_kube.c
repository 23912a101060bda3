/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/source_kube.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"
#include "base/clock.h"
#include "base/text.h"
#include "kube/config.h"
#include "kube/delays.h"
#include "kube/http.h"

#define LABEL_SERVICE "kubernetes.io/service-name"

struct source_kube {
	const struct kube_config *config;
	struct model *model;
	struct kube_http *http;
	struct kube_timing timing;
	struct reflector **reflectors;
	size_t count;
	uint32_t origins; /* given out */
	char *own;
	char *where; /* "namespace shop", for people */
	struct kube_counts counts[KUBE_KINDS];
	struct delays delays;
};

static int no_memory(struct report *why)
{
	return report(why, -ENOMEM, "out of memory");
}

/* ---- which collections ---- */

static int add(struct source_kube *s, enum kube_kind kind, const char *namespace, const char *labels, const char *fields)
{
	const struct reflector_context context = { s->http, s->config, s->model, &s->timing, &s->counts[kind], &s->delays };
	const struct reflector_scope scope = { kind, ++s->origins, namespace, labels, fields };
	struct reflector **larger = realloc(s->reflectors, (s->count + 1) * sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	s->reflectors = larger;
	larger[s->count] = reflector_new(&context, &scope);
	return larger[s->count] ? (s->count++, 0) : -ENOMEM;
}

static int add_both(struct source_kube *s, const char *namespace)
{
	int r = add(s, KUBE_SERVICE, namespace, NULL, NULL);

	return r < 0 ? r : add(s, KUBE_SLICE, namespace, NULL, NULL);
}

/* "mysql.shop" or "mysql": its name, and its namespace, by default the first that was named. */
struct wanted {
	struct slice name, namespace;
};

static struct wanted wanted_of(const struct source_kube_options *options, size_t i)
{
	struct slice rest = slice_of(options->services[i]), name = slice_cut(&rest, '.');

	if (!rest.at)
		rest = slice_of(options->namespace_count ? options->namespaces[0] : options->own);
	return (struct wanted){ name, rest };
}

static bool is_first_of_namespace(const struct source_kube_options *options, size_t i)
{
	struct slice namespace = wanted_of(options, i).namespace;

	for (size_t j = 0; j < i; j++)
		if (slice_equal(wanted_of(options, j).namespace, namespace))
			return false;
	return true;
}

/*
 * Services that are wanted of one namespace: one watch for all of their slices, and one for each Service (a field selector takes no
 * set).
 */
static int add_wanted(struct source_kube *s, const struct source_kube_options *options, size_t first)
{
	struct slice of = wanted_of(options, first).namespace;
	char *namespace = strndup(of.at, of.len), *labels = NULL, *field = NULL;
	const char *separator = LABEL_SERVICE " in (";
	size_t size = 0;
	FILE *out = open_memstream(&labels, &size);
	int r = namespace && out ? 0 : -ENOMEM;

	for (size_t i = first; r == 0 && i < options->service_count; i++) {
		struct wanted wanted = wanted_of(options, i);

		if (!slice_equal(wanted.namespace, of))
			continue;
		fprintf(out, "%s%.*s", separator, (int)wanted.name.len, wanted.name.at);
		separator = ",";
		if (asprintf(&field, "metadata.name=%.*s", (int)wanted.name.len, wanted.name.at) < 0) {
			r = -ENOMEM;
			break;
		}
		r = add(s, KUBE_SERVICE, namespace, NULL, field);
		free(field);
	}
	if (out) {
		fputc(')', out);
		if (fclose(out) != 0)
			r = -ENOMEM;
	}
	if (r == 0)
		r = add(s, KUBE_SLICE, namespace, labels, NULL);
	free(namespace);
	free(labels);
	return r;
}

static bool was_named_before(const struct source_kube_options *options, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcmp(options->namespaces[j], options->namespaces[i]) == 0)
			return true;
	return false;
}

static int add_all(struct source_kube *s, const struct source_kube_options *options)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->service_count; i++)
		if (is_first_of_namespace(options, i))
			r = add_wanted(s, options, i);
	if (options->service_count)
		return r;
	if (options->all_namespaces)
		return add_both(s, NULL);
	for (size_t i = 0; r == 0 && i < options->namespace_count; i++)
		if (!was_named_before(options, i)) /* a second watch of the same would take its objects away from the first */
			r = add_both(s, options->namespaces[i]);
	return options->namespace_count ? r : add_both(s, options->own);
}

static char *describe_where(const struct source_kube_options *options)
{
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (options->service_count) {
		fprintf(out, "services");
		for (size_t i = 0; i < options->service_count; i++) {
			struct wanted wanted = wanted_of(options, i);

			fprintf(out, "%s %.*s.%.*s", i ? "," : "", (int)wanted.name.len, wanted.name.at, (int)wanted.namespace.len,
				wanted.namespace.at);
		}
	} else if (options->all_namespaces) {
		fprintf(out, "all namespaces");
	} else {
		fprintf(out, options->namespace_count > 1 ? "namespaces" : "namespace");
		for (size_t i = 0; i < options->namespace_count; i++)
			fprintf(out, "%s %s", i ? "," : "", options->namespaces[i]);
		if (!options->namespace_count)
			fprintf(out, " %s", options->own);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

int source_kube_new(const struct kube_config *config, struct model *model, const struct source_kube_options *options,
		    struct source_kube **ret_source, struct report *why)
{
	struct source_kube *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return no_memory(why);
	s->config = config;
	s->model = model;
	s->timing = options->timing;
	s->own = strdup(options->own);
	s->where = describe_where(options);
	r = kube_http_new(config, &s->http, why);
	if (r == 0 && (!s->own || !s->where || add_all(s, options) < 0))
		r = no_memory(why);
	if (r < 0) {
		source_kube_free(s);
		return r;
	}
	*ret_source = s;
	return 0;
}

void source_kube_free(struct source_kube *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		reflector_free(s->reflectors[i]);
	free(s->reflectors);
	kube_http_free(s->http);
	free(s->own);
	free(s->where);
	free(s);
}

/* ---- at work ---- */

int source_kube_wait(struct source_kube *s, struct pollfd *fds, unsigned n, uint64_t now_ms, int timeout_ms)
{
	for (size_t i = 0; i < s->count; i++) {
		uint64_t due_ms = reflector_due_ms(s->reflectors[i]);

		if (due_ms <= now_ms)
			timeout_ms = 0;
		else if (due_ms - now_ms < (uint64_t)timeout_ms)
			timeout_ms = (int)(due_ms - now_ms);
	}
	return kube_http_wait(s->http, fds, n, timeout_ms);
}

/* The cluster as a whole is forbidden: the pod's own namespace perhaps is not. */
static void narrow_to_own(struct source_kube *s)
{
	char *where;

	for (size_t i = 0; i < s->count; i++)
		if (reflector_scope(s->reflectors[i])->namespace || reflector_is_synced(s->reflectors[i]) ||
		    !reflector_is_forbidden(s->reflectors[i]))
			return;
	if (s->count == 0 || asprintf(&where, "namespace %s", s->own) < 0)
		return;
	log_line("%s; following namespace %s alone", reflector_trouble(s->reflectors[0]), s->own);
	while (s->count)
		reflector_free(s->reflectors[--s->count]);
	free(s->where);
	s->where = where;
	if (add_both(s, s->own) < 0)
		log_line("out of memory: nothing is followed any more until this agent is started again");
}

void source_kube_run(struct source_kube *s, uint64_t now_ms)
{
	kube_http_run(s->http);
	narrow_to_own(s);
	for (size_t i = 0; i < s->count; i++)
		reflector_run(s->reflectors[i], now_ms);
}

/* ---- how it stands ---- */

bool source_kube_is_settled(const struct source_kube *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (!reflector_is_synced(s->reflectors[i]) && !reflector_is_refused(s->reflectors[i]))
			return false;
	return true;
}

static bool namespace_is_synced(const struct source_kube *s, const char *namespace)
{
	for (size_t i = 0; i < s->count; i++) {
		const char *of = reflector_scope(s->reflectors[i])->namespace;

		if ((!of == !namespace && (!of || strcmp(of, namespace) == 0)) && !reflector_is_synced(s->reflectors[i]))
			return false;
	}
	return true;
}

bool source_kube_is_synced(const struct source_kube *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (namespace_is_synced(s, reflector_scope(s->reflectors[i])->namespace))
			return true;
	return false;
}

bool source_kube_vouches(const struct source_kube *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (reflector_is_synced(s->reflectors[i]) && !reflector_is_sound(s->reflectors[i]))
			return false;
	return source_kube_is_synced(s);
}

/* Of the whole cluster, while it may turn out that none of it is allowed: narrow_to_own tells that. */
static bool is_undecided(const struct source_kube *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (!reflector_scope(s->reflectors[i])->namespace && !reflector_is_synced(s->reflectors[i]) &&
		    !reflector_is_refused(s->reflectors[i]))
			return true;
	return false;
}

const char *source_kube_trouble(const struct source_kube *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (reflector_trouble(s->reflectors[i])[0] && !(reflector_is_forbidden(s->reflectors[i]) && is_undecided(s)))
			return reflector_trouble(s->reflectors[i]);
	return "";
}

void source_kube_describe(const struct source_kube *s, char *buf, size_t size)
{
	snprintf(buf, size, "%s (%s), %s", s->config->server, s->config->description, s->where);
}

uint32_t source_kube_delay_ms(const struct source_kube *s)
{
	uint32_t delay_ms = UINT32_MAX;

	for (size_t i = 0; i < s->count; i++)
		if (reflector_delay_ms(s->reflectors[i]) < delay_ms)
			delay_ms = reflector_delay_ms(s->reflectors[i]);
	return delay_ms;
}

struct kube_standing source_kube_standing(const struct source_kube *s, enum kube_kind kind)
{
	struct kube_standing standing = { s->counts[kind], s->count > 0, UINT64_MAX };

	for (size_t i = 0; i < s->count; i++) {
		const struct reflector *r = s->reflectors[i];

		if (reflector_scope(r)->kind != kind)
			continue;
		standing.watching &= reflector_is_sound(r);
		if (reflector_contact_ms(r) < standing.contact_ms)
			standing.contact_ms = reflector_contact_ms(r);
	}
	return standing;
}

void source_kube_is_published(struct source_kube *s)
{
	if (s->delays.pending)
		delays_settle(&s->delays, clock_wall_ms());
}

const struct histogram *source_kube_delays(const struct source_kube *s)
{
	return &s->delays.histogram;
}
