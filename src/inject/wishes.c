/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/wishes.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "inject/annotations.h"

#define MAX_SERVICES 64 /* of one --service */

static const char *const keys[] = { ANNOTATION_PREFIX "inject", ANNOTATION_PREFIX "skip-containers",
				    ANNOTATION_PREFIX "services", ANNOTATION_PREFIX "mode",
				    ANNOTATION_PREFIX "metrics" };
enum { INJECT, SKIP, SERVICES, MODE, METRICS, KEYS };

static bool is_one_of(const char *value, const char *a, const char *b, const char *c)
{
	return strcmp(value, a) == 0 || strcmp(value, b) == 0 || (c && strcmp(value, c) == 0);
}

/* The parts between the commas, without the spaces around them and without the empty ones. */
static json_t *split(const char *list)
{
	struct slice rest = slice_of(list);
	json_t *parts = json_array();

	while (rest.at) {
		struct slice part = slice_trim(slice_cut(&rest, ','));

		if (part.len)
			json_array_append_new(parts, json_stringn(part.at, part.len));
	}
	return parts;
}

/* NAME or NAME.NAMESPACE: nothing that the kubelet expands, and nothing that an agent takes for an option. */
static bool is_service_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.");

	return name[0] != '-' && name[0] != '.' && name[length] == '\0' && name[length - 1] != '.';
}

static json_t *joined(const json_t *parts)
{
	json_t *list = NULL;

	for (size_t i = 0; i < json_array_size(parts); i++) {
		const char *part = json_string_value(json_array_get(parts, i));
		json_t *longer;

		if (!is_service_name(part)) {
			json_decref(list);
			return NULL;
		}
		longer = json_sprintf("%s%s%s", list ? json_string_value(list) : "", list ? "," : "", part);
		json_decref(list);
		list = longer;
	}
	return list;
}

static bool read_services(const struct workload *w, const char *value, struct wishes *wishes, struct troubles *troubles)
{
	json_t *parts = split(value);

	if (json_array_size(parts) <= MAX_SERVICES)
		wishes->services = joined(parts);
	json_decref(parts);
	return wishes->services ||
	       trouble_refuse(troubles, w,
			      "annotation %s is \"%s\": name 1 to %d Services, NAME or NAME.NAMESPACE, with commas between",
			      keys[SERVICES], value, MAX_SERVICES);
}

uint16_t wishes_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	long port = digits && digits <= 5 && !text[digits] ? strtol(text, NULL, 10) : 0;

	return port >= 1024 && port <= 65535 ? (uint16_t)port : 0;
}

static bool read_values(const struct workload *w, const char *const values[KEYS], struct wishes *wishes,
			struct troubles *troubles)
{
	const char *inject = values[INJECT], *mode = values[MODE], *metrics = values[METRICS];

	if (inject && !is_one_of(inject, "true", "enabled", NULL) && !is_one_of(inject, "false", "disabled", NULL))
		return trouble_refuse(troubles, w, "annotation %s is \"%s\": expected true, enabled, false or disabled",
				      keys[INJECT], inject);
	wishes->left_alone = inject && is_one_of(inject, "false", "disabled", NULL);
	if (wishes->left_alone)
		return true;
	if (mode && !is_one_of(mode, "on", "observe", "off"))
		return trouble_refuse(troubles, w, "annotation %s is \"%s\": expected on, observe or off", keys[MODE], mode);
	wishes->mode = mode;
	wishes->metrics = metrics ? wishes_port(metrics) : 0;
	if (metrics && !wishes->metrics)
		return trouble_refuse(troubles, w, "annotation %s is \"%s\": expected a port, 1024 to 65535", keys[METRICS], metrics);
	wishes->skipped = split(values[SKIP] ? values[SKIP] : "");
	return !values[SERVICES] || read_services(w, values[SERVICES], wishes, troubles);
}

/* A Deployment may have annotations of its own; those that count are its pods'. */
static void note_misplaced(const struct workload *w, struct troubles *troubles)
{
	const json_t *annotations = json_object_get(json_object_get(w->object, "metadata"), "annotations");

	for (int i = 0; i < KEYS && w->object != w->pod; i++)
		if (json_object_get(annotations, keys[i]))
			trouble_note(troubles, w,
				     "annotation %s counts only where the pod's are, in the template's metadata: move it there",
				     keys[i]);
}

bool wishes_read(const struct workload *workload, struct wishes *wishes, struct troubles *troubles)
{
	const json_t *annotations = json_object_get(json_object_get(workload->pod, "metadata"), "annotations");
	const char *values[KEYS];

	*wishes = (struct wishes){ 0 };
	note_misplaced(workload, troubles);
	annotations_note_unknown(workload, troubles);
	for (int i = 0; i < KEYS; i++) {
		values[i] = kinds_text(annotations, keys[i]);
		if (!values[i] && json_object_get(annotations, keys[i]))
			return trouble_refuse(troubles, workload, "annotation %s is no text: put its value in quotes", keys[i]);
	}
	return read_values(workload, values, wishes, troubles);
}

void wishes_done(struct wishes *wishes)
{
	json_decref(wishes->services);
	json_decref(wishes->skipped);
}

bool wishes_skip(const struct wishes *wishes, const char *container)
{
	for (size_t i = 0; i < json_array_size(wishes->skipped); i++)
		if (strcmp(json_string_value(json_array_get(wishes->skipped, i)), container) == 0)
			return true;
	return false;
}
