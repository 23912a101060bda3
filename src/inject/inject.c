/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/inject.h"

#include "inject/checks.h"
#include "inject/kinds.h"
#include "inject/notes.h"
#include "inject/pod.h"
#include "inject/record.h"
#include "inject/strip.h"
#include "inject/wishes.h"

struct work {
	const struct inject_options *options;
	struct troubles *troubles;
};

/* Puts `with` in the place of an object's contents. */
static void replace(json_t *object, json_t *with)
{
	json_object_clear(object);
	json_object_update(object, with);
}

/* On a copy, so that an object which is refused half way is as it was. */
static void inject_copy(const struct workload *workload, const struct wishes *wishes, const struct work *work)
{
	json_t *copy = json_deep_copy(workload->object);
	struct workload same = kinds_same(workload, copy);

	if (record_is_there(same.pod))
		pod_remove(same.pod);
	if (checks_room(&same, wishes, work->troubles)) {
		notes_say(&same, wishes, work->troubles);
		strip_fetched(copy);
		pod_add(same.pod, wishes, work->options);
		replace(workload->object, copy);
	}
	json_decref(copy);
}

static void add_one(const struct workload *workload, void *context)
{
	const struct work *work = context;
	struct wishes wishes = { 0 };

	work->troubles->pods++;
	if (checks_shape(workload, work->troubles) && wishes_read(workload, &wishes, work->troubles)) {
		if (wishes.left_alone)
			trouble_note(work->troubles, workload, "left alone: annotation fairdial.dev/inject says so%s",
				     record_is_there(workload->pod) ? ", and it was injected before: --remove takes that out"
								    : "");
		else
			inject_copy(workload, &wishes, work);
	}
	wishes_done(&wishes);
}

void inject_add(json_t *document, const struct inject_options *options, struct troubles *troubles)
{
	struct work work = { options, troubles };

	kinds_each(document, add_one, &work);
}

static void remove_one(const struct workload *workload, void *context)
{
	struct troubles *troubles = context;

	troubles->pods++;
	if (!record_is_there(workload->pod)) {
		trouble_note(troubles, workload, "was not injected: it stays as it is");
		return;
	}
	notes_say_of_removal(workload, troubles);
	pod_remove(workload->pod);
	strip_fetched(workload->object);
}

void inject_remove(json_t *document, struct troubles *troubles)
{
	kinds_each(document, remove_one, troubles);
}
