/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/literals.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

static size_t digits(const char *at, const char *end)
{
	const char *from = at;

	while (at < end && isdigit((unsigned char)*at))
		at++;
	return (size_t)(at - from);
}

bool literals_needed(const char *at, size_t length)
{
	const char *end = at + length, *from = at;
	size_t n;

	at += at < end && *at == '-';
	n = digits(at, end);
	if (n == 0 || (n > 1 && *at == '0'))
		return false;
	at += n;
	if (at == end)
		return n > 18 || (*from == '-' && from[1] == '0');
	if (*at == '.') {
		n = digits(++at, end);
		if (n == 0)
			return false;
		at += n;
	}
	if (at < end && (*at == 'e' || *at == 'E')) {
		at++;
		at += at < end && (*at == '+' || *at == '-');
		n = digits(at, end);
		return n > 0 && at + n == end;
	}
	return at == end;
}

int literals_add(struct literals *literals, struct literal literal)
{
	struct literal *more = literals->list;

	if ((literals->count & (literals->count - 1)) == 0) { /* doubled at each power of two */
		more = realloc(more, (literals->count ? 2 * literals->count : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		literals->list = more;
	}
	literals->list[literals->count++] = literal;
	return 0;
}
