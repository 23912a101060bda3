/* SPDX-License-Identifier: Apache-2.0 */
/* Where the API server is and who one is to it: in a pod, and by a kubeconfig. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kube/config.h"
#include "support/cleanup.h"
#include "yaml/json.h"

/* ---- a directory of the test's own ---- */

static char dir[64];

static void remove_dir(void *unused)
{
	char command[128];

	(void)unused;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static void new_dir(void)
{
	strcpy(dir, "/tmp/fairdial-config-XXXXXX");
	assert_non_null(mkdtemp(dir));
	after_test(remove_dir, NULL);
}

static char *path_of(const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, 256, "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text, size_t len)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

/* Texts are written with ' for ", which is easier to read. */
static char *json(const char *text)
{
	static char quoted[4][8192];
	static unsigned turn;
	char *copy = quoted[turn++ % 4];

	assert_true(strlen(text) < 8192);
	strcpy(copy, text);
	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	return copy;
}

static struct kube_config config;

static void done(void *unused)
{
	(void)unused;
	kube_config_done(&config);
}

static void load(const char *path)
{
	struct report why = { "" };
	int err;

	kube_config_done(&config);
	err = kube_config_load(path, &config, &why);
	if (err < 0)
		fail_msg("%d: %s", err, why.text);
	after_test(done, NULL);
}

static void load_text(const char *text)
{
	put_text("config", text);
	load(path_of("config"));
}

static void check_refused(const char *path, int error, const char *expected)
{
	struct kube_config before, after;
	struct report why = { "" };
	int err;

	memset(&before, 0x5a, sizeof(before));
	memcpy(&after, &before, sizeof(after));
	err = kube_config_load(path, &after, &why);
	if (err != error || !strstr(why.text, expected))
		fail_msg("expected %d %s\n  got %d %s", error, expected, err, why.text);
	assert_null(strchr(why.text, '\n'));
	assert_memory_equal(&after, &before, sizeof(after));
	if (strstr(why.text, "SECRET"))
		fail_msg("it tells a secret: %s", why.text);
}

static void refused(const char *text, const char *expected)
{
	put_text("config", text);
	check_refused(path_of("config"), -EINVAL, expected);
	assert_int_equal(kube_config_load(path_of("config"), &config, &(struct report){ "" }), -EINVAL);
}

/* One cluster, one user, one context "x". */
static char *with(const char *cluster, const char *user)
{
	static char text[8192];

	snprintf(text, sizeof(text),
		 "{'current-context': 'x', 'contexts': [{'name': 'x', 'context': {'cluster': 'c', 'user': 'u'}}],"
		 "'clusters': [{'name': 'c', 'cluster': {%s}}], 'users': [{'name': 'u', 'user': {%s}}]}",
		 cluster, user);
	return json(text);
}

#define SERVER "'server': 'https://10.0.0.1:6443'"
#define PEM64  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==" /* "-----BEGIN CERTIFICATE-----\n" */
#define PEM    "-----BEGIN CERTIFICATE-----\n"

/* ---- in a pod ---- */

static const char *const variables[] = { "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
					 "KUBERNETES_SERVICE_PORT_HTTPS" };

static void set_pod(const char *host, const char *port, const char *https)
{
	const char *values[] = { host, port, https };

	for (size_t i = 0; i < 3; i++)
		assert_int_equal(values[i] ? setenv(variables[i], values[i], 1) : unsetenv(variables[i]), 0);
}

#define ACCOUNT "var/run/secrets/kubernetes.io/serviceaccount"

static void new_account(void)
{
	char command[200];

	new_dir();
	snprintf(command, sizeof(command), "mkdir -p %s/" ACCOUNT, dir);
	assert_int_equal(system(command), 0);
	put_text(ACCOUNT "/token", "SECRET\n");
	put_text(ACCOUNT "/ca.crt", PEM);
	put_text(ACCOUNT "/namespace", "shop\n");
}

static void load_pod(void)
{
	struct report why = { "" };

	kube_config_done(&config);
	if (kube_config_in_cluster(dir, &config, &why) < 0)
		fail_msg("%s", why.text);
	after_test(done, NULL);
}

static void pod_refused(int error, const char *expected)
{
	struct kube_config before = { .insecure = true }, after = before;
	struct report why = { "" };
	int err = kube_config_in_cluster(dir, &after, &why);

	if (err != error || !strstr(why.text, expected))
		fail_msg("expected %d %s\n  got %d %s", error, expected, err, why.text);
	assert_memory_equal(&after, &before, sizeof(after));
}

static void a_pod_finds_its_service_account(void **state)
{
	(void)state;
	new_account();
	set_pod("10.96.0.1", "443", NULL);
	load_pod();
	assert_string_equal(config.server, "https://10.96.0.1:443");
	assert_string_equal(config.namespace, "shop");
	assert_string_equal(config.token_file, path_of(ACCOUNT "/token"));
	assert_string_equal(config.ca_file, path_of(ACCOUNT "/ca.crt"));
	assert_string_equal(config.description, "in-cluster");
	assert_null(config.token);
	assert_false(config.insecure);
}

static void a_pods_server_may_be_ipv6_or_a_name_and_its_https_port_goes_first(void **state)
{
	(void)state;
	new_account();
	set_pod("fd00::1", "80", "6443");
	load_pod();
	assert_string_equal(config.server, "https://[fd00::1]:6443");
	set_pod("kubernetes.default", "80", "");
	load_pod();
	assert_string_equal(config.server, "https://kubernetes.default:80");
}

static void what_is_no_pod_is_told_from_a_broken_one(void **state)
{
	(void)state;
	new_account();
	set_pod(NULL, "443", NULL);
	pod_refused(-ENOENT, "KUBERNETES_SERVICE_HOST is not set");
	set_pod("", "443", NULL);
	pod_refused(-ENOENT, "KUBERNETES_SERVICE_HOST is not set");
	set_pod("10.0.0.1", NULL, NULL);
	pod_refused(-ENOENT, "KUBERNETES_SERVICE_PORT is not set");
	set_pod("evil/@x", "443", NULL);
	pod_refused(-EINVAL, "KUBERNETES_SERVICE_HOST: expected an address");
	set_pod("10.0.0.1", "0", NULL);
	pod_refused(-EINVAL, "KUBERNETES_SERVICE_PORT: expected a port");
	set_pod("10.0.0.1", "65536", NULL);
	pod_refused(-EINVAL, "KUBERNETES_SERVICE_PORT: expected a port");
	set_pod("10.0.0.1", "tcp://10.0.0.1:80", NULL);
	pod_refused(-EINVAL, "KUBERNETES_SERVICE_PORT: expected a port");
}

static void a_pod_needs_a_token_and_the_ca(void **state)
{
	(void)state;
	new_account();
	set_pod("10.0.0.1", "443", NULL);
	assert_int_equal(unlink(path_of(ACCOUNT "/ca.crt")), 0);
	pod_refused(-EINVAL, "kube-root-ca.crt");
	assert_int_equal(unlink(path_of(ACCOUNT "/token")), 0);
	pod_refused(-ENOENT, "/token is not there: the pod has no token");
	assert_int_equal(symlink("token", path_of(ACCOUNT "/token")), 0);
	pod_refused(-ELOOP, "cannot read ");
}

static void a_pods_namespace_may_be_missing_but_not_strange(void **state)
{
	(void)state;
	new_account();
	set_pod("10.0.0.1", "443", NULL);
	put_text(ACCOUNT "/namespace", "../x");
	pod_refused(-EINVAL, "/namespace: expected a name");
	put_text(ACCOUNT "/namespace", "\n");
	load_pod();
	assert_null(config.namespace);
	assert_int_equal(unlink(path_of(ACCOUNT "/namespace")), 0);
	load_pod();
	assert_null(config.namespace);
}

/* ---- what a kubeconfig says ---- */

static void a_kubeconfig_gives_the_current_context(void **state)
{
	char expected[300];

	(void)state;
	new_dir();
	load_text(json("{'apiVersion': 'v1', 'kind': 'Config', 'preferences': {}, 'current-context': 'b',"
		       "'contexts': [{'name': 'a', 'context': {'cluster': 'a', 'user': 'a'}},"
		       "             {'name': 'b', 'context': {'cluster': 'c', 'user': 'u', 'namespace': 'shop'}}],"
		       "'clusters': [{'name': 'a', 'cluster': {'server': 5}}, {'name': 'c', 'cluster': {" SERVER ","
		       "  'tls-server-name': 'kube.example', 'proxy-url': 'socks5://u:SECRET@p:1',"
		       "  'certificate-authority-data': '" PEM64 "'}}],"
		       "'users': [{'name': 'a', 'user': null}, {'name': 'u', 'user': {'token': 'SECRET.t-_~+/='}}]}"));
	snprintf(expected, sizeof(expected), "kubeconfig %s, context b", path_of("config"));
	assert_string_equal(config.description, expected);
	assert_string_equal(config.server, "https://10.0.0.1:6443");
	assert_string_equal(config.namespace, "shop");
	assert_string_equal(config.token, "SECRET.t-_~+/=");
	assert_string_equal(config.tls_server_name, "kube.example");
	assert_string_equal(config.proxy_url, "socks5://u:SECRET@p:1");
	assert_int_equal(config.ca_size, strlen(PEM));
	assert_string_equal(config.ca_data, PEM);
	assert_null(config.ca_file);
	assert_null(config.token_file);
	assert_null(config.cert_data);
	assert_false(config.insecure);
}

static void a_kubeconfig_may_be_yaml(void **state)
{
	static const char text[] = "# made by hand\n"
				   "current-context: x\n"
				   "contexts:\n"
				   "- {name: x, context: {cluster: c, user: u}}\n"
				   "clusters:\n"
				   "- name: c\n"
				   "  cluster:\n"
				   "    server: https://[::1]:6443/\n"
				   "    insecure-skip-tls-verify: true\n"
				   "users:\n"
				   "- name: u\n"
				   "  user:\n"
				   "    token: |\n"
				   "      SECRET\n";

	(void)state;
	new_dir();
	if (!yaml_json_version()) {
		put_text("config", text);
		check_refused(path_of("config"), -ENOTSUP, "YAML needs a build with libyaml");
		return;
	}
	load_text(text);
	assert_string_equal(config.server, "https://[::1]:6443");
	assert_string_equal(config.token, "SECRET");
	assert_true(config.insecure);
}

static void a_context_without_a_user_is_nobody(void **state)
{
	(void)state;
	new_dir();
	load_text(json("{'current-context': 'x', 'contexts': [{'name': 'x', 'context': {'cluster': 'c', 'user': ''}}],"
		       "'clusters': [{'name': 'c', 'cluster': {'server': 'http://127.0.0.1:8001/'}}]}"));
	assert_string_equal(config.server, "http://127.0.0.1:8001");
	assert_null(config.token);
	assert_null(config.namespace);
}

static void a_server_may_have_a_path_and_needs_no_port(void **state)
{
	(void)state;
	new_dir();
	load_text(with("'server': 'https://rancher.example/k8s/clusters/c-1//'", ""));
	assert_string_equal(config.server, "https://rancher.example/k8s/clusters/c-1");
	load_text(with("'server': 'https://[fd00::1]'", ""));
	assert_string_equal(config.server, "https://[fd00::1]");
}

static void a_server_on_this_machine_is_told_by_its_address(void **state)
{
	static const char *const here[] = { "https://127.0.0.1:6443", "https://127.9.9.9", "https://[::1]:6443", "https://localhost",
					    "https://localhost:6443", "https://localhost/k8s" };
	static const char *const away[] = { "https://10.96.0.1:443", "https://[fd00::1]:443", "https://localhost.example",
					    "https://12.7.0.1", "https://a.example/127.0.0.1", "https://kubernetes.default.svc" };

	(void)state;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		assert_true(kube_config_is_local(&(struct kube_config){ .server = (char *)here[i] }));
	for (size_t i = 0; i < sizeof(away) / sizeof(away[0]); i++)
		assert_false(kube_config_is_local(&(struct kube_config){ .server = (char *)away[i] }));
}

static void file_names_are_relative_to_the_kubeconfig(void **state)
{
	(void)state;
	new_dir();
	assert_int_equal(mkdir(path_of("pki"), 0700), 0);
	put_text("pki/ca", PEM);
	put_text("crt", PEM);
	put_text("key", PEM);
	put_text("tok", "SECRET");
	load_text(with(SERVER ", 'certificate-authority': 'pki/ca'",
		       "'client-certificate': './crt', 'client-key': 'key', 'tokenFile': 'tok'"));
	assert_string_equal(config.ca_file, path_of("pki/ca"));
	assert_string_equal(config.cert_file, path_of("./crt"));
	assert_string_equal(config.key_file, path_of("key"));
	assert_string_equal(config.token_file, path_of("tok"));
	load_text(with(SERVER ", 'certificate-authority': '/dev/null'", ""));
	assert_string_equal(config.ca_file, "/dev/null");
}

static void a_kubeconfig_of_the_working_directory_has_its_files_there(void **state)
{
	char *before = getcwd(NULL, 0);

	(void)state;
	new_dir();
	put_text("ca", PEM);
	put_text("config", with(SERVER ", 'certificate-authority': 'ca'", ""));
	assert_int_equal(chdir(dir), 0);
	load("config");
	assert_string_equal(config.ca_file, "ca");
	assert_int_equal(chdir(before), 0);
	free(before);
}

static void data_goes_before_a_file_that_is_not_even_looked_at(void **state)
{
	(void)state;
	new_dir();
	load_text(with(SERVER ", 'certificate-authority': 'missing', 'certificate-authority-data': '" PEM64 "'",
		       "'client-certificate': 'missing', 'client-certificate-data': '" PEM64 "',"
		       "'client-key': 'missing', 'client-key-data': '" PEM64 "'"));
	assert_null(config.ca_file);
	assert_null(config.cert_file);
	assert_null(config.key_file);
	assert_string_equal(config.ca_data, PEM);
	assert_string_equal(config.cert_data, PEM);
	assert_string_equal(config.key_data, PEM);
	assert_int_equal(config.key_size, strlen(PEM));
}

static void a_token_and_its_file_are_both_handed_on(void **state)
{
	(void)state;
	new_dir();
	put_text("tok", "SECRET");
	load_text(with(SERVER, "'token': 'SECRET', 'tokenFile': 'tok'"));
	assert_string_equal(config.token, "SECRET");
	assert_string_equal(config.token_file, path_of("tok"));
}

static void a_token_that_is_written_down_spares_the_program(void **state)
{
	(void)state;
	new_dir();
	load_text(with(SERVER, "'token': 'SECRET', 'exec': {'command': 'aws'}, 'auth-provider': {'name': 'gcp'}"));
	assert_string_equal(config.token, "SECRET");
	load_text(with(SERVER, "'token': 'SECRET', 'exec': null, 'as-groups': [], 'username': ''"));
}

static void a_key_without_a_certificate_is_passed_over(void **state)
{
	(void)state;
	new_dir();
	load_text(with(SERVER, "'client-key': 'missing'"));
	assert_null(config.key_file);
}

/* ---- what it must not say ---- */

static void what_a_context_names_must_be_there(void **state)
{
	(void)state;
	new_dir();
	refused("", ": current-context is not set: kubectl config use-context NAME");
	refused("{}", "current-context is not set");
	refused(json("{'current-context': ''}"), "current-context is not set");
	refused(json("{'current-context': null}"), "current-context is not set");
	refused(json("{'current-context': ['SECRET']}"), "current-context: expected a text, got a list");
	refused(json("{'current-context': 'x'}"), "there is no context x: kubectl config get-contexts");
	refused(json("{'current-context': 'x', 'contexts': null}"), "there is no context x");
	refused(json("{'current-context': 'x', 'contexts': [{'name': 'x'}]}"), "context x: is empty");
	refused(json("{'current-context': 'x', 'contexts': [{'name': 'x', 'context': null}]}"), "context x: is empty");
	refused(json("{'current-context': 'x', 'contexts': [{'name': 'x', 'context': {}}]}"),
		"/config: context x: cluster: is missing");
	refused(json("{'current-context': 'x', 'contexts': [{'name': 'x', 'context': {'cluster': 'c'}}]}"),
		"context x: cluster: there is no cluster c");
	refused(json("{'current-context': 'x', 'contexts': [{'name': 'x', 'context': {'cluster': 'c', 'user': 'u'}}],"
		     "'clusters': [{'name': 'c', 'cluster': {" SERVER "}}]}"),
		"context x: user: there is no user u");
	refused(json("{'current-context': 'x', 'contexts': [{'name': 'x', 'context': {'cluster': 'c', 'user': 'u'}}],"
		     "'clusters': [{'name': 'c', 'cluster': {" SERVER "}}], 'users': [{'name': 'u'}]}"),
		"user u: is empty");
	refused(json("{'current-context': 'x', 'contexts': [{'name': 'x', 'context': {'cluster': 'c', 'namespace': 'a/b'}}]}"),
		"context x: namespace: expected a name");
}

static void wrong_types_are_named_but_not_shown(void **state)
{
	(void)state;
	new_dir();
	refused(json("{'kind': 'Pod'}"), "kind: expected Config: this is no kubeconfig");
	refused(json("{'contexts': 'SECRET'}"), "contexts: expected a list, got a text");
	refused(json("{'users': {'SECRET': 1}}"), "users: expected a list, got an object");
	refused(json("{'clusters': ['SECRET']}"), "clusters[0]: expected an object with \"name\" and \"cluster\", got a text");
	refused(json("{'users': [{'name': 'a'}, {'user': {}}]}"), "users[1].name: expected a text");
	refused(json("{'users': [{'name': 7}]}"), "users[0].name: expected a text");
	refused(json("{'users': [{'name': 'u', 'user': 'SECRET'}]}"), "user u: expected an object, got a text");
	refused(with("'server': ['SECRET']", ""), "cluster c: server: expected a text, got a list");
	refused(with(SERVER ", 'insecure-skip-tls-verify': 'SECRET'", ""),
		"insecure-skip-tls-verify: expected true or false, got a text");
	refused(with(SERVER, "'token': 12345"), "user u: token: expected a text, got a number");
	refused(with(SERVER, "'token': true"), "user u: token: expected a text, got true or false");
	refused(with(SERVER, "'client-key-data': {}, 'client-certificate-data': null, 'tokenFile': []"),
		"user u: tokenFile: expected a text, got a list");
}

static void names_that_are_there_twice_are_refused(void **state)
{
	(void)state;
	new_dir();
	refused(json("{'users': [{'name': 'u', 'user': {'token': 'SECRET'}}, {'name': 'u', 'user': {}}]}"),
		"user u is there twice");
	refused(json("{'contexts': [{'name': 'x'}, {'name': 'y'}, {'name': 'x'}]}"), "context x is there twice");
	refused(json("{'clusters': [{'name': ''}, {'name': ''}]}"), "is there twice");
	refused(json("{'users': [],\n 'users': []}"), "/config:2:8: duplicate key");
}

static void servers_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
		"10.0.0.1:6443",      "ftp://SECRET",	     "https://",	    "https:///x",
		"https://u:SECRET@h", "https://h:0",	     "https://h:65536",	    "https://h:",
		"https://h:6443x",    "https://[::1",	     "https://[]:1",	    "https://[::1]x",
		"https://::1:6443",   "https://h/x?SECRET",  "https://h/#SECRET",   "https://h /x",
		"https://h/a b",      "https://h:1/\\r\\nX", "https://h:18446744073709551617",
	};
	char cluster[128];

	(void)state;
	new_dir();
	refused(with("", ""), "cluster c: server: is missing");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(cluster, sizeof(cluster), "'server': '%s'", bad[i]);
		refused(with(cluster, ""), "cluster c: server: expected https://HOST:PORT");
	}
	refused(with(SERVER ", 'proxy-url': 'SECRET'", ""), "proxy-url: expected http://");
	refused(with(SERVER ", 'proxy-url': 'http://SECRET \\n'", ""), "proxy-url: expected http://");
	refused(with(SERVER ", 'tls-server-name': 'a/b'", ""), "tls-server-name: expected a host's name");
	refused(with(SERVER ", 'insecure-skip-tls-verify': true, 'certificate-authority-data': '" PEM64 "'", ""),
		"insecure-skip-tls-verify: there is a certificate-authority too");
}

