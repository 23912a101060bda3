/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where services come from. Each function reads one whole text and puts what it says into a model, or refuses it with
 * one line that names the origin, the line and the key; the model is then as it was.
 */
#ifndef FAIRDIAL_SERVICES_SOURCE_H
#define FAIRDIAL_SERVICES_SOURCE_H

#include <stddef.h>

#include "base/report.h"

struct model;

/*
 * A services file or a Kubernetes List (`kubectl get services,endpointslices -o json`), told apart by "kind".
 * `origin` is its name in errors. 0; -EINVAL for what it says.
 */
int source_load_text(struct model *model, const char *origin, const char *text, size_t len, struct report *report);

/* The same of a file, or of standard input where `path` is "-". -errno where it cannot be read. */
int source_load_file(struct model *model, const char *path, struct report *report);

/*
 * Inline services, `name[.namespace]:port=address:port,...`, separated by ';'; `origin` names them in errors
 * ("--service"). Several calls' worth are joined by the caller. They come beside the services of a file loaded before;
 * -EEXIST where both name one.
 */
int source_load_inline(struct model *model, const char *origin, const char *text, struct report *report);

/* FAIRDIAL_SERVICES: inline services, or a file's path (what has a '/' or names a file). */
int source_load_any(struct model *model, const char *origin, const char *text, struct report *report);

#endif
