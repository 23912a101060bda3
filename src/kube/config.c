/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "kube/base64.h"
#include "kube/config_files.h"
#include "model/label.h"

static int no_memory(struct report *why)
{
	return report(why, -ENOMEM, "out of memory");
}

/* ---- what both ways share ---- */

static void wipe_text(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static void wipe_data(void **data, size_t *size)
{
	if (*data)
		explicit_bzero(*data, *size);
	free(*data);
	*data = NULL;
	*size = 0;
}

bool kube_config_is_local(const struct kube_config *config)
{
	static const char *const hosts[] = { "127.", "[::1]", "localhost:", "localhost/" };
	const char *host = strstr(config->server, "://");

	host = host ? host + 3 : config->server;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strncmp(host, hosts[i], strlen(hosts[i])) == 0)
			return true;
	return strcmp(host, "localhost") == 0;
}

void kube_config_done(struct kube_config *config)
{
	wipe_text(&config->token);
	wipe_text(&config->proxy_url);
	wipe_data(&config->key_data, &config->key_size);
	free(config->server);
	free(config->namespace);
	free(config->ca_file);
	free(config->ca_data);
	free(config->token_file);
	free(config->cert_file);
	free(config->key_file);
	free(config->cert_data);
	free(config->tls_server_name);
	free(config->description);
	*config = (struct kube_config){ 0 };
}

static int check_readable(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* What a host may be written with, in a URL and in a certificate; IPv6 has colons. */
static bool is_host(struct slice host, bool may_have_colons)
{
	for (size_t i = 0; i < host.len; i++) {
		char c = text_lower(host.at[i]);

		if (!text_is_digit(c) && !(c >= 'a' && c <= 'z') && c != '.' && c != '-' && c != '_' &&
		    !(c == ':' && may_have_colons))
			return false;
	}
	return host.len > 0;
}

static bool is_port(struct slice text)
{
	unsigned number = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (!text_is_digit(text.at[i]) || number > 65535)
			return false;
		number = number * 10 + (unsigned)(text.at[i] - '0');
	}
	return text.len > 0 && number > 0 && number <= 65535;
}

static struct slice trimmed(const char *text)
{
	struct slice all = slice_of(text);

	while (all.len > 0 && text_is_space(all.at[all.len - 1]))
		all.len--;
	while (all.len > 0 && text_is_space(all.at[0])) {
		all.at++;
		all.len--;
	}
	return all;
}

/* ---- in a pod ---- */

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* The caller frees it; NULL: no memory. */
static char *account_file(const char *root, const char *name)
{
	char *path;

	return asprintf(&path, "%s%s/%s", root, ACCOUNT, name) < 0 ? NULL : path;
}

static int pod_server(char **ret, struct report *why)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT_HTTPS");
	bool v6 = host && strchr(host, ':');

	if (!port || !*port)
		port = getenv("KUBERNETES_SERVICE_PORT");
	if (!host || !*host || !port || !*port)
		return report(why, -ENOENT, "%s is not set: this is no pod of Kubernetes",
			      host && *host ? "KUBERNETES_SERVICE_PORT" : "KUBERNETES_SERVICE_HOST");
	if (!is_host(slice_of(host), true))
		return report(why, -EINVAL, "KUBERNETES_SERVICE_HOST: expected an address or a name, got \"%s\"", host);
	if (!is_port(slice_of(port)))
		return report(why, -EINVAL, "KUBERNETES_SERVICE_PORT: expected a port, got \"%s\"", port);
	if (asprintf(ret, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0) {
		*ret = NULL;
		return no_memory(why);
	}
	return 0;
}

static int pod_token(const char *path, struct report *why)
{
	int err = check_readable(path);

	if (err == -ENOENT)
		return report(why, err,
			      "%s is not there: the pod has no token: automountServiceAccountToken: true, or a "
			      "projected volume",
			      path);
	if (err == -EACCES)
		return report(why, err, "cannot read %s: %s: give the pod an fsGroup, or run as the user it belongs to",
			      path, strerror(-err));
	return err < 0 ? report(why, err, "cannot read %s: %s", path, strerror(-err)) : 0;
}

/* -ENOENT would say that this is no pod, which it is by now. */
static int pod_ca(const char *path, struct report *why)
{
	int err = check_readable(path);

	if (err == 0)
		return 0;
	return report(why, err == -ENOENT ? -EINVAL : err,
		      "cannot read %s: %s: the token's volume needs the ConfigMap kube-root-ca.crt", path,
		      strerror(-err));
}

