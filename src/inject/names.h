/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is ours in a pod, by name and by path. examples/kubernetes says the same: a pod may be given fairdial by this tool, by
 * a Kustomize component or by an admission policy.
 */
#ifndef FAIRDIAL_INJECT_NAMES_H
#define FAIRDIAL_INJECT_NAMES_H

#include <stdbool.h>

#define NAME_INSTALL "fairdial-install"
#define NAME_AGENT   "fairdial-agent"
#define PORT_METRICS "fd-metrics" /* of the agent: at most 15 characters */

#define VOLUME_BIN    "fairdial-bin"
#define VOLUME_RUN    "fairdial-run"
#define VOLUME_TOKEN  "fairdial-token"
#define VOLUME_CONFIG "fairdial-config"

#define PATH_BIN    "/opt/fairdial"
#define PATH_RUN    "/run/fairdial"
#define PATH_CONFIG "/etc/fairdial"
#define PATH_TOKEN  "/var/run/secrets/kubernetes.io/serviceaccount"

#define SHIM_FILE "libfairdial.so"
#define SHIM_PATH PATH_BIN "/" SHIM_FILE

/* An emptyDir is root's and for all to write; the table is trusted in a folder that the agent makes in it. */
#define TABLE_DIR PATH_RUN "/pod"

bool names_our_container(const char *name);
bool names_our_volume(const char *name);

#endif
