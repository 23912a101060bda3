/* SPDX-License-Identifier: Apache-2.0 */
/* Objects made up at random, as texts: what a parser would straighten out is of interest too. */
#include "support/testing.h"

#include "support/objects.h"
#include "support/process.h"

#define MAX_PARTS 24

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t below(uint64_t *state, size_t limit)
{
	return (size_t)(next(state) >> 11) % limit;
}

static bool chance(uint64_t *state, unsigned percent)
{
	return below(state, 100) < percent;
}

#define ANY(state, list) ((list)[below(state, sizeof(list) / sizeof(*(list)))])

/* ---- members and items ---- */

struct parts {
	const char *at[MAX_PARTS];
	size_t count;
};

static void add(struct parts *parts, const char *text)
{
	assert_true(parts->count < MAX_PARTS);
	parts->at[parts->count++] = text;
}

static void add_if(struct parts *parts, bool really, const char *text)
{
	if (really)
		add(parts, text);
}

/* With the white space that somebody likes. */
static const char *joined(uint64_t *state, const struct parts *parts, const char *open, const char *close)
{
	static const char *const spaces[] = { "", " ", "\n", "\t", "\r\n  " };
	const char *text = open;

	for (size_t i = 0; i < parts->count; i++)
		text = format("%s%s%s%s", text, i ? "," : "", ANY(state, spaces), parts->at[i]);
	return format("%s%s", text, close);
}

static const char *list(uint64_t *state, const struct parts *parts)
{
	return joined(state, parts, "[", "]");
}

/* Its members in any order. */
static const char *map(uint64_t *state, struct parts *parts)
{
	for (size_t i = parts->count; i > 1; i--) {
		size_t j = below(state, i);
		const char *other = parts->at[j];

		parts->at[j] = parts->at[i - 1];
		parts->at[i - 1] = other;
	}
	return joined(state, parts, "{", "}");
}

/* A member that may be there, null, empty, or hold something. */
static void add_list(uint64_t *state, struct parts *owner, const char *key, const struct parts *items)
{
	if (items->count || chance(state, 30))
		add(owner, format("\"%s\": %s", key, list(state, items)));
	else if (chance(state, 30))
		add(owner, format("\"%s\": null", key));
}

static void add_map(uint64_t *state, struct parts *owner, const char *key, struct parts *members)
{
	if (members->count || chance(state, 30))
		add(owner, format("\"%s\": %s", key, map(state, members)));
	else if (chance(state, 30))
		add(owner, format("\"%s\": null", key));
}

/* ---- values ---- */

static const char *number(uint64_t *state)
{
	static const char *const numbers[] = { "0",
					       "-0",
					       "1",
					       "-7",
					       "1.0",
					       "1.50",
					       "0.1",
					       "-0.0",
					       "1e3",
					       "1E+2",
					       "2.5e-10",
					       "1e400",
					       "9223372036854775807",
					       "-9223372036854775808",
					       "9223372036854775808",
					       "123456789012345678901234567890",
					       "3.14159265358979323846264338327950288" };

	return ANY(state, numbers);
}

static const char *string(uint64_t *state)
{
	static const char *const strings[] = { "\"\"",
					       "\"plain\"",
					       "\"Grüße, 東京 🚀\"",
					       "\"a<b && c>d\"",
					       "\"\\u0000 and \\u0007\"",
					       "\"\\u003c\\/script\\u003e\"",
					       "\"line\\nline\\ttab\\r\\f\\b\"",
					       "\"\\\\ \\\" '\"",
					       "\"\\u2028\\ud83d\\ude80\"",
					       "\"$(OTHER) $$(NOT)\"",
					       "\"\x7f\"" };

	return ANY(state, strings);
}

static void add_oddities(uint64_t *state, struct parts *owner)
{
	add_if(owner, chance(state, 15), format("\"x-number\": %s", number(state)));
	add_if(owner, chance(state, 15), format("\"x-string\": %s", string(state)));
	add_if(owner, chance(state, 5), format("\"x-\\u00fc \\\"key\\\"\": [%s, {}, [], null, true]", number(state)));
}

/* ---- a pod ---- */