/* A pod may have none; what is there must be one, since requests name it. */
static int pod_namespace(const char *path, char **ret, struct report *why)
{
	char text[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	struct slice name;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	name = trimmed(text);
	if (name.len == 0)
		return 0;
	if (!label_is_valid(name))
		return report(why, -EINVAL, "%s: expected " LABEL_EXPECTS, path);
	*ret = strndup(name.at, name.len);
	return *ret ? 0 : no_memory(why);
}

static int read_pod(const char *root, const char *namespace_file, struct kube_config *config, struct report *why)
{
	int err = pod_server(&config->server, why);

	config->token_file = account_file(root, "token");
	config->ca_file = account_file(root, "ca.crt");
	config->description = strdup("in-cluster");
	if (err < 0)
		return err;
	if (!config->token_file || !config->ca_file || !config->description || !namespace_file)
		return no_memory(why);
	err = pod_token(config->token_file, why);
	if (err == 0)
		err = pod_ca(config->ca_file, why);
	return err < 0 ? err : pod_namespace(namespace_file, &config->namespace, why);
}

int kube_config_in_cluster(const char *root, struct kube_config *ret, struct report *why)
{
	char *namespace_file = account_file(root, "namespace");
	struct kube_config config = { 0 };
	int err = read_pod(root, namespace_file, &config, why);

	free(namespace_file);
	if (err < 0)
		kube_config_done(&config);
	else
		*ret = config;
	return err;
}

/* ---- members of a kubeconfig ---- */

/* Copies a member's text; NULL where there is none. */
static int take_text(const struct config_entry *entry, const char *key, char **ret, struct report *why)
{
	const char *text;
	int err = config_text(entry, key, &text, why);

	if (err < 0 || !text)
		return err;
	*ret = strdup(text);
	return *ret ? 0 : no_memory(why);
}

/* A file's name, from the directory of the kubeconfig; it must be readable. */
static int take_file(const struct config_entry *entry, const char *key, char **ret, struct report *why)
{
	const char *name, *path = entry->file->path, *slash = strrchr(path, '/');
	int err = config_text(entry, key, &name, why);

	if (err < 0 || !name)
		return err;
	if (asprintf(ret, "%.*s%s", name[0] != '/' && slash ? (int)(slash + 1 - path) : 0, path, name) < 0) {
		*ret = NULL;
		return no_memory(why);
	}
	err = check_readable(*ret);
	if (err < 0) {
		config_refuse(entry, key, why, "cannot read %s: %s", *ret, strerror(-err));
		return err;
	}
	return 0;
}

/* PEM in base64. */
static int take_data(const struct config_entry *entry, const char *key, void **ret, size_t *ret_size,
		     struct report *why)
{
	const char *text;
	int err = config_text(entry, key, &text, why);

	if (err < 0 || !text)
		return err;
	err = base64_decode(text, strlen(text), ret, ret_size);
	if (err == -ENOMEM)
		return no_memory(why);
	if (err < 0)
		return config_refuse(entry, key, why, "expected base64: kubectl config view --raw shows the whole");
	if (!memmem(*ret, *ret_size, "-----BEGIN ", 11))
		return config_refuse(entry, key, why, "expected a PEM text in base64");
	return 0;
}

/* KEY-data, else the file KEY. */
static int take_pem(const struct config_entry *entry, const char *key, char **ret_file, void **ret_data,
		    size_t *ret_size, struct report *why)
{
	char data_key[48];
	int err;

	snprintf(data_key, sizeof(data_key), "%s-data", key);
	err = take_data(entry, data_key, ret_data, ret_size, why);
	return err < 0 || *ret_data ? err : take_file(entry, key, ret_file, why);
}

/* ---- cluster ---- */

/* "HOST", "HOST:PORT", "[V6]" or "[V6]:PORT". */
static bool is_authority(struct slice text)
{
	struct slice host, port = text;
	bool v6 = text.len > 0 && text.at[0] == '[';

	if (v6) {
		port.at++;
		port.len--;
	}
	host = slice_cut(&port, v6 ? ']' : ':');
	if (v6 && !port.at)
		return false;
	if (v6 && port.len > 0 && port.at[0] != ':')
		return false;
	if (v6 && port.len > 0) {
		port.at++;
		port.len--;
		return is_host(host, true) && is_port(port);
	}
	return is_host(host, v6) && (v6 || !port.at || is_port(port));
}

static bool is_path(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] <= ' ' || text.at[i] == 0x7f || text.at[i] == '?' || text.at[i] == '#')
			return false;
	return true;
}

