/* SPDX-License-Identifier: Apache-2.0 */
#include "base/report.h"

#include <stdarg.h>
#include <stdio.h>

int report(struct report *r, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
	for (char *c = r->text; *c; c++) /* one line, whatever a name in somebody's file holds */
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return error;
}
