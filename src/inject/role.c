/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agents may ask the API for: `list` and `watch` of Services and EndpointSlices in their own namespace, no more. One
 * Role and one RoleBinding a namespace, named as in the README.
 */
#include "inject/inject.h"

#include <string.h>

#include "inject/checks.h"
#include "inject/kinds.h"
#include "inject/quoted.h"
#include "inject/wishes.h"

#define ROLE      "fairdial"
#define RBAC      "rbac.authorization.k8s.io"
#define NAMESPACE "default"
#define ACCOUNT   "default"

struct accounts {
	json_t *by_namespace; /* names of accounts, in the order of the objects */
	struct troubles *troubles;
};

/* serviceAccount is the older name of the same. */
static const char *account_of(const json_t *spec)
{
	const char *name = kinds_text(spec, "serviceAccountName");

	if (!name || !*name)
		name = kinds_text(spec, "serviceAccount");
	return name && *name ? name : ACCOUNT;
}

static bool holds(const json_t *names, const char *name)
{
	for (size_t i = 0; i < json_array_size(names); i++)
		if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
			return true;
	return false;
}

static void note_account(struct accounts *accounts, const char *namespace, const char *account)
{
	json_t *names = json_object_get(accounts->by_namespace, namespace);

	if (!names) {
		names = json_array();
		json_object_set_new(accounts->by_namespace, namespace, names);
	}
	if (!holds(names, account))
		json_array_append_new(names, json_string(account));
}

static void visit(const struct workload *workload, void *context)
{
	struct accounts *accounts = context;
	struct wishes wishes = { 0 };

	accounts->troubles->pods++;
	if (checks_shape(workload, accounts->troubles) && wishes_read(workload, &wishes, accounts->troubles) &&
	    !wishes.left_alone) {
		if (!workload->namespace)
			trouble_note(accounts->troubles, workload,
				     "says no namespace: its account is taken to be in \"" NAMESPACE "\"");
		note_account(accounts, workload->namespace ? workload->namespace : NAMESPACE, account_of(kinds_spec(workload)));
	}
	wishes_done(&wishes);
}

static const char role_text[] =
	"{ 'apiVersion': 'rbac.authorization.k8s.io/v1', 'kind': 'Role',"
	"  'metadata': { 'name': 'fairdial', 'namespace': null },"
	"  'rules': [ { 'apiGroups': [ '' ], 'resources': [ 'services' ], 'verbs': [ 'list', 'watch' ] },"
	"             { 'apiGroups': [ 'discovery.k8s.io' ], 'resources': [ 'endpointslices' ],"
	"               'verbs': [ 'list', 'watch' ] } ] }";

static const char binding_text[] =
	"{ 'apiVersion': 'rbac.authorization.k8s.io/v1', 'kind': 'RoleBinding',"
	"  'metadata': { 'name': 'fairdial', 'namespace': null },"
	"  'roleRef': { 'apiGroup': 'rbac.authorization.k8s.io', 'kind': 'Role', 'name': 'fairdial' },"
	"  'subjects': [] }";

static json_t *in_namespace(const char *text, const char *namespace)
{
	json_t *object = quoted_json(text);

	json_object_set_new(json_object_get(object, "metadata"), "namespace", json_string(namespace));
	return object;
}

static json_t *binding(const char *namespace, const json_t *accounts)
{
	json_t *binding = in_namespace(binding_text, namespace), *subjects = json_object_get(binding, "subjects");

	for (size_t i = 0; i < json_array_size(accounts); i++)
		json_array_append_new(subjects, json_pack("{s:s, s:O, s:s}", "kind", "ServiceAccount", "name",
							  json_array_get(accounts, i), "namespace", namespace));
	return binding;
}

json_t *inject_roles(const json_t *documents, struct troubles *troubles)
{
	struct accounts accounts = { json_object(), troubles };
	json_t *items = json_array(), *names;
	const char *namespace;

	for (size_t i = 0; i < json_array_size(documents); i++)
		kinds_each(json_array_get(documents, i), visit, &accounts);
	json_object_foreach(accounts.by_namespace, namespace, names)
	{
		json_array_append_new(items, in_namespace(role_text, namespace));
		json_array_append_new(items, binding(namespace, names));
	}
	json_decref(accounts.by_namespace);
	return json_pack("{s:s, s:s, s:o}", "apiVersion", "v1", "kind", "List", "items", items);
}