static bool is_server(const char *url)
{
	bool tls = strncmp(url, "https://", 8) == 0;
	struct slice path;

	if (!tls && strncmp(url, "http://", 7) != 0)
		return false;
	path = slice_of(url + (tls ? 8 : 7));
	return is_authority(slice_cut(&path, '/')) && is_path(path);
}

/* A URL may hold a password where a host should be: what is refused is not shown. */
static int take_server(const struct config_entry *cluster, char **ret, struct report *why)
{
	int err = take_text(cluster, "server", ret, why);

	if (err < 0)
		return err;
	if (!*ret)
		return config_refuse(cluster, "server", why, "is missing");
	if (!is_server(*ret))
		return config_refuse(cluster, "server", why, "expected https://HOST:PORT");
	for (size_t len = strlen(*ret); (*ret)[len - 1] == '/'; len--)
		(*ret)[len - 1] = '\0';
	return 0;
}

static int take_proxy(const struct config_entry *cluster, char **ret, struct report *why)
{
	static const char *const schemes[] = { "http://", "https://", "socks5://" };
	int err = take_text(cluster, "proxy-url", ret, why);

	if (err < 0 || !*ret)
		return err;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(*ret, schemes[i], strlen(schemes[i])) == 0 && is_path(slice_of(*ret)))
			return 0;
	return config_refuse(cluster, "proxy-url", why, "expected http://, https:// or socks5://HOST:PORT");
}

static int take_tls_name(const struct config_entry *cluster, char **ret, struct report *why)
{
	int err = take_text(cluster, "tls-server-name", ret, why);

	if (err < 0 || !*ret || is_host(slice_of(*ret), true))
		return err;
	return config_refuse(cluster, "tls-server-name", why, "expected a host's name");
}

static int read_cluster(const struct config_entry *cluster, struct kube_config *config, struct report *why)
{
	int err = take_server(cluster, &config->server, why);

	if (err == 0)
		err = take_pem(cluster, "certificate-authority", &config->ca_file, &config->ca_data, &config->ca_size,
			       why);
	if (err == 0)
		err = config_bool(cluster, "insecure-skip-tls-verify", &config->insecure, why);
	if (err == 0 && config->insecure && (config->ca_file || config->ca_data))
		err = config_refuse(cluster, "insecure-skip-tls-verify", why,
				    "there is a certificate-authority too: leave one out");
	if (err == 0)
		err = take_tls_name(cluster, &config->tls_server_name, why);
	return err < 0 ? err : take_proxy(cluster, &config->proxy_url, why);
}

/* ---- user ---- */

#define USE_TOKEN "use a token: kubectl create token SERVICEACCOUNT"

/* It becomes a header: what could end that is refused, what surrounds it is not its own. */
static int take_token(const struct config_entry *user, char **ret, struct report *why)
{
	const char *text;
	int err = config_text(user, "token", &text, why);
	struct slice token;

	if (err < 0 || !text)
		return err;
	token = trimmed(text);
	for (size_t i = 0; i < token.len; i++)
		if (token.at[i] <= ' ' || token.at[i] >= 0x7f)
			return config_refuse(user, "token", why,
					     "no header can hold it: it has a space, or is not ASCII");
	if (token.len == 0)
		return config_refuse(user, "token", why, "is blank");
	*ret = strndup(token.at, token.len);
	return *ret ? 0 : no_memory(why);
}

/* A program's token comes after one that is written down, as in client-go. */
static int refuse_program(const struct config_entry *context, const struct config_entry *user, struct report *why)
{
	const char *command = json_string_value(json_object_get(json_object_get(user->object, "exec"), "command"));

	if (config_has(user, "exec"))
		return config_refuse(context, NULL, why,
				     "user %s needs the program \"%s\": fairdial runs none; " USE_TOKEN, user->name,
				     command ? command : "?");
	if (config_has(user, "auth-provider"))
		return config_refuse(context, NULL, why,
				     "user %s needs an auth-provider: fairdial has none; " USE_TOKEN, user->name);
	return 0;
}

