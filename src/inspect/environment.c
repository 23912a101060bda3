/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/service_list.h"
#include "table/mode.h"

#define SHIM "libfairdial.so"

enum variable { PRELOAD, MODE, DIR, ONLY, EXCEPT, BALANCE, LEDGER, VARIABLES };

static const char *const names[VARIABLES] = {
	[PRELOAD] = "LD_PRELOAD", [MODE] = "FAIRDIAL",          [DIR] = "FAIRDIAL_DIR",
	[ONLY] = "FAIRDIAL_ONLY", [EXCEPT] = "FAIRDIAL_EXCEPT", [BALANCE] = "FAIRDIAL_BALANCE",
	[LEDGER] = "FAIRDIAL_LEDGER",
};

static void take_variable(struct slice value, struct slice values[VARIABLES])
{
	struct slice name = slice_cut(&value, '=');

	for (size_t i = 0; value.at && i < VARIABLES; i++)
		if (!values[i].at && slice_is(name, names[i]))
			values[i] = value;
}

/* The file name alone, or at the end of a path. */
static bool is_shim(struct slice path)
{
	size_t len = strlen(SHIM);

	return path.len >= len && memcmp(path.at + path.len - len, SHIM, len) == 0 &&
	       (path.len == len || path.at[path.len - len - 1] == '/');
}

/* ld.so(8): separated by colons or spaces. */
static struct slice find_shim(struct slice list)
{
	while (list.len) {
		struct slice path = { list.at, 0 };

		while (path.len < list.len && list.at[path.len] != ':' && list.at[path.len] != ' ')
			path.len++;
		if (is_shim(path))
			return path;
		list.len -= path.len < list.len ? path.len + 1 : path.len;
		list.at = path.at + path.len + 1;
	}
	return (struct slice){ NULL, 0 };
}

static bool is_plain_path(struct slice path)
{
	return path.len && path.at[0] == '/' && !memchr(path.at, '$', path.len);
}

static bool copy(struct slice value, char **ret)
{
	*ret = value.len ? strndup(value.at, value.len) : NULL;
	return *ret || !value.len;
}

static bool copy_absolute(struct slice value, char **ret)
{
	return copy(value.len && value.at[0] == '/' ? value : (struct slice){ NULL, 0 }, ret);
}

static uint8_t mode_of(const struct slice values[VARIABLES])
{
	bool understood;

	if (values[ONLY].len >= SERVICE_LIST_SIZE || values[EXCEPT].len >= SERVICE_LIST_SIZE)
		return MODE_OFF;
	return mode_of_variable(values[MODE], &understood);
}

int environment_parse(const char *bytes, size_t len, struct environment *ret)
{
	struct slice rest = { bytes, len }, values[VARIABLES] = { { NULL, 0 } }, shim;
	struct environment env = { .is_known = true };
	bool kept;

	while (rest.at && rest.len)
		take_variable(slice_cut(&rest, '\0'), values);
	shim = find_shim(values[PRELOAD]);
	env.names_shim = shim.at;
	env.mode = mode_of(values);
	env.sets_dir = values[DIR].len;
	kept = copy(is_plain_path(shim) ? shim : (struct slice){ NULL, 0 }, &env.shim) &&
	       copy_absolute(values[DIR], &env.dir) && copy_absolute(values[LEDGER], &env.ledger) &&
	       copy(values[ONLY], &env.only) && copy(values[EXCEPT], &env.except) && copy(values[BALANCE], &env.balance);
	if (!kept) {
		environment_free(&env);
		return -ENOMEM;
	}
	*ret = env;
	return 0;
}

void environment_free(struct environment *env)
{
	free(env->shim);
	free(env->dir);
	free(env->ledger);
	free(env->only);
	free(env->except);
	free(env->balance);
	memset(env, 0, sizeof(*env));
}

bool environment_allows(const struct environment *env, const char *name, const char *namespace)
{
	return service_list_allow(slice_of(env->only), slice_of(env->except), slice_of(name), slice_of(namespace));
}