static void add_preload(uint64_t *state, struct parts *env)
{
	static const char *const forms[] = {
		"{\"name\": \"LD_PRELOAD\", \"value\": \"/lib/a.so\"}",
		"{\"value\": \"/lib/a.so:/lib/b.so\", \"name\": \"LD_PRELOAD\"}",
		"{\"name\": \"LD_PRELOAD\", \"value\": \"/lib/a.so /lib/b.so\"}",
		"{\"name\": \"LD_PRELOAD\", \"value\": \":/lib/a.so:\"}",
		"{\"name\": \"LD_PRELOAD\", \"value\": \"$(BEFORE)/lib/a.so\"}",
		"{\"name\": \"LD_PRELOAD\", \"value\": \"\"}",
		"{\"name\": \"LD_PRELOAD\", \"value\": null}",
		"{\"name\": \"LD_PRELOAD\"}",
		"{\"name\": \"LD_PRELOAD\", \"value\": \"/opt/fairdial/libfairdial.so\"}",
		"{\"name\": \"LD_PRELOAD\", \"value\": \"/lib/a.so:/opt/fairdial/libfairdial.so:/lib/b.so\"}",
		"{\"name\": \"LD_PRELOAD\", \"value\": \"/usr/local/lib/libfairdial.so\"}",
		("{\"name\": \"LD_PRELOAD\", \"valueFrom\": {\"configMapKeyRef\": {\"name\": \"c\", \"key\": \"k\", "
		 "\"optional\": true}}}"),
		"{\"valueFrom\": {\"secretKeyRef\": {\"key\": \"k\", \"name\": \"s\"}}, \"name\": \"LD_PRELOAD\"}",
	};

	if (chance(state, 50))
		add(env, ANY(state, forms));
}

static struct parts variables(uint64_t *state)
{
	struct parts env = { 0 };

	if (chance(state, 30))
		return env;
	add_if(&env, chance(state, 30), "{\"name\": \"BEFORE\", \"value\": \"/usr\"}");
	add_if(&env, chance(state, 30), format("{\"name\": \"TEXT\", \"value\": %s}", string(state)));
	add_if(&env, chance(state, 5), "{\"name\": \"LD_PRELOAD\", \"value\": \"/lib/overridden.so\"}");
	add_preload(state, &env);
	add_if(&env, chance(state, 10), "{\"name\": \"FAIRDIAL_DIR\", \"value\": \"/elsewhere\"}");
	add_if(&env, chance(state, 5), "{\"name\": \"FAIRDIAL_DIR\", \"value\": \"/run/fairdial/pod\"}");
	add_if(&env, chance(state, 30), "{\"name\": \"AFTER\", \"value\": \"$(LD_PRELOAD)\"}");
	return env;
}

static struct parts security(uint64_t *state)
{
	static const char *const users[] = { "\"runAsUser\": 0", "\"runAsUser\": 1000", "\"runAsUser\": null" };
	struct parts context = { 0 };

	add_if(&context, chance(state, 40), ANY(state, users));
	add_if(&context, chance(state, 30), "\"runAsNonRoot\": true");
	add_if(&context, chance(state, 30), "\"seccompProfile\": {\"type\": \"RuntimeDefault\"}");
	return context;
}

static const char *container(uint64_t *state, const char *name)
{
	struct parts members = { 0 }, env = variables(state), mounts = { 0 }, context = security(state), sources = { 0 };

	add(&members, format("\"name\": \"%s\"", name));
	add(&members, "\"image\": \"example/image:1\"");
	add_list(state, &members, "env", &env);
	add_if(&mounts, chance(state, 40), "{\"name\": \"data\", \"mountPath\": \"/data\"}");
	add_if(&mounts, chance(state, 10), "{\"mountPath\": \"/run\", \"name\": \"run\"}");
	add_list(state, &members, "volumeMounts", &mounts);
	add_if(&sources, chance(state, 20), "{\"configMapRef\": {\"name\": \"c\"}}");
	add_if(&sources, chance(state, 10), "{\"prefix\": \"DB_\", \"secretRef\": {\"name\": \"s\"}}");
	add_list(state, &members, "envFrom", &sources);
	add_map(state, &members, "securityContext", &context);
	add_oddities(state, &members);
	return map(state, &members);
}

