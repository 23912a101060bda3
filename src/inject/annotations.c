/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/annotations.h"

#include <string.h>

#include "model/policy.h"

/* The last is written by us, and nothing that one would mean. */
static const char *const names[] = { "inject", "skip-containers", "services", "mode", "metrics", "injected" };
#define NAMES (sizeof(names) / sizeof(*names))
#define MEANT (NAMES - 1)

/* Letters that may be wrong, missing or too many; letters that have to be right at the front. */
#define MISTAKES_MAX 2
#define FRONT_MIN    3
/* A name of an annotation has 63 at most. */
#define LENGTH_MAX 63

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance, row by row. */
static size_t mistakes(const char *a, const char *b)
{
	size_t row[LENGTH_MAX + 1], length = strlen(b);

	if (strlen(a) > LENGTH_MAX || length > LENGTH_MAX)
		return LENGTH_MAX;
	for (size_t i = 0; i <= length; i++)
		row[i] = i;
	for (size_t at = 1; *a; a++, at++) {
		size_t before = row[0]; /* what row[i - 1] was in the row above */

		row[0] = at;
		for (size_t i = 1; i <= length; i++) {
			size_t above = row[i];

			row[i] = least(above + 1, row[i - 1] + 1, before + (*a != b[i - 1]));
			before = above;
		}
	}
	return row[length];
}

static bool begin_alike(const char *a, const char *b)
{
	size_t a_length = strlen(a), b_length = strlen(b), length = a_length < b_length ? a_length : b_length;

	return length >= FRONT_MIN && strncmp(a, b, length) == 0;
}

/* NULL: nothing near. */
static const char *meant(const char *name)
{
	size_t fewest = MISTAKES_MAX + 1;
	const char *nearest = NULL;

	for (size_t i = 0; i < MEANT; i++) {
		size_t count = mistakes(name, names[i]);

		if (begin_alike(name, names[i]) && count > MISTAKES_MAX)
			count = MISTAKES_MAX;
		if (count < fewest) {
			fewest = count;
			nearest = names[i];
		}
	}
	return nearest;
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < NAMES; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void note_unknown(const struct workload *w, const char *key, struct troubles *troubles)
{
	const char *name = key + strlen(ANNOTATION_PREFIX), *instead = meant(name);

	if (policy_find(name, strlen(name)))
		trouble_note(troubles, w, "annotation %s does nothing here: it belongs on a Service", key);
	else if (instead)
		trouble_note(troubles, w, "annotation %s: no such annotation; did you mean %s?", key, instead);
	else
		trouble_note(troubles, w,
			     "annotation %s: no such annotation; a pod has inject, skip-containers, services, mode and metrics", key);
}

static void note_all(const struct workload *w, const json_t *owner, struct troubles *troubles)
{
	json_t *annotations = json_object_get(json_object_get(owner, "metadata"), "annotations"), *value;
	const char *key;

	json_object_foreach(annotations, key, value)
		if (strncmp(key, ANNOTATION_PREFIX, strlen(ANNOTATION_PREFIX)) == 0 &&
		    !is_known(key + strlen(ANNOTATION_PREFIX)))
			note_unknown(w, key, troubles);
}

/* Of a Deployment's own too: where a known one is out of place, an unknown one is not better. */
void annotations_note_unknown(const struct workload *w, struct troubles *troubles)
{
	note_all(w, w->pod, troubles);
	if (w->object != w->pod)
		note_all(w, w->object, troubles);
}
