/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/trouble.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "inject/kinds.h"

void troubles_init(struct troubles *troubles)
{
	*troubles = (struct troubles){ .lines = json_array() };
}

void troubles_done(struct troubles *troubles)
{
	json_decref(troubles->lines);
}

static void say(struct troubles *troubles, const struct workload *w, const char *format, va_list args)
{
	json_t *what = json_vsprintf(format, args), *line;
	char *text;

	line = json_sprintf("%s/%s%s%s: %s", w->kind, w->namespace ? w->namespace : "", w->namespace ? "/" : "", w->name,
			    json_string_value(what));
	text = strdup(json_string_value(line));
	if (text) {
		text_make_plain(text, strlen(text)); /* names are as somebody wrote them */
		json_array_append_new(troubles->lines, json_string(text));
	}
	free(text);
	json_decref(line);
	json_decref(what);
}

void trouble_note(struct troubles *troubles, const struct workload *workload, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(troubles, workload, format, args);
	va_end(args);
}

bool trouble_refuse(struct troubles *troubles, const struct workload *workload, const char *format, ...)
{
	va_list args;

	troubles->refused++;
	va_start(args, format);
	say(troubles, workload, format, args);
	va_end(args);
	return false;
}
