/* SPDX-License-Identifier: Apache-2.0 */
/* The part of documents.h that reads YAML. */
#ifndef FAIRDIAL_INJECT_DOCUMENTS_YAML_H
#define FAIRDIAL_INJECT_DOCUMENTS_YAML_H

#include "inject/documents.h"

/* As documents_read, of a text that is YAML; the objects may be none. */
int documents_read_yaml(const char *text, size_t length, struct documents *ret_documents, struct report *why);

#endif
