/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agents may ask the API for: `list` and `watch` of Services and EndpointSlices, no more, and in no other
 * namespace than those of the Services that they follow: their own, or those that fairdial.dev/services names.
 *
 * One Role a namespace, and a RoleBinding for each account: its subjects are one value to `kubectl apply`, so that of
 * two workloads the second would take the Role away from the account of the first. The name has a colon, which neither
 * a namespace's nor an account's has.
 */
#include "inject/inject.h"

#include <string.h>

#include "base/text.h"
#include "inject/checks.h"
#include "inject/kinds.h"
#include "inject/quoted.h"
#include "inject/wishes.h"

#define ROLE      "fairdial"
#define NAMESPACE "default"
#define ACCOUNT   "default"

struct accounts {
	json_t *by_namespace; /* of what is read there: the subjects, in the order of the objects */
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

static bool holds(const json_t *subjects, const json_t *subject)
{
	for (size_t i = 0; i < json_array_size(subjects); i++)
		if (json_equal(json_array_get(subjects, i), subject))
			return true;
	return false;
}

static void note_reader(struct accounts *accounts, const char *namespace, json_t *subject)
{
	json_t *subjects = json_object_get(accounts->by_namespace, namespace);

	if (!subjects) {
		subjects = json_array();
		json_object_set_new(accounts->by_namespace, namespace, subjects);
	}
	if (!holds(subjects, subject))
		json_array_append(subjects, subject);
}

/* "web,mysql.shop": where there is a dot, behind it; as the agent reads --service. */
static void note_services(struct accounts *accounts, const json_t *services, const char *own, json_t *subject)
{
	struct slice rest = slice_of(json_string_value(services));

	while (rest.at) {
		struct slice namespace = slice_cut(&rest, ',');
		json_t *text;

		slice_cut(&namespace, '.');
		text = namespace.at ? json_stringn(namespace.at, namespace.len) : json_string(own);
		note_reader(accounts, json_string_value(text), subject);
		json_decref(text);
	}
}

static void note_account(const struct workload *w, const struct wishes *wishes, struct accounts *accounts)
{
	const char *own = w->namespace ? w->namespace : NAMESPACE;
	json_t *subject =
		json_pack("{s:s, s:s, s:s}", "kind", "ServiceAccount", "name", account_of(kinds_spec(w)), "namespace", own);

	if (!w->namespace)
		trouble_note(accounts->troubles, w, "says no namespace: its account is taken to be in \"" NAMESPACE "\"");
	if (wishes->services)
		note_services(accounts, wishes->services, own, subject);
	else
		note_reader(accounts, own, subject);
	json_decref(subject);
}

static void visit(const struct workload *workload, void *context)
{
	struct accounts *accounts = context;
	struct wishes wishes = { 0 };

	accounts->troubles->pods++;
	if (checks_shape(workload, accounts->troubles) && wishes_read(workload, &wishes, accounts->troubles) &&
	    !wishes.left_alone)
		note_account(workload, &wishes, accounts);
	wishes_done(&wishes);
}

static const char role_text[] =
	"{ 'apiVersion': 'rbac.authorization.k8s.io/v1', 'kind': 'Role',"
	"  'metadata': { 'name': '" ROLE "', 'namespace': null },"
	"  'rules': [ { 'apiGroups': [ '' ], 'resources': [ 'services' ], 'verbs': [ 'list', 'watch' ] },"
	"             { 'apiGroups': [ 'discovery.k8s.io' ], 'resources': [ 'endpointslices' ],"
	"               'verbs': [ 'list', 'watch' ] } ] }";

static const char binding_text[] =
	"{ 'apiVersion': 'rbac.authorization.k8s.io/v1', 'kind': 'RoleBinding',"
	"  'metadata': { 'name': null, 'namespace': null },"
	"  'roleRef': { 'apiGroup': 'rbac.authorization.k8s.io', 'kind': 'Role', 'name': '" ROLE "' },"
	"  'subjects': [] }";

static json_t *in_namespace(const char *text, const char *namespace)
{
	json_t *object = quoted_json(text);

	json_object_set_new(json_object_get(object, "metadata"), "namespace", json_string(namespace));
	return object;
}

static json_t *binding(const char *namespace, json_t *subject)
{
	json_t *binding = in_namespace(binding_text, namespace);
	const char *account = kinds_name(subject), *of = json_string_value(json_object_get(subject, "namespace"));
	bool is_own = strcmp(of, namespace) == 0;

	json_object_set_new(json_object_get(binding, "metadata"), "name",
			    json_sprintf(ROLE "%s%s:%s", is_own ? "" : ":", is_own ? "" : of, account));
	json_array_append(json_object_get(binding, "subjects"), subject);
	return binding;
}

json_t *inject_roles(const json_t *documents, struct troubles *troubles)
{
	struct accounts accounts = { json_object(), troubles };
	json_t *items = json_array(), *subjects;
	const char *namespace;

	for (size_t i = 0; i < json_array_size(documents); i++)
		kinds_each(json_array_get(documents, i), visit, &accounts);
	json_object_foreach(accounts.by_namespace, namespace, subjects)
	{
		json_array_append_new(items, in_namespace(role_text, namespace));
		for (size_t i = 0; i < json_array_size(subjects); i++)
			json_array_append_new(items, binding(namespace, json_array_get(subjects, i)));
	}
	json_decref(accounts.by_namespace);
	return json_pack("{s:s, s:s, s:o}", "apiVersion", "v1", "kind", "List", "items", items);
}
