/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the API server is, and who one is to it: from the pod's own service account, or from a kubeconfig.
 *
 * What kubectl makes of a kubeconfig is kept (client-go: tools/clientcmd): relative file names are relative to the
 * kubeconfig's directory; data goes before a file; several paths with ':' between are merged, the first that has a
 * context, cluster or user of a name, or says the current context, wins whole, and those that are not there are passed
 * over. What kubectl can and fairdial does not (programs that print a token, passwords, acting as another) is refused,
 * never left out. No error text holds a secret, or a piece of the text where one may be.
 */
#ifndef FAIRDIAL_KUBE_CONFIG_H
#define FAIRDIAL_KUBE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/report.h"

/* All texts and data are malloc'ed and owned; NULL: not set. Data has a NUL behind it, which its size does not count.
 */
struct kube_config {
	char *server;    /* "https://10.96.0.1:443": IPv6 in brackets, perhaps a path, no slash at the end */
	char *namespace; /* the pod's own, or the context's; NULL: unknown */
	char *ca_file;
	void *ca_data; /* PEM, as all of these; where there is data there is no file. Neither: the system's */
	size_t ca_size;
	char *token, *token_file; /* both: what the file holds goes first. It changes: read it again at each request */
	char *cert_file, *key_file;
	void *cert_data, *key_data;
	size_t cert_size, key_size;
	char *tls_server_name; /* whom the server's certificate must name, instead of the host of `server` */
	char *proxy_url;       /* may hold a password */
	bool insecure;         /* the server's certificate is not looked at */
	char *description;     /* for people: "in-cluster", "kubeconfig /x/y, context kind" */
};

/*
 * The service account of the pod this runs in. `root` comes before the files' names: "", or a test's directory. The
 * files are as they are now; the one with the token must be readable.
 *
 * 0; -ENOENT where KUBERNETES_SERVICE_HOST or _PORT or the token is missing: this is no pod, or one without a token;
 * -EINVAL for a variable or a file that makes no sense; -EACCES and such for one that cannot be read; -ENOMEM.
 */
int kube_config_in_cluster(const char *root, struct kube_config *ret, struct report *why);

/*
 * The current context of a kubeconfig, JSON or YAML (yaml/json.h says how much of it). `path` is a file's, or as the
 * variable KUBECONFIG has it, several with ':' between; one that is a file's as a whole is never taken apart.
 *
 * 0; -EINVAL for what it says; -errno where it, or a file it names, cannot be read; -EFBIG; -ENOMEM; -ENOTSUP for YAML
 * in a build without libyaml.
 */
int kube_config_load(const char *path, struct kube_config *ret, struct report *why);

/* Whether the server is on this machine: a test, a proxy, a cluster on one machine. By what is written: no name is looked up. */
bool kube_config_is_local(const struct kube_config *config);

/* Overwrites secrets before it frees them. One that is all zero may be handed in. */
void kube_config_done(struct kube_config *config);

#endif
