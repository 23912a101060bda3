/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input of `fairdial inject`: what is taken out again is what there was, injecting twice is injecting once, and what is printed is
 * read again as it was.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "fuzz/fuzz.h"
#include "inject/documents.h"
#include "inject/inject.h"

static const struct inject_options options = { .image = "fairdial:fuzz", .metrics = 9898 };

static char *print(const struct documents *documents)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < json_array_size(documents->objects); i++)
		documents_write(documents, json_array_get(documents->objects, i), out);
	if (!out || fclose(out) != 0)
		abort();
	return text;
}

/* How many pods were refused, or had something to be said of. */
static size_t inject(const struct documents *documents, bool remove)
{
	struct troubles troubles;
	size_t said;

	troubles_init(&troubles);
	for (size_t i = 0; i < json_array_size(documents->objects); i++)
		if (remove)
			inject_remove(json_array_get(documents->objects, i), &troubles);
		else
			inject_add(json_array_get(documents->objects, i), &options, &troubles);
	said = json_array_size(troubles.lines);
	troubles_done(&troubles);
	return said;
}

/* "-0.0" is -0 to encoding/json, as kubectl prints it, and a -0 that is read is the integer 0: of these the sign is left out. */
static void drop_signs_of_zero(char *text)
{
	bool in_string = false;
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from == '\\') /* of a string; what follows is in it too */
			*to++ = *from++;
		else if (*from == '"')
			in_string = !in_string;
		else if (!in_string && from[0] == '-' && from[1] == '0' && !strchr("0123456789.eE", from[2]))
			continue;
		*to++ = *from;
	}
	*to = '\0';
}

static void read_again(char *text)
{
	struct documents documents;
	struct report why;
	char *again;

	if (!*text)
		return;
	FUZZ_HOLDS(documents_read(text, strlen(text), &documents, &why) == 0);
	again = print(&documents);
	drop_signs_of_zero(text);
	drop_signs_of_zero(again);
	FUZZ_HOLDS(strcmp(text, again) == 0);
	free(again);
	documents_done(&documents);
}

/* What agents may ask for, of any pods: can be read again too. */
static void give_roles(const struct documents *documents)
{
	struct documents roles = { .objects = json_array() };
	struct troubles troubles;
	char *text;

	troubles_init(&troubles);
	json_array_append_new(roles.objects, inject_roles(documents->objects, &troubles));
	text = print(&roles);
	read_again(text);
	free(text);
	json_decref(roles.objects);
	troubles_done(&troubles);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size, true), *before, *once, *twice, *after;
	struct report why = { .text = "" };
	struct documents documents;
	size_t said;

	if (documents_read(text, size, &documents, &why) < 0) {
		FUZZ_HOLDS(why.text[0] && !strchr(why.text, '\n'));
		free(text);
		return 0;
	}
	inject(&documents, false); /* what the cluster wrote goes with the first injection, and what only looks like ours with the */
	inject(&documents, true);  /* first removal */
	before = print(&documents);
	said = inject(&documents, false);
	once = print(&documents);
	inject(&documents, false);
	twice = print(&documents);
	FUZZ_HOLDS(strcmp(once, twice) == 0);
	inject(&documents, true);
	after = print(&documents);
	FUZZ_HOLDS(said || strcmp(before, after) == 0);
	read_again(before);
	read_again(once);
	give_roles(&documents);
	free(before);
	free(once);
	free(twice);
	free(after);
	documents_done(&documents);
	free(text);
	return 0;
}