static void bad_data_is_refused_without_being_shown(void **state)
{
	(void)state;
	new_dir();
	refused(with(SERVER ", 'certificate-authority-data': 'SECRET!'", ""),
		"cluster c: certificate-authority-data: expected base64: kubectl config view --raw");
	refused(with(SERVER ", 'certificate-authority-data': 'DATA+OMITTED'", ""), "expected a PEM text in base64");
	refused(with(SERVER, "'client-certificate-data': 'REDACTED', 'client-key-data': 'REDACTED'"),
		"user u: client-certificate-data: expected a PEM text");
	refused(with(SERVER, "'client-certificate-data': '" PEM64 "', 'client-key-data': 'LS0tLS1CRUdJTiB'"),
		"user u: client-key-data: expected base64");
	refused(with(SERVER, "'client-certificate-data': '" PEM64 "'"), "user u: client-key: is missing");
	refused(with(SERVER, "'token': 'SECRET SECRET'"), "user u: token: no header can hold it");
	refused(with(SERVER, "'token': 'SECRET\\r\\nX: y'"), "user u: token: no header can hold it");
	refused(with(SERVER, "'token': 'SECR\xc3\xa4T'"), "user u: token: no header can hold it");
	refused(with(SERVER, "'token': ' '"), "user u: token: is blank");
}

