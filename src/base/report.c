/* SPDX-License-Identifier: Apache-2.0 */
#include "base/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define GAP	"..."
#define LONGEST 8192 /* a path, and what is said of it */

/* What failed stands first, why and what to do last: of a long path between them the middle can be missed. */
static void take_ends(struct report *r, const char *whole)
{
	size_t len = strlen(whole), head = sizeof(r->text) / 2, tail = sizeof(r->text) - head - sizeof(GAP);

	if (len < sizeof(r->text)) {
		memcpy(r->text, whole, len + 1);
		return;
	}
	memcpy(r->text, whole, head);
	memcpy(r->text + head, GAP, sizeof(GAP) - 1);
	memcpy(r->text + head + sizeof(GAP) - 1, whole + len - tail, tail + 1);
}

int report(struct report *r, int error, const char *format, ...)
{
	char whole[LONGEST] = "";
	va_list args;

	va_start(args, format);
	vsnprintf(whole, sizeof(whole), format, args);
	va_end(args);
	take_ends(r, whole);
	text_make_plain(r->text, strlen(r->text)); /* one line, whatever a name in somebody's file holds */
	return error;
}
