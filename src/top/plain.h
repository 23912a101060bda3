/* SPDX-License-Identifier: Apache-2.0 */
/* A whole frame as plain text, without escape sequences: for pipes, files and documents. */
#ifndef FAIRDIAL_TOP_PLAIN_H
#define FAIRDIAL_TOP_PLAIN_H

struct frame;

/* On stdout, in lines of at most `width` columns, by the encoding of the locale. 0, or -ENOMEM. */
int plain_print(const struct frame *f, int width);

#endif