static void what_fairdial_does_not_do_is_refused_with_a_way_out(void **state)
{
	(void)state;
	new_dir();
	refused(with(SERVER, "'exec': {'command': 'aws', 'args': ['SECRET']}"),
		"context x: user u needs the program \"aws\": fairdial runs none; use a token: kubectl create token");
	refused(with(SERVER, "'exec': {'args': ['SECRET']}"), "needs the program \"?\"");
	refused(with(SERVER, "'exec': 'SECRET'"), "needs the program \"?\"");
	refused(with(SERVER, "'auth-provider': {'name': 'gcp', 'config': {'access-token': 'SECRET'}}"),
		"context x: user u needs an auth-provider: fairdial has none; use a token");
	refused(with(SERVER, "'username': 'admin', 'password': 'SECRET'"), "context x: user u has a password");
	refused(with(SERVER, "'password': 'SECRET', 'token': 'SECRET'"), "user u has a password");
	refused(with(SERVER, "'token': 'SECRET', 'as': 'root'"), "user u acts as another (\"as\")");
	refused(with(SERVER, "'token': 'SECRET', 'as-groups': ['system:masters']"), "acts as another (\"as-groups\")");
}

static void files_that_cannot_be_read_are_named(void **state)
{
	char expected[300];

	(void)state;
	new_dir();
	check_refused(path_of("none"), -ENOENT, "cannot open ");
	check_refused(dir, -EISDIR, "cannot read ");
	check_refused("", -ENOENT, "no kubeconfig is named");
	put_text("config", with(SERVER ", 'certificate-authority': 'ca'", ""));
	snprintf(expected, sizeof(expected), "cluster c: certificate-authority: cannot read %s: No such file", path_of("ca"));
	check_refused(path_of("config"), -ENOENT, expected);
	put_text("config", with(SERVER, "'tokenFile': 'loop'"));
	assert_int_equal(symlink("loop", path_of("loop")), 0);
	check_refused(path_of("config"), -ELOOP, "user u: tokenFile: cannot read ");
	put_text("config", with(SERVER, "'client-certificate-data': '" PEM64 "', 'client-key': 'key'"));
	check_refused(path_of("config"), -ENOENT, "user u: client-key: cannot read ");
}

