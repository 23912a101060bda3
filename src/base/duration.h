/* SPDX-License-Identifier: Apache-2.0 */
/* Durations as users write them: "500ms", "1.5s", "2m", "1h"; a bare "0" is zero. */
#ifndef FAIRDIAL_BASE_DURATION_H
#define FAIRDIAL_BASE_DURATION_H

#include <stddef.h>
#include <stdint.h>

/* 0, -EINVAL for another form, -ERANGE beyond 2^31 ms (about 24 days). Pure. */
int duration_parse(const char *text, size_t len, uint32_t *ret_ms);

#define DURATION_TEXT 16

/* The shortest of the forms above that is exact. Returns `buf`. Pure. */
char *duration_print(uint32_t ms, char buf[DURATION_TEXT]);

#endif
