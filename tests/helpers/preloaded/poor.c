/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For programs that find neither memory nor descriptors when they are loaded: those that ask for more themselves, later, may have
 * it.
 */
#include <sys/resource.h>

static void take_away(int resource)
{
	struct rlimit limit;

	getrlimit(resource, &limit);
	limit.rlim_cur = 0;
	setrlimit(resource, &limit);
}

__attribute__((constructor)) static void be_poor(void)
{
	take_away(RLIMIT_AS);
	take_away(RLIMIT_NOFILE);
}