/* ---- hostile files ---- */

static void what_is_no_json_is_refused_without_its_words(void **state)
{
	(void)state;
	new_dir();
	refused("{", ":1:1: ends too early");
	refused("{\n \"a\": SECRET}", "/config:2:12: not good JSON");
	refused("{\"a\": \"SECRET", "/config:1:");
	refused("{} SECRET", "more text behind its end");
	refused("{\"a\": \"SECRET\\u0000\"}", "must not hold \\u0000");
	refused("{\"a\": \"SECRET\xff\"}", "not UTF-8");
	put("config", "{\"a\":\0 1}", 9);
	check_refused(path_of("config"), -EINVAL, "/config:1:");
}

static void deep_and_large_files_are_refused(void **state)
{
	const size_t size = ((size_t)4 << 20) + 1;
	char *text = malloc(size);

	(void)state;
	new_dir();
	assert_non_null(text);
	memset(text, ' ', size);
	put("config", text, size);
	check_refused(path_of("config"), -EFBIG, "/config: larger than 4 MiB");
	put("config", text, size - 1);
	check_refused(path_of("config"), -EINVAL, "current-context is not set");
	memset(text, '[', size);
	memcpy(text, "{\"a\":", 5);
	put("config", text, size - 1);
	check_refused(path_of("config"), -EINVAL, "nested too deep");
	free(text);
}

