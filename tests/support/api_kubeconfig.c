/* SPDX-License-Identifier: Apache-2.0 */
/* Files as kubectl reads them. YAML is written by hand, in the block form that kubectl itself writes. */
#include "support/testing.h"

#include <openssl/evp.h>

#include "support/api_state.h"
#include "support/services.h"

static json_t *file_in_base64(const char *path)
{
	size_t size;
	char *bytes = read_file(path, &size), *out = malloc(size * 2 + 8);
	json_t *value;

	EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)bytes, (int)size);
	value = json_string(out);
	free(out);
	return value;
}

/* "key": path, or "key-data": what is in it. */
static void set_file(json_t *to, const char *key, const char *path, bool inline_data)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", key, inline_data ? "-data" : "");
	json_object_set_new(to, name, inline_data ? file_in_base64(path) : json_string(path));
}

static json_t *cluster_of(const struct api_server *s, const struct api_kubeconfig *o)
{
	json_t *cluster = json_object();

	set_file(cluster, "certificate-authority", o->other_ca ? s->certs.other_ca : s->certs.ca, o->inline_data);
	json_object_set_new(cluster, "server", json_string(o->server ? o->server : s->url));
	return cluster;
}

static json_t *user_of(const struct api_server *s, const struct api_kubeconfig *o)
{
	json_t *user = json_object();

	if (o->client_cert) {
		set_file(user, "client-certificate", s->certs.client_cert, o->inline_data);
		set_file(user, "client-key", s->certs.client_key, o->inline_data);
	}
	if (o->token)
		json_object_set_new(user, "token", json_string(o->token));
	if (o->token_file)
		json_object_set_new(user, "tokenFile", json_string(o->token_file));
	return user;
}

static json_t *context_of(const char *cluster, const char *user, const char *namespace)
{
	json_t *context = json_pack("{s:s,s:s}", "cluster", cluster, "user", user);

	if (namespace)
		json_object_set_new(context, "namespace", json_string(namespace));
	return context;
}

static void append(json_t *config, const char *list, const char *name, const char *key, json_t *value)
{
	json_array_append_new(json_object_get(config, list), json_pack("{s:s,s:o}", "name", name, key, value));
}

/* Where nobody listens. */
static void append_decoys(json_t *config)
{
	append(config, "clusters", "decoy", "cluster", json_pack("{s:s}", "server", "https://127.0.0.1:9"));
	append(config, "users", "decoy", "user", json_pack("{s:s}", "token", "wrong"));
	append(config, "contexts", "decoy", "context", context_of("decoy", "decoy", "decoy"));
}

static json_t *config_of(const struct api_server *s, const struct api_kubeconfig *o)
{
	json_t *config = json_pack("{s:s,s:[],s:[],s:s,s:s,s:[]}", "apiVersion", "v1", "clusters", "contexts",
				   "current-context", "here", "kind", "Config", "users");

	if (o->decoys)
		append_decoys(config);
	append(config, "clusters", "test-cluster", "cluster", cluster_of(s, o));
	append(config, "users", "test-user", "user", user_of(s, o));
	append(config, "contexts", "here", "context", context_of("test-cluster", "test-user", o->namespace));
	return config;
}

static void add_mapping(struct text *t, json_t *object, const char *first, const char *others);

/* A value behind its key. */
static void add_value(struct text *t, json_t *value, const char *indent)
{
	char deeper[32];
	json_t *item;
	size_t i;

	if (json_is_string(value)) {
		text_printf(t, " %s\n", json_string_value(value));
	} else if (json_is_array(value)) {
		char first[64], others[64];

		text_puts(t, "\n");
		snprintf(first, sizeof(first), "%s- ", indent);
		snprintf(others, sizeof(others), "%s  ", indent);
		json_array_foreach(value, i, item) add_mapping(t, item, first, others);
	} else if (json_object_size(value)) {
		text_puts(t, "\n");
		snprintf(deeper, sizeof(deeper), "%s  ", indent);
		add_mapping(t, value, deeper, deeper);
	} else {
		text_puts(t, " {}\n");
	}
}

static void add_mapping(struct text *t, json_t *object, const char *first, const char *others)
{
	const char *key, *indent = first;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		text_printf(t, "%s%s:", indent, key);
		add_value(t, value, others);
		indent = others;
	}
}

void api_write_kubeconfig(const struct api_server *s, const char *path, const struct api_kubeconfig *options)
{
	static const struct api_kubeconfig usual;
	struct api_kubeconfig o = *(options ? options : &usual);
	json_t *config = config_of(s, &o);
	struct text t = { 0 };
	char *json;

	if (o.yaml) {
		add_mapping(&t, config, "", "");
	} else {
		json = json_dumps(config, JSON_INDENT(2));
		text_puts(&t, json);
		free(json);
	}
	write_file(path, t.bytes, t.length);
	text_done(&t);
	json_decref(config);
}
