/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in front of dlsym(3) itself, as profilers and overlays do. Built with -DCALLS, it calls the true one, which
 * then takes this object for the one that asks: RTLD_NEXT is what comes after this object. Else it jumps there.
 */
#include <dlfcn.h>

typedef void *lookup(void *, const char *);

static lookup *next(void)
{
	static const char *const versions[] = { "GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5" };
	void *found = 0;

	for (int i = 0; !found && i < 3; i++)
		found = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
	return (lookup *)found;
}

void *dlsym(void *restrict handle, const char *restrict name)
{
#ifdef CALLS
	void *volatile found = next()(handle, name);

	return found;
#else
	return next()(handle, name);
#endif
}
