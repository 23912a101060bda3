/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/strip.h"

/*
 * What the server writes. Sent back, resourceVersion is a condition ("the object has been modified"), managedFields are refused
 * by server-side apply ("must be nil"), and uid, creationTimestamp and generation are refused where the object has been made
 * anew since, or is another cluster's (ValidateObjectMetaUpdate: the field is immutable, must not be decremented).
 */
static const char *const of_the_server[] = { "resourceVersion", "managedFields", "uid", "creationTimestamp", "generation" };

void strip_fetched(json_t *object)
{
	json_t *metadata = json_object_get(object, "metadata"), *annotations = json_object_get(metadata, "annotations");

	json_object_del(object, "status");
	for (size_t i = 0; i < sizeof(of_the_server) / sizeof(*of_the_server); i++)
		json_object_del(metadata, of_the_server[i]);
	if (json_object_del(annotations, LAST_APPLIED) == 0 && json_object_size(annotations) == 0)
		json_object_del(metadata, "annotations");
}
