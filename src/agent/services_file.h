/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services file that an agent follows: read at the start, and again when it looks different or that is asked for.
 *
 * A file that is bad stays without effect: what the last good one said goes on, and the trouble tells of it. One that must be
 * there and cannot be read is a bad one. One that may be missing (`--services -FILE`, as EnvironmentFile=- of systemd.exec(5))
 * says nothing while it is: its Services and its defaults go with it, for that is how a person takes them back: of a ConfigMap
 * that is deleted the kubelet empties the mount. And where such a file is bad at the start, there is no last good one, and the
 * agent goes on without: it is the sidecar that other containers of the pod wait for, and a typing error in a file that is
 * optional must not hold up a pod. The trouble tells of it until the file is good.
 */
#ifndef FAIRDIAL_AGENT_SERVICES_FILE_H
#define FAIRDIAL_AGENT_SERVICES_FILE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/report.h"

struct model;

/* What it looked like when it was read: a mounted ConfigMap changes by a link to another directory. */
struct signature {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
	bool there;
};

struct services_file {
	const char *path;	     /* NULL: none */
	const char *inline_services; /* beside those of the file; NULL: none */
	bool may_be_missing;
	struct signature seen;
	bool was_good; /* once: there is a last good one */
	char trouble[560]; /* "" where all is well */
};

/* As an agent's options name it. Both texts must last. */
struct services_file services_file_of(const char *path, const char *inline_services);

/* The first time. 0; else a negative errno, and nothing has been taken. */
int services_file_load(struct services_file *file, struct model *model, struct report *report);

/* Now and then; `asked`: also where it looks as before. Whether what it says has been taken into the model anew. */
bool services_file_follow(struct services_file *file, struct model *model, bool asked);

#endif