static void a_name_with_control_characters_cannot_forge_a_line(void **state)
{
	(void)state;
	new_dir();
	refused(json("{'current-context': 'x\\n\\u001b[2J'}"), "there is no context x??[2J");
}

static void a_pipe_is_read_like_a_file(void **state)
{
	char path[64];
	int fds[2];
	const char *text = with(SERVER, "'token': 'SECRET'");

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fds[1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	load(path);
	close(fds[0]);
	assert_string_equal(config.token, "SECRET");
}

/* ---- several files ---- */

static char *listed(const char *a, const char *b, const char *c)
{
	static char list[900];

	snprintf(list, sizeof(list), "%s:%s::%s:", path_of(a), path_of(b), path_of(c));
	return list;
}

static void of_several_files_the_first_that_says_a_thing_wins_whole(void **state)
{
	(void)state;
	new_dir();
	assert_int_equal(mkdir(path_of("d"), 0700), 0);
	put_text("d/ca", PEM);
	put_text("a", json("{'users': [{'name': 'u', 'user': {'token': 'SECRET1'}}], 'clusters': [{'name': 'other'}]}"));
	put_text("d/b", json("{'current-context': 'x', 'clusters': [{'name': 'c', 'cluster': {" SERVER ","
			     "'certificate-authority': 'ca'}}], 'users': [{'name': 'u', 'user': {'tokenFile': 'missing'}}]}"));
	put_text("c", json("{'current-context': 'y', 'contexts': [{'name': 'x', 'context': {'cluster': 'c', 'user': 'u'}}],"
			   "'clusters': [{'name': 'c', 'cluster': {'server': 'https://wrong', 'proxy-url': 'http://wrong'}}]}"));
	load(listed("a", "d/b", "c"));
	assert_string_equal(config.server, "https://10.0.0.1:6443");
	assert_string_equal(config.token, "SECRET1");
	assert_string_equal(config.ca_file, path_of("d/ca"));
	assert_null(config.token_file);
	assert_null(config.proxy_url);
}

static void of_several_files_those_that_are_not_there_are_passed_over(void **state)
{
	(void)state;
	new_dir();
	check_refused(listed("none", "nor", "not"), -ENOENT, "none of these files is there");
	put_text("b", with(SERVER, ""));
	load(listed("none", "b", "nor"));
	assert_string_equal(config.server, "https://10.0.0.1:6443");
	put_text("c", "{SECRET");
	check_refused(listed("none", "b", "c"), -EINVAL, "/c:1:");
	put_text("b", json("{'current-context': 'x', 'contexts': []}"));
	check_refused(listed("none", "b", "nor"), -EINVAL, "there is no context x");
}

static void a_file_with_a_colon_in_its_name_is_one_file(void **state)
{
	(void)state;
	new_dir();
	put_text("a:b", with(SERVER, ""));
	load(path_of("a:b"));
	assert_string_equal(config.server, "https://10.0.0.1:6443");
}

static void done_leaves_nothing_and_may_be_called_again(void **state)
{
	const struct kube_config nothing = { 0 };

	(void)state;
	new_dir();
	load_text(with(SERVER, "'token': 'SECRET', 'client-certificate-data': '" PEM64 "', 'client-key-data': '" PEM64 "'"));
	kube_config_done(&config);
	assert_memory_equal(&config, &nothing, sizeof(nothing));
	kube_config_done(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_pod_finds_its_service_account),
		TEST(a_pods_server_may_be_ipv6_or_a_name_and_its_https_port_goes_first),
		TEST(what_is_no_pod_is_told_from_a_broken_one),
		TEST(a_pod_needs_a_token_and_the_ca),
		TEST(a_pods_namespace_may_be_missing_but_not_strange),
		TEST(a_kubeconfig_gives_the_current_context),
		TEST(a_kubeconfig_may_be_yaml),
		TEST(a_context_without_a_user_is_nobody),
		TEST(a_server_may_have_a_path_and_needs_no_port),
		TEST(a_server_on_this_machine_is_told_by_its_address),
		TEST(file_names_are_relative_to_the_kubeconfig),
		TEST(a_kubeconfig_of_the_working_directory_has_its_files_there),
		TEST(data_goes_before_a_file_that_is_not_even_looked_at),
		TEST(a_token_and_its_file_are_both_handed_on),
		TEST(a_token_that_is_written_down_spares_the_program),
		TEST(a_key_without_a_certificate_is_passed_over),
		TEST(what_a_context_names_must_be_there),
		TEST(wrong_types_are_named_but_not_shown),
		TEST(names_that_are_there_twice_are_refused),
		TEST(servers_that_are_none_are_refused),
		TEST(bad_data_is_refused_without_being_shown),
		TEST(what_fairdial_does_not_do_is_refused_with_a_way_out),
		TEST(files_that_cannot_be_read_are_named),
		TEST(what_is_no_json_is_refused_without_its_words),
		TEST(deep_and_large_files_are_refused),
		TEST(a_name_with_control_characters_cannot_forge_a_line),
		TEST(a_pipe_is_read_like_a_file),
		TEST(of_several_files_the_first_that_says_a_thing_wins_whole),
		TEST(of_several_files_those_that_are_not_there_are_passed_over),
		TEST(a_file_with_a_colon_in_its_name_is_one_file),
		TEST(done_leaves_nothing_and_may_be_called_again),
	};

	return RUN_TESTS(tests);
}
