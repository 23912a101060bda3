/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scraper sends and what it is sent: any Accept header gets one of the two formats, and any text in a label stays within its
 * quotes, from which it is read back but for bytes that are no UTF-8 or that a terminal obeys. And any --listen.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/exporter.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "metrics/exposition.h"

static const struct metric metric = { "fuzz", METRIC_GAUGE, NULL, NULL, "Fuzz" };
static const char before[] = "fuzz{x=\"", behind[] = "\"} 1\n";

/* A character that a '?' stands for: so many bytes, 0 where it has to be as it is. */
static size_t replaced(const char *text)
{
	size_t skip;

	return text_plain_at(text, strlen(text), &skip) == 0 ? skip : 0;
}

/* What the quotes hold is `text`, or '?' for some of its characters. */
static void read_back(const char *at, size_t len, const char *text)
{
	for (size_t i = 0; i < len; i++, text++) {
		char c = at[i];

		FUZZ_HOLDS(c != '\n' && c != '"' && *text);
		if (c == '\\') {
			FUZZ_HOLDS(++i < len && (at[i] == 'n' || at[i] == '"' || at[i] == '\\'));
			c = at[i] == 'n' ? '\n' : at[i];
		}
		FUZZ_HOLDS(c == *text || (c == '?' && replaced(text)));
		text += c == *text ? 0 : replaced(text) - 1;
	}
	FUZZ_HOLDS(!*text);
}

static void write_label(const char *text, enum exposition_format format)
{
	size_t begin = sizeof(before) - 1, end = sizeof(behind) - 1;
	struct exposition e;

	exposition_begin(&e, format);
	exposition_family(&e, &metric);
	e.len = 0;
	exposition_count(&e, &(struct label){ "x", text }, 1, 1);
	FUZZ_HOLDS(!e.failed && e.len >= begin + end && memcmp(e.at, before, begin) == 0 && memcmp(e.at + e.len - end, behind, end) == 0);
	read_back(e.at + begin, e.len - begin - end, text);
	free(e.at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size, true);
	struct addr addr;

	write_label(text, exposition_accepts(text));
	if (exporter_parse(text, &addr) == 0)
		FUZZ_HOLDS(strchr(text, ':') && strlen(text) < 64);
	free(text);
	return 0;
}