static int refuse_others(const struct config_entry *context, const struct config_entry *user, struct report *why)
{
	static const char *const acting[] = { "as", "as-uid", "as-groups", "as-user-extra" };

	if (config_has(user, "username") || config_has(user, "password"))
		return config_refuse(context, NULL, why, "user %s has a password: fairdial sends none; " USE_TOKEN,
				     user->name);
	for (size_t i = 0; i < sizeof(acting) / sizeof(acting[0]); i++)
		if (config_has(user, acting[i]))
			return config_refuse(context, NULL, why,
					     "user %s acts as another (\"%s\"): fairdial does not; " USE_TOKEN,
					     user->name, acting[i]);
	return 0;
}

/* As client-go, passes a key over that has no certificate. */
static int take_certificate(const struct config_entry *user, struct kube_config *config, struct report *why)
{
	int err = take_pem(user, "client-certificate", &config->cert_file, &config->cert_data, &config->cert_size, why);

	if (err < 0 || (!config->cert_file && !config->cert_data))
		return err;
	err = take_pem(user, "client-key", &config->key_file, &config->key_data, &config->key_size, why);
	if (err == 0 && !config->key_file && !config->key_data)
		err = config_refuse(user, "client-key", why, "is missing: the client-certificate needs it");
	return err;
}

static int read_user(const struct config_entry *context, const struct config_entry *user, struct kube_config *config,
		     struct report *why)
{
	int err = refuse_others(context, user, why);

	if (err == 0)
		err = take_token(user, &config->token, why);
	if (err == 0)
		err = take_file(user, "tokenFile", &config->token_file, why);
	if (err == 0 && !config->token && !config->token_file)
		err = refuse_program(context, user, why);
	return err < 0 ? err : take_certificate(user, config, why);
}

/* ---- context ---- */

/* What a context names, which must be there. */
static int follow(const struct config_files *files, const struct config_entry *context, const char *kind,
		  struct config_entry *ret, struct report *why)
{
	const char *name;
	int err = config_text(context, kind, &name, why);

	if (err < 0)
		return err;
	if (!name)
		return config_refuse(context, kind, why, "is missing");
	err = config_files_find(files, kind, name, ret, why);
	if (err == -ENOENT)
		return config_refuse(context, kind, why, "there is no %s %s", kind, name);
	return err;
}

static int take_namespace(const struct config_entry *context, char **ret, struct report *why)
{
	int err = take_text(context, "namespace", ret, why);

	if (err < 0 || !*ret || label_is_valid(slice_of(*ret)))
		return err;
	return config_refuse(context, "namespace", why, "expected " LABEL_EXPECTS);
}

static int describe(const struct config_entry *context, char **ret, struct report *why)
{
	char absolute[PATH_MAX];

	if (asprintf(ret, "kubeconfig %s, context %s",
		     realpath(context->file->path, absolute) ? absolute : context->file->path, context->name) < 0) {
		*ret = NULL;
		return no_memory(why);
	}
	return 0;
}

static int read_context(const struct config_files *files, const struct config_entry *context,
			struct kube_config *config, struct report *why)
{
	struct config_entry cluster, user;
	int err = describe(context, &config->description, why);

	if (err == 0)
		err = take_namespace(context, &config->namespace, why);
	if (err == 0)
		err = follow(files, context, "cluster", &cluster, why);
	if (err == 0)
		err = read_cluster(&cluster, config, why);
	if (err < 0 || !config_has(context, "user")) /* none: a proxy speaks for one, or the server asks nobody */
		return err;
	err = follow(files, context, "user", &user, why);
	return err < 0 ? err : read_user(context, &user, config, why);
}

static int read_files(const struct config_files *files, struct kube_config *config, struct report *why)
{
	struct config_entry context;
	const char *name;
	int err = config_files_current(files, &name, why);

	if (err < 0)
		return err;
	err = config_files_find(files, "context", name, &context, why);
	if (err == -ENOENT)
		return report(why, -EINVAL,
			      "%s: current-context: there is no context %s: kubectl config get-contexts lists them",
			      files->given, name);
	return err < 0 ? err : read_context(files, &context, config, why);
}

int kube_config_load(const char *path, struct kube_config *ret, struct report *why)
{
	struct kube_config config = { 0 };
	struct config_files files;
	int err = config_files_open(path, &files, why);

	if (err < 0)
		return err;
	err = read_files(&files, &config, why);
	config_files_close(&files);
	if (err < 0)
		kube_config_done(&config);
	else
		*ret = config;
	return err;
}
