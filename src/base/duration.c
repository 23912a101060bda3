/* SPDX-License-Identifier: Apache-2.0 */
#include "base/duration.h"

#include <errno.h>
#include <stdbool.h>

#include "base/text.h"

static const struct unit {
	const char *name;
	uint32_t ms;
} units[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };

#define UNITS (sizeof(units) / sizeof(units[0]))

static const struct unit *find_unit(struct slice name)
{
	for (size_t i = 0; i < UNITS; i++)
		if (slice_is(name, units[i].name))
			return &units[i];
	return NULL;
}

int duration_parse(const char *text, size_t len, uint32_t *ret_ms)
{
	uint64_t whole = 0, part = 0, part_scale = 1;
	size_t i = 0, digits = 0;
	const struct unit *unit;

	for (; i < len && text_is_digit(text[i]); i++, digits++) {
		whole = whole * 10 + (uint64_t)(text[i] - '0');
		if (whole > UINT32_MAX)
			return -ERANGE;
	}
	if (digits && i < len && text[i] == '.') {
		for (i++, digits = 0; i < len && text_is_digit(text[i]); i++, digits++) {
			if (part_scale < 1000000) {
				part = part * 10 + (uint64_t)(text[i] - '0');
				part_scale *= 10;
			}
		}
	}
	if (digits == 0)
		return -EINVAL;
	if (i == len && whole == 0 && part == 0) {
		*ret_ms = 0;
		return 0;
	}
	unit = find_unit((struct slice){ text + i, len - i });
	if (!unit)
		return -EINVAL;
	whole = whole * unit->ms + part * unit->ms / part_scale;
	if (whole > INT32_MAX)
		return -ERANGE;
	*ret_ms = (uint32_t)whole;
	return 0;
}

char *duration_print(uint32_t ms, char buf[DURATION_TEXT])
{
	struct text out = text_into(buf, DURATION_TEXT);
	size_t i = 0;

	while (i < UNITS - 1 && (ms == 0 || ms % units[i].ms != 0))
		i++;
	text_add_number(&out, ms / units[i].ms, 10);
	text_add(&out, ms == 0 ? "" : units[i].name);
	return buf;
}
