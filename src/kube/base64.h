/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 as RFC 4648 section 4 has it: one alphabet, padding, no bits left over. White space between is passed over. */
#ifndef FAIRDIAL_KUBE_BASE64_H
#define FAIRDIAL_KUBE_BASE64_H

#include <stddef.h>

/* The caller frees `*ret_data`, which has one NUL behind its `*ret_size` bytes. 0; -EINVAL for other text; -ENOMEM. */
int base64_decode(const char *text, size_t len, void **ret_data, size_t *ret_size);

#endif