static const char *pod_spec(uint64_t *state)
{
	struct parts members = { 0 }, containers = { 0 }, first = { 0 }, volumes = { 0 }, context = security(state);
	size_t count = 1 + below(state, 3);

	for (size_t i = 0; i < count; i++)
		add(&containers, container(state, format("c%zu", i)));
	for (size_t i = below(state, 3); i-- > 0;)
		add(&first, container(state, format("init-%zu", i)));
	add_if(&first, chance(state, 20), "{\"name\": \"sidecar\", \"image\": \"i\", \"restartPolicy\": \"Always\"}");
	add_if(&volumes, chance(state, 40), "{\"name\": \"data\", \"emptyDir\": {}}");
	add_if(&volumes, chance(state, 20), "{\"configMap\": {\"name\": \"c\", \"defaultMode\": 420}, \"name\": \"config\"}");
	add(&members, format("\"containers\": %s", list(state, &containers)));
	add_list(state, &members, "initContainers", &first);
	add_list(state, &members, "volumes", &volumes);
	add_map(state, &members, "securityContext", &context);
	add_if(&members, chance(state, 15), "\"hostNetwork\": true");
	add_if(&members, chance(state, 10), "\"ephemeralContainers\": [{\"name\": \"debugger\"}]");
	add_oddities(state, &members);
	return map(state, &members);
}

static struct parts metadata(uint64_t *state)
{
	struct parts members = { 0 }, annotations = { 0 }, labels = { 0 };

	add_if(&annotations, chance(state, 20), format("\"note\": %s", string(state)));
	add_if(&annotations, chance(state, 15), "\"fairdial.dev/services\": \"a, b.other\"");
	add_if(&annotations, chance(state, 15), "\"fairdial.dev/mode\": \"observe\"");
	add_if(&annotations, chance(state, 15), "\"fairdial.dev/skip-containers\": \"c1\"");
	add_if(&annotations, chance(state, 10), "\"fairdial.dev/inject\": \"true\"");
	add_map(state, &members, "annotations", &annotations);
	add_if(&labels, chance(state, 50), "\"app\": \"web\"");
	add_map(state, &members, "labels", &labels);
	add_if(&members, chance(state, 20), "\"creationTimestamp\": null");
	return members;
}

static struct parts object_metadata(uint64_t *state)
{
	struct parts members = metadata(state);

	add(&members, format("\"name\": \"web-%zu\"", below(state, 100)));
	add_if(&members, chance(state, 80), "\"namespace\": \"shop\"");
	add_if(&members, chance(state, 40), "\"resourceVersion\": \"4711\"");
	add_if(&members, chance(state, 30), "\"managedFields\": [{\"manager\": \"kubectl\", \"fieldsV1\": {\"f:spec\": {}}}]");
	add_if(&members, chance(state, 30), "\"uid\": \"3b0e\"");
	return members;
}

static const char *template(uint64_t *state)
{
	struct parts members = { 0 }, its = metadata(state);

	add_map(state, &members, "metadata", &its);
	add(&members, format("\"spec\": %s", pod_spec(state)));
	return map(state, &members);
}

/* ---- objects ---- */

static const char *one(uint64_t *state)
{
	static const char *const kinds[][2] = { { "Pod", "v1" },
						{ "PodTemplate", "v1" },
						{ "ReplicationController", "v1" },
						{ "Deployment", "apps/v1" },
						{ "ReplicaSet", "apps/v1" },
						{ "StatefulSet", "apps/v1" },
						{ "DaemonSet", "apps/v1" },
						{ "Job", "batch/v1" },
						{ "CronJob", "batch/v1" } };
	size_t kind = below(state, sizeof(kinds) / sizeof(*kinds));
	struct parts members = { 0 }, its = object_metadata(state);

	add(&members, format("\"kind\": \"%s\"", kinds[kind][0]));
	add(&members, format("\"apiVersion\": \"%s\"", kinds[kind][1]));
	add(&members, format("\"metadata\": %s", map(state, &its)));
	if (kind == 0)
		add(&members, format("\"spec\": %s", pod_spec(state)));
	else if (kind == 1)
		add(&members, format("\"template\": %s", template(state)));
	else if (strcmp(kinds[kind][0], "CronJob") == 0)
		add(&members, format("\"spec\": {\"jobTemplate\": {\"spec\": {\"template\": %s}}}", template(state)));
	else
		add(&members, format("\"spec\": {\"template\": %s, \"replicas\": 3}", template(state)));
	add_if(&members, chance(state, 40), "\"status\": {\"replicas\": 3}");
	add_oddities(state, &members);
	return map(state, &members);
}

char *object_at_random(uint64_t *state)
{
	struct parts items = { 0 };

	if (chance(state, 80))
		return format("%s", one(state));
	for (size_t i = below(state, 4); i-- > 0;)
		add(&items, one(state));
	add_if(&items, chance(state, 50),
	       format("{\"kind\": \"Rollout\", \"apiVersion\": \"example.com/v1\", \"weight\": %s, \"status\": {}}",
		      number(state)));
	return format("{\"apiVersion\": \"v1\", \"items\": %s, \"kind\": \"List\"}", list(state, &items));
}
